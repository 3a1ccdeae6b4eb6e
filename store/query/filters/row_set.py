"""A set of rows: the table, the conditions, and the values in the conditions."""

from collections.abc import Collection
from typing import Final

from schema.ranges import TimeRange
from store.query.filters.operators import TIME_OPERATORS
from store.query.sql import Scan, Slots, Statement, Value
from store.query.tables import TABLE_BY_NAME

_RANGE: Final = (("gte", "from_"), ("lt", "to"))


class RowSet:
    """The rows of one table that pass all conditions.

    The first conditions are the caller's limits: the project, and the row filter of a key.
    """

    def __init__(self, table: str, project: str, slots: Slots | None = None) -> None:
        self.table = table
        self.slots = slots or Slots()
        self.conditions = [f"project = {self.bind('String', project)}"]
        self.scan = Scan(table)
        self._limits = 1

    def restrict(self, condition: str) -> None:
        """Add a condition to the caller's limits, which also hold for subqueries."""
        self.conditions.insert(self._limits, condition)
        self._limits += 1

    def copy(self) -> "RowSet":
        """Return a copy with the same conditions and slots, to be narrowed further."""
        twin = self.unfiltered_copy()
        twin.conditions = list(self.conditions)
        twin.scan = self.scan
        return twin

    def unfiltered_copy(self) -> "RowSet":
        """Return all rows within the caller's limits, for a subquery with the same slots."""
        row_set = RowSet(self.table, "", self.slots)
        row_set.conditions = self.conditions[: self._limits]
        row_set._limits = self._limits
        return row_set

    def bind(self, type_name: str, value: Value) -> str:
        """Add a value; return the typed slot that stands for it in the text."""
        return self.slots.bind(type_name, value)

    @property
    def condition(self) -> str:
        """All conditions, joined by AND."""
        return "\n  AND ".join(self.conditions)

    def add_names(self, names: Collection[str]) -> None:
        """Narrow rows to some names."""
        self.conditions.append(f"name IN {self.bind('Array(String)', sorted(names))}")
        self.scan = self.scan._replace(names=frozenset(names))

    def add_range(self, time_range: TimeRange | None) -> None:
        """Narrow rows to a time range, if there is one."""
        if time_range:
            self.scan = self.scan._replace(time_range=(time_range.from_, time_range.to))
        for operator, end in _RANGE if time_range else ():
            type_name, template = TIME_OPERATORS[operator]
            slot = self.bind(type_name, getattr(time_range, end))
            self.conditions.append(
                template.format(column=TABLE_BY_NAME[self.table].time_column, value=slot)
            )

    def statement(self, select_clause: str, end_clauses: str = "") -> Statement:
        """Return the statement of a SELECT (or DELETE) clause over the rows."""
        return self.slots.statement(self.sql(select_clause, end_clauses), (self.scan,))

    def sql(self, select_clause: str, end_clauses: str) -> str:
        """Return the text of a statement or subquery over the rows."""
        return f"{select_clause}\nFROM {self.table}\nWHERE {self.condition}\n{end_clauses}"
