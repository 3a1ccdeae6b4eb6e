"""The Metric type; its fields run queries when they are selected."""

from collections.abc import Sequence

import strawberry

from api.graphql.arguments import (
    CompareWith,
    GapFill,
    Grain,
    GroupSearch,
    InZone,
    Limit,
    MaxPoints,
    Offset,
    OrderBy,
    OtherGroup,
    Part,
    Range,
    Tags,
    Values,
    Weeks,
    WhichPoints,
    metric_series_arguments,
)
from api.graphql.connections import AfterCursor, BeforeCursor, Connection, First, Last
from api.graphql.info import ContextInfo, selected_names, selected_value
from resolvers import metrics
from resolvers.catalogue import kind_of
from resolvers.context import Context
from resolvers.facets import Facets
from resolvers.global_ids import METRIC, global_id
from resolvers.series import request as trends
from schema.buckets import Fill, Granularity, WeekStart
from schema.catalogue import MetricKind, Sample, TagValue
from schema.metric_series import MetricResult
from schema.node import Node
from schema.paging import Paging
from schema.scalars import UTC_ZONE, Instant, Long
from schema.selection import selected_fields
from store.query.catalogue import SummaryRow
from store.query.facets import TAGS, KeyRow


@strawberry.type(description="A tag that points of a metric have.")
class TagInfo:
    name: str = strawberry.field(description="Its name.")
    metric: strawberry.Private[str]
    row: strawberry.Private[KeyRow]
    keys: strawberry.Private[Facets]

    @strawberry.field(description="Number of its values; approximate beyond some hundreds.")
    def cardinality(self) -> Long:
        return Long(selected_value(self.row.cardinality))

    @strawberry.field(description="Its values, most frequent first.")
    async def values(self, search: Part = None, first: Values = 20) -> list[TagValue]:
        return await self.keys.values(self.metric, self.name, search, first)


@strawberry.type(description="A number that is measured again and again.")
class Metric(Node):
    name: str = strawberry.field(description="Its name.")
    summary: strawberry.Private[SummaryRow]
    keys: strawberry.Private[Facets]

    @strawberry.field(description="How to read its values; GAUGE unless `describeMetric` said.")
    def kind(self) -> MetricKind:
        return kind_of(selected_value(self.summary.kind))

    @strawberry.field(description="What its values count, if that was said.")
    def unit(self) -> str | None:
        return selected_value(self.summary.unit) or None

    @strawberry.field(description="What it measures, if that was said.")
    def description(self) -> str | None:
        return selected_value(self.summary.description) or None

    @strawberry.field(description="The earliest time of its points.")
    def first_seen_at(self) -> Instant:
        return Instant(selected_value(self.summary.first))

    @strawberry.field(description="The latest time of its points.")
    def last_seen_at(self) -> Instant:
        return Instant(selected_value(self.summary.last))

    @strawberry.field(
        description="Number of different sets of tags, in whatever order they are sent;"
        " approximate beyond some hundreds."
    )
    def series_count(self) -> Long:
        return Long(selected_value(self.summary.series))

    @strawberry.field(
        description="The tags that its points have, sorted; at most the 1000 most frequent."
    )
    async def tags(self, info: ContextInfo) -> list[TagInfo]:
        found, _ = await self.keys.list_keys(self.name, selected_names(info))
        return [
            TagInfo(name=row.key or "", metric=self.name, row=row, keys=self.keys) for row in found
        ]

    @strawberry.field(description="Its values in a range. `GET /metrics/{name}` asks this.")
    async def query(
        self,
        info: ContextInfo,
        range: Range,  # noqa: A002
        where: WhichPoints = None,
        granularity: Grain = Granularity.AUTO,
        max_points: MaxPoints = 300,
        timezone: InZone = UTC_ZONE,
        week_start: Weeks = WeekStart.MONDAY,
        group_by: Tags = None,
        order_by: OrderBy = None,
        limit: Limit = 10,
        offset: Offset = 0,
        group_search: GroupSearch = None,
        other_group: OtherGroup = True,
        fill: GapFill = Fill.NULL,
        compare: CompareWith = None,
    ) -> MetricResult | None:
        asked = metric_series_arguments(
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
        wanted = trends.SeriesSelection.from_fields("metrics", selected_fields(info._raw_info))  # noqa: SLF001
        return await metrics.query(info.context, self.name, where, asked, wanted, is_known=True)

    @strawberry.field(description="Its points in a range, newest first.")
    async def samples(
        self,
        info: ContextInfo,
        *,
        range: Range,  # noqa: A002
        where: WhichPoints = None,
        timezone: InZone = UTC_ZONE,
        week_start: Weeks = WeekStart.MONDAY,
        first: First = None,
        after: AfterCursor = None,
        last: Last = None,
        before: BeforeCursor = None,
    ) -> Connection[Sample] | None:
        paging = Paging(first, after, last, before)
        span = info.context.resolve_range(range, timezone, week_start)
        found = await metrics.samples(info.context, self.name, span, where, paging)
        return Connection.from_page(found)


def metrics_of(ctx: Context, rows: Sequence[SummaryRow]) -> list[Metric]:
    """Present metrics of one list, which ask for their tags together."""
    keys = Facets(ctx, TAGS, [row.name for row in rows])
    return [
        Metric(id=global_id(METRIC, row.name), name=row.name, summary=row, keys=keys)
        for row in rows
    ]
