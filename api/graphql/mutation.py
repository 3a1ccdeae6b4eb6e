"""The Mutation type: each field calls its resolver."""

from typing import Annotated

import strawberry
from strawberry import argument

from api.graphql.info import ContextInfo
from resolvers import catalogue, events, ingestion, metrics, recording
from schema.catalogue import DescribeMetricInput, DescribeMetricPayload
from schema.recording import (
    DeleteEventsInput,
    DeleteMetricsInput,
    DeletePayload,
    RecordEventsInput,
    RecordMetricsInput,
    RecordPayload,
    ReplayPayload,
    sent_time,
)
from store.ingest.row_errors import GRAPHQL_NAMES
from store.ingest.streams import EVENT_STREAM, METRIC_STREAM

MetricDescription = Annotated[
    DescribeMetricInput, argument(description="What to say of which metric.")
]


Points = Annotated[RecordMetricsInput, argument(description="What to record.")]


Events = Annotated[RecordEventsInput, argument(description="What to record.")]


OneMetric = Annotated[DeleteMetricsInput, argument(description="What to delete.")]


SomeEvents = Annotated[DeleteEventsInput, argument(description="What to delete.")]


# Each field is nullable: a mutation that fails must not take the answer of its neighbour with it.
@strawberry.type(description="What can be recorded and deleted.")
class Mutation:
    @strawberry.mutation(
        description="Record points durably: they are on the disk, and in the next answer."
    )
    async def record_metrics(self, info: ContextInfo, input: Points) -> RecordPayload | None:  # noqa: A002
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
        return await recording.record_batch(info.context, METRIC_STREAM, rows, GRAPHQL_NAMES)

    @strawberry.mutation(
        description="Record events durably: they are on the disk, and in the next answer."
    )
    async def record_events(self, info: ContextInfo, input: Events) -> RecordPayload | None:  # noqa: A002
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
        return await recording.record_batch(info.context, EVENT_STREAM, rows, GRAPHQL_NAMES)

    @strawberry.mutation(description="Delete a metric with all its points; not in production.")
    async def delete_metrics(self, info: ContextInfo, input: OneMetric) -> DeletePayload | None:  # noqa: A002
        return await metrics.delete(info.context, input.name)

    @strawberry.mutation(
        description="Delete the events that pass a filter, or all; not in production."
    )
    async def delete_events(self, info: ContextInfo, input: SomeEvents) -> DeletePayload | None:  # noqa: A002
        return await events.delete(info.context, input)

    @strawberry.mutation(
        description=(
            "Say of what kind a metric is, its unit, what it measures. It is durable, and it stays"
            " when the points are deleted; a metric without points is in no list."
        )
    )
    async def describe_metric(
        self,
        info: ContextInfo,
        input: MetricDescription,  # noqa: A002
    ) -> DescribeMetricPayload | None:
        return await catalogue.describe(info.context, input)

    @strawberry.mutation(description="Record what was set aside once more; not in production.")
    async def replay_set_aside(self, info: ContextInfo) -> ReplayPayload | None:
        return await ingestion.replay(info.context)
