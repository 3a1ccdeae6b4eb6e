"""Errors of a GraphQL request: conversion to `AnalyticsError`, the wrong field, rendering."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from graphql import (
    ExecutionResult,
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLScalarType,
    GraphQLSchema,
    Undefined,
    VariableDefinitionNode,
    get_nullable_type,
    get_operation_ast,
    type_from_ast,
)
from graphql.pyutils import print_path_list
from strawberry.types.execution import ExecutionResult as StrawberryResult
from strawberry.types.execution import PreExecutionError

from api.graphql.documents.errors import error_of
from api.graphql.documents.input_values import field_of, first_errors
from api.graphql.requests import GraphQLRequest, SparseRequest
from api.graphql.schema import documents, schema
from resolvers.context import Context
from schema.access import Scope
from schema.errors import AnalyticsError
from schema.limits import RESPONSE_ERRORS, LimitTable
from schema.scalars import UnreadableInstantError

HINT: Final = " Did you mean "
"""Begin of graphql-core's hints, which show names of the schema."""
_MAX_ERRORS: Final = 50
_MAX_LOCATIONS: Final = 20


def to_analytics_error(
    error: GraphQLError,
    schema: GraphQLSchema,
    request: GraphQLRequest,
    limits: LimitTable,
    *,
    is_executed: bool,
) -> AnalyticsError:
    """Convert an error of graphql-core; log it if it is unexpected.

    `is_executed` is false for an error of parsing or validation.
    """
    match error.original_error:
        case UnreadableInstantError() as ours:
            ours.field = next(_instant_paths(schema, request, ours, limits), ours.field)
            return ours
        case _:
            return error_of(error, is_executed=is_executed)


def variable_errors(
    schema: GraphQLSchema, request: GraphQLRequest, limits: LimitTable
) -> list[GraphQLError]:
    """Validate the variables of a failed request again; each error names its `field`.

    A field is a path like `range.last`, which graphql-core has in the text of its message only.
    """
    errors = (
        error
        for node in _definitions(schema, request, limits)
        for error in _value_errors(schema, node, request)
    )
    return list(itertools.islice(errors, _MAX_ERRORS))


def _definitions(
    schema: GraphQLSchema, request: GraphQLRequest, limits: LimitTable
) -> Sequence[VariableDefinitionNode]:
    document = documents.read_at_once(schema, request.query, limits)
    operation = get_operation_ast(document.node, request.operationName)
    return (operation and operation.variable_definitions) or ()


def _value_errors(
    schema: GraphQLSchema, node: VariableDefinitionNode, request: GraphQLRequest
) -> Iterator[GraphQLError]:
    name = node.variable.name.value
    value = (request.variables or {}).get(name, Undefined)
    input_type: Any = type_from_ast(schema, node.type)  # not None: the document is valid
    if value is Undefined and node.default_value:
        return
    for error, sparse_path in first_errors(value, input_type, _MAX_ERRORS):
        path = _path_in_body(sparse_path, name, request)
        message = f"Variable '${name}' has invalid value{print_path_list(path)}: {error.message}"
        ours = AnalyticsError("BAD_USER_INPUT", message, field=field_of(name, path, error.message))
        yield GraphQLError(message, node, original_error=ours)


def _instant_paths(
    schema: GraphQLSchema,
    request: GraphQLRequest,
    error: UnreadableInstantError,
    limits: LimitTable,
) -> Iterator[str]:
    """Yield the paths at which the variables have a refused instant, as `range.between.from`."""
    values = request.variables or {}
    for node in _definitions(schema, request, limits):
        name = node.variable.name.value
        input_type = type_from_ast(schema, node.type)
        yield from _paths_below(values.get(name), input_type, error, name)


def _paths_below(
    value: Any,  # noqa: ANN401 - any JSON of a client
    input_type: Any,  # noqa: ANN401 - graphql-core's types
    error: UnreadableInstantError,
    path: str,
) -> Iterator[str]:
    match get_nullable_type(input_type):
        case GraphQLList(of_type=entry_type) if isinstance(value, list):
            for index, entry in enumerate(value):
                yield from _paths_below(entry, entry_type, error, f"{path}[{index}]")
        case GraphQLList(of_type=entry_type):  # GraphQL reads a single value as a list of one
            yield from _paths_below(value, entry_type, error, path)
        case GraphQLInputObjectType(fields=fields) if isinstance(value, Mapping):
            for name in fields.keys() & value.keys():
                yield from _paths_below(value[name], fields[name].type, error, f"{path}.{name}")
        case GraphQLScalarType(name="DateTime") if value == error.value:
            yield path


def _path_in_body(path: Sequence[str | int], name: str, request: GraphQLRequest) -> list[str | int]:
    """Return a path below a variable with the index that a row has in the body."""
    indexes = request.row_indexes.get(name) if isinstance(request, SparseRequest) else None
    if indexes is None:
        return list(path)
    return [indexes[step] if isinstance(step, int) else step for step in path]


def render_located(error: GraphQLError, ours: AnalyticsError) -> dict[str, Any]:
    """Render an error with its path in the response and its locations in the document."""
    content = msgspec.structs.asdict(ours.render())
    if error.path:
        content["path"] = error.path
    if error.locations:
        content["locations"] = [location.formatted for location in error.locations[:_MAX_LOCATIONS]]
    return content


class RenderedResult(NamedTuple):
    """Content of a response, its status, and the seconds until the request may succeed; or 0."""

    content: dict[str, Any]
    status: int
    retry_after: int


def render_result(
    result: ExecutionResult | StrawberryResult, request: GraphQLRequest, ctx: Context
) -> RenderedResult:
    """Return the content of a response: data, and all errors in our shape."""
    data, errors = result.data, (result.errors or [])[: RESPONSE_ERRORS.value]
    if not errors:
        return RenderedResult({"data": data}, 200, 0)
    is_executed = not isinstance(result, PreExecutionError)
    core = schema._schema  # noqa: SLF001 - graphql-core's
    if is_executed and data is None and not any(error.path for error in errors):
        errors = variable_errors(core, request, ctx.limits) or errors
    ours = our_errors(errors, request, ctx, is_executed=is_executed)
    content: dict[str, Any] = {"errors": list(map(render_located, errors, ours))}
    if data is not None or any(error.path for error in errors):
        content["data"] = data
    retry_after = max(error.retry_after or 0 for error in ours)
    return RenderedResult(content, ours[0].status if data is None else 200, retry_after)


def our_errors(
    errors: list[GraphQLError], request: GraphQLRequest, ctx: Context, *, is_executed: bool
) -> list[AnalyticsError]:
    """Convert errors; without the scope QUERY, they have no names of the schema."""
    core = schema._schema  # noqa: SLF001 - graphql-core's
    ours = [
        to_analytics_error(error, core, request, ctx.limits, is_executed=is_executed)
        for error in errors
    ]
    if Scope.QUERY not in ctx.grant.scopes:
        for our_error in ours:
            our_error.message = our_error.message.partition(HINT)[0]
    return ours
