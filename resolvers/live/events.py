"""Live events: those that arrive, each in a message of its own."""

from collections import deque
from collections.abc import Sequence
from typing import Final

from resolvers import events
from resolvers.context import Context
from resolvers.live.question import LiveQuestion
from schema.errors import bad_input
from schema.events import Event
from schema.filters import EventFilter, scanned_names
from schema.paging import Paging
from store.journal.row_ids import Position, first_batch_at
from store.query.pages import Slice
from store.query.tables import EVENTS

MAX_EVENTS: Final = 1000
"""Events in the messages of one answer, and events that are replayed."""

_SEGMENT_AGE_MS: Final = 3_600_000
"""Rows of a journal segment arrive within this time, unless the engine can't load for long."""


class LiveEvents(LiveQuestion[Event]):
    """The events that pass a filter, by their arrival.

    The first answer has the last `replay` events, or all that arrived after a `position`. Of more
    than `MAX_EVENTS` events at once, a later answer has the newest ones.
    """

    is_state = False

    def __init__(
        self, where: EventFilter, replay: int, position: Position | None, throttle_ms: int
    ) -> None:
        """Ask nothing yet."""
        super().__init__(throttle_ms, frozenset({EVENTS.name}), scanned_names(where))
        self._where, self._replay = where, replay
        self._newest = position
        self.is_shared = position is None
        self._is_resuming = position is not None
        self._last_events: deque[Event] = deque(maxlen=replay)

    async def ask(self, ctx: Context) -> Sequence[Event]:
        """Return the events that arrived since the last answer, oldest first."""
        if self._newest is None:
            return await self._begin(ctx)
        list_slice = Slice(MAX_EVENTS, before=self._newest, backward=self._is_resuming)
        arrivals = await events.newest_arrivals(ctx, self._where, list_slice)
        if self._is_resuming:
            self._is_resuming = len(arrivals) > MAX_EVENTS
            arrivals = arrivals[-MAX_EVENTS:]
        return self._keep(arrivals[:MAX_EVENTS][::-1])

    @property
    def is_behind(self) -> bool:
        """Whether there are more events than the last answer had."""
        return self._is_resuming

    @property
    def answer(self) -> Sequence[Event]:
        """The last events, as many as are replayed."""
        return list(self._last_events)

    async def _begin(self, ctx: Context) -> Sequence[Event]:
        """Find the newest event, after which all later ones arrive; return the last events."""
        oldest = Position(first_batch_at(ctx.now() - _SEGMENT_AGE_MS), 0)
        arrivals = await events.newest_arrivals(ctx, self._where, Slice(1, before=oldest))
        newest = arrivals[0][0] if arrivals else oldest
        if self._replay:
            page = await events.page(ctx, self._where, paging=Paging(first=self._replay))
            self._last_events.extend(reversed(page.entries))
        self._newest = newest
        return self.answer

    def _keep(self, arrivals: Sequence[tuple[Position, Event]]) -> Sequence[Event]:
        """Remember the newest events; leave out those that were replayed."""
        if not arrivals:
            return []
        self._newest = arrivals[-1][0]
        known_ids = {event.id for event in self._last_events}
        new_events = [event for _, event in arrivals if event.id not in known_ids]
        self._last_events.extend(new_events)
        return new_events


def checked_replay(replay: int) -> int:
    """Return the number of events to replay. Raises BAD_USER_INPUT out of bounds."""
    if not 0 <= replay <= MAX_EVENTS:
        raise bad_input("replay", f"must be from 0 to {MAX_EVENTS}", limit=MAX_EVENTS)
    return replay


def checked_position(event_id: str | None) -> Position | None:
    """Return the position of an event. Raises BAD_USER_INPUT for a text that is no id."""
    if event_id is None:
        return None
    position = events.position(event_id)
    if position is None:
        raise bad_input("after", "must be the id of an event")
    return position
