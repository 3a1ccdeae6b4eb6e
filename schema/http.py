"""GraphQL over HTTP: reads a request, executes it, answers with the right status.

Follows the GraphQL-over-HTTP draft: a client that accepts `application/graphql-response+json`, or
anything, gets 4xx and 5xx when nothing could be answered; one that asks for `application/json`
alone gets 200 for every well-formed request. Strawberry's own router does neither, answers 500 to
several malformed bodies, and keeps a request's response on itself, which the next one overwrites;
so this one calls its schema directly.
"""

from typing import Any, Final

import msgspec
from graphql import GraphQLError, GraphQLSyntaxError
from starlette.requests import Request
from starlette.responses import Response
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types.execution import ExecutionResult, PreExecutionError
from strawberry.types.graphql import OperationType

from resolvers.context import Context
from schema.errors import AnalyticsError
from schema.root import schema
from store.refusals import utf8_fault
from transport import MAX_BATCH_BODY, answer, error_answer, read_body, unexpected, watched

GRAPHQL_JSON: Final = "application/graphql-response+json"

_NO_QUERY: Final = "A GraphQL request needs a query."
_QUERIES: Final = {OperationType.QUERY}
_ALL: Final = {OperationType.QUERY, OperationType.MUTATION}


class _Asked(msgspec.Struct):
    """A GraphQL request; unknown members are ignored, as the draft asks."""

    query: str
    variables: dict[str, Any] | None = None
    operationName: str | None = None  # noqa: N815 - its name in the request
    extensions: dict[str, Any] | None = None


_UNREADABLE: Final = (msgspec.MsgspecError, ValueError, RecursionError)
_BODY: Final = msgspec.json.Decoder(_Asked)


async def graphql(request: Request, ctx: Context) -> Response:
    """Answer one GraphQL request."""
    posted = request.method == "POST"
    if not posted and not request.query_params.get("query"):
        raise AnalyticsError("BAD_REQUEST", _NO_QUERY, field="query")
    media_type, has_status = _accepted(request)
    asked = await _of_body(request) if posted else _of_url(request)
    allowed = _ALL if posted else _QUERIES
    ctx = ctx.for_request()
    try:
        async with watched(request, ctx.questions.stop):
            result = await schema.execute(
                asked.query,
                variable_values=asked.variables,
                operation_name=asked.operationName,
                context_value=ctx,
                allowed_operation_types=allowed,
            )
    except InvalidOperationTypeError:
        if posted:
            raise AnalyticsError("BAD_REQUEST", "Subscriptions are not supported.") from None
        message = "Mutations need POST; subscriptions are not supported."
        response = error_answer(AnalyticsError("METHOD_NOT_ALLOWED", message))
        response.headers["Allow"] = "POST"
        return response
    except CannotGetOperationTypeError:
        message = "operationName: names no operation of the document"
        raise AnalyticsError("BAD_REQUEST", message, field="operationName") from None
    except RecursionError:
        message = "query: nested too deeply"
        raise AnalyticsError("GRAPHQL_PARSE_FAILED", message, field="query") from None
    response = _response(result, ctx)
    response.headers["content-type"] = f"{media_type}; charset=utf-8"
    if not has_status:
        response.status_code = 200
    return response


def _accepted(request: Request) -> tuple[str, bool]:
    """Choose the media type, and whether errors may have a status of their own.

    Raises NOT_ACCEPTABLE if the client takes neither media type.
    """
    header = request.headers.get("accept", "")
    accepted = {part.partition(";")[0].strip().lower() for part in header.split(",")}
    if GRAPHQL_JSON in accepted:
        return GRAPHQL_JSON, True
    if accepted & {"", "*/*", "application/*"}:
        return "application/json", True
    if "application/json" in accepted:
        return "application/json", False
    raise AnalyticsError("NOT_ACCEPTABLE", f"The answer is {GRAPHQL_JSON} or application/json.")


def _of_url(request: Request) -> _Asked:
    text = request.query_params
    try:
        variables = text.get("variables")
        return _Asked(
            query=text["query"],
            variables=msgspec.json.decode(variables, type=dict[str, Any]) if variables else None,
            operationName=text.get("operationName") or None,
        )
    except _UNREADABLE as error:
        message = f"variables: {error}"
        raise AnalyticsError("BAD_REQUEST", message, field="variables") from None


async def _of_body(request: Request) -> _Asked:
    content_type, _, parameters = request.headers.get("content-type", "").lower().partition(";")
    charset = parameters.partition("charset=")[2].partition(";")[0].strip(' "') or "utf-8"
    if content_type.strip() != "application/json" or charset not in {"utf-8", "utf8"}:
        message = "A GraphQL request is application/json in UTF-8."
        raise AnalyticsError("UNSUPPORTED_MEDIA_TYPE", message)
    body = await read_body(request, MAX_BATCH_BODY)
    try:
        asked = _BODY.decode(body)
    except _UNREADABLE as error:
        reason = utf8_fault(body) or f"is not a GraphQL request: {error or 'nested too deeply'}"
        message = f"The body {reason}"
        raise AnalyticsError("BAD_REQUEST", message) from None
    if not asked.query:
        raise AnalyticsError("BAD_REQUEST", _NO_QUERY, field="query")
    return asked


def _response(result: ExecutionResult, ctx: Context) -> Response:
    data, errors = result.data, result.errors or []
    extensions = {"extensions": _measured(ctx)} if ctx.questions.ran else {}
    if not errors:
        return answer({"data": data, **extensions})
    executed = not isinstance(result, PreExecutionError)
    explained = [_explained(error, executed=executed) for error in errors]
    located = [_located(error, ours) for error, ours in zip(errors, explained, strict=True)]
    content: dict[str, Any] = {"errors": located}
    if data is not None or any(error.path for error in errors):
        content["data"] = data
    content |= extensions
    answered = _says_anything(data)
    response = answer(content, 200 if answered else explained[0].status)
    if explained[0].retry_after and not answered:
        response.headers["Retry-After"] = str(explained[0].retry_after)
    return response


def _says_anything(data: object) -> bool:
    """Say whether any field was answered: one below a field that only holds others counts."""
    if isinstance(data, dict):
        return any(map(_says_anything, data.values()))
    return data is not None


def _measured(ctx: Context) -> dict[str, Any]:
    """Say what an answer took: its statements, in the order in which they were begun."""
    ran = ctx.questions.ran
    return {
        "statementCount": len(ran),
        "rowsRead": sum(each.rows_read for each in ran),
        "statements": [
            {"elapsedMs": round(each.ms, 3), "rowsRead": each.rows_read} for each in ran
        ],
    }


def _explained(error: GraphQLError, *, executed: bool) -> AnalyticsError:
    """Return what went wrong in our own terms; log it if it is our fault."""
    match error.original_error:
        case AnalyticsError() as ours:
            return ours
        case None | GraphQLError():
            return AnalyticsError(_code(error, executed=executed), error.message)
        case ValueError() if not executed:  # an integer literal of more than 4,300 digits
            return AnalyticsError("GRAPHQL_VALIDATION_FAILED", error.message)
        case fault:
            return unexpected(fault)


def _code(error: GraphQLError, *, executed: bool) -> str:
    if isinstance(error, GraphQLSyntaxError):
        return "GRAPHQL_PARSE_FAILED"
    return "BAD_USER_INPUT" if executed else "GRAPHQL_VALIDATION_FAILED"


def _located(error: GraphQLError, ours: AnalyticsError) -> dict[str, Any]:
    located = ours.rendered()
    if error.path:
        located["path"] = error.path
    if error.locations:
        located["locations"] = [place.formatted for place in error.locations]
    return located
