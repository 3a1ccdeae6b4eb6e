"""The vocabulary of the service: GraphQL types that both doors and the store speak.

`http`, `root`, `nodes`, `connections`, `asked` and `execution` stand above the resolvers; the
others are leaves and import nothing of ours but each other.
"""
