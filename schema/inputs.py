"""Arguments and input fields: a null means the default, and `@oneOf` inputs are marked.

Strawberry does neither. graphql-core needs the mark to name the field of a wrong `@oneOf` input.
Strawberry also finds out names and types of all fields again for each object, in 0.1 ms of a
filter. Here that is done once.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING
from typing import Any, Final, TypeAlias

from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    Undefined,
    get_nullable_type,
)
from graphql.utilities.coerce_input_value import coerce_default_value
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.arguments import InputContext, convert_argument
from strawberry.types.base import StrawberryObjectDefinition

_Declarations: TypeAlias = Mapping[str, GraphQLArgument] | Mapping[str, GraphQLInputField]

_INTROSPECTION: Final = "__"
"""Prefix of the names of GraphQL's own types."""


def without_nulls(declarations: _Declarations, values: dict[str, Any]) -> dict[str, Any]:
    """Return the values, with each null replaced by the default if there is one."""
    defaults = {
        name: default
        for name, value in values.items()
        if value is None and (default := _default(declarations.get(name))) is not None
    }
    return values | defaults if defaults else values


def _default(declaration: GraphQLArgument | GraphQLInputField | None) -> Any:  # noqa: ANN401 - any type
    default = Undefined if declaration is None else coerce_default_value(declaration)
    return None if default is Undefined else default


def complete_inputs(schema: GraphQLSchema) -> None:
    """Make arguments and input fields with a default nullable, and mark `@oneOf` inputs."""
    for name, named_type in schema.type_map.items():
        if name.startswith(_INTROSPECTION):
            continue
        if isinstance(named_type, GraphQLObjectType):
            for field in named_type.fields.values():
                if _make_nullable(field.args):
                    _resolve_without_nulls(field)
        elif isinstance(named_type, GraphQLInputObjectType):
            named_type.is_one_of = _definition(named_type).is_one_of
            _convert_known_fields(named_type)
            if _make_nullable(named_type.fields):
                _read_without_nulls(named_type)


def _definition(input_type: GraphQLInputObjectType) -> StrawberryObjectDefinition:
    definition = input_type.extensions[GraphQLCoreConverter.DEFINITION_BACKREF]
    assert isinstance(definition, StrawberryObjectDefinition)  # noqa: S101 - Strawberry makes all inputs
    return definition


def _convert_known_fields(input_type: GraphQLInputObjectType) -> None:
    """Let Strawberry convert the fields that an object has, by names and types found out once."""
    definition = _definition(input_type)
    fields = {}
    for name, core_field in input_type.fields.items():
        field = core_field.extensions[GraphQLCoreConverter.DEFINITION_BACKREF]
        is_scalar = isinstance(get_nullable_type(core_field.type), GraphQLScalarType)
        field_type = None if is_scalar else field.resolve_type(type_definition=definition)
        fields[name] = field.python_name, field_type
    nulls = dict.fromkeys(
        field.python_name
        for field in definition.fields
        if field.default_value is MISSING and field.default_factory is MISSING
    )

    def convert(origin: type, values: Mapping[str, Any], context: InputContext) -> Any:  # noqa: ANN401 - of any input type
        if context.info is not None:
            context.info.context.answer.spend_argument_object()
        arguments = dict(nulls)
        for name, value in values.items():
            python_name, field_type = fields[name]
            arguments[python_name] = (
                value  # graphql-core has read scalars, and sets all fields that a client left out
                if field_type is None or value is None
                else convert_argument(
                    value,
                    field_type,
                    context.scalar_registry,
                    context.config,
                    context.info,
                    path=(*context.path, name),
                )
            )
        return origin(**arguments)

    definition.from_input = convert


def _make_nullable(declarations: _Declarations) -> bool:
    """Make declarations with a default nullable; say whether there are any."""
    optional = [declaration for declaration in declarations.values() if _has_default(declaration)]
    for declaration in optional:
        if isinstance(declaration.type, GraphQLNonNull):
            declaration.type = declaration.type.of_type
    return bool(optional)


def _has_default(declaration: GraphQLArgument | GraphQLInputField) -> bool:
    return _default(declaration) is not None


def _resolve_without_nulls(field: GraphQLField) -> None:
    resolve: Callable[..., Any] | None = field.resolve
    assert resolve  # noqa: S101 - a field with arguments has a resolver

    def resolve_without_nulls(source: object, info: object, **values: object) -> object:
        return resolve(source, info, **without_nulls(field.args, values))

    field.resolve = resolve_without_nulls


def _read_without_nulls(input_type: GraphQLInputObjectType) -> None:
    read = input_type.out_type

    def read_without_nulls(values: dict[str, Any]) -> Any:  # noqa: ANN401 - of any input type
        return read(without_nulls(input_type.fields, values))

    # graphql-core documents that `out_type` may be replaced; its types forbid it.
    input_type.out_type = read_without_nulls  # type: ignore[method-assign, assignment]
