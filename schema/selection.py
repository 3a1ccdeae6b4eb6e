"""Selected fields of a GraphQL request, as plain values."""

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
    """A selected field: response key, name, arguments, fields below it, type of its parent."""

    key: str
    name: str
    arguments: dict[str, Any]
    fields: tuple["SelectedField", ...]
    type_name: str

    def __hash__(self) -> int:
        return id(self)


def selected_fields(info: GraphQLResolveInfo[Any]) -> tuple[SelectedField, ...]:
    """Return the fields selected below a field whose type is an object or a list of objects.

    graphql-core itself resolves fragments, aliases, variables and directives, and merges fields.
    So the result is exactly what it executes.
    """
    details = [FieldDetails(node, None) for node in info.field_nodes]
    values: Any = info.variable_values  # Strawberry unwraps them, graphql-core needs the wrapper
    variables = values if isinstance(values, VariableValues) else VariableValues({}, values)
    return tuple(_subfields(info, variables, info.return_type, details))


def _subfields(
    info: GraphQLResolveInfo[Any],
    variables: VariableValues,
    parent_type: GraphQLOutputType,
    parents: list[FieldDetails],
) -> Iterator[SelectedField]:
    object_type = get_named_type(parent_type)
    if not isinstance(object_type, GraphQLObjectType):
        return
    fragments = {name: FragmentDetails(node) for name, node in info.fragments.items()}
    subfields = collect_subfields(
        info.schema, fragments, variables, info.operation, object_type, parents
    )
    for key, details in subfields.grouped_field_set.items():
        node: FieldNode = details[0].node
        name = node.name.value
        if name == TYPENAME:
            yield SelectedField(key, name, {}, (), object_type.name)
            continue
        field = object_type.fields[name]
        arguments = without_nulls(field.args, get_argument_values(field, node, variables))
        fields = tuple(_subfields(info, variables, field.type, details))
        yield SelectedField(key, name, arguments, fields, object_type.name)
