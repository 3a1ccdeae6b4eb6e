"""Documents: parsed, measured, validated, and found by their hashes and ids."""
