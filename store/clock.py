"""The server's clocks: times of arrival, and durations that no change of the wall clock touches.

The wall clock can be wrong, and be put right while the service runs. It says when a row arrived. It
does not say which of two rows came first, or how long ago that was.
"""

import time

from schema.errors import AnalyticsError
from schema.scalars import MS_PER_HOUR, Instant
from store.timestamps import MAX_TIME

MAX_AHEAD_MS = 24 * MS_PER_HOUR
"""How far behind the newest arrival the wall clock may be for ranges to end with that arrival.

A clock set to local time instead of UTC is at most 14 hours wrong. A range that reached further
would show weeks of nothing for weeks, because of one row from the time when the clock was wrong.
"""


def wall_ms() -> int:
    """Return the milliseconds since 1970, as the wall clock says."""
    return time.time_ns() // 1_000_000


def steady_ms() -> int:
    """Return milliseconds of a clock that only moves forward, from some moment in the past."""
    return time.monotonic_ns() // 1_000_000


def is_plausible(ms: int) -> bool:
    """Tell whether rows may have this time: the years 1970 to 2099."""
    return 0 <= ms <= MAX_TIME


def wrong_clock(ms: int) -> AnalyticsError:
    """Return the refusal of rows that would get the time of a clock that is wrong."""
    date = time.strftime("%Y-%m-%d", time.gmtime(ms // 1000))
    message = (
        f"The server's clock is wrong: it says {date}. Rows without a timestamp are refused until"
        " it says a day from 1970 to 2099."
    )
    return AnalyticsError("UNAVAILABLE", message, retry_after=60)


class Arrivals:
    """Remembers the newest time of arrival, for ranges that end now.

    When the wall clock is put back, what arrived before has a later time than now.
    """

    def __init__(self) -> None:
        """Know of no arrival."""
        self._newest = 0

    def add(self, ms: int) -> None:
        """Note a time of arrival."""
        if self._newest < ms and is_plausible(ms):
            self._newest = ms

    def latest(self, now: Instant) -> Instant:
        """Return the last instant of a range that ends now: `now`, or the newest arrival."""
        return Instant(self._newest) if now < self._newest <= now + MAX_AHEAD_MS else now
