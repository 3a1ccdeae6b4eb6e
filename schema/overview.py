"""Numbers of stored rows, and their names."""

import strawberry

from schema.scalars import Instant, Long


@strawberry.type(description="Numbers of stored rows, and their names.")
class Overview:
    metric_count: Long = strawberry.field(description="Metric points stored.")
    metric_names: list[str] = strawberry.field(description="Names of all metrics, sorted.")
    event_count: Long = strawberry.field(description="Events stored.")
    event_names: list[str] = strawberry.field(description="Names of all events, sorted.")
    time: Instant = strawberry.field(description="Time of the count.")
