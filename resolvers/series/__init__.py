"""Series queries: request, run, result. One batch asks the store for all of a request."""
