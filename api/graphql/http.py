"""GraphQL over HTTP: reading a request, executing it, and the status of its response.

It follows the GraphQL-over-HTTP draft. A response with `data` has status 200, also when fields
failed. A response without `data` has 4xx or 5xx if the client accepts any type or
`application/graphql-response+json`. It has 200 if the client accepts only `application/json` and
the request is well formed.

Strawberry's own router does neither, and answers 500 to several malformed bodies. It also keeps
the response of a request on itself, where the next request overwrites it. So this module calls
the schema directly.
"""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, TypeAlias

import msgspec
from graphql import GraphQLError
from graphql import OperationType as CoreOperationType
from starlette.requests import Request
from starlette.responses import Response
from strawberry.schema.exceptions import InvalidOperationTypeError
from strawberry.types.execution import ExecutionResult, PreExecutionError
from strawberry.types.graphql import OperationType

from api.access.credentials import address_of, context_of
from api.graphql.execution import execute, operation_type, read_document, render
from api.graphql.persisted import with_document
from api.graphql.requests import (
    GraphQLRequest,
    call_beside,
    read_json_body,
    request_of_body,
    request_of_url,
)
from api.graphql.row_variables import read_rows
from api.negotiation import media_type_weight, weights
from api.responses import answer, error_answer
from api.single_flight import Flight, SingleFlight, execute_alone
from resolvers.context import Context
from schema.access import Grant, Scope
from schema.errors import AnalyticsError

JSON: Final = "application/json"
GRAPHQL_JSON: Final = "application/graphql-response+json"
EVENT_STREAM: Final = "text/event-stream"
MEDIA_TYPES: Final = (JSON, GRAPHQL_JSON)
_SUBSCRIPTION_TRANSPORTS: Final = (
    "a WebSocket (graphql-transport-ws) or the header `Accept: text/event-stream`"
)

_CACHE_CONTROL: Final = "private, max-age=0, must-revalidate"
"""Rule for caches of answers to named documents by GET.

A private cache may keep such an answer, and must ask before each use: late rows change the past. No
shared cache may keep it, because it depends on the key.
"""

_VARY: Final = "Authorization, Cookie, Analytics-Project"
"""Headers of a request that say who asks; `Accept` and others are added elsewhere."""

OpenStream: TypeAlias = Callable[[Request, GraphQLRequest, Context], Awaitable[Response]]
"""Function that answers a request with a stream of events."""


class _Format(NamedTuple):
    """Format of a response: its media type, and whether one without data has an error status."""

    media_type: str
    has_status: bool

    @property
    def is_stream(self) -> bool:
        """Whether results are sent as events."""
        return self.media_type == EVENT_STREAM


async def graphql(request: Request) -> Response:
    """Answer one GraphQL request."""
    response_format = _choose_format(request)
    try:
        response = await _answer(request, context_of(request), response_format)
    except AnalyticsError as error:
        response = error_answer(error)
        # Older clients read this code only with 200.
        if error.code == "PERSISTED_QUERY_NOT_FOUND" and response_format.media_type == JSON:
            response.status_code = 200
    except RecursionError:
        message = "query: nested too deeply"
        response = error_answer(AnalyticsError("GRAPHQL_PARSE_FAILED", message, field="query"))
    if response.body and not response_format.is_stream:  # a 304 has no type
        response.headers["content-type"] = f"{response_format.media_type}; charset=utf-8"
    return response


async def _answer(request: Request, ctx: Context, response_format: _Format) -> Response:
    """Read a request and execute it: a query together with its twins, a mutation alone."""
    is_post = request.method == "POST"
    if is_post:
        if address := address_of(request, ctx):
            ctx = replace(ctx, address=address)
        content = await read_json_body(request)
        graphql_request, ctx = await read_rows(content, ctx) or (
            await call_beside(request_of_body, content, ctx.limits),
            ctx,
        )
    else:
        content = request.scope["query_string"]
        graphql_request = request_of_url(request, ctx.limits)
    graphql_request = with_document(graphql_request, ctx)
    execution = _Execution(graphql_request, response_format, is_post=is_post)
    try:
        document = await read_document(graphql_request, ctx.limits)
        operation = operation_type(document, graphql_request)
    except GraphQLError as error:
        if not response_format.is_stream:
            return execution.respond(PreExecutionError(data=None, errors=[error]), ctx)
        operation = None
    is_subscription = operation is CoreOperationType.SUBSCRIPTION
    if response_format.is_stream or (is_subscription and _takes_stream(request)):
        if operation is CoreOperationType.MUTATION and not is_post:
            return _not_allowed(is_post=False)
        open_stream: OpenStream = request.app.state.open_stream
        return await open_stream(request, graphql_request, ctx)
    if operation is not CoreOperationType.QUERY:
        try:
            return await execute_alone(request, ctx, execution.run)
        finally:
            # The objects of an execution refer to one another, and stay until a collection.
            # So 250 requests of 10,000 rows held 525 MB.
            ctx.row_batches.clear()
    flights: SingleFlight = request.app.state.flights
    flight = Flight(repr(response_format), content, graphql_request.query, ctx.grant)
    response = await flights.answer(request, ctx, flight, execution.run)
    return response if is_post else _allow_caching(request, response)


@dataclass(frozen=True, slots=True)
class _Execution:
    """The execution of a request, for one or several clients."""

    request: GraphQLRequest
    response_format: _Format
    is_post: bool

    async def run(self, ctx: Context) -> Response:
        """Execute the request; return its response, with a tag if caches may keep it."""
        operations = {OperationType.QUERY} | ({OperationType.MUTATION} if self.is_post else set())
        try:
            result = await execute(self.request, ctx, operations)
        except InvalidOperationTypeError as error:
            if error.operation_type is OperationType.QUERY:
                ctx.grant.require(Scope.QUERY)
            return _not_allowed(is_post=self.is_post)
        response = self.respond(result, ctx)
        if not (self.is_post or result.errors) and self.request.is_named:
            _tag(response, result.data, ctx.grant)
        return response

    def respond(self, result: ExecutionResult, ctx: Context) -> Response:
        """Return the response of a result, with the status of the format."""
        response = _response(result, self.request, ctx)
        if not self.response_format.has_status:
            response.status_code = 200
        return response


def _not_allowed(*, is_post: bool) -> Response:
    if is_post:
        raise AnalyticsError("BAD_REQUEST", f"Subscriptions need {_SUBSCRIPTION_TRANSPORTS}.")
    message = f"Mutations need POST; subscriptions need {_SUBSCRIPTION_TRANSPORTS}."
    response = error_answer(AnalyticsError("METHOD_NOT_ALLOWED", message))
    response.headers["Allow"] = "POST"
    return response


def _choose_format(request: Request) -> _Format:
    """Choose the media type of more weight; of two equal ones, GraphQL's if it is named.

    A stream must be named, and have more weight than both. Raises NOT_ACCEPTABLE if the client
    accepts none of them.
    """
    accepted = weights(request.headers, "accept") or {"*/*": 1.0}
    json, graphql_json = (media_type_weight(accepted, name) for name in MEDIA_TYPES)
    if accepted.get(EVENT_STREAM, 0.0) > max(json, graphql_json):
        return _Format(EVENT_STREAM, has_status=True)
    if not (json or graphql_json):
        message = f"The answer is {GRAPHQL_JSON}, {JSON} or {EVENT_STREAM}."
        raise AnalyticsError("NOT_ACCEPTABLE", message)
    if graphql_json > json or (graphql_json == json and GRAPHQL_JSON in accepted):
        return _Format(GRAPHQL_JSON, has_status=True)
    return _Format(JSON, has_status=graphql_json > 0)


def _takes_stream(request: Request) -> bool:
    """Say whether a client takes a stream beside JSON: urql does, for its subscriptions."""
    return weights(request.headers, "accept").get(EVENT_STREAM, 0.0) > 0


def _response(result: ExecutionResult, request: GraphQLRequest, ctx: Context) -> Response:
    content, status, retry_after = render(result, request, ctx)
    response = answer(content, status)
    if retry_after:
        response.headers["Retry-After"] = str(retry_after)
    return response


def _tag(response: Response, data: object, grant: Grant) -> None:
    """Give a response the tag of its data.

    The tag is weak: it leaves out the statistics of statements, which differ each time. Callers
    with other keys have other tags.
    """
    caller = f"{grant.project}\n{grant.key_id}\n".encode()
    digest = hashlib.sha256(caller + msgspec.json.encode(data)).hexdigest()
    response.headers["ETag"] = f'W/"{digest[:32]}"'


def _allow_caching(request: Request, response: Response) -> Response:
    """Let private caches keep a response with a tag; return 304 if the client has its data."""
    response_tag = response.headers.get("etag")
    if response_tag is None:
        return response
    response.headers["Cache-Control"] = _CACHE_CONTROL
    response.headers.add_vary_header(_VARY)
    if not _is_known(response_tag, request.headers.getlist("if-none-match")):
        return response
    response.status_code, response.body = 304, b""
    del response.headers["content-length"], response.headers["content-type"]
    return response


def _is_known(response_tag: str, known_tags: list[str]) -> bool:
    tags = {text.strip() for text in ",".join(known_tags).split(",")}
    return bool(tags & {"*", response_tag, response_tag.removeprefix("W/")})
