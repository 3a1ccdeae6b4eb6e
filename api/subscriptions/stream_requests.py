"""Requests of streams: of one operation, and of a reserved stream and its operations."""

from dataclasses import replace
from typing import Final

import msgspec
from graphql import GraphQLError
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from strawberry.types.execution import PreExecutionError

from api.access.credentials import address_of, context_of
from api.graphql.execution import read_document, render
from api.graphql.http import EVENT_STREAM
from api.graphql.persisted import with_document
from api.graphql.requests import GraphQLRequest, read_json_body, request_of_body
from api.negotiation import media_type_weight, weights
from api.responses import SAFETY, answer
from api.subscriptions.channels import Channels
from api.subscriptions.reservations import Reservations, ReservedStream
from api.subscriptions.stream_channel import EventStream, stream_of_operation
from resolvers.context import Context
from schema.access import Scope
from schema.errors import AnalyticsError

_TOKEN_HEADER: Final = "x-graphql-event-stream-token"  # noqa: S105 - a name
_TOKEN_PARAMETER: Final = "token"  # noqa: S105 - a name
_OPERATION_PARAMETER: Final = "operationId"
_OPERATION_FIELD: Final = "extensions.operationId"


class _Extensions(msgspec.Struct):
    operationId: str = ""  # noqa: N815 - its name in the request


class _Request(msgspec.Struct):
    """A request as far as its operation has an id."""

    extensions: _Extensions | None = None


async def open_stream(request: Request, graphql_request: GraphQLRequest, ctx: Context) -> Response:
    """Answer a request with the stream of its operation."""
    channels: Channels = request.app.state.channels
    return stream_of_operation(channels, ctx, graphql_request)


def is_of_reserved_stream(request: Request) -> bool:
    """Say whether a request reserves a stream, or is about a reserved one."""
    return request.method in {"PUT", "DELETE"} or _token(request) is not None


async def answer_for_reserved_stream(request: Request) -> Response:
    """Reserve a stream (PUT), open it (GET), begin an operation (POST) or end one (DELETE).

    The caller needs the scope QUERY: strangers must not take all reservations. Raises NOT_FOUND for
    a stream of another caller, CONFLICT for one that is open, and for an operation whose id is in
    use.
    """
    ctx = context_of(request)
    ctx.grant.require(Scope.QUERY)
    if address := address_of(request, ctx):
        ctx = replace(ctx, address=address)
    reservations: Reservations = request.app.state.reservations
    if request.method == "PUT":
        return PlainTextResponse(reservations.reserve(ctx), 201, dict(_text(SAFETY)))
    stream = reservations.find(_token(request) or "", ctx)
    if request.method == "GET":
        return _open(request, stream)
    if request.method == "POST":
        return await _begin(request, stream)
    operation_id = request.query_params.get(_OPERATION_PARAMETER)
    if not operation_id:
        message = f"{_OPERATION_PARAMETER} is missing."
        raise AnalyticsError("BAD_REQUEST", message, field=_OPERATION_PARAMETER)
    stream.stop(operation_id)
    return Response(status_code=200)


def _text(headers: tuple[tuple[bytes, bytes], ...]) -> list[tuple[str, str]]:
    return [(name.decode(), value.decode()) for name, value in headers]


def _token(request: Request) -> str | None:
    token = request.headers.get(_TOKEN_HEADER)
    if token is None and b"token=" in request.scope["query_string"]:
        token = request.query_params.get(_TOKEN_PARAMETER)
    return token or None


def _open(request: Request, stream: ReservedStream) -> Response:
    accepted = weights(request.headers, "accept") or {"*/*": 1.0}
    if not media_type_weight(accepted, EVENT_STREAM):
        raise AnalyticsError("NOT_ACCEPTABLE", f"The answer is {EVENT_STREAM}.")
    if stream.is_open:
        raise AnalyticsError("CONFLICT", "The stream is open.", field=_TOKEN_PARAMETER)
    return EventStream(stream)


async def _begin(request: Request, stream: ReservedStream) -> Response:
    """Begin an operation of a stream. A document that is not valid is answered here."""
    ctx = stream.ctx
    body = await read_json_body(request)
    graphql_request = request_of_body(body, ctx.limits)
    operation_id = _operation_id(body)
    graphql_request = with_document(graphql_request, ctx)
    try:
        errors = list((await read_document(graphql_request, ctx.limits)).errors)
    except GraphQLError as error:
        errors = [error]
    if errors:
        result = PreExecutionError(data=None, errors=errors)
        response = render(result, graphql_request, ctx)
        return answer(response.content, response.status)
    if stream.has_operation(operation_id):
        message = "An operation with this id runs already."
        raise AnalyticsError("CONFLICT", message, field=_OPERATION_FIELD)
    stream.start(operation_id, graphql_request)
    return Response(status_code=202)


def _operation_id(body: bytes) -> str:
    try:
        extensions = msgspec.json.decode(body, type=_Request).extensions
    except (msgspec.MsgspecError, ValueError) as error:
        message = f"{_OPERATION_FIELD}: {error}"
        raise AnalyticsError("BAD_REQUEST", message, field=_OPERATION_FIELD) from None
    if extensions is None or not extensions.operationId:
        message = f"{_OPERATION_FIELD} is missing."
        raise AnalyticsError("BAD_REQUEST", message, field=_OPERATION_FIELD)
    return extensions.operationId
