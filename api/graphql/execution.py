"""Execution of a GraphQL request: its document, its operation and its result, on any transport."""

from typing import Any

from graphql import OperationType as CoreOperationType
from graphql import get_operation_ast
from strawberry.schema.exceptions import CannotGetOperationTypeError
from strawberry.types.execution import ExecutionResult, PreExecutionError
from strawberry.types.graphql import OperationType

from api.graphql.documents.documents import Document
from api.graphql.errors import HINT, RenderedResult, render_result
from api.graphql.persisted import keep_document
from api.graphql.requests import GraphQLRequest
from api.graphql.schema import documents, schema
from api.variable_limits import check_uses
from resolvers.context import Context
from schema.access import Scope
from schema.errors import AnalyticsError
from schema.limits import LimitTable


async def read_document(request: GraphQLRequest, limits: LimitTable) -> Document:
    """Return the document of a request that has its text; it may have errors of validation.

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
    return document


def operation_type(document: Document, request: GraphQLRequest) -> CoreOperationType | None:
    """Return the type of the operation of a request; None if it names none of the document."""
    operation = get_operation_ast(document.node, request.operationName)
    return operation.operation if operation else None


async def execute(
    request: GraphQLRequest, ctx: Context, operations: set[OperationType]
) -> ExecutionResult:
    """Execute a query or a mutation if its variables keep to their limits; keep its document.

    Without the scope QUERY, the schema is closed: a query is no allowed operation. Raises
    `InvalidOperationTypeError` for an operation that is not allowed, and `AnalyticsError`.
    """
    if request.refusal:
        raise request.refusal
    if Scope.QUERY not in ctx.grant.scopes:
        operations = operations - {OperationType.QUERY}
    try:
        result = await schema.execute(
            request.query,
            variable_values=request.variables,
            operation_name=request.operationName,
            context_value=ctx,
            allowed_operation_types=operations,
        )
    except CannotGetOperationTypeError:
        message = "operationName: names no operation of the document"
        raise AnalyticsError("BAD_REQUEST", message, field="operationName") from None
    if not isinstance(result, PreExecutionError):
        keep_document(request, ctx)
    if ctx.answer.error:
        raise ctx.answer.error
    return result


def render(result: ExecutionResult, request: GraphQLRequest, ctx: Context) -> RenderedResult:
    """Return the content of a response with its cost, and the status of a response without data."""
    response = render_result(result, request, ctx)
    if ctx.batch.runs:
        response.content["extensions"] = _statistics(ctx)
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
