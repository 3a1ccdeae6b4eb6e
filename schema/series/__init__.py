"""GraphQL types of series: requests, aggregates, results."""
