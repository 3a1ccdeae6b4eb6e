"""Filters compiled to SQL conditions."""
