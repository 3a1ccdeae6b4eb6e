"""Validation of documents: graphql-core's rules, with a limit and with all `@oneOf` variables."""

import functools
from typing import Any, Final

from graphql import (
    ASTValidationRule,
    DocumentNode,
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLNonNull,
    GraphQLSchema,
    NonNullTypeNode,
    OperationDefinitionNode,
    OverlappingFieldsCanBeMergedRule,
    ValidationRule,
    VariableDefinitionNode,
    get_nullable_type,
    specified_rules,
    validate,
)
from graphql.validation import ValidationContext

from schema.errors import AnalyticsError, limit_error
from schema.limits import COMPARISONS, VALIDATION_ERRORS, LimitTable


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


@functools.lru_cache
def _rules(comparisons: int) -> tuple[type[ASTValidationRule], ...]:
    """Return the rules, of which the one that compares fields has a budget."""

    class ComparedFields(OverlappingFieldsCanBeMergedRule):
        """graphql-core's rule, which compares each two fields and fragments, with our limit."""

        def __init__(self, context: ValidationContext) -> None:
            """Set the budget of the rule; graphql-core's own lasts for a second and more."""
            super().__init__(context)
            self.rule_context.remaining_complexity_budget = comparisons

    other_rules = (rule for rule in specified_rules if rule is not OverlappingFieldsCanBeMergedRule)
    return (*other_rules, ComparedFields, _OneOfVariables)


_ABORT_MESSAGE: Final = "Validation aborted."
"""Message of graphql-core when the budget for fields or fragments is spent."""


def validation_errors(
    schema: GraphQLSchema, document: DocumentNode, limits: LimitTable
) -> list[GraphQLError]:
    """Return the first errors of a document.

    Strawberry's rules are not used: its rule for `@oneOf` fails at a variable in a fragment that
    precedes its operation.
    """
    comparisons = limits[COMPARISONS]
    try:
        errors = validate(schema, document, _rules(comparisons.value), VALIDATION_ERRORS.value)
    except ValueError as error:  # an integer literal of more than 4,300 digits
        return [GraphQLError(str(error), original_error=error)]
    if errors and errors[-1].message == _ABORT_MESSAGE:
        ours = limit_error(comparisons)
        return [GraphQLError(ours.message, original_error=ours)]
    return errors[: VALIDATION_ERRORS.value]
