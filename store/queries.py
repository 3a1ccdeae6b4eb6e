"""Every question, compiled to SQL: pure functions from a question to one `Statement`."""

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
"""What each operator of a filter compares with (the engine's type), and how."""


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
    newest: int


class _Where:
    """The conditions of a statement, and the values in them. Each begins with the project."""

    def __init__(self, project: str) -> None:
        self.params: dict[str, Value] = {}
        self.conditions = [f"project = {self.bind('String', project)}"]

    def bind(self, type_name: str, value: Value) -> str:
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
        if span:
            self.add(TIME_OPERATORS, "time", DateTimeFilter(gte=span.from_, lt=span.to))

    def __str__(self) -> str:
        return "\n  AND ".join(self.conditions)


def metric_aggregates(project: str, name: str, span: TimeRange) -> Statement:
    """Aggregate one metric over a range; one `AggregatesRow`."""
    where = _Where(project)
    where.add(STRING_OPERATORS, "name", StringFilter(eq=name))
    where.add_range(span)
    text = f"""
SELECT count() AS count, sum(value) AS sum, avgOrNull(value) AS avg,
  minOrNull(value) AS min, maxOrNull(value) AS max
FROM metrics
WHERE {where}"""
    return Statement(text, where.params, reads=("metrics",))


def names(table: str, project: str) -> Statement:
    """List the names in a table with their number of rows, sorted; `NameRow`s."""
    where = _Where(project)
    text = f"""
SELECT name, count() AS rows
FROM {table}
WHERE {where}
GROUP BY name
ORDER BY name"""
    return Statement(text, where.params, reads=(table,))


def count_metric(project: str, name: str) -> Statement:
    """Count the points of a metric; one `CountRow`."""
    where = _Where(project)
    where.add(STRING_OPERATORS, "name", StringFilter(eq=name))
    return _count("metrics", where)


def count_events(project: str, tests: EventFilter, span: TimeRange | None) -> Statement:
    """Count the events that pass a filter; one `CountRow`."""
    return _count("events", _events_where(project, tests, span))


def _count(table: str, where: _Where) -> Statement:
    text = f"SELECT count() AS rows, max(batch) AS newest\nFROM {table}\nWHERE {where}"
    return Statement(text, where.params, reads=(table,))


def events_page(
    project: str, tests: EventFilter, span: TimeRange | None, first: int, after: Cursor | None
) -> Statement:
    """List events, newest first, after a cursor; up to `first` + 1 `EventRow`s."""
    where = _events_where(project, tests, span)
    if after:
        key = ", ".join(
            [
                f"fromUnixTimestamp64Milli({where.bind('Int64', after.time)}, 'UTC')",
                where.bind("UInt64", after.batch),
                where.bind("UInt32", after.row),
            ]
        )
        where.conditions.append(f"(time, batch, row) < ({key})")
    text = f"""
SELECT name, user_id, properties, toUnixTimestamp64Milli(time) AS at, batch, row
FROM events
WHERE {where}
ORDER BY time DESC, batch DESC, row DESC
LIMIT {where.bind("UInt32", first + 1)}"""
    return Statement(text, where.params, reads=("events",))


def delete_metric(project: str, name: str, newest: int) -> Statement:
    """Delete the points of a metric up to a batch."""
    where = _Where(project)
    where.add(STRING_OPERATORS, "name", StringFilter(eq=name))
    return _delete("metrics", where, newest)


def delete_events(project: str, tests: EventFilter, newest: int) -> Statement:
    """Delete the events that pass a filter, up to a batch."""
    return _delete("events", _events_where(project, tests, None), newest)


def _delete(table: str, where: _Where, newest: int) -> Statement:
    where.conditions.append(f"batch <= {where.bind('UInt64', newest)}")
    return Statement(f"DELETE FROM {table}\nWHERE {where}", where.params, reads=(table,))


def _events_where(project: str, tests: EventFilter, span: TimeRange | None) -> _Where:
    where = _Where(project)
    if tests.name:
        where.add(STRING_OPERATORS, "name", tests.name)
    if tests.user_id:
        where.add(STRING_OPERATORS, "user_id", tests.user_id)
    if tests.time:
        where.add(TIME_OPERATORS, "time", tests.time)
    where.add_range(span)
    return where
