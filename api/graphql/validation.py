"""Validation of documents: graphql-core's rules, and a complete rule for `@oneOf` variables."""

import functools
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLNonNull,
    GraphQLSchema,
    NonNullTypeNode,
    OperationDefinitionNode,
    ValidationRule,
    VariableDefinitionNode,
    get_nullable_type,
    validate,
)
from graphql.validation import ASTValidationRule, ValidationContext
from strawberry.extensions import ValidationCache

from schema.errors import AnalyticsError


class _OneOfVariables(ValidationRule):
    """Rule that a variable for the member of a `@oneOf` input must be non-null.

    graphql-core's own rule misses inputs of a non-null type, such as `range`.
    """

    context: ValidationContext

    def leave_operation_definition(self, operation: OperationDefinitionNode, *_: Any) -> None:  # noqa: ANN401 - graphql-core's
        """Check all uses of variables, also in fragments."""
        definitions = {
            definition.variable.name.value: definition
            for definition in operation.variable_definitions or ()
        }
        for usage in self.context.get_recursive_variable_usages(operation):
            variable = definitions.get(usage.node.name.value)
            if variable is None or not isinstance(usage.parent_type, GraphQLNonNull):
                continue
            parent = get_nullable_type(usage.parent_type)
            if not (isinstance(parent, GraphQLInputObjectType) and parent.is_one_of):
                continue
            if not isinstance(variable.type, NonNullTypeNode):
                self.report_error(_nullable(variable, parent.name, usage.node))


def _nullable(variable: VariableDefinitionNode, of_type: str, node: Any) -> GraphQLError:  # noqa: ANN401 - any node
    name = variable.variable.name.value
    message = f"Variable '${name}' must not be nullable to be the one member of a '{of_type}'."
    ours = AnalyticsError("GRAPHQL_VALIDATION_FAILED", message, field=name)
    return GraphQLError(message, [variable, node], original_error=ours)


@functools.lru_cache(maxsize=128)
def _validate(
    schema: GraphQLSchema, document: DocumentNode, rules: tuple[type[ASTValidationRule], ...]
) -> list[GraphQLError]:
    return validate(schema, document, (*rules, _OneOfVariables))


class Validation(ValidationCache):
    """Extension that validates each document once.

    Strawberry's rules are not used: its rule for `@oneOf` fails at a variable in a fragment that
    precedes its operation.
    """

    def __init__(self) -> None:
        """Share the cache of valid documents among all requests."""
        super().__init__()
        self.cached_validate_document = _validate
