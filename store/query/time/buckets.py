"""Buckets of time: where they begin, and which one a row is in."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from schema.buckets import Granularity, WeekStart
from schema.errors import bad_input
from schema.ranges import TimeRange
from schema.scalars import MS_PER_HOUR, Instant, Zone
from store.query.sql import Value
from store.query.time.ranges import is_in_known_years
from store.query.time.zones import (
    DAYS,
    MONTHS,
    MS_PER_DAY,
    day_of,
    first_instants,
    period_days,
    stretches,
)

MAX_BUCKETS: Final = 11_000

_STEPS: Final = {
    Granularity.SECOND: 1000,
    Granularity.TEN_SECONDS: 10_000,
    Granularity.THIRTY_SECONDS: 30_000,
    Granularity.MINUTE: 60_000,
    Granularity.FIVE_MINUTES: 300_000,
    Granularity.FIFTEEN_MINUTES: 900_000,
    Granularity.THIRTY_MINUTES: 1_800_000,
    Granularity.HOUR: MS_PER_HOUR,
}
"""The buckets that divide an hour, and the hour."""

_DAY_PARTS: Final = {
    Granularity.TWO_HOURS: 2 * MS_PER_HOUR,
    Granularity.SIX_HOURS: 6 * MS_PER_HOUR,
    Granularity.TWELVE_HOURS: 12 * MS_PER_HOUR,
}
"""The buckets that divide a day by its clocks."""

_SHORTEST: Final = (
    _STEPS
    | _DAY_PARTS
    | {granularity: days * MS_PER_DAY for granularity, days in DAYS.items()}
    | {granularity: 28 * months * MS_PER_DAY for granularity, months in MONTHS.items()}
)
_LONGEST: Final = (
    _STEPS
    | _DAY_PARTS
    | {granularity: (days + 1) * MS_PER_DAY for granularity, days in DAYS.items()}
    | {granularity: (31 * months + 1) * MS_PER_DAY for granularity, months in MONTHS.items()}
)
"""How long a bucket is at least, and at most, but for changes of the clocks; finest first."""

_MAX_REPEATED_TIME: Final = 26 * MS_PER_HOUR
"""The clocks of a zone show at most so much less than what has passed, in whatever time."""


@dataclass(frozen=True, slots=True)
class Buckets:
    """Buckets without gaps: the first one holds the first instant of a range, the last its last.

    `starts` are milliseconds since 1970, `end` is that of the last one; `step` is their length if
    all have the same. 10,000 starts that are a range take no time.
    """

    granularity: Granularity
    starts: tuple[int, ...] | range
    end: int
    step: int | None

    @property
    def times(self) -> list[Instant]:
        """List the instants at which buckets begin."""
        return [Instant(start) for start in self.starts]

    @property
    def lengths(self) -> list[int]:
        """List the lengths in milliseconds."""
        return [after - start for start, after in pairwise((*self.starts, self.end))]

    def widths(self, time_range: TimeRange, now: Instant) -> list[int]:
        """List how much of each bucket is in the range and not in the future, in milliseconds."""
        first = time_range.from_
        end = max(first, min(time_range.to, now + 1))
        edges = [*self.starts, self.end]
        low = bisect_right(edges, first)
        high = max(low, bisect_left(edges, end))
        edges_in_range = [first] * low + edges[low:high] + [end] * (len(edges) - high)
        return [after - start for start, after in pairwise(edges_in_range)]

    def partial(self, time_range: TimeRange, now: Instant) -> list[bool]:
        """List which buckets are cut by the range, or end later than `now`."""
        widths = self.widths(time_range, now)
        return [width < length for width, length in zip(widths, self.lengths, strict=True)]


def buckets(
    time_range: TimeRange,
    granularity: Granularity,
    max_points: int,
    zone: Zone,
    week_start: WeekStart = WeekStart.MONDAY,
) -> Buckets:
    """Cut a range into buckets.

    From DAY on they begin with a local day. TWO_HOURS to TWELVE_HOURS divide the local day: one is
    shorter or longer where the clocks change. HOUR and shorter ones divide the local hour; where
    the offset changes by no multiple of their length, a bucket ends and the next ones go by the new
    clocks.
    AUTO makes one bucket of a range that `max_points` years do not hold, and of one that is not in
    the years 1900 to 2199. Any other granularity is refused there, and with more than `MAX_BUCKETS`
    buckets. Raises `AnalyticsError`, also for `max_points` out of bounds.
    """
    if not 1 <= max_points <= MAX_BUCKETS:
        raise bad_input("maxPoints", f"must be from 1 to {MAX_BUCKETS}", limit=MAX_BUCKETS)
    if granularity is Granularity.AUTO:
        return _finest_buckets(time_range, max_points, zone, week_start)
    if not is_in_known_years(time_range):
        raise bad_input("granularity", "only works in the years 1900 to 2199")
    result = _cut(time_range, granularity, MAX_BUCKETS, zone, week_start)
    if result is None:
        message = (
            f"{granularity.name} makes more than {MAX_BUCKETS} buckets of this range;"
            f" {_fitting_granularity(time_range).name} would fit"
        )
        raise bad_input("granularity", message, limit=MAX_BUCKETS)
    return result


def previous_buckets(
    current: Buckets,
    previous: TimeRange,
    zone: Zone,
    week_start: WeekStart = WeekStart.MONDAY,
) -> Buckets:
    """Cut the range that is compared with, as the current one was cut.

    The i-th bucket belongs to the current i-th one. There may be more or fewer of them: months
    differ in length, days in hours.
    Raises `AnalyticsError` for more than twice `MAX_BUCKETS`.
    """
    if current.granularity is Granularity.AUTO:
        return _single_bucket(previous)
    result = _cut(previous, current.granularity, 2 * MAX_BUCKETS, zone, week_start)
    if result is None:
        message = f"range: makes more than {2 * MAX_BUCKETS} buckets; it is far longer"
        raise bad_input("compare", message, limit=2 * MAX_BUCKETS)
    return result


def bucket_pair(
    current: Buckets, time_range: TimeRange, moment: int, week_start: WeekStart = WeekStart.MONDAY
) -> Buckets:
    """Return two buckets cut as a range was; an instant before the range is in the second."""
    if current.granularity is Granularity.AUTO:
        length = time_range.to - time_range.from_
        start = time_range.from_ + (moment - time_range.from_) // length * length
        return Buckets(Granularity.AUTO, (start - length, start), start + length, length)
    bucket = _bucket_at(moment, current.granularity, time_range.timezone, week_start)
    bucket_before = _bucket_at(
        bucket.starts[0] - 1, current.granularity, time_range.timezone, week_start
    )
    return Buckets(
        current.granularity, (bucket_before.starts[0], bucket.starts[0]), bucket.end, None
    )


def _bucket_at(moment: int, granularity: Granularity, zone: Zone, week_start: WeekStart) -> Buckets:
    """Return the one bucket that an instant is in."""
    time_range = TimeRange(from_=Instant(moment), to=Instant(moment + 1), timezone=zone)
    bucket = _cut(time_range, granularity, 1, zone, week_start)
    assert bucket  # noqa: S101 - a millisecond is in one bucket
    return bucket


def _fitting_granularity(time_range: TimeRange) -> Granularity:
    """Find a granularity without cutting; clocks that change make fewer than ten buckets more."""
    length = time_range.to - time_range.from_
    fine_enough = (g for g, shortest in _SHORTEST.items() if length / shortest < MAX_BUCKETS - 10)
    return next(fine_enough, Granularity.AUTO)


def _finest_buckets(
    time_range: TimeRange, max_buckets: int, zone: Zone, week_start: WeekStart
) -> Buckets:
    for granularity in _LONGEST if is_in_known_years(time_range) else ():
        result = _cut(time_range, granularity, max_buckets, zone, week_start)
        if result:
            return result
    return _single_bucket(time_range)


def _single_bucket(time_range: TimeRange) -> Buckets:
    return Buckets(
        Granularity.AUTO, (time_range.from_,), time_range.to, time_range.to - time_range.from_
    )


def _cut(
    time_range: TimeRange,
    granularity: Granularity,
    max_buckets: int,
    zone: Zone,
    week_start: WeekStart,
) -> Buckets | None:
    """Cut a range into at most `most` buckets; null if there would be more."""
    clock_length = (
        time_range.to - time_range.from_ - (_MAX_REPEATED_TIME if granularity in _DAY_PARTS else 0)
    )
    if clock_length / _LONGEST[granularity] > max_buckets:
        return None
    edges: list[int] | range
    if granularity in _STEPS:
        edges = _clock_edges(time_range, _STEPS[granularity], zone)
    elif granularity in _DAY_PARTS:
        edges = _day_part_edges(time_range, _DAY_PARTS[granularity], zone)
    else:
        edges = _calendar_edges(time_range, granularity, zone, week_start)
    if len(edges) - 1 > max_buckets:
        return None
    if isinstance(edges, range):
        return Buckets(granularity, edges[:-1], edges[-1], edges.step)
    lengths = {after - start for start, after in pairwise(edges)}
    step = lengths.pop() if len(lengths) == 1 else None
    return Buckets(granularity, tuple(edges[:-1]), edges[-1], step)


def _clock_edges(time_range: TimeRange, step: int, zone: Zone) -> list[int] | range:
    """List the multiples of a step on the clocks that enclose a range."""
    zone_stretches = stretches(zone, time_range.from_ - step, time_range.to + step)
    phase = zone_stretches[0].offset % step
    begin = time_range.from_ - step - (time_range.from_ + phase) % step
    edges: list[int] = []
    for stretch in zone_stretches[1:]:
        if stretch.offset % step != phase:
            edges += range(begin, stretch.start, step)
            phase = stretch.offset % step
            begin = stretch.start
            edges.append(begin)
            begin += -(begin + phase) % step or step
    last_edges = range(begin, time_range.to + 2 * step, step)
    return _enclosing_edges([*edges, *last_edges] if edges else last_edges, time_range)


def _day_part_edges(time_range: TimeRange, step: int, zone: Zone) -> list[int] | range:
    """List the multiples of a step since midnight on the clocks that enclose a range."""
    first, last = day_of(zone, time_range.from_), day_of(zone, time_range.to - 1)
    walls = range(first * MS_PER_DAY, (last + 1) * MS_PER_DAY + 1, step)
    edges = list(dict.fromkeys(first_instants(zone, walls)))  # the clocks may skip a whole part
    return _enclosing_edges(edges, time_range)


def _calendar_edges(
    time_range: TimeRange, granularity: Granularity, zone: Zone, week_start: WeekStart
) -> list[int]:
    days = period_days(
        granularity, day_of(zone, time_range.from_), day_of(zone, time_range.to - 1), week_start
    )
    edges = first_instants(zone, [day * MS_PER_DAY for day in days])
    return list(dict.fromkeys(edges))  # a day that the calendar skips begins with the next one


def _enclosing_edges(edges: list[int] | range, time_range: TimeRange) -> list[int] | range:
    return edges[bisect_right(edges, time_range.from_) - 1 : bisect_left(edges, time_range.to) + 1]


def bucket_number(buckets: Buckets, bind: Callable[[str, Value], str]) -> str:
    """Return SQL for the number, from 0, of the bucket that a row's `time` is in, as `UInt16`.

    For rows in the buckets; others get any number. `bind` adds a value, as `Rows.bind` does.
    """
    ms = "toUnixTimestamp64Milli(time)"
    step, shifts = _pieces(buckets)
    slot = bind("Int64", step)
    if len(shifts) == 1:
        shift = bind("Int64", buckets.starts[0])
    else:
        piece_starts = bind("Array(Int64)", list(shifts))
        piece_shifts = bind("Array(Int64)", list(shifts.values()))
        piece = f"roundDown({ms}, {piece_starts})"
        shift = f"transform({piece}, {piece_starts}, {piece_shifts}, toInt64(0))"
    return f"toUInt16(intDiv({ms} - {shift}, {slot}))"


def _pieces(buckets: Buckets) -> tuple[int, dict[int, int]]:
    """Return a step, and what to subtract from each instant on before dividing by it.

    Most buckets have the same length, so there are few pieces: 31 for ten years of days with 20
    changes of the clocks. Looking up each day instead takes 1.7 times as long, and reading the
    array of them 8 ms.
    """
    if buckets.step is not None:
        return buckets.step, {buckets.starts[0]: buckets.starts[0]}
    lengths = buckets.lengths
    step = max(Counter(lengths).items(), key=lambda pair: (pair[1], pair[0]))[0]
    shifts: dict[int, int] = {}
    expected_start = None
    for index, (start, length) in enumerate(zip(buckets.starts, lengths, strict=True)):
        if start != expected_start:
            shifts[start] = start - index * step
        for extra_start in range(start + step, start + length, step):
            shifts[extra_start] = extra_start - index * step
        expected_start = start + step
    return step, shifts
