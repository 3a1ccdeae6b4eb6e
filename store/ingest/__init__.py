"""Ingest: parses and validates the rows of requests, and removes duplicates by client id."""
