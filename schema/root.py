"""The root of the GraphQL API: every query and mutation, each a call of its resolver."""

from collections.abc import Iterator
from typing import Annotated, Final

import strawberry
from graphql import GraphQLError, OperationDefinitionNode
from strawberry import argument
from strawberry.extensions import MaxTokensLimiter, ParserCache, SchemaExtension, ValidationCache
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from resolvers import accounts, events, metrics, overview, recording
from schema.errors import AnalyticsError
from schema.events import EventFilter
from schema.health import Health
from schema.metrics import Overview
from schema.nodes import (
    Asked,
    EventConnection,
    Metric,
    MetricConnection,
    event_connection,
    metric_connection,
    selected_names,
)
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
)
from schema.scalars import SCALARS
from store.refusals import GRAPHQL_NAMES
from store.tables import EVENTS, METRICS

MAX_TOKENS: Final = 10_000


Name = Annotated[str, argument(description="Its whole name.")]
First = Annotated[int, argument(description="At most so many, 1 to 1000.")]
After = Annotated[str | None, argument(description="The cursor after which to go on.")]
EventRange = Annotated[TimeRangeInput | None, argument(description="Which time; any if null.")]
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

    @strawberry.field(description="The metrics, sorted by name.")
    async def metrics(
        self,
        info: Asked,
        search: Annotated[str | None, argument(description="A part of the name.")] = None,
        first: First = 100,
        after: After = None,
    ) -> MetricConnection:
        events.check_first(first)
        names = await metrics.names(info.context)
        return metric_connection(names, search, first, after)

    @strawberry.field(description="One metric; an error with code NOT_FOUND if there is none.")
    async def metric(self, info: Asked, name: Name) -> Metric | None:
        if "query" not in selected_names(info):  # which finds out by itself, in its one statement
            await metrics.check_known(info.context, name)
        return Metric(name=name)

    @strawberry.field(description="Events, newest first. `GET /events` asks this.")
    async def events(
        self,
        info: Asked,
        where: Annotated[EventFilter | None, argument(description="Which; all if null.")] = None,
        range: EventRange = None,  # noqa: A002
        first: First = 100,
        after: After = None,
    ) -> EventConnection:
        where = where or EventFilter()
        page = await events.page(info.context, where, range, first, after)
        return event_connection(page, where, range, after)

    @strawberry.field(description="What became of all rows, by stream; also `/internal/metrics`.")
    async def ingestion(self, info: Asked) -> list[StreamAccount]:
        return accounts.accounts(info.context)

    @strawberry.field(description="Rows that the engine could not read, oldest first.")
    async def set_aside(self, info: Asked, first: First = 100) -> list[SetAsideRow]:
        return accounts.set_aside(info.context, first)


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
                "timestamp": point.time,
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
                "properties": event.properties,
                "timestamp": event.time,
                "id": event.id,
            }
            for event in input.events
        ]
        return await recording.record_batch(info.context, EVENTS, rows, GRAPHQL_NAMES)

    @strawberry.mutation(description="Delete a metric with all its points; not in production.")
    async def delete_metrics(self, info: Asked, input: OneMetric) -> DeletePayload | None:  # noqa: A002
        return await metrics.delete(info.context, input.name)

    @strawberry.mutation(description="Delete the events that pass a filter; not in production.")
    async def delete_events(self, info: Asked, input: SomeEvents) -> DeletePayload | None:  # noqa: A002
        return await events.delete(info.context, input.where)

    @strawberry.mutation(description="Record what was set aside once more; not in production.")
    async def replay_set_aside(self, info: Asked) -> ReplayPayload | None:
        return await accounts.replay(info.context)


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
    config=StrawberryConfig(scalar_map=SCALARS),
    extensions=[
        lambda: MaxTokensLimiter(max_token_count=MAX_TOKENS),
        ParserCache,
        ValidationCache,
        _OneOperation,
    ],
)
