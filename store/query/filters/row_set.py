"""Some rows of a table: the conditions that choose them, and the values in these."""

from typing import Final

from schema.ranges import TimeRange
from store.query.filters.operators import TIME_OPERATORS
from store.query.sql import Slots, Statement, Value
from store.query.tables import TABLE_BY_NAME

_RANGE: Final = (("gte", "from_"), ("lt", "to"))


class RowSet:
    """Some rows of one table: the conditions, and the values in them.

    Every statement begins with one, and so with the project.
    """

    def __init__(self, table: str, project: str, slots: Slots | None = None) -> None:
        self.table = table
        self.slots = slots or Slots()
        self.conditions = [f"project = {self.bind('String', project)}"]

    def copy(self) -> "RowSet":
        """Return the same rows, to be narrowed further."""
        twin = self.unfiltered_copy()
        twin.conditions = list(self.conditions)
        return twin

    def unfiltered_copy(self) -> "RowSet":
        """Return all rows of the same table, for a question inside of a statement about these."""
        row_set = RowSet(self.table, "", self.slots)
        row_set.conditions = self.conditions[:1]
        return row_set

    def bind(self, type_name: str, value: Value) -> str:
        """Add a value; return the typed slot that stands for it in the text."""
        return self.slots.bind(type_name, value)

    @property
    def condition(self) -> str:
        """All conditions as one."""
        return "\n  AND ".join(self.conditions)

    def add_range(self, time_range: TimeRange | None) -> None:
        """Add a range of time."""
        for operator, end in _RANGE if time_range else ():
            type_name, template = TIME_OPERATORS[operator]
            slot = self.bind(type_name, getattr(time_range, end))
            self.conditions.append(
                template.format(column=TABLE_BY_NAME[self.table].time_column, value=slot)
            )

    def statement(self, select_clause: str, end_clauses: str = "") -> Statement:
        """Return `before`, the conditions, and what comes after them."""
        return self.slots.statement(self.sql(select_clause, end_clauses), (self.table,))

    def sql(self, select_clause: str, end_clauses: str) -> str:
        """Return the text of a statement, whose values may be bound elsewhere."""
        return f"{select_clause}\nFROM {self.table}\nWHERE {self.condition}\n{end_clauses}"
