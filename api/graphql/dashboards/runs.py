"""Runs of panels: the documents of several panels in one request, with few statements."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import strawberry
from graphql import GraphQLError, OperationDefinitionNode, get_operation_ast
from strawberry.types.graphql import OperationType

from api.graphql.dashboards.checks import document_counts
from api.graphql.dashboards.variables import Overrides, panel_variables, shared_variables
from api.graphql.documents.documents import Document, documents
from api.graphql.documents.errors import error_of
from api.graphql.info import ContextInfo
from schema.dashboards.content import DashboardContent, PanelContent
from schema.encoding import EncodedValue
from schema.errors import AnalyticsError
from schema.limits import RESPONSE_ERRORS
from schema.scalars import Json


@strawberry.type(description="Error of a panel. The other panels have their data.")
class PanelError:
    code: str = strawberry.field(description="Stable code, as in `errors[].extensions.code`.")
    message: str = strawberry.field(description="Reason.")
    field: str | None = strawberry.field(
        description="Name of the wrong argument or variable, if the error is about one."
    )
    limit: float | None = strawberry.field(
        description="Bound that the panel breaks, if it breaks one."
    )
    retry_after: int | None = strawberry.field(description="Seconds until the panel may succeed.")
    path: Json | None = strawberry.field(
        description="Path of the failed field in `data`; null if the whole document failed."
    )


@strawberry.type(description="Answer to the document of a panel.")
class PanelData:
    key: str = strawberry.field(description="Key of the panel.")
    data: Json | None = strawberry.field(
        description="Members of the answer, as the document alone would have them in `data`; null"
        " for a TEXT panel, and if the whole document failed."
    )
    errors: list[PanelError] = strawberry.field(description="Errors; empty if all went well.")
    elapsed_ms: float = strawberry.field(
        description="Milliseconds from the start of all panels until this one was answered. The"
        " statements of a request are in its `extensions`: panels share them."
    )


class _Run(NamedTuple):
    """A panel whose document can run, and its variables."""

    panel: PanelContent
    variables: Mapping[str, Any]


async def run_panels(
    info: ContextInfo,
    content: DashboardContent,
    panels: Sequence[PanelContent],
    overrides: Overrides,
) -> list[PanelData]:
    """Run the documents of panels together, in the context of the request.

    They share its query batch, so their series queries share statements, and they share its cost,
    deadline and limits. A panel that fails has errors; the others go on.
    """
    start = time.perf_counter()
    shared_values = shared_variables(content.variables, overrides)
    runs = [await _prepare(info, panel, shared_values) for panel in panels]

    async def finish(panel: PanelContent, run: _Run | AnalyticsError | None) -> PanelData:
        match run:
            case _Run():
                data, errors = await _execute(info, run)
            case AnalyticsError():
                data, errors = None, [_panel_error(run)]
            case _:
                data, errors = None, []
        elapsed_ms = round((time.perf_counter() - start) * 1000, 3)
        return PanelData(key=panel.key, data=data, errors=errors, elapsed_ms=elapsed_ms)

    return await asyncio.gather(*map(finish, panels, runs))


async def _prepare(
    info: ContextInfo, panel: PanelContent, shared_values: Mapping[str, Any]
) -> _Run | AnalyticsError | None:
    """Read the document of a panel and count its size; None for a panel without one.

    All documents are read before the first one runs: a long one is read in a thread, and its
    queries would miss the statement of the others.
    """
    if not panel.document:
        return None
    try:
        document, operation = await _read_query(info, panel.document)
        variables = panel_variables(panel, operation, shared_values)
        counts = document_counts(document, operation, variables)
        info.context.answer.spend_document(counts, info.context.limits)
    except AnalyticsError as error:
        return error
    except GraphQLError as error:
        return error_of(error, is_executed=False)
    return _Run(panel, variables)


async def _read_query(info: ContextInfo, text: str) -> tuple[Document, OperationDefinitionNode]:
    """Read a document, unless it is in memory. Raises its first error, of an earlier version."""
    core_schema = info.schema._schema  # noqa: SLF001 - graphql-core's
    document = await documents.read(core_schema, text, info.context.limits)
    if document.errors:
        raise document.errors[0]
    operation = get_operation_ast(document.node)
    if operation is None:
        raise AnalyticsError("GRAPHQL_VALIDATION_FAILED", "document: must have one operation")
    return document, operation


async def _execute(info: ContextInfo, run: _Run) -> tuple[Json | None, list[PanelError]]:
    """Run a document within the request; return its data and its errors."""
    result = await info.schema.execute(
        run.panel.document,
        variable_values=dict(run.variables),
        context_value=info.context,
        allowed_operation_types=(OperationType.QUERY,),
    )
    errors = [
        _panel_error(error_of(error, is_executed=True), error.path)
        for error in (result.errors or [])[: RESPONSE_ERRORS.value]
    ]
    # The inner execution has counted the data and given it the shape of the response.
    data = None if result.data is None else Json(EncodedValue(result.data))
    return data, errors


def _panel_error(error: AnalyticsError, path: object = None) -> PanelError:
    return PanelError(
        code=error.code,
        message=error.message,
        field=error.field,
        limit=error.limit,
        retry_after=error.retry_after,
        path=None if path is None else Json(path),
    )
