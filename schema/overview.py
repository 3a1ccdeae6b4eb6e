"""Numbers of stored rows, and their names."""

from typing import Final

import strawberry

from schema.limits import LISTED_NAMES
from schema.scalars import Instant, Long

_LIST: Final = f"sorted, the first {LISTED_NAMES.value:,}."


@strawberry.type(description="Numbers of stored rows, and their names.")
class Overview:
    metric_count: Long = strawberry.field(description="Metric points stored.")
    metric_names: list[str] = strawberry.field(
        description=f"Names of metrics, {_LIST} `metrics` pages through all."
    )
    metric_name_count: Long = strawberry.field(description="Metrics that have points.")
    event_count: Long = strawberry.field(description="Events stored.")
    event_names: list[str] = strawberry.field(
        description=f"Names of events, {_LIST} `eventTypes` pages through all."
    )
    event_name_count: Long = strawberry.field(description="Event types: names of events.")
    time: Instant = strawberry.field(description="Time of the count.")
