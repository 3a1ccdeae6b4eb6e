"""Every question, compiled to SQL: pure functions from a question to one `Statement`."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from schema.filters import EventFilter
from schema.ranges import TimeRange
from schema.scalars import MS_PER_HOUR
from store.query.filters.conditions import event_condition
from store.query.filters.row_set import RowSet
from store.query.sql import Slots, Statement
from store.query.tables import EVENTS, METRICS


class NameRow(msgspec.Struct):
    name: str
    rows: int


class CountRow(msgspec.Struct):
    rows: int


class ExtentRow(msgspec.Struct):
    oldest: int | None
    newest: int | None


class IdRow(msgspec.Struct, rename={"time_ms": "at"}):
    id: str
    batch: int
    row: int
    time_ms: int


class ClientIdRow(msgspec.Struct):
    id: str


class HourRow(msgspec.Struct):
    hour: int


class NewestTimeRow(msgspec.Struct, rename={"time_ms": "at"}):
    time_ms: int | None


class DeletableRow(msgspec.Struct):
    rows: int
    newest: int


EVENT_CELLS: Final = {
    "name": "toJSONString(name)",
    "userId": "if(user_id = '', 'null', toJSONString(user_id))",
    "sessionId": "if(session_id = '', 'null', toJSONString(session_id))",
    "properties": "if(properties = '', '{}', properties)",
    "time": "concat('\"', replaceOne(toString(time), ' ', 'T'), 'Z\"')",
    "at": "toUnixTimestamp64Milli(time)",
    "batch": "batch",
    "row": "leftPad(lower(hex(row)), 8, '0')",
}
"""What is told of an event: the fields of the API as JSON, then its place in lists.

The engine writes JSON for many rows at once, where Python would for one by one. JSON has no tabs
and no line breaks but escaped ones, so the cells of a row are what is between tabs.
"""

EVENT: Final = tuple(EVENT_CELLS)
"""The names of these cells, in their order."""

_UNION: Final = "\nUNION ALL\n"
_EVENT_COLUMNS: Final = ", ".join(EVENT_CELLS.values())


def metric_rows(project: str, name: str, time_range: TimeRange | None = None) -> RowSet:
    """Return the points of one metric, in a range or ever."""
    rows = RowSet(METRICS.name, project)
    rows.conditions.append(f"name = {rows.bind('String', name)}")
    rows.add_range(time_range)
    return rows


def event_rows(
    project: str,
    where: EventFilter,
    time_range: TimeRange | None = None,
    slots: Slots | None = None,
) -> RowSet:
    """Return the events that pass a filter, in a range or ever.

    Raises `AnalyticsError` that names the field of the filter which is wrong or too much.
    """
    rows = RowSet(EVENTS.name, project, slots)
    rows.add_range(time_range)
    rows.conditions.append(event_condition(where, rows, time_range))
    return rows


class ExtentSource(NamedTuple):
    """Rows whose times are looked for: those of a metric, or (without a name) of a table."""

    table: str
    condition: str
    name: str


def extent(sources: Iterable[ExtentSource], slots: Slots) -> Statement:
    """Find the times of the oldest and the newest of some rows; one `ExtentRow`."""
    distinct_sources = list(dict.fromkeys(sources))
    selects = [
        f"SELECT minOrNull(time) AS first, maxOrNull(time) AS last\nFROM {source.table}"
        f"\nWHERE {source.condition}{_name_condition(source.name, slots)}"
        for source in distinct_sources
    ]
    text = (
        "SELECT toUnixTimestamp64Milli(min(first)) AS oldest,"
        " toUnixTimestamp64Milli(max(last)) AS newest\n"
        f"FROM (\n{_UNION.join(selects)}\n)"
    )
    return slots.statement(text, tuple(sorted({source.table for source in distinct_sources})))


def _name_condition(name: str, slots: Slots) -> str:
    return f"\n  AND name = {slots.bind('String', name)}" if name else ""


def names(rows: RowSet) -> Statement:
    """List the names that rows have, with their number, sorted; `NameRow`s."""
    return rows.statement("SELECT name, count() AS rows", "GROUP BY name\nORDER BY name")


def count(rows: RowSet) -> Statement:
    """Count rows; one `CountRow`."""
    return rows.statement("SELECT count() AS rows")


def row_at(rows: RowSet, batch: int, row: int) -> Statement:
    """Read the event that stands at one place; no or one line of `EVENT_CELLS`."""
    rows = rows.copy()
    rows.conditions.append(f"batch = {rows.bind('UInt64', batch)}")
    rows.conditions.append(f"row = {rows.bind('UInt32', row)}")
    return rows.statement(f"SELECT {_EVENT_COLUMNS}", "LIMIT 1")


def events(rows: RowSet, end_clauses: str) -> Statement:
    """List events as lines of `EVENT_CELLS`; `behind` sorts and bounds them."""
    return rows.statement(f"SELECT {_EVENT_COLUMNS}", end_clauses)


def deletable(rows: RowSet) -> Statement:
    """Count rows, and find the batch up to which they are; one `DeletableRow`.

    The engine deletes part by part: it could have lost what the rest is still to be judged by.
    """
    return rows.statement("SELECT count() AS rows, max(batch) AS newest")


def delete(rows: RowSet, newest: int) -> Statement:
    """Delete rows up to a batch; what arrives meanwhile stays."""
    rows = rows.copy()
    rows.conditions.append(f"batch <= {rows.bind('UInt64', newest)}")
    return rows.statement("DELETE")


def by_client_id(table: str, project: str, ids: Sequence[str], first_batch: int) -> Statement:
    """Find the first row with each of these client ids, from a batch on; `IdRow`s."""
    rows = _with_ids(table, project, first_batch)
    rows.conditions.append(f"client_id IN {rows.bind('Array(String)', list(ids))}")
    return rows.statement(
        "SELECT client_id AS id, batch, row, toUnixTimestamp64Milli(time) AS at",
        "ORDER BY batch, row\nLIMIT 1 BY client_id",
    )


def client_ids(table: str, project: str, first_batch: int) -> Statement:
    """List all client ids from a batch on, however many there are; `OwnIdRow`s."""
    return _with_ids(table, project, first_batch).statement(
        "SELECT client_id AS id", "SETTINGS max_result_rows = 0, max_execution_time = 0"
    )


def hours(table: str, project: str, first_batch: int, limit: int) -> Statement:
    """List the hours since 1970 in which batches were begun, from a batch on, newest first."""
    rows = RowSet(table, project)
    rows.conditions.append(f"batch >= {rows.bind('UInt64', first_batch)}")
    return rows.statement(
        f"SELECT DISTINCT intDiv(bitShiftRight(batch, 12), {MS_PER_HOUR}) AS hour",
        f"ORDER BY hour DESC\nLIMIT {rows.bind('UInt32', limit)}\nSETTINGS max_execution_time = 0",
    )


def newest_time(table: str, project: str, first_batch: int, latest_ms: int) -> Statement:
    """Find the newest time up to one (ms) that rows have, from a batch on; one `NewestTimeRow`."""
    rows = RowSet(table, project)
    rows.conditions.append(f"batch >= {rows.bind('UInt64', first_batch)}")
    rows.conditions.append(f"toUnixTimestamp64Milli(time) <= {rows.bind('Int64', latest_ms)}")
    return rows.statement("SELECT maxOrNull(toUnixTimestamp64Milli(time)) AS at")


def _with_ids(table: str, project: str, first_batch: int) -> RowSet:
    rows = RowSet(table, project)
    rows.conditions.append("client_id != ''")  # which stands for no id
    rows.conditions.append(f"batch >= {rows.bind('UInt64', first_batch)}")
    return rows
