"""The GraphQL API: its root types, whose fields call resolvers, and GraphQL over HTTP."""
