"""Pages of lists: what lies between two cursors, in a fixed order, from either end."""

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from store.query import queries
from store.query.queries import Rows
from store.query.sql import Statement

Key: TypeAlias = tuple[Any, ...]
"""The sort key of an entry: its place in its list, whatever arrives or goes meanwhile."""

_TIME: Final = "fromUnixTimestamp64Milli({}, 'UTC')"
_STRICT: Final = {("after", False): ">", ("after", True): "<", ("before", False): "<"} | {
    ("before", True): ">"
}
_OPPOSITE: Final = {"<": ">=", ">": "<="}

_Time = Annotated[int, Meta(gt=-(2**62), lt=2**62)]
_Batch = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Row = Annotated[int, Meta(ge=0, lt=2**32)]


@dataclass(frozen=True, slots=True)
class Order:
    """How a list is sorted: columns with their types and the form of their slots.

    `cursor` is the type of what its cursors hold: the list's letter, then the key.
    """

    columns: tuple[tuple[str, str, str], ...]
    descending: bool
    cursor: Any

    def sorted(self, *, backward: bool) -> str:
        """Return the ORDER BY for reading from one of the ends."""
        direction = "DESC" if self.descending != backward else "ASC"
        return "ORDER BY " + ", ".join(f"{name} {direction}" for name, _, _ in self.columns)


_KEY: Final = (("time", "Int64", _TIME), ("batch", "UInt64", "{}"), ("row", "UInt32", "{}"))
EVENTS: Final = Order(_KEY, descending=True, cursor=tuple[Literal["e"], _Time, _Batch, _Row])
SAMPLES: Final = Order(_KEY, descending=True, cursor=tuple[Literal["s"], _Time, _Batch, _Row])
METRICS: Final = Order(
    (("name", "String", "{}"),), descending=False, cursor=tuple[Literal["m"], str]
)


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a list: between two keys, `count` entries from its beginning or its end."""

    count: int
    backward: bool = False
    after: Key | None = None
    before: Key | None = None


class SampleRow(msgspec.Struct):
    value: float
    tags: str
    at: int
    batch: int
    row: int


def events_page(events: Rows, span: Span) -> Statement:
    """List events as lines; up to `count` + 1, from the end at which the span begins."""
    rows, behind = _part(events, EVENTS, span)
    return queries.events(rows, behind)


def samples_page(points: Rows, span: Span) -> Statement:
    """List points; up to `count` + 1 `SampleRow`s, from the end at which the span begins."""
    rows, behind = _part(points, SAMPLES, span)
    select = "SELECT value, tags, toUnixTimestamp64Milli(time) AS at, batch, row"
    return rows.statement(select, behind)


def _part(rows: Rows, order: Order, span: Span) -> tuple[Rows, str]:
    """Return the rows of a span, and what sorts them and bounds them to one more than asked."""
    rows = between(rows, order, span)
    limit = rows.bind("UInt32", span.count + 1)
    return rows, f"{order.sorted(backward=span.backward)}\nLIMIT {limit}"


def between(rows: Rows, order: Order, span: Span) -> Rows:
    """Narrow rows to those between the keys of a span."""
    rows = rows.copy()
    for side, key in (("after", span.after), ("before", span.before)):
        if key is not None:
            _compare(rows, order, _STRICT[side, order.descending], key)
    return rows


def beyond(rows: Rows, order: Order, side: str, key: Key) -> Statement:
    """Look at a bound, and behind it on its side; one `CountRow` if anything is there, or none."""
    rows = rows.copy()
    _compare(rows, order, _OPPOSITE[_STRICT[side, order.descending]], key)
    return rows.statement("SELECT 1 AS rows", "LIMIT 1")


def _compare(rows: Rows, order: Order, operator: str, key: Key) -> None:
    """Compare the sort key; its first column also alone, which is what indexes understand."""
    slots = [
        form.format(rows.bind(type_name, value))
        for (_, type_name, form), value in zip(order.columns, key, strict=True)
    ]
    names = [name for name, _, _ in order.columns]
    if len(names) > 1:
        rows.conditions.append(f"{names[0]} {operator[0]}= {slots[0]}")
    rows.conditions.append(f"({', '.join(names)}) {operator} ({', '.join(slots)})")
