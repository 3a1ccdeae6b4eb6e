"""Arguments that several GraphQL fields share, with their descriptions."""

from typing import Annotated

from strawberry import argument

from resolvers import event_series, metrics
from resolvers.context import Context
from resolvers.series.request import SeriesArguments
from schema.buckets import Fill, Granularity, WeekStart
from schema.filters import EventFilter, MetricFilter
from schema.ranges import CompareInput, TimeRangeInput
from schema.scalars import Zone
from schema.series.group_by import GroupByInput
from schema.series.order import OrderByInput, series_order
from store.query.time.buckets import MAX_BUCKETS

EventConditions = Annotated[
    EventFilter | None, argument(description="Filter of the events; default: all events.")
]

EventKeys = Annotated[
    list[GroupByInput] | None,
    argument(description="Properties or fields to group by, at most 5; default: one group."),
]

Range = Annotated[TimeRangeInput, argument(description="Time range of the rows, half-open.")]

PointFilter = Annotated[
    MetricFilter | None, argument(description="Filter of the points; default: all points.")
]

BucketSize = Annotated[Granularity, argument(description="Length of a bucket.")]

MaxPoints = Annotated[
    int,
    argument(description=f"Maximum number of buckets with AUTO, 1 to {MAX_BUCKETS}."),
]

TimeZone = Annotated[Zone, argument(description="Time zone of calendar ranges and buckets.")]

FirstWeekday = Annotated[WeekStart, argument(description="First day of a week.")]

GroupTags = Annotated[
    list[str] | None, argument(description="Tags to group by, at most 5; default: one group.")
]

OrderBy = Annotated[
    OrderByInput | None,
    argument(description="Order of the groups; default: the largest count first."),
]

Limit = Annotated[int, argument(description="Maximum number of groups, 1 to 1000.")]

Offset = Annotated[
    int,
    argument(
        description="Number of groups to skip, in their order: the value of `limit` for the"
        " second page."
    ),
]

GroupSearch = Annotated[
    str | None,
    argument(
        description="Return only groups whose label contains this text, in any case. All other rows"
        " count among the other groups."
    ),
]

OtherGroup = Annotated[
    bool,
    argument(description="Whether to add one series of all groups that are not returned."),
]

BucketFill = Annotated[Fill, argument(description="Value of a bucket without data.")]

Comparison = Annotated[
    CompareInput | None, argument(description="Range to compare with; default: no comparison.")
]

MaxValues = Annotated[int, argument(description="Maximum number of values, 1 to 1000.")]

ValueSearch = Annotated[
    str | None,
    argument(description="Return only values that contain this text, in any case; default: all."),
]


def metric_series_arguments(
    ctx: Context,
    *,
    range: TimeRangeInput,  # noqa: A002 - arguments of the field, by their names
    timezone: Zone,
    week_start: WeekStart,
    granularity: Granularity,
    max_points: int,
    group_by: list[str] | None,
    order_by: OrderByInput | None,
    limit: int,
    offset: int,
    group_search: str | None,
    other_group: bool,
    fill: Fill,
    compare: CompareInput | None,
) -> SeriesArguments:
    """Return the series arguments of the field `Metric.query`, apart from its filter."""
    return SeriesArguments(
        range=range,
        zone=timezone,
        week_start=week_start,
        granularity=granularity,
        max_points=max_points,
        group_columns=metrics.tag_columns(ctx, group_by or []),
        order=series_order("metrics", order_by),
        limit=limit,
        offset=offset,
        search=group_search or "",
        other_group=other_group,
        fill=fill,
        compare=compare,
    )


def event_series_arguments(
    ctx: Context,
    *,
    range: TimeRangeInput,  # noqa: A002 - arguments of the field, by their names
    timezone: Zone,
    week_start: WeekStart,
    granularity: Granularity,
    max_points: int,
    group_by: list[GroupByInput] | None,
    order_by: OrderByInput | None,
    limit: int,
    offset: int,
    group_search: str | None,
    other_group: bool,
    fill: Fill,
    compare: CompareInput | None,
) -> SeriesArguments:
    """Return the series arguments of the field `eventTrend`, apart from its filter."""
    return SeriesArguments(
        range=range,
        zone=timezone,
        week_start=week_start,
        granularity=granularity,
        max_points=max_points,
        group_columns=event_series.group_columns(ctx, group_by or []),
        order=series_order("events", order_by),
        limit=limit,
        offset=offset,
        search=group_search or "",
        other_group=other_group,
        fill=fill,
        compare=compare,
    )
