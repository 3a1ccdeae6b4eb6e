"""Every question, compiled to SQL: pure functions from a question to one `Statement`."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from schema.events import DateTimeFilter, EventFilter, StringFilter
from schema.ranges import TimeRange
from store.sql import Statement, Value

STRING_OPERATORS: Final = {
    "eq": ("String", "{column} = {value}"),
    "in_": ("Array(String)", "has({value}, {column})"),
}
TIME_OPERATORS: Final = {
    "gt": ("Int64", "{column} > fromUnixTimestamp64Milli({value}, 'UTC')"),
    "gte": ("Int64", "{column} >= fromUnixTimestamp64Milli({value}, 'UTC')"),
    "lt": ("Int64", "{column} < fromUnixTimestamp64Milli({value}, 'UTC')"),
    "lte": ("Int64", "{column} <= fromUnixTimestamp64Milli({value}, 'UTC')"),
}
ID_OPERATORS: Final = {"in_": ("Array(String)", "{column} IN {value}")}
"""What each operator of a filter compares with (the engine's type), and how.

A client id is tested with IN, which the index of ids understands.
"""


class Cursor(NamedTuple):
    """The sort key of an event: its place in every list, whatever arrives meanwhile."""

    time: int
    batch: int
    row: int


class AggregatesRow(msgspec.Struct):
    count: int
    sum: float | None
    avg: float | None
    min: float | None
    max: float | None


class NameRow(msgspec.Struct):
    name: str
    rows: int


class EventRow(msgspec.Struct):
    name: str
    user_id: str
    properties: str
    at: int
    batch: int
    row: int


class CountRow(msgspec.Struct):
    rows: int


class IdRow(msgspec.Struct):
    id: str
    batch: int
    row: int
    at: int


class OwnIdRow(msgspec.Struct):
    id: str


class DeletableRow(msgspec.Struct):
    rows: int
    newest: int


class Rows:
    """Some rows of one table: the conditions, and the values in them.

    Every statement begins with one, and so with the project.
    """

    def __init__(self, table: str, project: str) -> None:
        self.table = table
        self.params: dict[str, Value] = {}
        self.conditions = [f"project = {self.bind('String', project)}"]

    def copy(self) -> "Rows":
        """Return the same rows, to be narrowed further."""
        twin = Rows(self.table, "")
        twin.params, twin.conditions = dict(self.params), list(self.conditions)
        return twin

    def bind(self, type_name: str, value: Value) -> str:
        """Add a value; return the typed slot that stands for it in the text."""
        name = f"p{len(self.params)}"
        self.params[name] = value
        return f"{{{name}:{type_name}}}"

    def add(self, operators: dict[str, tuple[str, str]], column: str, tests: object) -> None:
        """Add every operator that `tests` (a filter input) gives."""
        for operator, (type_name, template) in operators.items():
            value = getattr(tests, operator)
            if value is not None:
                slot = self.bind(type_name, value)
                self.conditions.append(template.format(column=column, value=slot))

    def add_range(self, span: TimeRange | None) -> None:
        """Add a range of time."""
        if span:
            self.add(TIME_OPERATORS, "time", DateTimeFilter(gte=span.from_, lt=span.to))

    def statement(self, before: str, after: str = "") -> Statement:
        """Return `before`, the conditions, and what comes after them."""
        where = "\n  AND ".join(self.conditions)
        text = f"{before}\nFROM {self.table}\nWHERE {where}\n{after}"
        return Statement(text, dict(self.params), reads=(self.table,))


def metric_rows(project: str, name: str, span: TimeRange | None = None) -> Rows:
    """Return the points of one metric, in a range or ever."""
    rows = Rows("metrics", project)
    rows.add(STRING_OPERATORS, "name", StringFilter(eq=name))
    rows.add_range(span)
    return rows


def event_rows(project: str, tests: EventFilter, span: TimeRange | None = None) -> Rows:
    """Return the events that pass a filter, in a range or ever."""
    rows = Rows("events", project)
    if tests.name:
        rows.add(STRING_OPERATORS, "name", tests.name)
    if tests.user_id:
        rows.conditions.append("user_id != ''")  # which stands for no user
        rows.add(STRING_OPERATORS, "user_id", tests.user_id)
    if tests.time:
        rows.add(TIME_OPERATORS, "time", tests.time)
    rows.add_range(span)
    return rows


def aggregates(points: Rows) -> Statement:
    """Aggregate the values of metric points; one `AggregatesRow`."""
    return points.statement(
        "SELECT count() AS count, sum(value) AS sum, avgOrNull(value) AS avg,\n"
        "  minOrNull(value) AS min, maxOrNull(value) AS max"
    )


def names(rows: Rows) -> Statement:
    """List the names that rows have, with their number, sorted; `NameRow`s."""
    return rows.statement("SELECT name, count() AS rows", "GROUP BY name\nORDER BY name")


def count(rows: Rows) -> Statement:
    """Count rows; one `CountRow`."""
    return rows.statement("SELECT count() AS rows")


def deletable(rows: Rows) -> Statement:
    """Count rows, and find the batch up to which they are; one `DeletableRow`."""
    return rows.statement("SELECT count() AS rows, max(batch) AS newest")


def delete(rows: Rows, newest: int) -> Statement:
    """Delete rows up to a batch; what arrives meanwhile stays."""
    rows = rows.copy()
    rows.conditions.append(f"batch <= {rows.bind('UInt64', newest)}")
    return rows.statement("DELETE")


def by_client_id(table: str, project: str, ids: Sequence[str], since: int) -> Statement:
    """Find the first row with each of these client ids, from a batch on; `IdRow`s."""
    rows = _with_ids(table, project, since)
    rows.add(ID_OPERATORS, "client_id", StringFilter(in_=list(ids)))
    return rows.statement(
        "SELECT client_id AS id, batch, row, toUnixTimestamp64Milli(time) AS at",
        "ORDER BY batch, row\nLIMIT 1 BY client_id",
    )


def client_ids(table: str, project: str, since: int) -> Statement:
    """List all client ids from a batch on, however many there are; `OwnIdRow`s."""
    return _with_ids(table, project, since).statement(
        "SELECT client_id AS id", "SETTINGS max_result_rows = 0, max_execution_time = 0"
    )


def _with_ids(table: str, project: str, since: int) -> Rows:
    rows = Rows(table, project)
    rows.conditions.append("client_id != ''")  # which stands for no id
    rows.conditions.append(f"batch >= {rows.bind('UInt64', since)}")
    return rows


def events_page(events: Rows, first: int, after: Cursor | None) -> Statement:
    """List events, newest first, after a cursor; up to `first` + 1 `EventRow`s."""
    events = events.copy()
    if after:
        time, batch, row = after
        key = (
            f"fromUnixTimestamp64Milli({events.bind('Int64', time)}, 'UTC'),"
            f" {events.bind('UInt64', batch)}, {events.bind('UInt32', row)}"
        )
        events.conditions.append(f"(time, batch, row) < ({key})")
    return events.statement(
        "SELECT name, user_id, properties, toUnixTimestamp64Milli(time) AS at, batch, row",
        f"ORDER BY time DESC, batch DESC, row DESC\nLIMIT {events.bind('UInt32', first + 1)}",
    )
