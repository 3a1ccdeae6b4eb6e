"""The server's clocks: a wall clock for times of arrival, a steady clock for durations.

The wall clock can be wrong, and an operator can correct it while the service runs. So it gives the
time of arrival of a row, but neither the order of two rows nor a row's age.
"""

import time

from schema.errors import AnalyticsError
from schema.scalars import MS_PER_HOUR, Instant
from store.timestamps import MAX_TIME

MAX_AHEAD_MS = 24 * MS_PER_HOUR
"""Maximum milliseconds by which a range that ends now may extend to the newest arrival.

A clock set to local time instead of UTC is at most 14 hours wrong. With a larger maximum, one row
from a wrong clock would add weeks without data to every range.
"""


def wall_ms() -> int:
    """Return the wall clock's milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def steady_ms() -> int:
    """Return milliseconds of a clock that only moves forward; its zero is arbitrary."""
    return time.monotonic_ns() // 1_000_000


def is_plausible(ms: int) -> bool:
    """Return whether rows may have this time: the years 1970 to 2099."""
    return 0 <= ms <= MAX_TIME


def wrong_clock(ms: int) -> AnalyticsError:
    """Return the error for rows that would get the time of a wrong clock."""
    date = time.strftime("%Y-%m-%d", time.gmtime(ms // 1000))
    message = (
        f"The server's clock is wrong: it says {date}. Rows without a timestamp are refused until"
        " it says a day from 1970 to 2099."
    )
    return AnalyticsError("UNAVAILABLE", message, retry_after=60)


class Arrivals:
    """The newest time of arrival, for ranges that end now.

    After the wall clock is put back, earlier rows have later times than now.
    """

    def __init__(self) -> None:
        """Start without arrivals."""
        self._newest = 0

    def add(self, ms: int) -> bool:
        """Add a time of arrival; return whether it is plausible."""
        if not is_plausible(ms):
            return False
        self._newest = max(self._newest, ms)
        return True

    def latest(self, now: Instant) -> Instant:
        """Return the last instant of a range that ends now: `now`, or the newest arrival."""
        return Instant(self._newest) if now < self._newest <= now + MAX_AHEAD_MS else now
