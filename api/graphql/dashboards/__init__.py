"""Dashboards over GraphQL: types, checks of panels, and the run of their documents."""
