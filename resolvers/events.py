"""Questions about events."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec
import strawberry

from resolvers import deletion, lists
from resolvers.context import Context
from resolvers.lists import List, Page
from schema.events import Event
from schema.filters import EventFilter, StringFilter
from schema.paging import Paging
from schema.ranges import TimeRange
from schema.ready import Cells, Columns, items
from schema.recording import DeletePayload
from schema.scalars import Instant, Json, Long
from schema.series import instants
from store import queries
from store.batches import Position, position_of, row_id
from store.lists import EVENTS, Key, events_page

PREFIX: Final = "event_"

_FIRST: Final = Paging()


async def page(
    ctx: Context,
    tests: EventFilter,
    span: TimeRange | None = None,
    paging: Paging = _FIRST,
) -> Page[Event]:
    """List events that pass a filter, newest first."""
    of = List("e", queries.event_rows(ctx.project, tests, span), EVENTS)
    part = lists.span_of(of, paging)
    asked = (events_page(of.rows, part), queries.EventRow)
    return await lists.page(ctx, of, part, asked, (_event, _key), columns=_columns)


async def find(ctx: Context, event_id: str) -> Event | None:
    """Return the event with this id, or None."""
    position = position_of(event_id.removeprefix(PREFIX))
    if not position or not event_id.startswith(PREFIX):
        return None
    rows = queries.event_rows(ctx.project, EventFilter())
    found = await ctx.questions.select(queries.at(rows, *position), queries.EventRow)
    return _event(found[0]) if found else None


async def total(ctx: Context, tests: EventFilter) -> int:
    """Count all events that pass a filter."""
    rows = queries.event_rows(ctx.project, tests)
    (found,) = await ctx.questions.select(queries.count(rows), queries.CountRow)
    return found.rows


async def delete(ctx: Context, tests: EventFilter) -> DeletePayload:
    """Delete the events that pass a filter; none is fine."""
    matched = await deletion.delete(ctx, queries.event_rows(ctx.project, tests))
    return DeletePayload(matched_rows=Long(matched))


def named(name: str | None) -> EventFilter:
    """Return the filter for events of one name, or for all."""
    return EventFilter(name=StringFilter(eq=name)) if name is not None else EventFilter()


def _event(row: queries.EventRow) -> Event:
    return Event(
        id=strawberry.ID(event_id(Position(row.batch, row.row))),
        name=row.name,
        time=Instant(row.at),
        user_id=row.user_id or None,
        session_id=row.session_id or None,
        # Already JSON, so it is passed through instead of parsed and written again.
        properties=Json(msgspec.Raw(row.properties.encode() or b"{}")),
    )


def _columns(rows: Sequence[queries.EventRow]) -> Columns:
    return lambda field: _CELLS[field.name](rows)


def _ids(rows: Sequence[queries.EventRow]) -> Cells:
    """Write ids: what goes before the row is the same for a whole batch."""
    batches = {row.batch for row in rows}
    begun = {batch: f'"{event_id(Position(batch, 0))[:-8]}'.encode() for batch in batches}
    return [b'%b%08x"' % (begun[row.batch], row.row) for row in rows]


def _texts(texts: Iterable[str]) -> Cells:
    """Write texts; '' stands for none."""
    return [_encode(text or None) for text in texts]


_encode: Final = msgspec.json.Encoder().encode
_CELLS: Final[dict[str, Callable[[Sequence[queries.EventRow]], Cells]]] = {
    "id": _ids,
    "name": lambda rows: _texts(row.name for row in rows),
    "time": lambda rows: items(instants([row.at for row in rows])),
    "userId": lambda rows: _texts(row.user_id for row in rows),
    "sessionId": lambda rows: _texts(row.session_id for row in rows),
    "properties": lambda rows: [row.properties.encode() or b"{}" for row in rows],
}
"""Each field of an `Event`, as `_event` has it, written for many rows at once."""


def event_id(position: Position) -> str:
    """Return the id of the event that stands there."""
    return f"{PREFIX}{row_id(position)}"


def _key(row: queries.EventRow) -> Key:
    return row.at, row.batch, row.row
