"""The Query type: each field calls a resolver."""

from typing import Annotated

import strawberry
from strawberry import argument

from api.graphql.arguments import (
    BucketFill,
    BucketSize,
    Comparison,
    EventConditions,
    EventKeys,
    FirstWeekday,
    GroupSearch,
    Limit,
    MaxPoints,
    Offset,
    OrderBy,
    OtherGroup,
    Range,
    TimeZone,
    event_series_arguments,
)
from api.graphql.connections import AfterCursor, BeforeCursor, Connection, First, Last
from api.graphql.dashboards.types import Dashboard, dashboard_of
from api.graphql.documents.documents import text_check
from api.graphql.event_type import EventType, event_types_of
from api.graphql.info import ContextInfo, selected_names
from api.graphql.lookahead import list_queries, metric_queries
from api.graphql.metric import Metric, metrics_of
from api.graphql.node import find
from resolvers import (
    catalogue,
    event_series,
    events,
    ingestion,
    metrics,
    overview,
)
from resolvers import formula as formulas
from resolvers.access import documents, keys, sessions
from resolvers.dashboards import annotations as annotation_events
from resolvers.dashboards import dashboards
from resolvers.series.request import MAX_SERIES, SeriesArguments, SeriesSelection
from schema.access import ApiKey, Project, Session, Viewer
from schema.buckets import Fill, Granularity, WeekStart
from schema.catalogue import MetricKind
from schema.dashboards.annotations import Annotation
from schema.documents import TrustedDocument
from schema.events import Event
from schema.filters import EventFilter
from schema.health import Health
from schema.node import Node
from schema.overview import Overview
from schema.paging import Paging
from schema.ranges import TimeRangeInput
from schema.recording import SetAsideRow, StreamStats
from schema.scalars import UTC_ZONE
from schema.selection import selected_fields
from schema.series.event_series import EventResult
from schema.series.formula import Direction, FormulaResult, FormulaSearch, Inputs, Text
from schema.series.order import OrderDirection, SeriesOrder

Name = Annotated[str, argument(description="Name, in full.")]
MaxEntries = Annotated[int, argument(description="Maximum number of entries, 1 to 1000.")]
NameSearch = Annotated[
    str | None,
    argument(description="Return only names that contain this text, in any case; default: all."),
]
NodeId = Annotated[
    strawberry.ID, argument(description="Global id, from the field `id` of any node.")
]
EventRange = Annotated[
    TimeRangeInput | None,
    argument(description="Time range of the events, half-open; default: any time."),
]


@strawberry.type(description="Queries: each field returns stored data, or null and an error.")
class Query:
    @strawberry.field(description="State of the service.")
    async def health(self, info: ContextInfo) -> Health:
        return await overview.health(info.context)

    @strawberry.field(
        description="Names and numbers of all that is stored. `GET /dashboard` returns the same"
        " numbers."
    )
    async def overview(self, info: ContextInfo) -> Overview:
        return await overview.overview(info.context)

    @strawberry.field(
        description="Metric, Event, EventType or Dashboard with this id; null if there is none."
    )
    async def node(self, info: ContextInfo, id: NodeId) -> Node | None:  # noqa: A002
        return await find(info, id)

    @strawberry.field(description="Metrics that have points, sorted by name.")
    async def metrics(
        self,
        info: ContextInfo,
        *,
        search: NameSearch = None,
        kind: Annotated[
            MetricKind | None,
            argument(description="Return only metrics of this kind; default: all kinds."),
        ] = None,
        first: First = None,
        after: AfterCursor = None,
        last: Last = None,
        before: BeforeCursor = None,
    ) -> Connection[Metric] | None:
        names = selected_names(info, "nodes") | selected_names(info, "edges", "node")
        columns = catalogue.summary_columns("metrics", names)
        paging = Paging(first, after, last, before)
        queries = list_queries(info) if "query" in names else []
        search_arguments = catalogue.MetricSearch(search, kind)
        page = await catalogue.metrics(info.context, search_arguments, paging, columns, queries)
        return Connection.from_page(page.with_entries(metrics_of(info.context, page.entries)))

    @strawberry.field(description="One metric; null and an error NOT_FOUND if it has no points.")
    async def metric(self, info: ContextInfo, name: Name) -> Metric | None:
        columns = catalogue.summary_columns("metrics", selected_names(info))
        queries = metric_queries(info, name)
        row = await metrics.find(info.context, name, columns, queries)
        return metrics_of(info.context, [row])[0]

    @strawberry.field(description="Events, newest first. `GET /events` returns the same events.")
    async def events(
        self,
        info: ContextInfo,
        *,
        where: EventConditions = None,
        range: EventRange = None,  # noqa: A002
        timezone: TimeZone = UTC_ZONE,
        week_start: FirstWeekday = WeekStart.MONDAY,
        first: First = None,
        after: AfterCursor = None,
        last: Last = None,
        before: BeforeCursor = None,
    ) -> Connection[Event] | None:
        paging = Paging(first, after, last, before)
        time_range = None
        if range:
            time_range = info.context.resolve_range(range, timezone, week_start)
        page = await events.page(info.context, where or EventFilter(), time_range, paging)
        return Connection.from_page(page)

    @strawberry.field(description="Event types: one for each name of events, sorted by name.")
    async def event_types(
        self,
        info: ContextInfo,
        *,
        search: NameSearch = None,
        first: MaxEntries = 100,
        after: Annotated[
            str | None, argument(description="Return only event types after the one with this id.")
        ] = None,
    ) -> list[EventType] | None:
        columns = catalogue.summary_columns("events", selected_names(info))
        rows = await catalogue.event_types(info.context, search, first, after, columns)
        return event_types_of(info.context, rows)

    @strawberry.field(description="Event type with this name; null if there is none.")
    async def event_type(self, info: ContextInfo, name: Name) -> EventType | None:
        columns = catalogue.summary_columns("events", selected_names(info))
        row = await catalogue.summary(info.context, "events", name, columns)
        return event_types_of(info.context, [row])[0] if row else None

    @strawberry.field(description="Aggregates of events in a range: totals and series, by group.")
    async def event_trend(
        self,
        info: ContextInfo,
        range: Range,  # noqa: A002
        where: EventConditions = None,
        granularity: BucketSize = Granularity.AUTO,
        max_points: MaxPoints = 300,
        timezone: TimeZone = UTC_ZONE,
        week_start: FirstWeekday = WeekStart.MONDAY,
        group_by: EventKeys = None,
        order_by: OrderBy = None,
        limit: Limit = 10,
        offset: Offset = 0,
        group_search: GroupSearch = None,
        other_group: OtherGroup = True,
        fill: BucketFill = Fill.ZERO,
        compare: Comparison = None,
    ) -> EventResult | None:
        arguments = event_series_arguments(
            info.context,
            range=range,
            timezone=timezone,
            week_start=week_start,
            granularity=granularity,
            max_points=max_points,
            group_by=group_by,
            order_by=order_by,
            limit=limit,
            offset=offset,
            group_search=group_search,
            other_group=other_group,
            fill=fill,
            compare=compare,
        )
        selection = SeriesSelection.from_fields("events", selected_fields(info._raw_info))  # noqa: SLF001
        return await event_series.query(info.context, where, arguments, selection)

    @strawberry.field(
        description="Arithmetic over aggregates of metrics: over the range and for each bucket."
    )
    async def metric_formula(
        self,
        info: ContextInfo,
        formula: Text,
        inputs: Inputs,
        range: Range,  # noqa: A002
        granularity: BucketSize = Granularity.AUTO,
        max_points: MaxPoints = 300,
        timezone: TimeZone = UTC_ZONE,
        week_start: FirstWeekday = WeekStart.MONDAY,
        direction: Direction = OrderDirection.DESC,
        limit: Limit = MAX_SERIES,
        offset: Offset = 0,
        group_search: FormulaSearch = None,
        fill: BucketFill = Fill.NULL,
        compare: Comparison = None,
    ) -> FormulaResult | None:
        arguments = SeriesArguments(
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
        fields = selected_fields(info._raw_info)  # noqa: SLF001
        names = {field.name for parent in fields for field in (parent, *parent.fields)}
        has_columns = bool(names & {"times", "previousTimes", "values", "previousValues"})
        return await formulas.query(
            info.context,
            formula,
            inputs,
            arguments,
            with_columns=has_columns,
            with_warnings="warnings" in names,
        )

    @strawberry.field(
        description="Row counters since the start, for each stream. `/internal/metrics` has the"
        " same numbers. Needs the scope OPERATE."
    )
    async def ingestion(self, info: ContextInfo) -> list[StreamStats] | None:
        return ingestion.stream_stats(info.context)

    @strawberry.field(
        description="Rows that are set aside because the engine cannot read them, oldest first."
        " Needs the scope OPERATE."
    )
    async def set_aside(
        self, info: ContextInfo, first: MaxEntries = 100
    ) -> list[SetAsideRow] | None:
        return ingestion.set_aside(info.context, first)

    @strawberry.field(description="Caller of this request: his project and permissions.")
    async def viewer(self, info: ContextInfo) -> Viewer | None:
        return keys.viewer(info.context)

    @strawberry.field(
        description="Keys, oldest first, revoked ones too. Needs the scope MANAGE_ACCESS."
    )
    async def api_keys(self, info: ContextInfo) -> list[ApiKey] | None:
        return keys.list_keys(info.context)

    @strawberry.field(
        description="Sessions of people who are signed in on the pages, oldest first. Needs the"
        " scope MANAGE_ACCESS."
    )
    async def sessions(self, info: ContextInfo) -> list[Session] | None:
        return sessions.list_sessions(info.context)

    @strawberry.field(description="Projects, the default one first. Needs the scope MANAGE_ACCESS.")
    async def projects(self, info: ContextInfo) -> list[Project] | None:
        return keys.list_projects(info.context)

    @strawberry.field(
        description="Trusted documents of the project, oldest first. Needs the scope MANAGE_ACCESS."
    )
    async def documents(self, info: ContextInfo) -> list[TrustedDocument] | None:
        check = text_check(info) if "error" in selected_names(info) else None
        return await documents.list_documents(info.context, check)

    @strawberry.field(description="Dashboards of the project, sorted by title.")
    async def dashboards(
        self,
        info: ContextInfo,
        *,
        search: Annotated[
            str | None,
            argument(
                description="Return only dashboards whose title or slug contains this text, in any"
                " case; default: all."
            ),
        ] = None,
        first: First = None,
        after: AfterCursor = None,
        last: Last = None,
        before: BeforeCursor = None,
    ) -> Connection[Dashboard] | None:
        paging = Paging(first, after, last, before)
        page = await dashboards.page(info.context, search, paging)
        return Connection.from_page(page.with_entries(list(map(dashboard_of, page.entries))))

    @strawberry.field(description="One dashboard; null and an error NOT_FOUND if there is none.")
    async def dashboard(
        self,
        info: ContextInfo,
        id: Annotated[  # noqa: A002
            strawberry.ID | None, argument(description="Id of the dashboard, or null with `slug`.")
        ] = None,
        slug: Annotated[
            str | None, argument(description="Slug of the dashboard, or null with `id`.")
        ] = None,
    ) -> Dashboard | None:
        return dashboard_of(await dashboards.find(info.context, id, slug))

    @strawberry.field(
        description="Annotations of charts, newest first: events with the name `$annotation`."
    )
    async def annotations(
        self,
        info: ContextInfo,
        range: Range,  # noqa: A002
        timezone: TimeZone = UTC_ZONE,
        first: MaxEntries = 100,
    ) -> list[Annotation] | None:
        time_range = info.context.resolve_range(range, timezone)
        return await annotation_events.list_annotations(info.context, time_range, first)
