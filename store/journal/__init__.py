"""The journal: rows are durable here before they are acknowledged."""
