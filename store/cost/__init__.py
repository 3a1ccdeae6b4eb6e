"""The cost of statements: known before they run, it decides their lane and their key's budget."""
