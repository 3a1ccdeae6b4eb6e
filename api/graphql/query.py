"""The Query type: each field calls its resolver."""

from typing import Annotated

import strawberry
from strawberry import argument

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
    Range,
    Weeks,
)
from api.graphql.connections import AfterCursor, BeforeCursor, Connection, First, Last
from api.graphql.event_type import EventType, event_types_of
from api.graphql.info import ContextInfo, selected_names
from api.graphql.lookahead import list_queries, metric_queries
from api.graphql.metric import Metric, metrics_of
from api.graphql.node import find
from resolvers import catalogue, event_series, events, ingestion, metrics, overview
from resolvers import formula as formulas
from resolvers.series import request as trends
from resolvers.series.request import MAX_SERIES
from schema.aggregates import OrderDirection, SeriesOrder, series_order
from schema.buckets import Fill, Granularity, WeekStart
from schema.catalogue import MetricKind
from schema.event_series import EventResult, GroupByInput
from schema.events import Event
from schema.filters import EventFilter
from schema.formula import Direction, FormulaResult, FormulaSearch, Inputs, Text
from schema.health import Health
from schema.metric_series import Overview
from schema.node import Node
from schema.paging import Paging
from schema.ranges import TimeRangeInput
from schema.recording import (
    SetAsideRow,
    StreamStats,
)
from schema.scalars import UTC_ZONE
from schema.selection import selected_fields

Name = Annotated[str, argument(description="Its whole name.")]
AtMost = Annotated[int, argument(description="At most so many, 1 to 1000.")]
Part = Annotated[str | None, argument(description="A part of the name, in any case.")]
NodeId = Annotated[strawberry.ID, argument(description="The id, as any answer has it.")]
EventRange = Annotated[TimeRangeInput | None, argument(description="Which time; any if null.")]
EventKeys = Annotated[
    list[GroupByInput] | None, argument(description="What to group by, at most 5.")
]


@strawberry.type(description="What can be asked.")
class Query:
    @strawberry.field(description="How the service is.")
    async def health(self, info: ContextInfo) -> Health:
        return await overview.health(info.context)

    @strawberry.field(description="What is stored, in numbers. `GET /dashboard` asks this.")
    async def overview(self, info: ContextInfo) -> Overview:
        return await overview.overview(info.context)

    @strawberry.field(
        description="Whatever has this id: a Metric, an Event or an EventType; null if nothing has."
    )
    async def node(self, info: ContextInfo, id: NodeId) -> Node | None:  # noqa: A002
        return await find(info, id)

    @strawberry.field(description="The metrics that have points, sorted by name.")
    async def metrics(
        self,
        info: ContextInfo,
        *,
        search: Part = None,
        kind: Annotated[MetricKind | None, argument(description="Only of this kind.")] = None,
        first: First = None,
        after: AfterCursor = None,
        last: Last = None,
        before: BeforeCursor = None,
    ) -> Connection[Metric] | None:
        selected = selected_names(info, "nodes") | selected_names(info, "edges", "node")
        asked = catalogue.summary_columns("metrics", selected)
        paging = Paging(first, after, last, before)
        questions = list_queries(info) if "query" in selected else []
        page = await catalogue.metrics(info.context, (search, kind), paging, asked, questions)
        return Connection.from_page(page.with_entries(metrics_of(info.context, page.entries)))

    @strawberry.field(
        description="One metric; null, and an error with code NOT_FOUND, if there is none."
    )
    async def metric(self, info: ContextInfo, name: Name) -> Metric | None:
        fields = catalogue.summary_columns("metrics", selected_names(info))
        questions = metric_queries(info, name)
        row = await metrics.find(info.context, name, fields, questions)
        return metrics_of(info.context, [row])[0]

    @strawberry.field(description="Events, newest first. `GET /events` asks this.")
    async def events(
        self,
        info: ContextInfo,
        *,
        where: Annotated[EventFilter | None, argument(description="Which; all if null.")] = None,
        range: EventRange = None,  # noqa: A002
        timezone: InZone = UTC_ZONE,
        week_start: Weeks = WeekStart.MONDAY,
        first: First = None,
        after: AfterCursor = None,
        last: Last = None,
        before: BeforeCursor = None,
    ) -> Connection[Event] | None:
        paging = Paging(first, after, last, before)
        span = None
        if range:
            span = info.context.resolve_range(range, timezone, week_start)
        page = await events.page(info.context, where or EventFilter(), span, paging)
        return Connection.from_page(page)

    @strawberry.field(description="The names that events have, sorted.")
    async def event_types(
        self,
        info: ContextInfo,
        *,
        search: Part = None,
        first: AtMost = 100,
        after: Annotated[
            str | None, argument(description="The id of the event type after which to go on.")
        ] = None,
    ) -> list[EventType] | None:
        asked = catalogue.summary_columns("events", selected_names(info))
        rows = await catalogue.event_types(info.context, search, first, after, asked)
        return event_types_of(info.context, rows)

    @strawberry.field(description="The events of one name; null if there are none.")
    async def event_type(self, info: ContextInfo, name: Name) -> EventType | None:
        asked = catalogue.summary_columns("events", selected_names(info))
        row = await catalogue.summary(info.context, "events", name, asked)
        return event_types_of(info.context, [row])[0] if row else None

    @strawberry.field(description="Events in numbers, over time and broken down.")
    async def event_trend(
        self,
        info: ContextInfo,
        range: Range,  # noqa: A002
        where: Annotated[EventFilter | None, argument(description="Which; all if null.")] = None,
        granularity: Grain = Granularity.AUTO,
        max_points: MaxPoints = 300,
        timezone: InZone = UTC_ZONE,
        week_start: Weeks = WeekStart.MONDAY,
        group_by: EventKeys = None,
        order_by: OrderBy = None,
        limit: Limit = 10,
        offset: Offset = 0,
        group_search: GroupSearch = None,
        other_group: OtherGroup = True,
        fill: GapFill = Fill.ZERO,
        compare: CompareWith = None,
    ) -> EventResult | None:
        asked = trends.SeriesArguments(
            range=range,
            zone=timezone,
            week_start=week_start,
            granularity=granularity,
            max_points=max_points,
            group_columns=event_series.group_columns(info.context, group_by or []),
            order=series_order("events", order_by),
            limit=limit,
            offset=offset,
            search=group_search or "",
            other_group=other_group,
            fill=fill,
            compare=compare,
        )
        wanted = trends.SeriesSelection.from_fields("events", selected_fields(info._raw_info))  # noqa: SLF001
        return await event_series.query(info.context, where, asked, wanted)

    @strawberry.field(description="Arithmetic over metrics, bucket by bucket and over the range.")
    async def metric_formula(
        self,
        info: ContextInfo,
        formula: Text,
        inputs: Inputs,
        range: Range,  # noqa: A002
        granularity: Grain = Granularity.AUTO,
        max_points: MaxPoints = 300,
        timezone: InZone = UTC_ZONE,
        week_start: Weeks = WeekStart.MONDAY,
        direction: Direction = OrderDirection.DESC,
        limit: Limit = MAX_SERIES,
        offset: Offset = 0,
        group_search: FormulaSearch = None,
        fill: GapFill = Fill.NULL,
        compare: CompareWith = None,
    ) -> FormulaResult | None:
        asked = trends.SeriesArguments(
            range=range,
            zone=timezone,
            week_start=week_start,
            granularity=granularity,
            max_points=max_points,
            order=SeriesOrder(descending=direction is OrderDirection.DESC),
            limit=limit,
            offset=offset,
            search=group_search or "",
            other_group=False,
            fill=fill,
            compare=compare,
        )
        fields = {one.name for of in selected_fields(info._raw_info) for one in (of, *of.fields)}  # noqa: SLF001
        columns = bool(fields & {"times", "previousTimes", "values", "previousValues"})
        return await formulas.query(
            info.context,
            formula,
            inputs,
            asked,
            with_columns=columns,
            with_warnings="warnings" in fields,
        )

    @strawberry.field(description="What became of all rows, by stream; also `/internal/metrics`.")
    async def ingestion(self, info: ContextInfo) -> list[StreamStats]:
        return ingestion.stream_stats(info.context)

    @strawberry.field(description="Rows that the engine could not read, oldest first.")
    async def set_aside(self, info: ContextInfo, first: AtMost = 100) -> list[SetAsideRow]:
        return ingestion.set_aside(info.context, first)
