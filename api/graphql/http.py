"""GraphQL over HTTP: reads a request, executes it, answers with the right status.

Follows the GraphQL-over-HTTP draft: when there is `data`, the status is 200, whatever failed in
it. When there is none, a client that accepts `application/graphql-response+json`, or anything, gets
4xx or 5xx; one that accepts `application/json` alone gets 200 for every well-formed request.
Strawberry's own router does neither, answers 500 to several malformed bodies, and keeps a request's
response on itself, which the next one overwrites; so this one calls its schema directly.
"""

from typing import Any, Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types.execution import ExecutionResult, PreExecutionError
from strawberry.types.graphql import OperationType

from api.disconnect import cancel_on_disconnect
from api.graphql.errors import render_located, to_analytics_error, variable_errors
from api.graphql.requests import GraphQLRequest, request_of_body, request_of_url
from api.graphql.schema import schema
from api.negotiation import media_type_weight, weights
from api.responses import answer, error_answer
from resolvers.context import Context
from schema.errors import AnalyticsError

JSON: Final = "application/json"
GRAPHQL_JSON: Final = "application/graphql-response+json"
MEDIA_TYPES: Final = (JSON, GRAPHQL_JSON)

_QUERIES: Final = {OperationType.QUERY}
_ALL: Final = {OperationType.QUERY, OperationType.MUTATION}


class _Format(NamedTuple):
    """How to answer: the media type, and whether an answer without data has a status of its own."""

    media_type: str
    has_status: bool


async def graphql(request: Request, ctx: Context) -> Response:
    """Answer one GraphQL request."""
    accepted = _accepted(request)
    try:
        response = await _executed(request, ctx.for_request(), accepted)
    except AnalyticsError as error:
        response = error_answer(error)
        if error.code == "PERSISTED_QUERY_NOT_SUPPORTED":
            response.headers["Cache-Control"] = "no-store"
            if accepted.media_type == JSON:  # older clients read no other answer
                response.status_code = 200
    response.headers["content-type"] = f"{accepted.media_type}; charset=utf-8"
    return response


async def _executed(request: Request, ctx: Context, accepted: _Format) -> Response:
    posted = request.method == "POST"
    asked = await request_of_body(request) if posted else request_of_url(request)
    try:
        async with cancel_on_disconnect(request, ctx.batch.stop):
            result = await schema.execute(
                asked.query,
                variable_values=asked.variables,
                operation_name=asked.operationName,
                context_value=ctx,
                allowed_operation_types=_ALL if posted else _QUERIES,
            )
    except InvalidOperationTypeError:
        return _not_allowed(posted=posted)
    except CannotGetOperationTypeError:
        message = "operationName: names no operation of the document"
        raise AnalyticsError("BAD_REQUEST", message, field="operationName") from None
    except RecursionError:
        message = "query: nested too deeply"
        raise AnalyticsError("GRAPHQL_PARSE_FAILED", message, field="query") from None
    response = _response(result, asked, ctx)
    if not accepted.has_status:
        response.status_code = 200
    return response


def _not_allowed(*, posted: bool) -> Response:
    if posted:
        raise AnalyticsError("BAD_REQUEST", "Subscriptions are not supported.")
    message = "Mutations need POST; subscriptions are not supported."
    response = error_answer(AnalyticsError("METHOD_NOT_ALLOWED", message))
    response.headers["Allow"] = "POST"
    return response


def _accepted(request: Request) -> _Format:
    """Choose the format of the answer: the one of more weight, or that is named.

    Raises NOT_ACCEPTABLE if the client takes neither media type.
    """
    accepted = weights(request.headers, "accept") or {"*/*": 1.0}
    json, graphql_json = (media_type_weight(accepted, each) for each in MEDIA_TYPES)
    if not (json or graphql_json):
        raise AnalyticsError("NOT_ACCEPTABLE", f"The answer is {GRAPHQL_JSON} or {JSON}.")
    if graphql_json > json or (graphql_json == json and GRAPHQL_JSON in accepted):
        return _Format(GRAPHQL_JSON, has_status=True)
    return _Format(JSON, has_status=graphql_json > 0)


def _response(result: ExecutionResult, asked: GraphQLRequest, ctx: Context) -> Response:
    data, errors = result.data, result.errors or []
    extensions = {"extensions": _measured(ctx)} if ctx.batch.runs else {}
    if not errors:
        return answer({"data": data, **extensions})
    executed = not isinstance(result, PreExecutionError)
    core = schema._schema  # noqa: SLF001 - graphql-core's
    if executed and data is None and not any(error.path for error in errors):
        errors = variable_errors(core, asked) or errors
    ours = [to_analytics_error(error, core, asked, executed=executed) for error in errors]
    content: dict[str, Any] = {"errors": list(map(render_located, errors, ours))}
    if data is not None or any(error.path for error in errors):
        content["data"] = data
    response = answer(content | extensions, ours[0].status if data is None else 200)
    if seconds := max(each.retry_after or 0 for each in ours):
        response.headers["Retry-After"] = str(seconds)
    return response


def _measured(ctx: Context) -> dict[str, Any]:
    """Say what an answer took: its statements, in the order in which they were begun."""
    ran = ctx.batch.runs
    return {
        "statementCount": len(ran),
        "rowsRead": sum(each.rows_read for each in ran),
        "statements": [
            {"elapsedMs": round(each.elapsed_ms, 3), "rowsRead": each.rows_read} for each in ran
        ],
    }
