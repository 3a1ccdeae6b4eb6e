"""What Strawberry leaves out of arguments and inputs.

An argument or an input field that is null counts as absent when it has a default, and graphql-core
is told which inputs are `@oneOf`, so that it says where one is wrong.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    Undefined,
)
from graphql.utilities.coerce_input_value import coerce_default_value
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.base import StrawberryObjectDefinition

_Declared: TypeAlias = Mapping[str, GraphQLArgument] | Mapping[str, GraphQLInputField]

_OWN: Final = "__"
"""What the names of GraphQL's own types begin with."""


def without_nulls(declared: _Declared, given: dict[str, Any]) -> dict[str, Any]:
    """Return what was given, with the default in place of a null where there is a default."""
    replaced = {
        name: default
        for name, value in given.items()
        if value is None and (default := _default(declared.get(name))) is not None
    }
    return given | replaced if replaced else given


def _default(declared: GraphQLArgument | GraphQLInputField | None) -> Any:  # noqa: ANN401 - any type
    default = Undefined if declared is None else coerce_default_value(declared)
    return None if default is Undefined else default


def complete_inputs(schema: GraphQLSchema) -> None:
    """Make everything that has a default nullable, a null mean the default; mark `@oneOf`."""
    for name, each in schema.type_map.items():
        if name.startswith(_OWN):
            continue
        if isinstance(each, GraphQLObjectType):
            for field in each.fields.values():
                if _make_nullable(field.args):
                    _resolve_without_nulls(field)
        elif isinstance(each, GraphQLInputObjectType):
            each.is_one_of = _definition(each).is_one_of
            if _make_nullable(each.fields):
                _read_without_nulls(each)


def _definition(each: GraphQLInputObjectType) -> StrawberryObjectDefinition:
    definition = each.extensions[GraphQLCoreConverter.DEFINITION_BACKREF]
    assert isinstance(definition, StrawberryObjectDefinition)  # noqa: S101 - all are Strawberry's
    return definition


def _make_nullable(declared: _Declared) -> bool:
    """Make what has a default nullable; say whether anything has one."""
    with_default = [each for each in declared.values() if _default(each) is not None]
    for each in with_default:
        if isinstance(each.type, GraphQLNonNull):
            each.type = each.type.of_type
    return bool(with_default)


def _resolve_without_nulls(field: GraphQLField) -> None:
    resolve: Callable[..., Any] | None = field.resolve
    assert resolve  # noqa: S101 - a field with arguments has a resolver

    def resolve_given(source: object, info: object, **given: object) -> object:
        return resolve(source, info, **without_nulls(field.args, given))

    field.resolve = resolve_given


def _read_without_nulls(each: GraphQLInputObjectType) -> None:
    read = each.out_type

    def read_given(given: dict[str, Any]) -> Any:  # noqa: ANN401 - as its type has it
        return read(without_nulls(each.fields, given))

    # graphql-core means it to be replaced, and says so in its documentation only.
    each.out_type = read_given  # type: ignore[method-assign, assignment]
