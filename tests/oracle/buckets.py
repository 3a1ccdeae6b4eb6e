"""How a range is cut into buckets, by looking at clocks: the oracle's buckets."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Final

from schema.buckets import Granularity
from tests.oracle.calendar import DAY_PARTS, STEPS, bucket_edges, local_time, period_key, utc_offset

DAY: Final = 86_400
_LONG: Final = {
    Granularity.DAY: 1,
    Granularity.WEEK: 7,
    Granularity.MONTH: 28,
    Granularity.QUARTER: 90,
    Granularity.YEAR: 365,
}
FINEST_FIRST: Final = [*STEPS, *DAY_PARTS, *_LONG]


@dataclass(frozen=True, slots=True)
class ExpectedBuckets:
    """A range and when its buckets begin; the last edge is the end of the last one."""

    start: int
    end: int
    granularity: Granularity
    edges: tuple[int, ...]

    @property
    def starts(self) -> tuple[int, ...]:
        """When buckets begin."""
        return self.edges[:-1]

    def index_of(self, moment: int) -> int:
        """Return the number of the bucket that an instant is in."""
        return bisect_right(self.edges, moment) - 1

    def ms(self, number: int, now: int) -> int:
        """Return how much of a bucket is in the range and not in the future."""
        return min(self.edges[number + 1], self.end, now + 1) - max(self.edges[number], self.start)

    def is_partial(self, number: int, now: int) -> bool:
        """Say whether a bucket is cut by the range or not over yet."""
        return (
            self.edges[number] < self.start
            or self.edges[number + 1] > self.end
            or self.edges[number + 1] > now + 1
        )


def estimate_count(first: int, behind: int, granularity: Granularity) -> float:
    """Return about how many buckets a range makes."""
    seconds = STEPS.get(granularity) or 3600 * DAY_PARTS.get(granularity, 0)
    seconds = seconds or _LONG[granularity] * DAY
    return (behind - first) / 1000 / seconds


def cut_range(
    first: int,
    behind: int,
    granularity: Granularity,
    max_points: int,
    zone: str,
    *,
    sunday_weeks: bool = False,
) -> ExpectedBuckets:
    """Cut a range; with AUTO the finest that has at most `points` buckets."""
    if granularity is not Granularity.AUTO:
        return _cut_by(first, behind, granularity, zone, sunday=sunday_weeks)
    for finest in FINEST_FIRST:
        if estimate_count(first, behind, finest) <= max_points * 1.2 + 15:
            found = _cut_by(first, behind, finest, zone, sunday=sunday_weeks)
            if len(found.starts) <= max_points:
                return found
    return ExpectedBuckets(first, behind, Granularity.AUTO, (first, behind))


@lru_cache(maxsize=512)
def _cut_by(
    first: int, behind: int, granularity: Granularity, zone: str, *, sunday: bool
) -> ExpectedBuckets:
    low, high = first // 1000, -(-behind // 1000)
    if granularity in STEPS:
        found = _short(zone, granularity, low, high)
    elif granularity in DAY_PARTS:
        found = _parts_of_days(zone, DAY_PARTS[granularity], low, high)
    else:
        found = _long(zone, granularity, low, high, sunday=sunday)
    before = bisect_right(found, first) - 1
    inside = [edge for edge in found[before:] if edge < behind]
    after = next(edge for edge in found if edge >= behind)
    return ExpectedBuckets(first, behind, granularity, (*inside, after))


def _short(zone: str, granularity: Granularity, low: int, high: int) -> Sequence[int]:
    step, reach = STEPS[granularity], 2 * 3600 if STEPS[granularity] > 60 else 120
    begin, end = low - reach, high + reach
    odd = [utc_offset(zone, second) for second in (begin, end)]
    return bucket_edges(zone, granularity, begin, end, math.gcd(step, 900, *odd))


def _parts_of_days(zone: str, hours: int, low: int, high: int) -> Sequence[int]:
    day = local_time(zone, low).date() - timedelta(days=2)
    found: set[int] = set()
    while day <= local_time(zone, high).date() + timedelta(days=2):
        found.update(second_of(zone, day, hour) * 1000 for hour in range(0, 24, hours))
        day += timedelta(days=1)
    return sorted(found)


def _long(
    zone: str, granularity: Granularity, low: int, high: int, *, sunday: bool
) -> Sequence[int]:
    day = local_time(zone, low).date() - timedelta(days=_LONG[granularity] + 4)
    last = local_time(zone, high).date() + timedelta(days=_LONG[granularity] + 4)
    found: list[int] = []
    while day <= last:
        before = day - timedelta(days=1)
        if period_key(granularity, day, sunday_weeks=sunday) != period_key(
            granularity, before, sunday_weeks=sunday
        ):
            found.append(second_of(zone, day) * 1000)
        day += timedelta(days=1)
    return sorted(set(found))


@lru_cache(maxsize=4096)
def second_of(zone: str, day: date, hour: int = 0) -> int:
    """Return the second at which clocks first show an hour of a day, or a later time."""
    wall = datetime.combine(day, time(hour))
    noon = (day - date(1970, 1, 1)).days * DAY + hour * 3600
    odd = math.gcd(900, *(utc_offset(zone, noon + days * DAY) for days in (-2, 0, 2)))
    for second in range(noon - 30 * 3600, noon + 60 * 3600, odd):
        if local_time(zone, second).replace(tzinfo=None) >= wall:
            return second
    raise AssertionError(zone, day)
