"""The HTTP layer: REST routes, GraphQL, pages for people, probes, middleware."""
