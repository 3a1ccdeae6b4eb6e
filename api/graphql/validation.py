"""Validation of documents: graphql-core's rules, and one that it has only in part."""

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
    """Refuses a variable that may be null as the member of a `@oneOf` input.

    graphql-core's own rule overlooks inputs that are themselves non-null, as `range` is.
    """

    context: ValidationContext

    def leave_operation_definition(self, operation: OperationDefinitionNode, *_: Any) -> None:  # noqa: ANN401 - graphql-core's
        """Look at all uses of variables, through fragments."""
        declared = {each.variable.name.value: each for each in operation.variable_definitions or ()}
        for usage in self.context.get_recursive_variable_usages(operation):
            variable = declared.get(usage.node.name.value)
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
    """Validates each document once.

    Strawberry's rule for `@oneOf` fails at a variable in a fragment that stands before its
    operation, so its rules are not used.
    """

    def __init__(self) -> None:
        """Share what was validated among all requests."""
        super().__init__()
        self.cached_validate_document = _validate
