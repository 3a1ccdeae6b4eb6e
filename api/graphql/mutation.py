"""The Mutation type: each field calls a resolver."""

from typing import Annotated

import strawberry
from strawberry import argument

from api.graphql.dashboards.checks import source_error
from api.graphql.dashboards.types import SaveDashboardPayload, content_check, dashboard_of
from api.graphql.documents.documents import text_check
from api.graphql.info import ContextInfo
from api.graphql.row_inputs import event_row, metric_row, row_batch
from resolvers import catalogue, events, ingestion, metrics, recording
from resolvers.access import documents, keys, sessions
from resolvers.dashboards import annotations, dashboards
from schema.access import (
    CreateApiKeyInput,
    CreateApiKeyPayload,
    CreateProjectInput,
    CreateProjectPayload,
    RevokeApiKeyInput,
    RevokeApiKeyPayload,
    RevokeSessionInput,
    RevokeSessionPayload,
)
from schema.catalogue import DescribeMetricInput, DescribeMetricPayload
from schema.dashboards.annotations import AnnotateInput, AnnotatePayload
from schema.dashboards.inputs import (
    DeleteDashboardInput,
    DeleteDashboardPayload,
    RestoreDashboardInput,
    SaveDashboardInput,
)
from schema.documents import (
    DeleteDocumentInput,
    DeleteDocumentPayload,
    SaveDocumentsInput,
    SaveDocumentsPayload,
)
from schema.errors import bad_input
from schema.filter_json import filter_to_json
from schema.recording import (
    DeleteEventsInput,
    DeleteMetricsInput,
    DeletePayload,
    RecordEventsInput,
    RecordMetricsInput,
    RecordPayload,
    ReplayPayload,
)
from store.ingest.row_errors import GRAPHQL_NAMES
from store.ingest.streams import EVENT_STREAM, METRIC_STREAM

MetricDescription = Annotated[
    DescribeMetricInput, argument(description="Name of the metric, and its new description.")
]

Points = Annotated[RecordMetricsInput, argument(description="Points to record, 1 to 50,000.")]

Events = Annotated[RecordEventsInput, argument(description="Events to record, 1 to 50,000.")]

MetricToDelete = Annotated[DeleteMetricsInput, argument(description="Metric to delete.")]

EventsToDelete = Annotated[DeleteEventsInput, argument(description="Events to delete.")]

KeyToMake = Annotated[CreateApiKeyInput, argument(description="Key to make.")]

ProjectToMake = Annotated[CreateProjectInput, argument(description="Project to make.")]

DocumentsToSave = Annotated[SaveDocumentsInput, argument(description="Documents to save.")]

DocumentToDelete = Annotated[DeleteDocumentInput, argument(description="Document to delete.")]

DashboardToSave = Annotated[
    SaveDashboardInput, argument(description="Dashboard to save, and the version that was edited.")
]

DashboardToDelete = Annotated[DeleteDashboardInput, argument(description="Dashboard to delete.")]

VersionToRestore = Annotated[RestoreDashboardInput, argument(description="Version to restore.")]

AnnotationToRecord = Annotated[AnnotateInput, argument(description="Annotation to record.")]

KeyToRevoke = Annotated[RevokeApiKeyInput, argument(description="Key to revoke.")]

SessionToRevoke = Annotated[RevokeSessionInput, argument(description="Session to revoke.")]


# Each field is nullable: a failed mutation must not remove the results of its neighbours.
@strawberry.type(description="Mutations: record, describe, delete, and manage keys and documents.")
class Mutation:
    @strawberry.mutation(
        description="Record points. They are durable once the response arrives, and visible to"
        " the next"
        " query."
    )
    async def record_metrics(self, info: ContextInfo, input: Points) -> RecordPayload | None:  # noqa: A002
        batch = row_batch(info)
        if batch:
            return await recording.record_row_batch(info.context, METRIC_STREAM, batch)
        rows = list(map(metric_row, input.metrics))
        return await recording.record_batch(
            info.context, METRIC_STREAM, rows, GRAPHQL_NAMES, address=info.context.address
        )

    @strawberry.mutation(
        description="Record events. They are durable once the response arrives, and visible to"
        " the next"
        " query."
    )
    async def record_events(self, info: ContextInfo, input: Events) -> RecordPayload | None:  # noqa: A002
        batch = row_batch(info)
        if batch:
            return await recording.record_row_batch(info.context, EVENT_STREAM, batch)
        rows = list(map(event_row, input.events))
        return await recording.record_batch(
            info.context, EVENT_STREAM, rows, GRAPHQL_NAMES, address=info.context.address
        )

    @strawberry.mutation(description="Delete a metric with all its points. Needs the scope DELETE.")
    async def delete_metrics(
        self,
        info: ContextInfo,
        input: MetricToDelete,  # noqa: A002
    ) -> DeletePayload | None:
        return await metrics.delete(info.context, input.name)

    @strawberry.mutation(
        description="Delete the events that pass a filter, or all events. Needs the scope DELETE."
    )
    async def delete_events(self, info: ContextInfo, input: EventsToDelete) -> DeletePayload | None:  # noqa: A002
        return await events.delete(info.context, input)

    @strawberry.mutation(
        description=(
            "Set kind, unit and description of a metric. They are durable, and remain when the"
            " points are deleted. A metric without points is in no list."
        )
    )
    async def describe_metric(
        self,
        info: ContextInfo,
        input: MetricDescription,  # noqa: A002
    ) -> DescribeMetricPayload | None:
        return await catalogue.describe(info.context, input)

    @strawberry.mutation(
        description="Record the rows that were set aside once more. Needs the scope OPERATE."
    )
    async def replay_set_aside(self, info: ContextInfo) -> ReplayPayload | None:
        return await ingestion.replay(info.context)

    @strawberry.mutation(
        description="Make a key. It can be used at once. Needs the scope MANAGE_ACCESS."
    )
    async def create_api_key(
        self,
        info: ContextInfo,
        input: KeyToMake,  # noqa: A002
    ) -> CreateApiKeyPayload | None:
        return await keys.create_key(info.context, input)

    @strawberry.mutation(description="Make a project. Needs the scope MANAGE_ACCESS.")
    async def create_project(
        self,
        info: ContextInfo,
        input: ProjectToMake,  # noqa: A002
    ) -> CreateProjectPayload | None:
        return await keys.create_project(info.context, input.name)

    @strawberry.mutation(
        description="Revoke a key, at once and for ever. Needs the scope MANAGE_ACCESS."
    )
    async def revoke_api_key(
        self,
        info: ContextInfo,
        input: KeyToRevoke,  # noqa: A002
    ) -> RevokeApiKeyPayload | None:
        return await keys.revoke_key(info.context, input.id)

    @strawberry.mutation(
        description="Revoke a session, at once: its person must sign in again. Needs the scope"
        " MANAGE_ACCESS."
    )
    async def revoke_session(
        self,
        info: ContextInfo,
        input: SessionToRevoke,  # noqa: A002
    ) -> RevokeSessionPayload | None:
        return await sessions.revoke_session(info.context, input.id)

    @strawberry.mutation(
        description="Save trusted documents of the project, durably. They can be named at once."
        " Needs the scope MANAGE_ACCESS."
    )
    async def save_documents(
        self,
        info: ContextInfo,
        input: DocumentsToSave,  # noqa: A002
    ) -> SaveDocumentsPayload | None:
        return await documents.save_documents(info.context, input.documents, text_check(info))

    @strawberry.mutation(
        description="Delete a trusted document, at once. Needs the scope MANAGE_ACCESS."
    )
    async def delete_document(
        self,
        info: ContextInfo,
        input: DocumentToDelete,  # noqa: A002
    ) -> DeleteDocumentPayload | None:
        return await documents.delete_document(info.context, input.id)

    @strawberry.mutation(
        description="Save a dashboard, durably, as a new version. Needs the scope DESCRIBE."
    )
    async def save_dashboard(
        self,
        info: ContextInfo,
        input: DashboardToSave,  # noqa: A002
    ) -> SaveDashboardPayload | None:
        if (input.dashboard is None) == (input.source is None):
            raise bad_input("dashboard", "either dashboard or source is needed")
        source = input.source
        if input.dashboard is not None:
            source = filter_to_json(input.dashboard)
        elif error := source_error(info.schema._schema, source):  # noqa: SLF001 - graphql-core's
            raise error
        edited_version = None if input.id is None else (input.id, input.version)
        header = await dashboards.save(
            info.context, source, content_check(info), input.message, edited_version
        )
        return SaveDashboardPayload(dashboard=dashboard_of(header))

    @strawberry.mutation(
        description="Make an earlier version of a dashboard the newest one. Needs the scope"
        " DESCRIBE."
    )
    async def restore_dashboard(
        self,
        info: ContextInfo,
        input: VersionToRestore,  # noqa: A002
    ) -> SaveDashboardPayload | None:
        header = await dashboards.restore(info.context, input.id, input.version)
        return SaveDashboardPayload(dashboard=dashboard_of(header))

    @strawberry.mutation(
        description="Delete a dashboard with its history, at once. Needs the scope DESCRIBE."
    )
    async def delete_dashboard(
        self,
        info: ContextInfo,
        input: DashboardToDelete,  # noqa: A002
    ) -> DeleteDashboardPayload | None:
        await dashboards.delete(info.context, input.id)
        return DeleteDashboardPayload(id=input.id)

    @strawberry.mutation(
        description="Record an annotation: an event with the name `$annotation`, durable once the"
        " response arrives."
    )
    async def annotate(
        self,
        info: ContextInfo,
        input: AnnotationToRecord,  # noqa: A002
    ) -> AnnotatePayload | None:
        return await annotations.annotate(info.context, input)
