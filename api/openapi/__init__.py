"""The OpenAPI document of the REST API, as far as routes and structs do not say it."""
