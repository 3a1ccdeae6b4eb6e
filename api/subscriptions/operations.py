"""The begin of an operation: a query or a mutation is executed, a subscription joins a topic."""

from collections.abc import Callable
from typing import NamedTuple

import msgspec
from graphql import GraphQLError
from graphql import OperationType as CoreOperationType
from strawberry.schema.exceptions import InvalidOperationTypeError
from strawberry.types.execution import ExecutionResult, PreExecutionError
from strawberry.types.graphql import OperationType

from api.graphql.documents.documents import Document
from api.graphql.errors import RenderedResult
from api.graphql.execution import execute, operation_type, read_document, render
from api.graphql.persisted import keep_document, with_document
from api.graphql.requests import GraphQLRequest
from api.subscriptions.hub import Hub
from api.subscriptions.subscriber import Subscriber
from api.subscriptions.topic import Topic
from resolvers.context import Context
from schema.access import Grant, Scope
from schema.errors import AnalyticsError
from schema.limits import SUBSCRIPTIONS

_EXECUTION_TYPES: frozenset[OperationType] = frozenset(
    {OperationType.QUERY, OperationType.MUTATION}
)


class Answer(NamedTuple):
    """The answer of an operation as JSON; `errors` is a JSON array if it has errors and no data."""

    payload: bytes
    errors: bytes | None


class Start(NamedTuple):
    """The calls by which an operation begins: one of them, unless it fails.

    `make_subscriber` returns the subscriber of a topic. `begin_execution` takes the call that
    stops the statements of an execution.
    """

    make_subscriber: Callable[[Grant], Subscriber]
    begin_execution: Callable[[Callable[[], None]], None]


async def begin(hub: Hub, request: GraphQLRequest, ctx: Context, start: Start) -> Answer | Topic:
    """Execute a query or a mutation, and return its answer; or subscribe, and return the topic.

    Documents, variables and scopes have the limits that they have over HTTP. Raises
    `AnalyticsError`.
    """
    request = with_document(request, ctx)
    try:
        document = await read_document(request, ctx.limits)
    except GraphQLError as error:
        return _answer(PreExecutionError(data=None, errors=[error]), request, ctx)
    if operation_type(document, request) is CoreOperationType.SUBSCRIPTION:
        return await _subscribe(hub, request, document, ctx, start)
    return await _execute(request, ctx, start)


async def _subscribe(
    hub: Hub, request: GraphQLRequest, document: Document, ctx: Context, start: Start
) -> Answer | Topic:
    if document.errors:
        result = PreExecutionError(data=None, errors=list(document.errors))
        return _answer(result, request, ctx)
    if request.refusal:
        raise request.refusal
    limit = ctx.limits[SUBSCRIPTIONS]
    if hub.subscription_count >= limit.value:
        message = f"There are too many subscriptions (limit {limit.value})."
        raise AnalyticsError("UNAVAILABLE", message, limit=limit.value, retry_after=5)
    topic, _ = await hub.subscribe(request, document, ctx, start.make_subscriber)
    keep_document(request, ctx)
    return topic


async def _execute(request: GraphQLRequest, ctx: Context, start: Start) -> Answer:
    request_ctx = ctx.for_request()
    start.begin_execution(request_ctx.batch.stop)
    try:
        result = await execute(request, request_ctx, set(_EXECUTION_TYPES))
        return _answer(result, request, request_ctx)
    except InvalidOperationTypeError:
        ctx.grant.require(Scope.QUERY)
        raise
    finally:
        request_ctx.row_batches.clear()
        request_ctx.answer.release()


def _answer(result: ExecutionResult, request: GraphQLRequest, ctx: Context) -> Answer:
    response: RenderedResult = render(result, request, ctx)
    content = response.content
    has_data = "data" in content
    errors = None if has_data else msgspec.json.encode(content["errors"])
    return Answer(msgspec.json.encode(content), errors)


def error_answer(error: AnalyticsError) -> Answer:
    """Return the answer of an operation that failed before its execution."""
    errors = msgspec.json.encode([error.render()])
    return Answer(b'{"errors":' + errors + b"}", errors)
