"""Pages of lists: the entries between two cursors, in a fixed order, from either end."""

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from store.query import statements
from store.query.filters.row_set import RowSet
from store.query.sql import Statement
from store.query.tables import EVENTS, METRICS, Table

SortKey: TypeAlias = tuple[Any, ...]
"""The sort key of an entry: a position that stays valid while other rows arrive or go."""

_TIME: Final = "fromUnixTimestamp64Milli({}, 'UTC')"
_STRICT: Final = {("after", False): ">", ("after", True): "<", ("before", False): "<"} | {
    ("before", True): ">"
}
_OPPOSITE: Final = {"<": ">=", ">": "<="}

_Time = Annotated[int, Meta(gt=-(2**62), lt=2**62)]
_Batch = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Row = Annotated[int, Meta(ge=0, lt=2**32)]


@dataclass(frozen=True, slots=True)
class ListOrder:
    """The order of a list: columns, each with the type and the template of its slot.

    `cursor` is the type of a decoded cursor: the letter of the list, then the sort key.
    """

    columns: tuple[tuple[str, str, str], ...]
    descending: bool
    cursor: Any

    def order_by(self, *, backward: bool) -> str:
        """Return the ORDER BY clause for reading from the beginning, or `backward` from the end."""
        direction = "DESC" if self.descending != backward else "ASC"
        return "ORDER BY " + ", ".join(f"{name} {direction}" for name, _, _ in self.columns)


_ROW_SLOTS: Final = (("Int64", _TIME), ("UInt64", "{}"), ("UInt32", "{}"))


def _row_columns(table: Table) -> tuple[tuple[str, str, str], ...]:
    """Return the row order of a table as columns of a list, with the types of their slots."""
    pairs = zip(table.row_order, _ROW_SLOTS, strict=True)
    return tuple((name, type_name, template) for name, (type_name, template) in pairs)


EVENT_ORDER: Final = ListOrder(
    _row_columns(EVENTS), descending=True, cursor=tuple[Literal["e"], _Time, _Batch, _Row]
)
ARRIVAL_ORDER: Final = ListOrder(
    (("batch", "UInt64", "{}"), ("row", "UInt32", "{}")),
    descending=True,
    cursor=tuple[Literal["a"], _Batch, _Row],
)
SAMPLE_ORDER: Final = ListOrder(
    _row_columns(METRICS), descending=True, cursor=tuple[Literal["s"], _Time, _Batch, _Row]
)
METRIC_ORDER: Final = ListOrder(
    (("name", "String", "{}"),), descending=False, cursor=tuple[Literal["m"], str]
)


@dataclass(frozen=True, slots=True)
class Slice:
    """A slice of a list: `count` entries between two sort keys, from the beginning or the end."""

    count: int
    backward: bool = False
    after: SortKey | None = None
    before: SortKey | None = None


class SampleRow(msgspec.Struct, rename={"time_ms": "at"}):
    value: float
    tags: str
    time_ms: int
    batch: int
    row: int


def events_page(events: RowSet, list_slice: Slice) -> Statement:
    """List a slice of events as cells of `EVENT_CELLS`; up to `count` + 1 rows."""
    rows, end_clauses = _slice_clauses(events, EVENT_ORDER, list_slice)
    return statements.events(rows, end_clauses)


def arrival_page(events: RowSet, list_slice: Slice) -> Statement:
    """List a slice of events by their arrival as cells of `EVENT_CELLS`; up to `count` + 1 rows."""
    rows, end_clauses = _slice_clauses(events, ARRIVAL_ORDER, list_slice)
    return statements.events(rows, end_clauses)


def samples_page(points: RowSet, list_slice: Slice) -> Statement:
    """List a slice of points; up to `count` + 1 `SampleRow`s."""
    rows, end_clauses = _slice_clauses(points, SAMPLE_ORDER, list_slice)
    select = "SELECT value, tags, toUnixTimestamp64Milli(time) AS at, batch, row"
    return rows.statement(select, end_clauses)


def _slice_clauses(rows: RowSet, order: ListOrder, list_slice: Slice) -> tuple[RowSet, str]:
    """Return the rows between the keys of a slice, and the clauses that sort and limit them."""
    rows = within_slice(rows, order, list_slice)
    limit = rows.bind("UInt32", list_slice.count + 1)
    return rows, f"{order.order_by(backward=list_slice.backward)}\nLIMIT {limit}"


def within_slice(rows: RowSet, order: ListOrder, list_slice: Slice) -> RowSet:
    """Narrow rows to the entries between the sort keys of a slice."""
    rows = rows.copy()
    for side, key in (("after", list_slice.after), ("before", list_slice.before)):
        if key is not None:
            _compare(rows, order, _STRICT[side, order.descending], key)
    return rows


def exists_past(rows: RowSet, order: ListOrder, side: str, key: SortKey) -> Statement:
    """Look for an entry at a sort key or past it, on its `side`; one `CountRow`, or none."""
    rows = rows.copy()
    _compare(rows, order, _OPPOSITE[_STRICT[side, order.descending]], key)
    rows.scan = rows.scan._replace(stops_early=True)
    return rows.statement("SELECT 1 AS rows", "LIMIT 1")


def _compare(rows: RowSet, order: ListOrder, operator: str, key: SortKey) -> None:
    """Narrow rows by their sort key.

    The condition repeats the first column alone, because the index cannot use a tuple.
    """
    slots = [
        template.format(rows.bind(type_name, value))
        for (_, type_name, template), value in zip(order.columns, key, strict=True)
    ]
    names = [name for name, _, _ in order.columns]
    if len(names) > 1:
        rows.conditions.append(f"{names[0]} {operator[0]}= {slots[0]}")
    rows.conditions.append(f"({', '.join(names)}) {operator} ({', '.join(slots)})")
