"""What went wrong in a GraphQL request, in our own terms."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final

from graphql import (
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    Undefined,
    VariableDefinitionNode,
    get_operation_ast,
    parse,
    type_from_ast,
)
from graphql.pyutils import print_path_list
from graphql.utilities.validate_input_value import validate_input_value

from schema.errors import AnalyticsError
from schema.requests import GraphQLRequest
from schema.scalars import UnreadableInstantError
from transport import unexpected

_MAX_ERRORS: Final = 50
_OF_A_FIELD: Final = re.compile(
    r"Expected value of type '\w+' (?:to include required|not to include unknown) field '(\w+)'"
)


def explained(
    error: GraphQLError, variables: Mapping[str, Any] | None, *, executed: bool
) -> AnalyticsError:
    """Return what went wrong in our own terms; log it if it is our fault."""
    match error.original_error:
        case UnreadableInstantError() as ours:
            places = (_places(value, ours, name) for name, value in (variables or {}).items())
            ours.field = next(chain.from_iterable(places), ours.field)
            return ours
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


def variable_errors(schema: GraphQLSchema, asked: GraphQLRequest) -> list[GraphQLError]:
    """Say of each variable whose value is wrong where in it, in a `field` like `range.last`.

    graphql-core has the place in its message only. This is for a request that failed already.
    """
    operation = get_operation_ast(parse(asked.query), asked.operationName)
    given = asked.variables or {}
    found = (
        error
        for node in (operation and operation.variable_definitions) or ()
        for error in _wrong(schema, node, given)
    )
    return [error for error, _ in zip(found, range(_MAX_ERRORS), strict=False)]


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


def _places(inside: object, refused: UnreadableInstantError, place: str) -> Iterator[str]:
    """Find where in the variables an instant is that was refused, as `range.between.from`."""
    member = place.rpartition(".")[2].partition("[")[0]
    if inside == refused.value and (member == refused.field or "." not in place):
        yield place
    elif isinstance(inside, Mapping):
        for name, value in inside.items():
            yield from _places(value, refused, f"{place}.{name}")
    elif isinstance(inside, list):
        for number, value in enumerate(inside):
            yield from _places(value, refused, f"{place}[{number}]")


def _field(name: str, path: Sequence[str | int], message: str) -> str:
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in path]
    member = _OF_A_FIELD.match(message)  # which is missing, or unknown
    return name + "".join(parts) + (f".{member[1]}" if member else "")


def located(error: GraphQLError, ours: AnalyticsError) -> dict[str, Any]:
    """Render an error with its path and its places in the document."""
    content = ours.rendered()
    if error.path:
        content["path"] = error.path
    if error.locations:
        content["locations"] = [place.formatted for place in error.locations]
    return content
