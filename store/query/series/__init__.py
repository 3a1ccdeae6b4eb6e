"""Series queries: types, statement, rows."""
