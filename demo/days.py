"""Rows of a day of the shop: sessions of visitors, of bots, and the marks of the story."""

import bisect
import dataclasses
import itertools
import random
from collections.abc import Iterator
from typing import Final

from demo.places import COUNTRIES, MS_PER_DAY, MS_PER_HOUR, instant_ms
from demo.rows import EVENTS, Row
from demo.session import Session
from demo.shopper import LONGEST_DELAY_DAYS, Shopper
from demo.story import Story, hour_weights
from demo.visitors import DIRECT, Loyalty, Visit, Visitor, Visitors

_SECOND_SESSION: Final = 0.3
"""Chance of a regular visitor to come a second time on one day."""

_CACHED_DAYS: Final = LONGEST_DELAY_DAYS + 4
"""Days in memory, 4 MB each: new rows may be of each of them, and a day takes 0.1 s to make."""

_BOT_SESSIONS: Final = 2
_BOT_PAGES: Final = 25
_BOT_PAUSE_MS: Final = 700
_BOT: Final = Visitor(
    id="bot_1",
    country=COUNTRIES[3],
    device="desktop",
    browser="HeadlessChrome",
    source=DIRECT,
    loyalty=Loyalty("bot", 0, 1),
    signs_up=-1,
    is_premium=False,
)


class Days:
    """All rows that visitors of the shop cause, day by day."""

    def __init__(self, story: Story) -> None:
        """Open the shop of a story."""
        self._story = story
        self._visitors = Visitors(story)
        self._shopper = Shopper(story)
        self._cache: dict[int, list[Row]] = {}

    def batches(self, after_ms: int, until_ms: int) -> Iterator[list[Row]]:
        """Yield the rows with times in `(after_ms, until_ms]`, a batch for each day of sessions."""
        marks = [(mark.ms, EVENTS, mark.line()) for mark in self._story.annotations()]
        yield _cut(sorted(marks), after_ms, until_ms)
        first_day = after_ms // MS_PER_DAY - LONGEST_DELAY_DAYS - 1
        for day in range(first_day, until_ms // MS_PER_DAY + 2):
            yield _cut(self._day_rows(day), after_ms, until_ms)

    def _day_rows(self, day: int) -> list[Row]:
        """Return the rows of the sessions that begin on a day of their visitors' calendars."""
        rows = self._cache.get(day)
        if rows is None:
            rows = self._cache[day] = sorted(self._new_rows(day))
            while len(self._cache) > _CACHED_DAYS:
                del self._cache[min(self._cache)]
        return rows

    def _new_rows(self, day: int) -> Iterator[Row]:
        rng = self._story.random("sessions", day)
        weights = tuple(itertools.accumulate(hour_weights(day)))
        numbers = itertools.count()
        for visit in self._visitors.visits(day):
            sessions = [visit]
            if visit.visitor.loyalty.name == "regular" and rng.random() < _SECOND_SESSION:
                sessions.append(dataclasses.replace(visit, is_second_session=True))
            for visit_session in sessions:
                hour = rng.choices(range(24), cum_weights=weights)[0] + rng.random()
                start_ms = instant_ms(visit.visitor.country, day, hour * MS_PER_HOUR)
                session_id = f"session_{day}{next(numbers):05}"
                session = Session(rng, visit_session, session_id, start_ms)
                self._shopper.shop(session)
                yield from session.rows
        for number in range(_BOT_SESSIONS):
            yield from _bot_rows(rng, day, number)


def _cut(rows: list[Row], after_ms: int, until_ms: int) -> list[Row]:
    """Return the rows with times in `(after_ms, until_ms]`, of rows that are sorted by time."""
    first, last = (bisect.bisect_right(rows, ms, key=_time) for ms in (after_ms, until_ms))
    return rows[first:last]


def _time(row: Row) -> int:
    return row[0]


def _bot_rows(rng: random.Random, day: int, number: int) -> list[Row]:
    start_ms = day * MS_PER_DAY + rng.randrange(MS_PER_DAY)
    session = Session(rng, Visit(_BOT, 1), f"session_{day}b{number}", start_ms)
    for page in range(_BOT_PAGES):
        session.view(f"/sale/{page}")
        session.ms += _BOT_PAUSE_MS
    return session.rows
