"""Answers about metrics."""

import strawberry

from schema.ranges import TimeRange
from schema.scalars import Instant, Long


@strawberry.type(description="Aggregates of the values in a range.")
class MetricAggregates:
    count: Long = strawberry.field(description="Number of points.")
    sum: float | None = strawberry.field(
        description="Sum of the values; 0 without points, null when it is beyond a double."
    )
    avg: float | None = strawberry.field(description="Mean of the values; null without points.")
    min: float | None = strawberry.field(description="Smallest value; null without points.")
    max: float | None = strawberry.field(description="Largest value; null without points.")


@strawberry.type(description="One line of an answer.")
class MetricSeries:
    total: MetricAggregates = strawberry.field(description="Over the whole range.")


@strawberry.type(description="How an answer was made.")
class ResultMeta:
    range: TimeRange = strawberry.field(description="The range as executed.")


@strawberry.type(description="The answer to a question about one metric.")
class MetricResult:
    series: list[MetricSeries] = strawberry.field(description="All points as one series.")
    meta: ResultMeta = strawberry.field(description="How the answer was made.")


@strawberry.type(description="Everything that is stored, in numbers.")
class Overview:
    metric_count: Long = strawberry.field(description="Metric points stored.")
    metric_names: list[str] = strawberry.field(description="Names of all metrics, sorted.")
    event_count: Long = strawberry.field(description="Events stored.")
    event_names: list[str] = strawberry.field(description="Names of all events, sorted.")
    time: Instant = strawberry.field(description="When this was counted.")
