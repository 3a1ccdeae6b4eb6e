"""The root of the GraphQL API: every query and mutation, each a call of its resolver."""

from collections.abc import Iterator
from typing import Annotated, Final

import strawberry
from graphql import GraphQLError, OperationDefinitionNode
from strawberry import argument
from strawberry.extensions import MaxTokensLimiter, ParserCache, SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from api.graphql.connections import After, Before, Connection, First, Last
from api.graphql.executor import Executor
from api.graphql.info import Asked, selected_names
from api.graphql.metric import (
    Compared,
    EventType,
    Filled,
    Grain,
    GroupSearch,
    InZone,
    Limit,
    MaxPoints,
    Metric,
    Offset,
    Ordered,
    OtherGroup,
    Range,
    Weeks,
    event_types_of,
    find,
    metrics_of,
    questions_of_list,
    questions_of_metric,
)
from api.graphql.validation import Validation
from resolvers import catalogue, event_series, events, ingestion, metrics, overview, recording
from resolvers import formula as formulas
from resolvers.series import request as trends
from resolvers.series.request import MAX_SERIES
from schema.aggregates import Order, OrderDirection, ordered
from schema.buckets import Fill, Granularity, WeekStart
from schema.catalogue import DescribeMetricInput, DescribeMetricPayload, MetricKind
from schema.errors import AnalyticsError
from schema.event_series import EventResult, GroupByInput
from schema.events import Event
from schema.filters import EventFilter
from schema.formula import Direction, FormulaResult, FormulaSearch, Inputs, Text
from schema.health import Health
from schema.inputs import complete_inputs
from schema.metric_series import Overview
from schema.node import Node
from schema.paging import Paging
from schema.ranges import TimeRangeInput
from schema.recording import (
    DeleteEventsInput,
    DeleteMetricsInput,
    DeletePayload,
    RecordEventsInput,
    RecordMetricsInput,
    RecordPayload,
    ReplayPayload,
    SetAsideRow,
    StreamAccount,
    sent_time,
)
from schema.scalars import SCALARS, UTC_ZONE
from schema.selection import selection
from store.ingest.row_errors import GRAPHQL_NAMES
from store.ingest.streams import EVENTS, METRICS
from store.query.time.ranges import resolve_range

MAX_TOKENS: Final = 10_000


Name = Annotated[str, argument(description="Its whole name.")]
AtMost = Annotated[int, argument(description="At most so many, 1 to 1000.")]
Part = Annotated[str | None, argument(description="A part of the name, in any case.")]
NodeId = Annotated[strawberry.ID, argument(description="The id, as any answer has it.")]
EventRange = Annotated[TimeRangeInput | None, argument(description="Which time; any if null.")]
EventKeys = Annotated[
    list[GroupByInput] | None, argument(description="What to group by, at most 5.")
]
About = Annotated[DescribeMetricInput, argument(description="What to say of which metric.")]
Points = Annotated[RecordMetricsInput, argument(description="What to record.")]
Events = Annotated[RecordEventsInput, argument(description="What to record.")]
OneMetric = Annotated[DeleteMetricsInput, argument(description="What to delete.")]
SomeEvents = Annotated[DeleteEventsInput, argument(description="What to delete.")]


@strawberry.type(description="What can be asked.")
class Query:
    @strawberry.field(description="How the service is.")
    async def health(self, info: Asked) -> Health:
        return await overview.health(info.context)

    @strawberry.field(description="What is stored, in numbers. `GET /dashboard` asks this.")
    async def overview(self, info: Asked) -> Overview:
        return await overview.overview(info.context)

    @strawberry.field(
        description="Whatever has this id: a Metric, an Event or an EventType; null if nothing has."
    )
    async def node(self, info: Asked, id: NodeId) -> Node | None:  # noqa: A002
        return await find(info, id)

    @strawberry.field(description="The metrics that have points, sorted by name.")
    async def metrics(
        self,
        info: Asked,
        *,
        search: Part = None,
        kind: Annotated[MetricKind | None, argument(description="Only of this kind.")] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Metric] | None:
        selected = selected_names(info, "nodes") | selected_names(info, "edges", "node")
        asked = catalogue.wanted("metrics", selected)
        paging = Paging(first, after, last, before)
        questions = questions_of_list(info) if "query" in selected else []
        page = await catalogue.metrics(info.context, (search, kind), paging, asked, questions)
        return Connection.of(page.showing(metrics_of(info.context, page.entries)))

    @strawberry.field(
        description="One metric; null, and an error with code NOT_FOUND, if there is none."
    )
    async def metric(self, info: Asked, name: Name) -> Metric | None:
        fields = catalogue.wanted("metrics", selected_names(info))
        questions = questions_of_metric(info, name)
        row = await metrics.find(info.context, name, fields, questions)
        return metrics_of(info.context, [row])[0]

    @strawberry.field(description="Events, newest first. `GET /events` asks this.")
    async def events(
        self,
        info: Asked,
        *,
        where: Annotated[EventFilter | None, argument(description="Which; all if null.")] = None,
        range: EventRange = None,  # noqa: A002
        timezone: InZone = UTC_ZONE,
        week_start: Weeks = WeekStart.MONDAY,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Event] | None:
        paging = Paging(first, after, last, before)
        span = None
        if range:
            span = resolve_range(range, info.context.now(), timezone, week_start=week_start)
            span = info.context.up_to_latest(span)
        page = await events.page(info.context, where or EventFilter(), span, paging)
        return Connection.of(page)

    @strawberry.field(description="The names that events have, sorted.")
    async def event_types(
        self,
        info: Asked,
        *,
        search: Part = None,
        first: AtMost = 100,
        after: Annotated[
            str | None, argument(description="The id of the event type after which to go on.")
        ] = None,
    ) -> list[EventType] | None:
        asked = catalogue.wanted("events", selected_names(info))
        rows = await catalogue.event_types(info.context, search, first, after, asked)
        return event_types_of(info.context, rows)

    @strawberry.field(description="The events of one name; null if there are none.")
    async def event_type(self, info: Asked, name: Name) -> EventType | None:
        asked = catalogue.wanted("events", selected_names(info))
        row = await catalogue.summary(info.context, "events", name, asked)
        return event_types_of(info.context, [row])[0] if row else None

    @strawberry.field(description="Events in numbers, over time and broken down.")
    async def event_trend(
        self,
        info: Asked,
        range: Range,  # noqa: A002
        where: Annotated[EventFilter | None, argument(description="Which; all if null.")] = None,
        granularity: Grain = Granularity.AUTO,
        max_points: MaxPoints = 300,
        timezone: InZone = UTC_ZONE,
        week_start: Weeks = WeekStart.MONDAY,
        group_by: EventKeys = None,
        order_by: Ordered = None,
        limit: Limit = 10,
        offset: Offset = 0,
        group_search: GroupSearch = None,
        other_group: OtherGroup = True,
        fill: Filled = Fill.ZERO,
        compare: Compared = None,
    ) -> EventResult | None:
        asked = trends.Asked(
            range=range,
            zone=timezone,
            week_start=week_start,
            granularity=granularity,
            max_points=max_points,
            keys=event_series.keys(info.context, group_by or []),
            order=ordered("events", order_by),
            limit=limit,
            offset=offset,
            search=group_search or "",
            others=other_group,
            fill=fill,
            compare=compare,
        )
        wanted = trends.Wanted.of("events", selection(info._raw_info))  # noqa: SLF001
        return await event_series.query(info.context, where, asked, wanted)

    @strawberry.field(description="Arithmetic over metrics, bucket by bucket and over the range.")
    async def metric_formula(
        self,
        info: Asked,
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
        fill: Filled = Fill.NULL,
        compare: Compared = None,
    ) -> FormulaResult | None:
        asked = trends.Asked(
            range=range,
            zone=timezone,
            week_start=week_start,
            granularity=granularity,
            max_points=max_points,
            order=Order(descending=direction is OrderDirection.DESC),
            limit=limit,
            offset=offset,
            search=group_search or "",
            others=False,
            fill=fill,
            compare=compare,
        )
        fields = {one.name for of in selection(info._raw_info) for one in (of, *of.below)}  # noqa: SLF001
        columns = bool(fields & {"times", "previousTimes", "values", "previousValues"})
        return await formulas.query(
            info.context, formula, inputs, asked, columns=columns, warned="warnings" in fields
        )

    @strawberry.field(description="What became of all rows, by stream; also `/internal/metrics`.")
    async def ingestion(self, info: Asked) -> list[StreamAccount]:
        return ingestion.accounts(info.context)

    @strawberry.field(description="Rows that the engine could not read, oldest first.")
    async def set_aside(self, info: Asked, first: AtMost = 100) -> list[SetAsideRow]:
        return ingestion.set_aside(info.context, first)


# Each field is nullable: a mutation that fails must not take the answer of its neighbour with it.
@strawberry.type(description="What can be recorded and deleted.")
class Mutation:
    @strawberry.mutation(
        description="Record points durably: they are on the disk, and in the next answer."
    )
    async def record_metrics(self, info: Asked, input: Points) -> RecordPayload | None:  # noqa: A002
        rows = [
            {
                "metric_name": point.name,
                "value": point.value,
                "tags": point.tags,
                "timestamp": sent_time(point.time),
                "id": point.id,
            }
            for point in input.metrics
        ]
        return await recording.record_batch(info.context, METRICS, rows, GRAPHQL_NAMES)

    @strawberry.mutation(
        description="Record events durably: they are on the disk, and in the next answer."
    )
    async def record_events(self, info: Asked, input: Events) -> RecordPayload | None:  # noqa: A002
        rows = [
            {
                "event_name": event.name,
                "user_id": event.user_id,
                "session_id": event.session_id,
                "properties": event.properties,
                "timestamp": sent_time(event.time),
                "id": event.id,
            }
            for event in input.events
        ]
        return await recording.record_batch(info.context, EVENTS, rows, GRAPHQL_NAMES)

    @strawberry.mutation(description="Delete a metric with all its points; not in production.")
    async def delete_metrics(self, info: Asked, input: OneMetric) -> DeletePayload | None:  # noqa: A002
        return await metrics.delete(info.context, input.name)

    @strawberry.mutation(
        description="Delete the events that pass a filter, or all; not in production."
    )
    async def delete_events(self, info: Asked, input: SomeEvents) -> DeletePayload | None:  # noqa: A002
        return await events.delete(info.context, input)

    @strawberry.mutation(
        description=(
            "Say of what kind a metric is, its unit, what it measures. It is durable, and it stays"
            " when the points are deleted; a metric without points is in no list."
        )
    )
    async def describe_metric(self, info: Asked, input: About) -> DescribeMetricPayload | None:  # noqa: A002
        return await catalogue.describe(info.context, input)

    @strawberry.mutation(description="Record what was set aside once more; not in production.")
    async def replay_set_aside(self, info: Asked) -> ReplayPayload | None:
        return await ingestion.replay(info.context)


class _OneOperation(SchemaExtension):
    """Refuses to guess which of several operations is meant; Strawberry takes the first."""

    def on_execute(self) -> Iterator[None]:
        """Look at the document before it is executed."""
        context = self.execution_context
        document = context.graphql_document
        nodes = document.definitions if document else ()
        operations = [node for node in nodes if isinstance(node, OperationDefinitionNode)]
        if len(operations) > 1 and context._provided_operation_name is None:  # noqa: SLF001
            message = "operationName: must say which operation of the document is meant"
            raise AnalyticsError("BAD_REQUEST", message, field="operationName")
        yield


class _Schema(strawberry.Schema):
    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        """Leave the errors to the door, which logs the unexpected ones, once."""


schema: Final = _Schema(
    query=Query,
    mutation=Mutation,
    execution_context_class=Executor,
    types=[Event, EventType, Metric],  # what a Node can be
    config=StrawberryConfig(scalar_map=SCALARS),
    extensions=[
        lambda: MaxTokensLimiter(max_token_count=MAX_TOKENS),
        ParserCache,
        Validation,
        _OneOperation,
    ],
)
complete_inputs(schema._schema)  # noqa: SLF001 - Strawberry has no hook for it
