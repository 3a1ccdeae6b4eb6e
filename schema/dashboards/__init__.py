"""Dashboards: their content as it is stored, and the inputs and types of GraphQL."""
