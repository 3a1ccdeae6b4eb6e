"""The load of the servers: requests by the hour, the errors among them, sums for counters."""

from typing import Final

from demo.places import (
    COUNTRIES,
    MS_PER_DAY,
    MS_PER_HOUR,
    MS_PER_MINUTE,
    Country,
    offset_ms,
    weekday,
)
from demo.story import WEEKDAY_DEMAND, Story, hour_weights

SLOT_MS: Final = 5 * MS_PER_MINUTE
REQUESTS_PER_SECOND: Final = 24.0
"""Requests a second of the whole shop at a load of 1, which is the mean of the first days."""

_FAILURES: Final = 0.002
_HARMED_FAILURES: Final = 0.045
"""Share of the requests that end with a 5xx: usually, and during the bad deploy."""


class Traffic:
    """Load of the shop over time, and its sums since the first slot, in steps of five minutes."""

    def __init__(self, story: Story) -> None:
        """Begin the sums at the start of a story."""
        self._story = story
        self._first_slot = story.start_ms // SLOT_MS
        self._loads: dict[int, float] = {}
        self._requests = [0.0]
        self._failures = [0.0]

    def load(self, ms: int) -> float:
        """Return the load at an instant: 1 in the mean of the first days."""
        slot = ms // SLOT_MS
        load = self._loads.get(slot)
        if load is None:
            slot_ms = slot * SLOT_MS
            load = sum(self._share_load(country, slot_ms) * country.share for country in COUNTRIES)
            self._loads[slot] = load
        return load

    def failure_share(self, ms: int) -> float:
        """Return the share of the requests that fail at an instant."""
        return _HARMED_FAILURES if self._story.is_harmed(ms) else _FAILURES

    def requests(self, ms: int) -> float:
        """Return the number of requests from the start of the story to an instant."""
        return self._sum(self._requests, ms)

    def failures(self, ms: int) -> float:
        """Return the number of failed requests from the start of the story to an instant."""
        return self._sum(self._failures, ms)

    def _share_load(self, country: Country, ms: int) -> float:
        day, local_ms = divmod(ms + offset_ms(country.zone, ms // MS_PER_DAY), MS_PER_DAY)
        hour, part = divmod(local_ms, MS_PER_HOUR)
        weights = hour_weights(day)
        next_weight = weights[hour + 1] if hour < 23 else hour_weights(day + 1)[0]
        weight = weights[hour] + (next_weight - weights[hour]) * part / MS_PER_HOUR
        return weight * WEEKDAY_DEMAND[weekday(day)] * self._story.demand(day)

    def _sum(self, sums: list[float], ms: int) -> float:
        """Return a sum at an instant, between the sums at two slots."""
        slot, part = divmod(ms, SLOT_MS)
        index = slot - self._first_slot
        if index < 0:
            return 0.0
        while len(sums) < index + 2:
            self._add_slot()
        return sums[index] + (sums[index + 1] - sums[index]) * part / SLOT_MS

    def _add_slot(self) -> None:
        ms = (self._first_slot + len(self._requests) - 1) * SLOT_MS
        requests = self.load(ms) * REQUESTS_PER_SECOND * SLOT_MS / 1000
        self._requests.append(self._requests[-1] + requests)
        self._failures.append(self._failures[-1] + requests * self.failure_share(ms))
