"""Variables that a dashboard gives to the documents of its panels."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from graphql import OperationDefinitionNode, print_ast

from schema.dashboards.content import PanelContent, VariableDefaults
from schema.filter_json import filter_to_json
from schema.filters import EventFilter, MetricFilter
from schema.ranges import CompareInput, TimeRangeInput
from schema.scalars import UTC_ZONE, Zone

VARIABLE_TYPES: Final[Mapping[str, str]] = {
    "range": "TimeRangeInput",
    "where": "EventFilter",
    "pointWhere": "MetricFilter",
    "timezone": "TimeZone",
    "compare": "CompareInput",
}
"""The variables of a dashboard, with their types, which a document may declare non-null."""

_FILTERS: Final = ("where", "pointWhere")
_DEFAULT_RANGE: Final = {"last": "P7D"}


class Overrides(NamedTuple):
    """Values of a viewer. A filter is combined with the dashboard's, any other value replaces."""

    range: TimeRangeInput | None = None
    where: EventFilter | None = None
    point_where: MetricFilter | None = None
    timezone: Zone | None = None
    compare: CompareInput | None = None

    def as_variables(self) -> dict[str, Any]:
        """Return the values as JSON, by variable; null for those that the viewer leaves."""
        values = zip(("range", "where", "pointWhere", "timezone", "compare"), self, strict=True)
        return {name: filter_to_json(value) for name, value in values}


def shared_variables(defaults: VariableDefaults, overrides: Overrides) -> dict[str, Any]:
    """Return the values of the variables of a dashboard for a viewer, as JSON."""
    values: dict[str, Any] = {
        "range": defaults.range or _DEFAULT_RANGE,
        "where": defaults.where or {},
        "pointWhere": defaults.point_where or {},
        "timezone": defaults.timezone or UTC_ZONE,
        "compare": defaults.compare,
    }
    for name, value in overrides.as_variables().items():
        if not value:
            continue
        has_both = name in _FILTERS and values[name]
        values[name] = {"AND": [values[name], value]} if has_both else value
    return values


def panel_variables(
    panel: PanelContent, operation: OperationDefinitionNode, shared_values: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the variables of a panel: its own, and those of the dashboard that it declares."""
    names = declared_types(operation)
    return {name: shared_values[name] for name in VARIABLE_TYPES if name in names} | panel.variables


def declared_types(operation: OperationDefinitionNode) -> dict[str, str]:
    """Return the types of the variables that an operation declares, as they are written."""
    return {
        definition.variable.name.value: print_ast(definition.type)
        for definition in operation.variable_definitions or ()
    }
