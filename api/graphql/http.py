"""GraphQL over HTTP: reading a request, executing it, and the status of its response.

It follows the GraphQL-over-HTTP draft. A response with `data` has status 200, also when fields
failed. A response without `data` has 4xx or 5xx if the client accepts any type or
`application/graphql-response+json`. It has 200 if the client accepts only `application/json` and
the request is well formed.

Strawberry's own router does neither, and answers 500 to several malformed bodies. It also keeps
the response of a request on itself, where the next request overwrites it. So this module calls
the schema directly.
"""

from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from graphql import GraphQLError, get_operation_ast
from graphql import OperationType as CoreOperationType
from starlette.requests import Request
from starlette.responses import Response
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types.execution import ExecutionResult, PreExecutionError
from strawberry.types.graphql import OperationType

from api.access.credentials import address_of, context_of
from api.graphql.caching import allow_caching, tag
from api.graphql.errors import HINT, render_result
from api.graphql.persisted import keep_document, with_document
from api.graphql.requests import (
    GraphQLRequest,
    call_beside,
    read_json_body,
    request_of_body,
    request_of_url,
)
from api.graphql.row_variables import read_rows
from api.graphql.schema import documents, schema
from api.negotiation import media_type_weight, weights
from api.responses import answer, error_answer
from api.single_flight import Flight, SingleFlight, execute_alone
from api.variable_limits import check_uses
from resolvers.context import Context
from schema.access import Scope
from schema.errors import AnalyticsError
from schema.limits import LimitTable

JSON: Final = "application/json"
GRAPHQL_JSON: Final = "application/graphql-response+json"
MEDIA_TYPES: Final = (JSON, GRAPHQL_JSON)


class _Format(NamedTuple):
    """Format of a response: its media type, and whether one without data has an error status."""

    media_type: str
    has_status: bool


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
    if response.body:  # a 304 has no type
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
        is_query = await _is_query(graphql_request, ctx.limits)
    except GraphQLError as error:
        return execution.respond(PreExecutionError(data=None, errors=[error]), ctx)
    if not is_query:
        try:
            return await execute_alone(request, ctx, execution.run)
        finally:
            # The objects of an execution refer to one another, and stay until a collection.
            # So 250 requests of 10,000 rows held 525 MB.
            ctx.row_batches.clear()
    flights: SingleFlight = request.app.state.flights
    flight = Flight(repr(response_format), content, graphql_request.query, ctx.grant)
    response = await flights.answer(request, ctx, flight, execution.run)
    return response if is_post else allow_caching(request, response)


async def _is_query(request: GraphQLRequest, limits: LimitTable) -> bool:
    """Say whether the operation of a request is a query. Reads the document, if it is new.

    Raises PAYLOAD_TOO_LARGE, or a GraphQLError of the syntax or of the size of the document,
    GRAPHQL_VALIDATION_FAILED for a trusted document of an earlier version, and BAD_USER_INPUT for
    variables that are used too often.
    """
    core_schema = schema._schema  # noqa: SLF001 - graphql-core's
    document = await documents.read(core_schema, request.query, limits)
    if document.errors and request.is_named:
        reason = document.errors[0].message.partition(HINT)[0]
        message = f"The trusted document is no longer valid: {reason}"
        raise AnalyticsError("GRAPHQL_VALIDATION_FAILED", message, field="documentId")
    if document.repeated_variables and request.variables and not document.errors:
        check_uses(request.variables, document.repeated_variables, limits)
    operation = get_operation_ast(document.node, request.operationName)
    return operation is not None and operation.operation is CoreOperationType.QUERY


@dataclass(frozen=True, slots=True)
class _Execution:
    """The execution of a request, for one or several clients."""

    request: GraphQLRequest
    response_format: _Format
    is_post: bool

    async def run(self, ctx: Context) -> Response:
        """Execute the request; return its response, with a tag if caches may keep it."""
        try:
            result = await _result(self.request, ctx, is_post=self.is_post)
        except InvalidOperationTypeError as error:
            if error.operation_type is OperationType.QUERY:
                ctx.grant.require(Scope.QUERY)
            return _not_allowed(is_post=self.is_post)
        except CannotGetOperationTypeError:
            message = "operationName: names no operation of the document"
            raise AnalyticsError("BAD_REQUEST", message, field="operationName") from None
        if ctx.answer.error:
            raise ctx.answer.error
        response = self.respond(result, ctx)
        if not (self.is_post or result.errors) and self.request.is_named:
            tag(response, result.data, ctx.grant)
        return response

    def respond(self, result: ExecutionResult, ctx: Context) -> Response:
        """Return the response of a result, with the status of the format."""
        response = _response(result, self.request, ctx)
        if not self.response_format.has_status:
            response.status_code = 200
        return response


async def _result(request: GraphQLRequest, ctx: Context, *, is_post: bool) -> ExecutionResult:
    """Execute a request if its variables keep to their limits; keep its document."""
    if request.refusal:
        raise request.refusal
    result = await schema.execute(
        request.query,
        variable_values=request.variables,
        operation_name=request.operationName,
        context_value=ctx,
        allowed_operation_types=_allowed_operations(ctx, is_post=is_post),
    )
    if not isinstance(result, PreExecutionError):
        keep_document(request, ctx)
    return result


def _allowed_operations(ctx: Context, *, is_post: bool) -> set[OperationType]:
    """Return the operations of a method. Without the scope QUERY, the schema is closed, too."""
    operations = {OperationType.MUTATION} if is_post else set()
    if Scope.QUERY in ctx.grant.scopes:
        operations.add(OperationType.QUERY)
    return operations


def _not_allowed(*, is_post: bool) -> Response:
    if is_post:
        raise AnalyticsError("BAD_REQUEST", "Subscriptions are not supported.")
    message = "Mutations need POST; subscriptions are not supported."
    response = error_answer(AnalyticsError("METHOD_NOT_ALLOWED", message))
    response.headers["Allow"] = "POST"
    return response


def _choose_format(request: Request) -> _Format:
    """Choose the media type of more weight; of two equal ones, GraphQL's if it is named.

    Raises NOT_ACCEPTABLE if the client accepts neither media type.
    """
    accepted = weights(request.headers, "accept") or {"*/*": 1.0}
    json, graphql_json = (media_type_weight(accepted, name) for name in MEDIA_TYPES)
    if not (json or graphql_json):
        raise AnalyticsError("NOT_ACCEPTABLE", f"The answer is {GRAPHQL_JSON} or {JSON}.")
    if graphql_json > json or (graphql_json == json and GRAPHQL_JSON in accepted):
        return _Format(GRAPHQL_JSON, has_status=True)
    return _Format(JSON, has_status=graphql_json > 0)


def _response(result: ExecutionResult, request: GraphQLRequest, ctx: Context) -> Response:
    content, status, retry_after = render_result(result, request, ctx)
    extensions = {"extensions": _statistics(ctx)} if ctx.batch.runs else {}
    response = answer(content | extensions, status)
    if retry_after:
        response.headers["Retry-After"] = str(retry_after)
    return response


def _statistics(ctx: Context) -> dict[str, Any]:
    """Return the cost of a response: its statements in the order of their start, with totals."""
    runs = ctx.batch.runs
    return {
        "cost": {
            "requested": round(ctx.batch.requested_cost, 1),
            "actual": round(ctx.batch.actual_cost, 1),
        },
        "statementCount": len(runs),
        "rowsRead": sum(run.rows_read for run in runs),
        "statements": [
            {"elapsedMs": round(run.elapsed_ms, 3), "rowsRead": run.rows_read} for run in runs
        ],
    }
