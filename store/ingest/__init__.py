"""The way in: request bodies to checked rows, each counted once, ready for the journal."""
