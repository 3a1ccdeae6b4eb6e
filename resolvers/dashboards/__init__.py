"""Dashboards and annotations: found, saved, checked."""
