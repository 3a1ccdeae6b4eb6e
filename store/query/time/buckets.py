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
from store.query.time.ranges import has_bounds
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

_PARTS_OF_DAYS: Final = {
    Granularity.TWO_HOURS: 2 * MS_PER_HOUR,
    Granularity.SIX_HOURS: 6 * MS_PER_HOUR,
    Granularity.TWELVE_HOURS: 12 * MS_PER_HOUR,
}
"""The buckets that divide a day by its clocks."""

_SHORTEST: Final = (
    _STEPS
    | _PARTS_OF_DAYS
    | {granularity: days * MS_PER_DAY for granularity, days in DAYS.items()}
    | {granularity: 28 * months * MS_PER_DAY for granularity, months in MONTHS.items()}
)
_LONGEST: Final = (
    _STEPS
    | _PARTS_OF_DAYS
    | {granularity: (days + 1) * MS_PER_DAY for granularity, days in DAYS.items()}
    | {granularity: (31 * months + 1) * MS_PER_DAY for granularity, months in MONTHS.items()}
)
"""How long a bucket is at least, and at most, but for changes of the clocks; finest first."""

_MOST_REPEATED: Final = 26 * MS_PER_HOUR
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

    def widths(self, span: TimeRange, now: Instant) -> list[int]:
        """List how much of each bucket is in the range and not in the future, in milliseconds."""
        first = span.from_
        behind = max(first, min(span.to, now + 1))
        edges = [*self.starts, self.end]
        low = bisect_right(edges, first)
        high = max(low, bisect_left(edges, behind))
        inside = [first] * low + edges[low:high] + [behind] * (len(edges) - high)
        return [after - start for start, after in pairwise(inside)]

    def partial(self, span: TimeRange, now: Instant) -> list[bool]:
        """List which buckets are cut by the range, or end later than `now`."""
        widths = self.widths(span, now)
        return [width < length for width, length in zip(widths, self.lengths, strict=True)]


def buckets(
    span: TimeRange,
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
        return _finest(span, max_points, zone, week_start)
    if not has_bounds(span):
        raise bad_input("granularity", "only works in the years 1900 to 2199")
    found = _cut(span, granularity, MAX_BUCKETS, zone, week_start)
    if found is None:
        message = (
            f"{granularity.name} makes more than {MAX_BUCKETS} buckets of this range;"
            f" {_that_fits(span).name} would fit"
        )
        raise bad_input("granularity", message, limit=MAX_BUCKETS)
    return found


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
        return _whole(previous)
    found = _cut(previous, current.granularity, 2 * MAX_BUCKETS, zone, week_start)
    if found is None:
        message = f"range: makes more than {2 * MAX_BUCKETS} buckets; it is far longer"
        raise bad_input("compare", message, limit=2 * MAX_BUCKETS)
    return found


def bucket_before(
    current: Buckets, span: TimeRange, moment: int, week_start: WeekStart = WeekStart.MONDAY
) -> Buckets:
    """Return two buckets cut as a range was; an instant before the range is in the second."""
    if current.granularity is Granularity.AUTO:
        length = span.to - span.from_
        start = span.from_ + (moment - span.from_) // length * length
        return Buckets(Granularity.AUTO, (start - length, start), start + length, length)
    own = _around(moment, current.granularity, span.timezone, week_start)
    before = _around(own.starts[0] - 1, current.granularity, span.timezone, week_start)
    return Buckets(current.granularity, (before.starts[0], own.starts[0]), own.end, None)


def _around(moment: int, granularity: Granularity, zone: Zone, week_start: WeekStart) -> Buckets:
    """Return the one bucket that an instant is in."""
    span = TimeRange(from_=Instant(moment), to=Instant(moment + 1), timezone=zone)
    found = _cut(span, granularity, 1, zone, week_start)
    assert found  # noqa: S101 - a millisecond is in one bucket
    return found


def _that_fits(span: TimeRange) -> Granularity:
    """Find a granularity without cutting; clocks that change make fewer than ten buckets more."""
    length = span.to - span.from_
    fitting = (g for g, shortest in _SHORTEST.items() if length / shortest < MAX_BUCKETS - 10)
    return next(fitting, Granularity.AUTO)


def _finest(span: TimeRange, most: int, zone: Zone, week_start: WeekStart) -> Buckets:
    for granularity in _LONGEST if has_bounds(span) else ():
        found = _cut(span, granularity, most, zone, week_start)
        if found:
            return found
    return _whole(span)


def _whole(span: TimeRange) -> Buckets:
    return Buckets(Granularity.AUTO, (span.from_,), span.to, span.to - span.from_)


def _cut(
    span: TimeRange, granularity: Granularity, most: int, zone: Zone, week_start: WeekStart
) -> Buckets | None:
    """Cut a range into at most `most` buckets; null if there would be more."""
    shown = span.to - span.from_ - (_MOST_REPEATED if granularity in _PARTS_OF_DAYS else 0)
    if shown / _LONGEST[granularity] > most:
        return None
    edges: list[int] | range
    if granularity in _STEPS:
        edges = _clock_edges(span, _STEPS[granularity], zone)
    elif granularity in _PARTS_OF_DAYS:
        edges = _day_part_edges(span, _PARTS_OF_DAYS[granularity], zone)
    else:
        edges = _calendar_edges(span, granularity, zone, week_start)
    if len(edges) - 1 > most:
        return None
    if isinstance(edges, range):
        return Buckets(granularity, edges[:-1], edges[-1], edges.step)
    lengths = {after - start for start, after in pairwise(edges)}
    step = lengths.pop() if len(lengths) == 1 else None
    return Buckets(granularity, tuple(edges[:-1]), edges[-1], step)


def _clock_edges(span: TimeRange, step: int, zone: Zone) -> list[int] | range:
    """List the multiples of a step on the clocks that enclose a range."""
    parts = stretches(zone, span.from_ - step, span.to + step)
    phase = parts[0].offset % step
    begin = span.from_ - step - (span.from_ + phase) % step
    edges: list[int] = []
    for part in parts[1:]:
        if part.offset % step != phase:
            edges += range(begin, part.start, step)
            phase = part.offset % step
            begin = part.start
            edges.append(begin)
            begin += -(begin + phase) % step or step
    last = range(begin, span.to + 2 * step, step)
    return _enclosing([*edges, *last] if edges else last, span)


def _day_part_edges(span: TimeRange, step: int, zone: Zone) -> list[int] | range:
    """List the multiples of a step since midnight on the clocks that enclose a range."""
    first, last = day_of(zone, span.from_), day_of(zone, span.to - 1)
    walls = range(first * MS_PER_DAY, (last + 1) * MS_PER_DAY + 1, step)
    edges = list(dict.fromkeys(first_instants(zone, walls)))  # the clocks may skip a whole part
    return _enclosing(edges, span)


def _calendar_edges(
    span: TimeRange, granularity: Granularity, zone: Zone, week_start: WeekStart
) -> list[int]:
    days = period_days(granularity, day_of(zone, span.from_), day_of(zone, span.to - 1), week_start)
    edges = first_instants(zone, [day * MS_PER_DAY for day in days])
    return list(dict.fromkeys(edges))  # a day that the calendar skips begins with the next one


def _enclosing(edges: list[int] | range, span: TimeRange) -> list[int] | range:
    return edges[bisect_right(edges, span.from_) - 1 : bisect_left(edges, span.to) + 1]


def bucket_number(cut: Buckets, bind: Callable[[str, Value], str]) -> str:
    """Return SQL for the number, from 0, of the bucket that a row's `time` is in, as `UInt16`.

    For rows in the buckets; others get any number. `bind` adds a value, as `Rows.bind` does.
    """
    ms = "toUnixTimestamp64Milli(time)"
    step, shifts = _pieces(cut)
    slot = bind("Int64", step)
    if len(shifts) == 1:
        shift = bind("Int64", cut.starts[0])
    else:
        at = bind("Array(Int64)", list(shifts))
        of_piece = bind("Array(Int64)", list(shifts.values()))
        shift = f"transform(roundDown({ms}, {at}), {at}, {of_piece}, toInt64(0))"
    return f"toUInt16(intDiv({ms} - {shift}, {slot}))"


def _pieces(cut: Buckets) -> tuple[int, dict[int, int]]:
    """Return a step, and what to subtract from each instant on before dividing by it.

    Most buckets have the same length, so there are few pieces: 31 for ten years of days with 20
    changes of the clocks. Looking up each day instead takes 1.7 times as long, and reading the
    array of them 8 ms.
    """
    if cut.step is not None:
        return cut.step, {cut.starts[0]: cut.starts[0]}
    lengths = cut.lengths
    step = max(Counter(lengths).items(), key=lambda of: (of[1], of[0]))[0]
    shifts: dict[int, int] = {}
    expected = None
    for number, (start, length) in enumerate(zip(cut.starts, lengths, strict=True)):
        if start != expected:
            shifts[start] = start - number * step
        for late in range(start + step, start + length, step):
            shifts[late] = late - number * step
        expected = start + step
    return step, shifts
