"""The Metric type: its fields run queries only if selected."""

from collections.abc import Sequence

import strawberry

from api.graphql.arguments import (
    BucketFill,
    BucketSize,
    Comparison,
    FirstWeekday,
    GroupSearch,
    GroupTags,
    Limit,
    MaxPoints,
    MaxValues,
    Offset,
    OrderBy,
    OtherGroup,
    PointFilter,
    Range,
    TimeZone,
    ValueSearch,
    metric_series_arguments,
)
from api.graphql.connections import AfterCursor, BeforeCursor, Connection, First, Last
from api.graphql.info import ContextInfo, selected_names, selected_value
from resolvers import metrics
from resolvers.catalogue import kind_of
from resolvers.context import Context
from resolvers.facets import Facets
from resolvers.global_ids import METRIC, global_id
from resolvers.series.request import SeriesSelection
from schema.buckets import Fill, Granularity, WeekStart
from schema.catalogue import MetricKind, Sample, TagValue
from schema.node import Node
from schema.paging import Paging
from schema.scalars import UTC_ZONE, Instant, Long
from schema.selection import selected_fields
from schema.series.metric_series import MetricResult
from store.query.catalogue import SummaryRow
from store.query.facets import TAGS, KeyRow


@strawberry.type(description="Tag of the points of a metric.")
class TagInfo:
    name: str = strawberry.field(description="Key of the tag.")
    metric: strawberry.Private[str]
    row: strawberry.Private[KeyRow]
    facets: strawberry.Private[Facets]

    @strawberry.field(description="Number of different values; approximate above some hundreds.")
    def cardinality(self) -> Long:
        return Long(selected_value(self.row.cardinality))

    @strawberry.field(description="Values, most frequent first.")
    async def values(self, search: ValueSearch = None, first: MaxValues = 20) -> list[TagValue]:
        return await self.facets.values(self.metric, self.name, search, first)


@strawberry.type(description="Series of measured numbers with one name.")
class Metric(Node):
    name: str = strawberry.field(description="Name of the metric.")
    summary: strawberry.Private[SummaryRow]
    facets: strawberry.Private[Facets]

    @strawberry.field(description="Kind of the values, set by `describeMetric`; default: GAUGE.")
    def kind(self) -> MetricKind:
        return kind_of(selected_value(self.summary.kind))

    @strawberry.field(description="Unit of the values, set by `describeMetric`; else null.")
    def unit(self) -> str | None:
        return selected_value(self.summary.unit) or None

    @strawberry.field(description="Description of the metric, set by `describeMetric`; else null.")
    def description(self) -> str | None:
        return selected_value(self.summary.description) or None

    @strawberry.field(description="Time of the earliest point.")
    def first_seen_at(self) -> Instant:
        return Instant(selected_value(self.summary.first))

    @strawberry.field(description="Time of the latest point.")
    def last_seen_at(self) -> Instant:
        return Instant(selected_value(self.summary.last))

    @strawberry.field(
        description="Number of different sets of tags, regardless of their order; approximate above"
        " some hundreds."
    )
    def series_count(self) -> Long:
        return Long(selected_value(self.summary.series))

    @strawberry.field(
        description="Tags of the points, sorted by key: the 1000 most frequent at most."
    )
    async def tags(self, info: ContextInfo) -> list[TagInfo]:
        rows, _ = await self.facets.list_keys(self.name, selected_names(info))
        return [
            TagInfo(name=row.key or "", metric=self.name, row=row, facets=self.facets)
            for row in rows
        ]

    @strawberry.field(
        description="Aggregates of the values in a range. `GET /metrics/{name}` returns the same"
        " numbers."
    )
    async def query(
        self,
        info: ContextInfo,
        range: Range,  # noqa: A002
        where: PointFilter = None,
        granularity: BucketSize = Granularity.AUTO,
        max_points: MaxPoints = 300,
        timezone: TimeZone = UTC_ZONE,
        week_start: FirstWeekday = WeekStart.MONDAY,
        group_by: GroupTags = None,
        order_by: OrderBy = None,
        limit: Limit = 10,
        offset: Offset = 0,
        group_search: GroupSearch = None,
        other_group: OtherGroup = True,
        fill: BucketFill = Fill.NULL,
        compare: Comparison = None,
    ) -> MetricResult | None:
        arguments = metric_series_arguments(
            info.context,
            range=range,
            granularity=granularity,
            max_points=max_points,
            timezone=timezone,
            week_start=week_start,
            group_by=group_by,
            order_by=order_by,
            limit=limit,
            offset=offset,
            group_search=group_search,
            other_group=other_group,
            fill=fill,
            compare=compare,
        )
        selection = SeriesSelection.from_fields("metrics", selected_fields(info._raw_info))  # noqa: SLF001
        return await metrics.query(
            info.context, self.name, where, arguments, selection, is_known=True
        )

    @strawberry.field(description="Points in a range, newest first.")
    async def samples(
        self,
        info: ContextInfo,
        *,
        range: Range,  # noqa: A002
        where: PointFilter = None,
        timezone: TimeZone = UTC_ZONE,
        week_start: FirstWeekday = WeekStart.MONDAY,
        first: First = None,
        after: AfterCursor = None,
        last: Last = None,
        before: BeforeCursor = None,
    ) -> Connection[Sample] | None:
        paging = Paging(first, after, last, before)
        time_range = info.context.resolve_range(range, timezone, week_start)
        page = await metrics.samples(info.context, self.name, time_range, where, paging)
        return Connection.from_page(page)


def metrics_of(ctx: Context, rows: Sequence[SummaryRow]) -> list[Metric]:
    """Return the metrics of one list; one statement finds the tags of all."""
    facets = Facets(ctx, TAGS, [row.name for row in rows])
    return [
        Metric(id=global_id(METRIC, row.name), name=row.name, summary=row, facets=facets)
        for row in rows
    ]
