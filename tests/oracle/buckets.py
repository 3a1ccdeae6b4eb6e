"""Buckets of a range, cut by reading the clocks of a zone second by second."""

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
_LONG_DAYS: Final = {
    Granularity.DAY: 1,
    Granularity.WEEK: 7,
    Granularity.MONTH: 28,
    Granularity.QUARTER: 90,
    Granularity.YEAR: 365,
}
FINEST_FIRST: Final = [*STEPS, *DAY_PARTS, *_LONG_DAYS]


@dataclass(frozen=True, slots=True)
class ExpectedBuckets:
    """A range and the edges of its buckets; the last edge is the end of the last bucket."""

    start: int
    end: int
    granularity: Granularity
    edges: tuple[int, ...]

    @property
    def starts(self) -> tuple[int, ...]:
        """The starts of the buckets."""
        return self.edges[:-1]

    def index_of(self, moment: int) -> int:
        """Return the index of the bucket of an instant."""
        return bisect_right(self.edges, moment) - 1

    def ms(self, index: int, now: int) -> int:
        """Return the milliseconds of a bucket that are in the range and not in the future."""
        return min(self.edges[index + 1], self.end, now + 1) - max(self.edges[index], self.start)

    def is_partial(self, index: int, now: int) -> bool:
        """Say whether a bucket is cut by the range or not over yet."""
        return (
            self.edges[index] < self.start
            or self.edges[index + 1] > self.end
            or self.edges[index + 1] > now + 1
        )


def estimate_count(start: int, end: int, granularity: Granularity) -> float:
    """Estimate the number of buckets of a range."""
    seconds = STEPS.get(granularity) or 3600 * DAY_PARTS.get(granularity, 0)
    seconds = seconds or _LONG_DAYS[granularity] * DAY
    return (end - start) / 1000 / seconds


def cut_range(
    start: int,
    end: int,
    granularity: Granularity,
    max_points: int,
    zone: str,
    *,
    sunday_weeks: bool = False,
) -> ExpectedBuckets:
    """Cut a range; AUTO is the finest granularity with at most `max_points` buckets."""
    if granularity is not Granularity.AUTO:
        return _cut(start, end, granularity, zone, sunday_weeks=sunday_weeks)
    for candidate in FINEST_FIRST:
        if estimate_count(start, end, candidate) <= max_points * 1.2 + 15:
            buckets = _cut(start, end, candidate, zone, sunday_weeks=sunday_weeks)
            if len(buckets.starts) <= max_points:
                return buckets
    return ExpectedBuckets(start, end, Granularity.AUTO, (start, end))


@lru_cache(maxsize=512)
def _cut(
    start: int, end: int, granularity: Granularity, zone: str, *, sunday_weeks: bool
) -> ExpectedBuckets:
    low, high = start // 1000, -(-end // 1000)
    if granularity in STEPS:
        edges = _short_edges(zone, granularity, low, high)
    elif granularity in DAY_PARTS:
        edges = _day_part_edges(zone, DAY_PARTS[granularity], low, high)
    else:
        edges = _long_edges(zone, granularity, low, high, sunday_weeks=sunday_weeks)
    first_index = bisect_right(edges, start) - 1
    edges_inside = [edge for edge in edges[first_index:] if edge < end]
    end_edge = next(edge for edge in edges if edge >= end)
    return ExpectedBuckets(start, end, granularity, (*edges_inside, end_edge))


def _short_edges(zone: str, granularity: Granularity, low: int, high: int) -> Sequence[int]:
    step, reach = STEPS[granularity], 2 * 3600 if STEPS[granularity] > 60 else 120
    begin, end = low - reach, high + reach
    offsets = [utc_offset(zone, second) for second in (begin, end)]
    return bucket_edges(zone, granularity, begin, end, math.gcd(step, 900, *offsets))


def _day_part_edges(zone: str, hours: int, low: int, high: int) -> Sequence[int]:
    day = local_time(zone, low).date() - timedelta(days=2)
    edges: set[int] = set()
    while day <= local_time(zone, high).date() + timedelta(days=2):
        edges.update(second_of(zone, day, hour) * 1000 for hour in range(0, 24, hours))
        day += timedelta(days=1)
    return sorted(edges)


def _long_edges(
    zone: str, granularity: Granularity, low: int, high: int, *, sunday_weeks: bool
) -> Sequence[int]:
    day = local_time(zone, low).date() - timedelta(days=_LONG_DAYS[granularity] + 4)
    last = local_time(zone, high).date() + timedelta(days=_LONG_DAYS[granularity] + 4)
    edges: list[int] = []
    while day <= last:
        day_before = day - timedelta(days=1)
        if period_key(granularity, day, sunday_weeks=sunday_weeks) != period_key(
            granularity, day_before, sunday_weeks=sunday_weeks
        ):
            edges.append(second_of(zone, day) * 1000)
        day += timedelta(days=1)
    return sorted(set(edges))


@lru_cache(maxsize=4096)
def second_of(zone: str, day: date, hour: int = 0) -> int:
    """Return the first second at which clocks show an hour of a day, or a later time."""
    wall = datetime.combine(day, time(hour))
    noon = (day - date(1970, 1, 1)).days * DAY + hour * 3600
    step = math.gcd(900, *(utc_offset(zone, noon + days * DAY) for days in (-2, 0, 2)))
    for second in range(noon - 30 * 3600, noon + 60 * 3600, step):
        if local_time(zone, second).replace(tzinfo=None) >= wall:
            return second
    raise AssertionError(zone, day)
