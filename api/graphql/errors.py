"""What went wrong in a GraphQL request, in our own terms."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from graphql import (
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLSyntaxError,
    Undefined,
    VariableDefinitionNode,
    get_nullable_type,
    get_operation_ast,
    parse,
    type_from_ast,
)
from graphql.pyutils import print_path_list
from graphql.utilities.validate_input_value import validate_input_value

from api.graphql.requests import GraphQLRequest
from api.responses import internal_error
from schema.errors import AnalyticsError
from schema.scalars import UnreadableInstantError

_MAX_ERRORS: Final = 50
_OF_A_FIELD: Final = re.compile(
    r"Expected value of type '\w+' (?:to include required|not to include unknown) field '(\w+)'"
)


def to_analytics_error(
    error: GraphQLError, schema: GraphQLSchema, asked: GraphQLRequest, *, executed: bool
) -> AnalyticsError:
    """Return what went wrong in our own terms; log it if it is our fault."""
    match error.original_error:
        case UnreadableInstantError() as ours:
            ours.field = next(_places(schema, asked, ours), ours.field)
            return ours
        case AnalyticsError() as ours:
            return ours
        case None | GraphQLError():
            return AnalyticsError(_code(error, executed=executed), error.message)
        case ValueError() if not executed:  # an integer literal of more than 4,300 digits
            return AnalyticsError("GRAPHQL_VALIDATION_FAILED", error.message)
        case fault:
            return internal_error(fault)


def _code(error: GraphQLError, *, executed: bool) -> str:
    if isinstance(error, GraphQLSyntaxError):
        return "GRAPHQL_PARSE_FAILED"
    return "BAD_USER_INPUT" if executed else "GRAPHQL_VALIDATION_FAILED"


def variable_errors(schema: GraphQLSchema, asked: GraphQLRequest) -> list[GraphQLError]:
    """Say of each variable whose value is wrong where in it, in a `field` like `range.last`.

    graphql-core has the place in its message only. This is for a request that failed already.
    """
    given = asked.variables or {}
    found = (error for node in _definitions(asked) for error in _wrong(schema, node, given))
    return [error for error, _ in zip(found, range(_MAX_ERRORS), strict=False)]


def _definitions(asked: GraphQLRequest) -> Sequence[VariableDefinitionNode]:
    operation = get_operation_ast(parse(asked.query), asked.operationName)
    return (operation and operation.variable_definitions) or ()


def _wrong(
    schema: GraphQLSchema, node: VariableDefinitionNode, given: Mapping[str, Any]
) -> Iterator[GraphQLError]:
    name = node.variable.name.value
    value = given.get(name, Undefined)
    declared: Any = type_from_ast(schema, node.type)  # an input type: the document is valid
    if value is Undefined and node.default_value:
        return
    wrong: list[tuple[GraphQLError, list[str | int]]] = []
    validate_input_value(value, declared, lambda error, path: wrong.append((error, path)))
    for error, path in wrong:
        message = f"Variable '${name}' has invalid value{print_path_list(path)}: {error.message}"
        ours = AnalyticsError("BAD_USER_INPUT", message, field=_field(name, path, error.message))
        yield GraphQLError(message, node, original_error=ours)


def _places(
    schema: GraphQLSchema, asked: GraphQLRequest, refused: UnreadableInstantError
) -> Iterator[str]:
    """Find where in the variables an instant is that was refused, as `range.between.from`."""
    given = asked.variables or {}
    for node in _definitions(asked):
        name = node.variable.name.value
        declared = type_from_ast(schema, node.type)
        yield from _instants(given.get(name), declared, refused, name)


def _instants(
    value: Any,  # noqa: ANN401 - what a client sent
    declared: Any,  # noqa: ANN401 - graphql-core's types
    refused: UnreadableInstantError,
    place: str,
) -> Iterator[str]:
    match get_nullable_type(declared):
        case GraphQLList(of_type=items) if isinstance(value, list):
            for number, item in enumerate(value):
                yield from _instants(item, items, refused, f"{place}[{number}]")
        case GraphQLList(of_type=items):  # GraphQL takes an item for a list of one
            yield from _instants(value, items, refused, place)
        case GraphQLInputObjectType(fields=fields) if isinstance(value, Mapping):
            for name in fields.keys() & value.keys():
                yield from _instants(value[name], fields[name].type, refused, f"{place}.{name}")
        case GraphQLScalarType(name="DateTime") if value == refused.value:
            yield place


def _field(name: str, path: Sequence[str | int], message: str) -> str:
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in path]
    member = _OF_A_FIELD.match(message)  # which is missing, or unknown
    return name + "".join(parts) + (f".{member[1]}" if member else "")


def render_located(error: GraphQLError, ours: AnalyticsError) -> dict[str, Any]:
    """Render an error with its path and its places in the document."""
    content = msgspec.structs.asdict(ours.render())
    if error.path:
        content["path"] = error.path
    if error.locations:
        content["locations"] = [place.formatted for place in error.locations]
    return content
