"""Statements of fixed form: names, counts, one event, deletion."""

from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from schema.filters import EventFilter, scanned_names
from schema.ranges import TimeRange
from schema.scalars import MS_PER_HOUR
from store.query.filters.conditions import event_condition
from store.query.filters.row_set import RowSet
from store.query.sql import Scan, Slots, Statement


class NameRow(msgspec.Struct):
    name: str
    rows: int


class NameCountRow(msgspec.Struct):
    names: int
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


class ProjectRow(msgspec.Struct):
    project: str


class NewestBatchRow(msgspec.Struct):
    batch: int


class NewestTimeRow(msgspec.Struct, rename={"time_ms": "at"}):
    time_ms: int | None


class GranulesRow(msgspec.Struct):
    project: str
    name: str
    times: list[int]


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
"""The cells of an event: the fields of the API as JSON, then its sort key.

The engine writes the JSON of many rows at once; Python would write row by row. JSON escapes tabs
and line breaks, so tabs separate the cells of a row.
"""

EVENT: Final = tuple(EVENT_CELLS)
"""The names of the cells, in their order."""

GRANULE_ROWS: Final = 8_192
"""Rows of a granule, of which the engine keeps one sort key in memory."""

IN_ORDER: Final = "SETTINGS optimize_aggregation_in_order = 1"
"""Setting of statements that group by name, in which the tables are sorted."""

_NO_LIMITS: Final = "SETTINGS max_result_rows = 0, max_execution_time = 0"
_UNION: Final = "\nUNION ALL\n"
_EVENT_COLUMNS: Final = ", ".join(EVENT_CELLS.values())


def metric_rows(rows: RowSet, name: str, time_range: TimeRange | None = None) -> RowSet:
    """Narrow points to one metric, in a range or of all time."""
    rows.add_names([name])
    rows.add_range(time_range)
    return rows


def event_rows(rows: RowSet, where: EventFilter, time_range: TimeRange | None = None) -> RowSet:
    """Narrow events to those that pass a filter, in a range or of all time.

    Raises `AnalyticsError` that names the field of the filter that is wrong or exceeds a limit.
    """
    rows.add_range(time_range)
    rows.conditions.append(event_condition(where, rows, time_range))
    rows.scan = rows.scan._replace(names=scanned_names(where))
    return rows


class ExtentSource(NamedTuple):
    """Rows of a table that pass a condition; with a `name` only the rows of one metric."""

    table: str
    condition: str
    name: str


def extent(sources: Iterable[ExtentSource], slots: Slots) -> Statement:
    """Find the times (ms) of the oldest and the newest row of all sources; one `ExtentRow`."""
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
    scans = [
        Scan(source.table, frozenset([source.name]) if source.name else None)
        for source in distinct_sources
    ]
    return slots.statement(text, tuple(scans))


def _name_condition(name: str, slots: Slots) -> str:
    return f"\n  AND name = {slots.bind('String', name)}" if name else ""


def names(rows: RowSet, first: int, after: str | None = None) -> Statement:
    """List names after one, sorted, each with its number of rows; up to `first` + 1 `NameRow`s.

    The table is sorted by name: the first 10,000 of a million take 30 ms instead of 400, and 50
    names of 5 million rows 10 ms instead of 23.
    """
    if after is not None:
        rows = rows.copy()
        rows.conditions.append(f"name > {rows.bind('String', after)}")
    end_clauses = (
        f"GROUP BY name\nORDER BY name\nLIMIT {rows.bind('UInt32', first + 1)}\n{IN_ORDER}"
    )
    return rows.statement("SELECT name, count() AS rows", end_clauses)


def count_names(rows: RowSet) -> Statement:
    """Count names and rows; one `NameCountRow`. A million names take 0.16 s."""
    return rows.statement("SELECT uniqExact(name) AS names, count() AS rows")


def count(rows: RowSet) -> Statement:
    """Count rows; one `CountRow`."""
    return rows.statement("SELECT count() AS rows")


def row_at(rows: RowSet, batch: int, row: int) -> Statement:
    """Read the event at a position; one row of `EVENT_CELLS`, or none."""
    rows = rows.copy()
    rows.conditions.append(f"batch = {rows.bind('UInt64', batch)}")
    rows.conditions.append(f"row = {rows.bind('UInt32', row)}")
    rows.scan = rows.scan._replace(stops_early=True)
    return rows.statement(f"SELECT {_EVENT_COLUMNS}", "LIMIT 1")


def events(rows: RowSet, end_clauses: str) -> Statement:
    """List events as rows of `EVENT_CELLS`; `end_clauses` sort and limit them."""
    return rows.statement(f"SELECT {_EVENT_COLUMNS}", end_clauses)


def deletable(rows: RowSet) -> Statement:
    """Count the rows to delete, and find the newest batch among them; one `DeletableRow`.

    The engine deletes one part of the table at a time. Rows that decide a condition may be gone
    before later parts are tested.
    """
    return rows.statement("SELECT count() AS rows, max(batch) AS newest")


def delete(rows: RowSet, newest: int) -> Statement:
    """Delete rows up to the batch `newest`; rows that arrive meanwhile stay."""
    rows = rows.copy()
    rows.conditions.append(f"batch <= {rows.bind('UInt64', newest)}")
    return rows.statement("DELETE")


def by_client_id(table: str, project: str, ids: Sequence[str], first_batch: int) -> Statement:
    """Find the first row of each client id, from the batch `first_batch` on; `IdRow`s."""
    rows = _with_ids(table, project, first_batch)
    rows.conditions.append(f"client_id IN {rows.bind('Array(String)', list(ids))}")
    return rows.statement(
        "SELECT client_id AS id, batch, row, toUnixTimestamp64Milli(time) AS at",
        "ORDER BY batch, row\nLIMIT 1 BY client_id",
    )


def client_ids(table: str, project: str, first_batch: int) -> Statement:
    """List all client ids from a batch on, without the limits of a query; `ClientIdRow`s."""
    return _with_ids(table, project, first_batch).statement("SELECT client_id AS id", _NO_LIMITS)


def projects(table: str) -> Statement:
    """List the projects with rows in a table; `ProjectRow`s."""
    return Statement(f"SELECT DISTINCT project FROM {table} SETTINGS max_execution_time = 0")


def names_by_project(table: str) -> Statement:
    """List the names of all projects in a table, without the limits of a query."""
    return Statement(f"SELECT DISTINCT project, name FROM {table} {_NO_LIMITS}")


def names_of_project(table: str, project: str, names: Collection[str] | None) -> Statement:
    """List the names of a project in a table, or those of `names` that it has, without limits."""
    rows = RowSet(table, project)
    if names is not None:
        rows.conditions.append(f"name IN {rows.bind('Array(String)', sorted(names))}")
    return rows.statement("SELECT DISTINCT project, name", _NO_LIMITS)


def hours(table: str, first_batch: int, limit: int) -> Statement:
    """List the hours (since 1970) of batches from `first_batch` on, newest first; `HourRow`s."""
    return Statement(
        f"SELECT DISTINCT intDiv(bitShiftRight(batch, 12), {MS_PER_HOUR}) AS hour\nFROM {table}\n"
        "WHERE batch >= {first:UInt64}\nORDER BY hour DESC\nLIMIT {limit:UInt32}\n"
        "SETTINGS max_execution_time = 0",
        {"first": first_batch, "limit": limit},
    )


def newest_batch(table: str) -> Statement:
    """Find the highest batch number in a table, 0 when it is empty; one `NewestBatchRow`."""
    return Statement(f"SELECT max(batch) AS batch FROM {table}")


def newest_time(table: str, first_batch: int, latest_ms: int) -> Statement:
    """Find the newest time up to `latest_ms`, from a batch on; one `NewestTimeRow`."""
    return Statement(
        f"SELECT maxOrNull(toUnixTimestamp64Milli(time)) AS at\nFROM {table}\n"
        "WHERE batch >= {first:UInt64} AND toUnixTimestamp64Milli(time) <= {latest:Int64}",
        {"first": first_batch, "latest": latest_ms},
    )


def sparse_index(table: str) -> Statement:
    """List the times (ms) of the first rows of all granules, sorted by name; `GranulesRow`s."""
    return Statement(
        "SELECT project, name, arraySort(groupArray(toUnixTimestamp64Milli(time))) AS times\n"
        f"FROM mergeTreeIndex(currentDatabase(), {table})\n"
        "WHERE rows_in_granule > 0\nGROUP BY project, name"
    )


def _with_ids(table: str, project: str, first_batch: int) -> RowSet:
    rows = RowSet(table, project)
    rows.conditions.append("client_id != ''")  # '' stands for no id
    rows.conditions.append(f"batch >= {rows.bind('UInt64', first_batch)}")
    return rows
