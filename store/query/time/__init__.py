"""Time ranges, buckets and time zones."""
