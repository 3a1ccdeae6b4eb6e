"""The GraphQL schema: root types, scalars, and the extensions that check documents."""

from collections.abc import Iterator
from typing import Final

import strawberry
from graphql import GraphQLError, OperationDefinitionNode
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from api.graphql.dashboards.types import Dashboard
from api.graphql.documents.documents import ReadDocument
from api.graphql.documents.documents import documents as documents  # noqa: PLC0414 - of the schema
from api.graphql.event_type import EventType
from api.graphql.executor import Executor
from api.graphql.metric import Metric
from api.graphql.mutation import Mutation
from api.graphql.query import Query
from api.graphql.subscription import Subscription
from schema.errors import AnalyticsError
from schema.events import Event
from schema.inputs import complete_inputs
from schema.scalars import SCALARS


class _OneOperation(SchemaExtension):
    """Extension that requires `operationName` when a document has several operations.

    Strawberry takes the first operation.
    """

    def on_execute(self) -> Iterator[None]:
        """Check the operations of the document before its execution."""
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
        """Log nothing: `api.graphql.errors` logs each unexpected error once."""


schema: Final = _Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    execution_context_class=Executor,
    types=[Dashboard, Event, EventType, Metric],  # the types of nodes
    config=StrawberryConfig(scalar_map=SCALARS),
    extensions=[lambda: ReadDocument(documents), _OneOperation],
)
complete_inputs(schema._schema)  # noqa: SLF001 - Strawberry has no hook for it
