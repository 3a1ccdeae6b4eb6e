"""Panels of the demo's dashboards: the operations of the files in `demo/dashboards/`."""

import re
from dataclasses import dataclass
from typing import Any, Final

from graphql import OperationDefinitionNode, parse, print_ast

from tests.harness.process import ROOT, Process

KINDS: Final = {"AREA", "BAR", "FEED", "LINE", "NUMBER", "TABLE", "TOP_LIST"}
_HEAD: Final = re.compile(r"# title: (.+)\n# kind: (\w+)\n(?:# unit: (.+)\n)?query (\w+)\b")


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel: its place, its title and kind, its document and the variables that this takes."""

    dashboard: str
    title: str
    kind: str
    document: str
    variables: frozenset[str]

    def answer(self, service: Process, **variables: object) -> dict[str, Any]:
        """Return the data of the panel; variables that its document lacks are left out."""
        values = {name: val for name, val in variables.items() if name in self.variables}
        return service.graphql(self.document, **values)


def read_panels() -> dict[str, Panel]:
    """Return all panels by their keys, the names of their operations."""
    panels = {}
    for path in sorted((ROOT / "demo" / "dashboards").glob("*.graphql")):
        text = path.read_text()
        heads = {name: (title, kind) for title, kind, _, name in _HEAD.findall(text)}
        for operation in parse(text).definitions:
            assert isinstance(operation, OperationDefinitionNode)
            assert operation.name
            key = operation.name.value
            variables = frozenset(
                definition.variable.name.value
                for definition in operation.variable_definitions or ()
            )
            panels[key] = Panel(path.stem, *heads[key], print_ast(operation), variables)
    return panels


def numbers(value: object) -> list[float]:
    """Return all numbers in an answer."""
    match value:
        case bool():
            return []
        case int() | float():
            return [value]
        case dict():
            return [number for member in value.values() for number in numbers(member)]
        case list():
            return [number for item in value for number in numbers(item)]
        case _:
            return []
