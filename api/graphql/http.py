"""GraphQL over HTTP: reading a request, executing it, and the status of its response.

It follows the GraphQL-over-HTTP draft. A response with `data` has status 200, also when fields
failed. A response without `data` has 4xx or 5xx if the client accepts any type or
`application/graphql-response+json`. It has 200 if the client accepts only `application/json` and
the request is well formed.

Strawberry's own router does neither, and answers 500 to several malformed bodies. It also keeps
the response of a request on itself, where the next request overwrites it. So this module calls
the schema directly.
"""

from typing import Any, Final, NamedTuple

from graphql import GraphQLError
from starlette.requests import Request
from starlette.responses import Response
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types.execution import ExecutionResult, PreExecutionError
from strawberry.types.graphql import OperationType

from api.credentials import context_of
from api.disconnect import cancel_on_disconnect
from api.graphql.errors import render_located, to_analytics_error, variable_errors
from api.graphql.requests import (
    GraphQLRequest,
    call_beside,
    read_json_body,
    request_of_body,
    request_of_url,
)
from api.graphql.row_variables import read_rows
from api.graphql.schema import documents, schema
from api.headers import CONTEXT_KEY
from api.negotiation import media_type_weight, weights
from api.responses import answer, error_answer
from resolvers.context import Context
from schema.access import Scope
from schema.errors import AnalyticsError
from schema.limits import RESPONSE_ERRORS

JSON: Final = "application/json"
GRAPHQL_JSON: Final = "application/graphql-response+json"
MEDIA_TYPES: Final = (JSON, GRAPHQL_JSON)

_HINT: Final = " Did you mean "
"""Begin of graphql-core's hints, which show names of the schema."""


class _Format(NamedTuple):
    """Format of a response: its media type, and whether one without data has an error status."""

    media_type: str
    has_status: bool


async def graphql(request: Request) -> Response:
    """Answer one GraphQL request."""
    response_format = _choose_format(request)
    try:
        ctx = context_of(request).for_request()
        response = await _execute(request, ctx, response_format)
    except AnalyticsError as error:
        response = error_answer(error)
        # Older clients read this code only with 200.
        if error.code == "PERSISTED_QUERY_NOT_SUPPORTED" and response_format.media_type == JSON:
            response.status_code = 200
    response.headers["content-type"] = f"{response_format.media_type}; charset=utf-8"
    return response


async def _execute(request: Request, ctx: Context, response_format: _Format) -> Response:
    is_post = request.method == "POST"
    if is_post:
        body = await read_json_body(request)
        graphql_request, ctx = await read_rows(body, ctx) or (
            await call_beside(request_of_body, body),
            ctx,
        )
    else:
        graphql_request = request_of_url(request)
    request.scope[CONTEXT_KEY] = ctx
    try:
        async with cancel_on_disconnect(request, ctx.batch.stop):
            result = await _result(graphql_request, ctx, _allowed_operations(ctx, is_post=is_post))
    except InvalidOperationTypeError as error:
        if error.operation_type is OperationType.QUERY:
            ctx.grant.require(Scope.QUERY)
        return _not_allowed(is_post=is_post)
    except CannotGetOperationTypeError:
        message = "operationName: names no operation of the document"
        raise AnalyticsError("BAD_REQUEST", message, field="operationName") from None
    except RecursionError:
        message = "query: nested too deeply"
        raise AnalyticsError("GRAPHQL_PARSE_FAILED", message, field="query") from None
    if ctx.answer.error:
        raise ctx.answer.error
    response = _response(result, graphql_request, ctx)
    if not response_format.has_status:
        response.status_code = 200
    return response


async def _result(
    request: GraphQLRequest, ctx: Context, allowed_operations: set[OperationType]
) -> ExecutionResult:
    """Execute a request if its document and its variables keep to their limits."""
    try:
        await documents.read(schema._schema, request.query)  # noqa: SLF001 - graphql-core's
    except GraphQLError as error:
        return PreExecutionError(data=None, errors=[error])
    if request.refusal:
        raise request.refusal
    return await schema.execute(
        request.query,
        variable_values=request.variables,
        operation_name=request.operationName,
        context_value=ctx,
        allowed_operation_types=allowed_operations,
    )


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
    data, errors = result.data, (result.errors or [])[: RESPONSE_ERRORS.value]
    extensions = {"extensions": _statistics(ctx)} if ctx.batch.runs else {}
    if not errors:
        return answer({"data": data, **extensions})
    is_executed = not isinstance(result, PreExecutionError)
    core = schema._schema  # noqa: SLF001 - graphql-core's
    if is_executed and data is None and not any(error.path for error in errors):
        errors = variable_errors(core, request) or errors
    ours = [to_analytics_error(error, core, request, is_executed=is_executed) for error in errors]
    if Scope.QUERY not in ctx.grant.scopes:
        for our_error in ours:
            our_error.message = our_error.message.partition(_HINT)[0]
    content: dict[str, Any] = {"errors": list(map(render_located, errors, ours))}
    if data is not None or any(error.path for error in errors):
        content["data"] = data
    response = answer(content | extensions, ours[0].status if data is None else 200)
    if seconds := max(error.retry_after or 0 for error in ours):
        response.headers["Retry-After"] = str(seconds)
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
