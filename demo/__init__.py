"""The demo: a shop that does not exist, its data of 30 days, and new rows while it runs."""
