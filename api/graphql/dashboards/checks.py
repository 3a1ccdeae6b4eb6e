"""Checks of the documents and variables of a dashboard against the schema and the limits."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    Undefined,
    type_from_ast,
)
from graphql.utilities import coerce_input_value

from api.graphql.dashboards.variables import (
    VARIABLE_TYPES,
    Overrides,
    declared_types,
    panel_variables,
    shared_variables,
)
from api.graphql.documents.documents import Document, operations_of, read_valid
from api.graphql.documents.input_values import field_of, first_errors
from api.graphql.documents.limits import nodes_below
from api.variable_limits import count_uses
from schema.dashboards.content import DashboardContent, PanelContent, Problem
from schema.errors import AnalyticsError, bad_input, limit_error
from schema.limits import ARGUMENT_VALUES, INPUT_FIELDS, ROOT_FIELDS, SELECTIONS, Limit, LimitTable
from schema.scalars import UnreadableInstant

_REFUSED_FIELDS: Final = frozenset({"dashboard", "dashboards", "__schema", "__type"})
_REFUSED_TYPES: Final = frozenset({"Dashboard"})
_SUMMED_LIMITS: Final = (ROOT_FIELDS, SELECTIONS, INPUT_FIELDS, ARGUMENT_VALUES)


def source_error(schema: GraphQLSchema, source: object) -> AnalyticsError | None:
    """Return the first error of JSON that should have the form of `DashboardInput`, or None."""
    input_type: Any = schema.type_map["DashboardInput"]
    try:
        return _value_error(source, input_type, "source")
    except RecursionError:
        return bad_input("source", "is nested too deeply")


def content_problems(
    schema: GraphQLSchema, limits: LimitTable, content: DashboardContent
) -> list[Problem]:
    """Return the first problem of the variables and of each panel, and of all panels together.

    Takes up to 50 ms for each panel at the limits.
    """
    shared_values = shared_variables(content.variables, Overrides())
    problems = list(_variable_problems(schema, shared_values))
    total = Counter[Limit]()
    for index, panel in enumerate(content.panels):
        if not panel.document:
            continue
        field = f"panels[{index}]"
        try:
            total.update(_check_panel(schema, limits, panel, shared_values, field))
        except AnalyticsError as error:
            problems.append(_problem(error, f"{field}.document"))
        except RecursionError:
            refusal = bad_input(f"{field}.document", "nested too deeply")
            problems.append(_problem(refusal, field))
        for limit, count in total.items():
            if count > limits[limit].value:
                refusal = limit_error(limits[limit], "QUERY_TOO_EXPENSIVE", "panels")
                return [*problems, _problem(refusal, "panels")]
    return problems


def _variable_problems(
    schema: GraphQLSchema, shared_values: Mapping[str, Any]
) -> Iterator[Problem]:
    """Yield the first problem of each variable of a dashboard."""
    for name, type_name in VARIABLE_TYPES.items():
        input_type: Any = schema.type_map[type_name]
        if shared_values[name] is None:
            continue
        try:
            error = _value_error(shared_values[name], input_type, f"variables.{name}")
        except RecursionError:
            error = bad_input(f"variables.{name}", "nested too deeply")
        if error:
            yield _problem(error, "variables")


def document_counts(
    document: Document, operation: OperationDefinitionNode, variables: Mapping[str, Any]
) -> Counter[Limit]:
    """Return the size of a document with its variables, as far as the sizes of several add up."""
    counts = Counter({limit: document.counts.get(limit, 0) for limit in _SUMMED_LIMITS})
    uses = {name: document.repeated_variables.get(name, 1) for name in declared_types(operation)}
    counts.update(count_uses(variables, uses))
    return counts


def _check_panel(
    schema: GraphQLSchema,
    limits: LimitTable,
    panel: PanelContent,
    shared_values: Mapping[str, Any],
    field: str,
) -> Counter[Limit]:
    """Return the size of a panel. Raises `AnalyticsError` for its first error."""
    document = read_valid(schema, limits, panel.document)
    operation = _query_of(document, f"{field}.document")
    _check_variable_names(panel, operation, field)
    variables = panel_variables(panel, operation, shared_values)
    for definition in operation.variable_definitions or ():
        name = definition.variable.name.value
        value = variables.get(name, Undefined)
        if value is Undefined and definition.default_value:
            continue
        input_type: Any = type_from_ast(schema, definition.type)  # not None: the document is valid
        if error := _value_error(value, input_type, f"{field}.variables.{name}"):
            raise error
    return document_counts(document, operation, variables)


def _query_of(document: Document, field: str) -> OperationDefinitionNode:
    """Return the query of a document that a panel may run."""
    operations = operations_of(document.node)
    if len(operations) != 1 or operations[0].operation is not OperationType.QUERY:
        raise bad_input(field, "must have one operation, a query")
    for node in nodes_below(document.node):
        if isinstance(node, FieldNode) and node.name.value in _REFUSED_FIELDS:
            raise bad_input(field, f"a panel can't ask for `{node.name.value}`")
        if isinstance(node, InlineFragmentNode | FragmentDefinitionNode) and node.type_condition:
            name = node.type_condition.name.value
            if name in _REFUSED_TYPES:
                raise bad_input(field, f"a panel can't ask for a {name}")
    return operations[0]


def _check_variable_names(
    panel: PanelContent, operation: OperationDefinitionNode, field: str
) -> None:
    types = declared_types(operation)
    for name in panel.variables:
        if name not in types:
            message = "is no variable of the document"
            raise bad_input(f"{field}.variables.{name[:100]}", message)
    for name, type_name in VARIABLE_TYPES.items():
        if name in types and name not in panel.variables and types[name].strip("!") != type_name:
            message = f"the variable ${name} of a dashboard has the type {type_name}"
            raise bad_input(f"{field}.document", message)


def _value_error(value: object, input_type: Any, name: str) -> AnalyticsError | None:  # noqa: ANN401 - graphql-core's types
    """Return the first error of a value, or None; instants are checked only once they are read."""
    for error, path in first_errors(value, input_type, 1):
        return bad_input(field_of(name, path, error.message), error.message)
    stack = [] if value is Undefined else [coerce_input_value(value, input_type)]
    while stack:
        part = stack.pop()
        if isinstance(part, UnreadableInstant):
            return bad_input(name, part.reason)
        if isinstance(part, dict | list):
            stack += part.values() if isinstance(part, dict) else part
    return None


def _problem(error: AnalyticsError, field: str) -> Problem:
    field = error.field if error.field not in {None, "query"} and error.field else field
    message = error.message.removeprefix(f"{error.field}: ")
    return Problem(field, error.code, message, error.limit)
