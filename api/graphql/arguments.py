"""Arguments that several fields share, with their descriptions."""

from typing import Annotated, Any

from strawberry import argument

from resolvers import metrics
from resolvers.context import Context
from resolvers.series import request as trends
from schema.aggregates import OrderByInput, series_order
from schema.buckets import Fill, Granularity, WeekStart
from schema.filters import MetricFilter
from schema.ranges import CompareInput, TimeRangeInput
from schema.scalars import Zone
from store.query.time.buckets import MAX_BUCKETS

Range = Annotated[TimeRangeInput, argument(description="Which time.")]


WhichPoints = Annotated[MetricFilter | None, argument(description="Which points; all if null.")]


Grain = Annotated[Granularity, argument(description="The length of a bucket.")]


MaxPoints = Annotated[
    int, argument(description=f"With AUTO, at most so many buckets, 1 to {MAX_BUCKETS}.")
]


InZone = Annotated[Zone, argument(description="The zone whose clocks ranges and buckets go by.")]


Weeks = Annotated[WeekStart, argument(description="The first day of a week.")]


Tags = Annotated[list[str] | None, argument(description="Tags to group by, at most 5.")]


OrderBy = Annotated[OrderByInput | None, argument(description="Which series come first.")]


Limit = Annotated[int, argument(description="At most so many groups, 1 to 1000.")]


Offset = Annotated[
    int, argument(description="After so many groups in their order: `limit` for the second page.")
]


GroupSearch = Annotated[
    str | None,
    argument(
        description="Only groups whose label has this text in it, in any case; all others are among"
        " the other groups."
    ),
]


OtherGroup = Annotated[
    bool,
    argument(description="Whether all groups that have no line of their own are a line, too."),
]


GapFill = Annotated[Fill, argument(description="What a bucket without data holds.")]


CompareWith = Annotated[CompareInput | None, argument(description="What to compare with.")]


Values = Annotated[int, argument(description="At most so many, 1 to 1000.")]


Part = Annotated[str | None, argument(description="A part of the text, in any case.")]


def metric_series_arguments(ctx: Context, **given: Any) -> trends.SeriesArguments:  # noqa: ANN401 - arguments of `query`
    return trends.SeriesArguments(
        range=given["range"],
        zone=given["timezone"],
        week_start=given["week_start"],
        granularity=given["granularity"],
        max_points=given["max_points"],
        group_columns=metrics.tag_columns(ctx, given["group_by"] or []),
        order=series_order("metrics", given["order_by"]),
        limit=given["limit"],
        offset=given["offset"],
        search=given["group_search"] or "",
        other_group=given["other_group"],
        fill=given["fill"],
        compare=given["compare"],
    )
