"""The benchmark: ``python -m bench`` measures this service and prints one table."""
