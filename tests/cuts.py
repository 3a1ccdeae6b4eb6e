"""How a range is cut into buckets, by looking at clocks: the oracle's buckets."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Final

from schema.buckets import Granularity
from tests.clocks import STEPS, edges, local, offset, period

DAY: Final = 86_400
_LONG: Final = {
    Granularity.DAY: 1,
    Granularity.WEEK: 7,
    Granularity.MONTH: 28,
    Granularity.QUARTER: 90,
    Granularity.YEAR: 365,
}
FINEST_FIRST: Final = [*STEPS, *_LONG]


@dataclass(frozen=True, slots=True)
class Cut:
    """A range and when its buckets begin; the last edge is the end of the last one."""

    first: int
    behind: int
    granularity: Granularity
    edges: tuple[int, ...]

    @property
    def starts(self) -> tuple[int, ...]:
        """When buckets begin."""
        return self.edges[:-1]

    def place(self, moment: int) -> int:
        """Return the number of the bucket that an instant is in."""
        return bisect_right(self.edges, moment) - 1

    def ms(self, number: int, now: int) -> int:
        """Return how much of a bucket is in the range and not in the future."""
        return min(self.edges[number + 1], self.behind, now + 1) - max(
            self.edges[number], self.first
        )

    def is_partial(self, number: int, now: int) -> bool:
        """Say whether a bucket is cut by the range or not over yet."""
        return (
            self.edges[number] < self.first
            or self.edges[number + 1] > self.behind
            or self.edges[number + 1] > now + 1
        )


def most(first: int, behind: int, granularity: Granularity) -> float:
    """Return about how many buckets a range makes."""
    seconds = STEPS.get(granularity) or _LONG[granularity] * DAY
    return (behind - first) / 1000 / seconds


def cut(first: int, behind: int, granularity: Granularity, points: int, zone: str) -> Cut:
    """Cut a range; with AUTO the finest that has at most so many buckets."""
    if granularity is not Granularity.AUTO:
        return _cut(first, behind, granularity, zone)
    for finest in FINEST_FIRST:
        if most(first, behind, finest) <= points * 1.2 + 2:
            found = _cut(first, behind, finest, zone)
            if len(found.starts) <= points:
                return found
    return Cut(first, behind, Granularity.AUTO, (first, behind))


@lru_cache(maxsize=512)
def _cut(first: int, behind: int, granularity: Granularity, zone: str) -> Cut:
    low, high = first // 1000, -(-behind // 1000)
    if granularity in STEPS:
        found = _short(zone, granularity, low, high)
    else:
        found = _long(zone, granularity, low, high)
    before = bisect_right(found, first) - 1
    inside = [edge for edge in found[before:] if edge < behind]
    after = next(edge for edge in found if edge >= behind)
    return Cut(first, behind, granularity, (*inside, after))


def _short(zone: str, granularity: Granularity, low: int, high: int) -> Sequence[int]:
    step, reach = STEPS[granularity], 2 * 3600 if STEPS[granularity] > 60 else 120
    begin, end = low - reach, high + reach
    odd = [offset(zone, second) for second in (begin, end)]
    return edges(zone, granularity, begin, end, math.gcd(step, 900, *odd))


def _long(zone: str, granularity: Granularity, low: int, high: int) -> Sequence[int]:
    day = local(zone, low).date() - timedelta(days=_LONG[granularity] + 4)
    last = local(zone, high).date() + timedelta(days=_LONG[granularity] + 4)
    found: list[int] = []
    while day <= last:
        if period(granularity, day) != period(granularity, day - timedelta(days=1)):
            found.append(begin(zone, day) * 1000)
        day += timedelta(days=1)
    return sorted(set(found))


@lru_cache(maxsize=4096)
def begin(zone: str, day: date) -> int:
    """Return the second at which clocks first show a day, or a later one."""
    noon = (day - date(1970, 1, 1)).days * DAY
    odd = math.gcd(900, *(offset(zone, noon + days * DAY) for days in (-2, 0, 2)))
    for second in range(noon - 30 * 3600, noon + 60 * 3600, odd):
        if local(zone, second).date() >= day:
            return second
    raise AssertionError(zone, day)
