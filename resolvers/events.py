"""Events: pages of them, one by its id, their count, and deletion."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import strawberry

from resolvers import deletion, pages
from resolvers.context import Context
from resolvers.pages import ListQuery, Page, Presenter
from schema.access import Scope
from schema.encoding import Cells, Columns
from schema.errors import bad_input
from schema.events import Event
from schema.filters import EventFilter, StringFilter
from schema.paging import Paging
from schema.ranges import TimeRange
from schema.recording import DeleteEventsInput, DeletePayload
from schema.scalars import Instant, Json, Long
from schema.selection import SelectedField
from store.journal.row_ids import Position, position_of, row_id
from store.query import statements
from store.query.fields.event_properties import property_reader
from store.query.filters.emptiness import check_selective
from store.query.pages import EVENT_ORDER, Slice, SortKey, arrival_page, events_page
from store.query.statements import EVENT
from store.query.tables import EVENTS

PREFIX: Final = "event_"

_FIRST: Final = Paging()
_TIME_INDEX, _BATCH_INDEX, _ROW_INDEX = map(EVENT.index, ("at", "batch", "row"))
_ROW_DIGITS: Final = 8
_decode: Final = msgspec.json.Decoder().decode


async def page(
    ctx: Context,
    where: EventFilter,
    time_range: TimeRange | None = None,
    paging: Paging = _FIRST,
) -> Page[Event]:
    """List events that pass a filter, newest first."""
    rows = statements.event_rows(ctx.rows(EVENTS.name), where, time_range)
    list_query = ListQuery("e", rows, EVENT_ORDER)
    list_slice = pages.parse_slice(list_query, paging)
    cells = await ctx.batch.cells(events_page(rows, list_slice))
    return pages.page(ctx, list_query, list_slice, cells, _PRESENTER)


async def newest_arrivals(
    ctx: Context, where: EventFilter, list_slice: Slice
) -> list[tuple[Position, Event]]:
    """List a slice of the events that pass a filter by their arrival, newest first.

    A slice that is read backward has its oldest events; both have up to `count` + 1 events.
    """
    rows = statements.event_rows(ctx.rows(EVENTS.name), where)
    cells = await ctx.batch.cells(arrival_page(rows, list_slice))
    events = [(_position(row), _event(row)) for row in cells]
    return events[::-1] if list_slice.backward else events


def position(event_id: str) -> Position | None:
    """Return the position of an event by its id; None for another text."""
    return position_of(event_id.removeprefix(PREFIX)) if event_id.startswith(PREFIX) else None


async def find(ctx: Context, event_id: str) -> Event | None:
    """Return the event with this id, or None."""
    event_position = position(event_id)
    if not event_position:
        return None
    rows = statements.event_rows(ctx.rows(EVENTS.name), EventFilter())
    cells = await ctx.batch.cells(statements.row_at(rows, *event_position))
    return _event(cells[0]) if cells else None


async def total(ctx: Context, where: EventFilter) -> int:
    """Count all events that pass a filter."""
    rows = statements.event_rows(ctx.rows(EVENTS.name), where)
    (row,) = await ctx.batch.select(statements.count(rows), statements.CountRow)
    return row.rows


async def delete(ctx: Context, selection: DeleteEventsInput) -> DeletePayload:
    """Delete the events that pass a filter, or all events; deleting no event is no error.

    Raises `AnalyticsError` that names the condition that selects every event or none.
    """
    ctx.grant.require(Scope.DELETE)
    if selection.where is not None and selection.all:
        raise bad_input("all", "must not be given together with `where`")
    if selection.where is None and not selection.all:
        raise bad_input("where", "is needed; to delete every event, say `all: true`")
    rows = statements.event_rows(ctx.rows(EVENTS.name), selection.where or EventFilter())
    if selection.where is not None:
        check_selective(selection.where, "where")
    return DeletePayload(matched_rows=Long(await deletion.delete(ctx, rows)))


def name_filter(name: str | None) -> EventFilter:
    """Return the filter for events of one name; for all events if the name is None."""
    return EventFilter(name=StringFilter(eq=name)) if name is not None else EventFilter()


def _event(cells: Sequence[bytes]) -> Event:
    columns = dict(zip(EVENT, cells, strict=True))
    return Event(
        id=strawberry.ID(event_id(_position(cells))),
        name=_decode(columns["name"]),
        time=Instant(int(columns["at"])),
        user_id=_decode(columns["userId"]),
        session_id=_decode(columns["sessionId"]),
        # The properties are stored as JSON, so their text is passed through undecoded.
        properties=Json(msgspec.Raw(columns["properties"])),
        at_path=lambda path: _at_path(columns["properties"], path),
    )


def _at_path(properties: bytes, path: str) -> Json | None:
    value = property_reader(path, "key")(properties)
    return Json(msgspec.Raw(value)) if value else None


def _sort_key(cells: Sequence[bytes]) -> SortKey:
    return int(cells[_TIME_INDEX]), *_position(cells)


def _position(cells: Sequence[bytes]) -> Position:
    return Position(int(cells[_BATCH_INDEX]), int(cells[_ROW_INDEX], 16))


def _event_columns(rows: Sequence[Sequence[bytes]]) -> Columns:
    """Return the fields of many events, column by column."""
    columns = dict(zip(EVENT, zip(*rows, strict=True), strict=bool(rows)))

    def column(field: SelectedField) -> Cells:
        if not rows:
            return ()
        if field.name == "property":
            read = property_reader(field.arguments["key"], "key")
            return [read(properties) or b"null" for properties in columns["properties"]]
        return _ids(columns) if field.name == "id" else columns[field.name]

    return column


_PRESENTER: Final = Presenter(_event, _sort_key, _event_columns)


def _ids(columns: Mapping[str, Sequence[bytes]]) -> Cells:
    """Encode ids; the prefix of an id is made once for each batch."""
    batches = columns["batch"]
    prefixes = {
        batch: f'"{event_id(Position(int(batch), 0))[:-_ROW_DIGITS]}'.encode()
        for batch in set(batches)
    }
    return [
        prefixes[batch] + row + b'"' for batch, row in zip(batches, columns["row"], strict=True)
    ]


def event_id(position: Position) -> str:
    """Return the id of the event at a position."""
    return f"{PREFIX}{row_id(position)}"
