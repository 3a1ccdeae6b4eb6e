"""What a request selects, as plain values."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from graphql import (
    FieldNode,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    get_named_type,
)
from graphql.execution.collect_fields import FieldDetails, FragmentDetails, collect_subfields
from graphql.execution.values import VariableValues, get_argument_values

from schema.inputs import without_nulls

TYPENAME: Final = "__typename"


class SelectedField(NamedTuple):
    """A field: its key in the response, its name, its arguments, what is selected below it."""

    key: str
    name: str
    arguments: dict[str, Any]
    fields: tuple["SelectedField", ...]
    type_name: str

    def __hash__(self) -> int:
        return id(self)


def selected_fields(info: GraphQLResolveInfo[Any]) -> tuple[SelectedField, ...]:
    """Return what is selected below a field whose type is an object, or a list of them.

    Fragments, aliases, variables and directives are resolved, and fields merged, by graphql-core
    itself, so this is exactly what it executes.
    """
    details = [FieldDetails(node, None) for node in info.field_nodes]
    given: Any = info.variable_values  # Strawberry unwraps graphql-core's, which wants them back
    variables = given if isinstance(given, VariableValues) else VariableValues({}, given)
    return tuple(_below(info, variables, info.return_type, details))


def _below(
    info: GraphQLResolveInfo[Any],
    variables: VariableValues,
    whole: GraphQLOutputType,
    parents: list[FieldDetails],
) -> Iterator[SelectedField]:
    of_type = get_named_type(whole)
    if not isinstance(of_type, GraphQLObjectType):
        return
    fragments = {name: FragmentDetails(node) for name, node in info.fragments.items()}
    collected = collect_subfields(
        info.schema, fragments, variables, info.operation, of_type, parents
    )
    for key, details in collected.grouped_field_set.items():
        node: FieldNode = details[0].node
        name = node.name.value
        if name == TYPENAME:
            yield SelectedField(key, name, {}, (), of_type.name)
            continue
        field = of_type.fields[name]
        arguments = without_nulls(field.args, get_argument_values(field, node, variables))
        below = tuple(_below(info, variables, field.type, details))
        yield SelectedField(key, name, arguments, below, of_type.name)
