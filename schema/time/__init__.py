"""Parsers of the texts of instants, dates and durations."""
