"""Everything that speaks HTTP: the REST routes, GraphQL, the pages, probes, middleware."""
