"""Questions about events."""

import base64
import binascii
from dataclasses import dataclass

import msgspec
import strawberry

from resolvers import deletion
from resolvers.context import Context
from schema.errors import bad_input
from schema.events import Event, EventFilter, StringFilter
from schema.ranges import TimeRangeInput, resolve_range
from schema.recording import DeletePayload
from schema.scalars import Instant, Json, Long
from store import queries
from store.batches import Position, row_id
from store.queries import Cursor

MAX_PAGE = 1000
MAX_TEXTS = 1000


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events, newest first, with the cursor of each."""

    events: list[Event]
    cursors: list[str]
    has_next: bool


async def page(
    ctx: Context,
    tests: EventFilter,
    asked: TimeRangeInput | None = None,
    first: int = 100,
    after: str | None = None,
) -> EventPage:
    """List the newest events that pass a filter, or those that follow a cursor."""
    check_first(first)
    start = _read_cursor(after) if after is not None else None
    statement = queries.events_page(_rows(ctx, tests, asked), first, start)
    rows = await ctx.store.select(statement, queries.EventRow)
    shown = rows[:first]
    return EventPage(
        events=[_event(row) for row in shown],
        cursors=[_cursor(row) for row in shown],
        has_next=len(rows) > first,
    )


def check_first(first: int) -> None:
    """Refuse a page that is no page, or too long."""
    if not 1 <= first <= MAX_PAGE:
        raise bad_input("first", f"must be from 1 to {MAX_PAGE}", limit=MAX_PAGE)


async def total(ctx: Context, tests: EventFilter, asked: TimeRangeInput | None = None) -> int:
    """Count all events that pass a filter."""
    rows = _rows(ctx, tests, asked)
    (found,) = await ctx.store.select(queries.count(rows), queries.CountRow)
    return found.rows


async def delete(ctx: Context, tests: EventFilter) -> DeletePayload:
    """Delete the events that pass a filter; none is fine."""
    matched = await deletion.delete(ctx, _rows(ctx, tests, None))
    return DeletePayload(matched_rows=Long(matched))


def _rows(ctx: Context, tests: EventFilter, asked: TimeRangeInput | None) -> queries.Rows:
    for field, test in (("name", tests.name), ("userId", tests.user_id)):
        if test and test.in_ is not None and len(test.in_) > MAX_TEXTS:
            raise bad_input(f"{field}.in", f"takes at most {MAX_TEXTS} texts", limit=MAX_TEXTS)
    span = resolve_range(asked, ctx.now()) if asked else None
    return queries.event_rows(ctx.project, tests, span)


def named(name: str | None) -> EventFilter:
    """Return the filter for events of one name, or for all."""
    return EventFilter(name=StringFilter(eq=name)) if name is not None else EventFilter()


def _event(row: queries.EventRow) -> Event:
    return Event(
        id=strawberry.ID(event_id(Position(row.batch, row.row))),
        name=row.name,
        time=Instant(row.at),
        user_id=row.user_id or None,
        # Already JSON, so it is passed through instead of parsed and written again.
        properties=Json(msgspec.Raw(row.properties.encode() or b"{}")),
    )


def event_id(position: Position) -> str:
    """Return the id of the event that stands there."""
    return f"event_{row_id(position)}"


def _cursor(row: queries.EventRow) -> str:
    return base64.urlsafe_b64encode(f"{row.at}.{row.batch}.{row.row}".encode()).decode()


def _read_cursor(text: str) -> Cursor:
    try:
        time, batch, row = base64.b64decode(text, b"-_", validate=True).decode("ascii").split(".")
        cursor = Cursor(int(time), int(batch), int(row))
    except (binascii.Error, ValueError):
        cursor = Cursor(0, -1, 0)
    if not (abs(cursor.time) < 2**62 and 0 <= cursor.batch < 2**64 and 0 <= cursor.row < 2**32):
        raise bad_input("after", "is not a cursor of this list")
    return cursor
