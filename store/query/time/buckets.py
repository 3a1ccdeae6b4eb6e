"""Buckets of time: their starts by the clocks of a zone, and the bucket number of a row."""

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
"""Lengths in ms of the granularities that divide an hour, and of the hour."""

_DAY_PARTS: Final = {
    Granularity.TWO_HOURS: 2 * MS_PER_HOUR,
    Granularity.SIX_HOURS: 6 * MS_PER_HOUR,
    Granularity.TWELVE_HOURS: 12 * MS_PER_HOUR,
}
"""Lengths in ms of the granularities that divide a day by its clocks."""

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
"""Minimum and maximum length in ms of a bucket, without changes of the clocks; finest first."""

_MAX_REPEATED_TIME: Final = 26 * MS_PER_HOUR
"""Maximum time in ms that the clocks of a zone repeat, over any range."""


@dataclass(frozen=True, slots=True)
class Buckets:
    """Buckets without gaps that cover a time range.

    `starts` and `end` are milliseconds since 1970. `step` is the common length of all buckets, or
    None. With equal lengths `starts` is a Python range, which costs no time at 10,000 buckets.
    """

    granularity: Granularity
    starts: tuple[int, ...] | range
    end: int
    step: int | None

    @property
    def times(self) -> list[Instant]:
        """The instants at which the buckets begin."""
        return [Instant(start) for start in self.starts]

    @property
    def lengths(self) -> list[int]:
        """The lengths of the buckets in milliseconds."""
        return [after - start for start, after in pairwise((*self.starts, self.end))]

    def widths(self, time_range: TimeRange, now: Instant) -> list[int]:
        """List the milliseconds of each bucket that are in the range and not in the future."""
        first = time_range.from_
        end = max(first, min(time_range.to, now + 1))
        edges = [*self.starts, self.end]
        low = bisect_right(edges, first)
        high = max(low, bisect_left(edges, end))
        edges_in_range = [first] * low + edges[low:high] + [end] * (len(edges) - high)
        return [after - start for start, after in pairwise(edges_in_range)]

    def partial(self, time_range: TimeRange, now: Instant) -> list[bool]:
        """List for each bucket whether the range cuts it, or it ends after `now`."""
        widths = self.widths(time_range, now)
        return [width < length for width, length in zip(widths, self.lengths, strict=True)]


def buckets(
    time_range: TimeRange,
    granularity: Granularity,
    max_points: int,
    zone: Zone,
    week_start: WeekStart = WeekStart.MONDAY,
) -> Buckets:
    """Cut a time range into buckets.

    From DAY on, buckets begin with a local day. TWO_HOURS to TWELVE_HOURS divide the local day; a
    bucket is shorter or longer where the clocks change. HOUR and shorter granularities divide the
    local hour. A bucket ends early where the offset changes by another amount than a multiple of
    its length.

    AUTO makes one bucket of a range longer than `max_points` years, or outside the years 1900 to
    2199. Raises `AnalyticsError` for another granularity outside of these years, for more than
    `MAX_BUCKETS` buckets, and for `max_points` out of bounds.
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
    """Cut the previous range of a comparison by the granularity of the current one.

    The i-th bucket is compared with the current i-th bucket. The numbers of buckets may differ:
    months differ in days, days in hours. Raises `AnalyticsError` for more than twice `MAX_BUCKETS`.
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
    """Return the bucket of an instant before a range, and the bucket before it, as two buckets."""
    if current.granularity is Granularity.AUTO:
        length = time_range.to - time_range.from_
        start = time_range.from_ + (moment - time_range.from_) // length * length
        return Buckets(Granularity.AUTO, (start - length, start), start + length, length)
    bucket = bucket_at(moment, current.granularity, time_range.timezone, week_start)
    bucket_before = bucket_at(
        bucket.starts[0] - 1, current.granularity, time_range.timezone, week_start
    )
    return Buckets(
        current.granularity, (bucket_before.starts[0], bucket.starts[0]), bucket.end, None
    )


def bucket_at(moment: int, granularity: Granularity, zone: Zone, week_start: WeekStart) -> Buckets:
    """Return the one bucket that an instant is in."""
    time_range = TimeRange(from_=Instant(moment), to=Instant(moment + 1), timezone=zone)
    bucket = _cut(time_range, granularity, 1, zone, week_start)
    assert bucket  # noqa: S101 - a millisecond is in one bucket
    return bucket


def _fitting_granularity(time_range: TimeRange) -> Granularity:
    """Estimate a granularity that fits; changes of the clocks add fewer than ten buckets."""
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
    """Cut a range into at most `max_buckets` buckets; return None if there would be more."""
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
    """List the multiples of a step by local clocks, as edges of buckets that cover a range."""
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
    """List the multiples of a step since local midnight, as edges of buckets that cover a range."""
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
    """Return SQL for the bucket number of a row by its `time`, from 0, as `UInt16`.

    Rows outside of the buckets get an arbitrary number. `bind` adds a value, as `Slots.bind` does.
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
    """Return the most frequent length of buckets, and the shift of each piece by its start.

    A piece is a run of buckets of this length. The bucket number is (time - shift) / length. Most
    buckets have the same length: ten years of days with 20 changes of the clocks are 31 pieces.
    Looking up each day instead takes 1.7 times as long, plus 8 ms to read the array of days.
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
