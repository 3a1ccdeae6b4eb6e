"""The journal: makes rows durable before they are acknowledged, and counts their outcomes."""
