"""Dashboards on the disk: their versions, and the files that an operator mounts."""
