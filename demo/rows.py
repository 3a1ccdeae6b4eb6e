"""Rows of the demo: a time, the path of the REST API that takes the row, and its line."""

from typing import Final, TypeAlias

EVENTS: Final = "/events/batch"
METRICS: Final = "/metrics/batch"
SERIES: Final = "/metrics/series"

Row: TypeAlias = tuple[int, str, str]
"""Milliseconds since 1970, path, line of JSON."""
