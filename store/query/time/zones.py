"""Clocks of time zones: wall times, and days and longer periods by local clocks.

A wall time is the time that a clock shows, in milliseconds since 1970-01-01T00:00 by the clock. A
day is a number of days since then. One rule covers changes of the clocks: a wall time begins at the
first instant at which the clocks show it or a later one. So a day without a midnight begins when
the clocks skip it, a day that the calendar skips is empty, and no two days overlap.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from schema.buckets import Granularity, WeekStart
from schema.scalars import Instant, Zone

MS_PER_DAY: Final = 86_400_000

DAYS: Final = {Granularity.DAY: 1, Granularity.WEEK: 7}
MONTHS: Final = {Granularity.MONTH: 1, Granularity.QUARTER: 3, Granularity.YEAR: 12}

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY: Final = _EPOCH.toordinal()
_NO_OFFSET: Final = timedelta()
_FIRST_WEEK: Final = {WeekStart.MONDAY: 4, WeekStart.SUNDAY: 3}
_BLOCK: Final = 400 * 86_400
# Since 1900 no zone has kept an offset for less than four days (Freetown, 1939).
_PROBE: Final = 2 * 86_400


class Stretch(NamedTuple):
    """The time from an instant on (until the next stretch) in which an offset to UTC holds."""

    start: int
    offset: int

    def wall(self, moment: int) -> int:
        """Return the wall time of an instant."""
        return moment + self.offset


def stretches(zone: Zone, first: int, last: int) -> list[Stretch]:
    """Return the stretches from one instant to another; the start of the first is arbitrary."""
    zone_stretches: list[Stretch] = []
    for block in range(first // 1000 // _BLOCK, last // 1000 // _BLOCK + 1):
        for stretch in _block(zone, block):
            if not zone_stretches or stretch.offset != zone_stretches[-1].offset:
                zone_stretches.append(stretch)
    end = bisect_right(zone_stretches, last, lo=1, key=lambda stretch: stretch.start)
    start = bisect_right(zone_stretches, first, lo=1, key=lambda stretch: stretch.start) - 1
    return zone_stretches[start:end]


@lru_cache(maxsize=4096)
def _block(zone: Zone, block: int) -> tuple[Stretch, ...]:
    """Find the stretches in 400 days by a search, in 0.3 ms: Python does not list them."""
    clocks = ZoneInfo(zone)
    start = block * _BLOCK
    block_stretches = [Stretch(start * 1000, _offset(clocks, start))]
    for low, high in pairwise(range(start, start + _BLOCK + 1, _PROBE)):
        offset = _offset(clocks, high)
        if offset != block_stretches[-1].offset:
            block_stretches.append(Stretch(_change(clocks, low, high) * 1000, offset))
    if block_stretches[-1].start == (start + _BLOCK) * 1000:
        block_stretches.pop()  # belongs to the next block
    return tuple(block_stretches)


def _change(clocks: ZoneInfo, low: int, high: int) -> int:
    offset = _offset(clocks, low)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(clocks, middle) == offset:
            low = middle
        else:
            high = middle
    return high


def _offset(clocks: ZoneInfo, second: int) -> int:
    """Return the offset to UTC in milliseconds: whole seconds, not minutes (Monrovia, 1971)."""
    offset = (_EPOCH + timedelta(seconds=second)).astimezone(clocks).utcoffset() or _NO_OFFSET
    return (offset.days * 86_400 + offset.seconds) * 1000


def first_instants(zone: Zone, walls: Sequence[int]) -> list[int]:
    """Return the instants at which wall times begin; the wall times must ascend."""
    instants: list[int] = []
    pad = 2 * MS_PER_DAY
    zone_stretches = stretches(zone, walls[0] - pad, walls[-1] + pad)
    for index, (start, offset) in enumerate(zone_stretches):
        is_last = index == len(zone_stretches) - 1
        end = (
            len(walls) if is_last else bisect_left(walls, zone_stretches[index + 1].start + offset)
        )
        instants += [max(start, wall - offset) for wall in walls[len(instants) : end]]
    return instants


def wall_time(zone: Zone, moment: int) -> int:
    """Return the wall time of an instant."""
    return stretches(zone, moment, moment)[0].wall(moment)


def day_of(zone: Zone, moment: int) -> int:
    """Return the day that an instant belongs to."""
    day = wall_time(zone, moment) // MS_PER_DAY
    while first_instants(zone, [(day + 1) * MS_PER_DAY])[0] <= moment:
        day += 1  # the day had begun before the clocks were turned back to yesterday
    return day


def period_days(
    granularity: Granularity, first: int, last: int, week_start: WeekStart = WeekStart.MONDAY
) -> list[int]:
    """Return the first days of the periods with days `first` to `last`, and of the next period.

    The granularity is DAY or coarser.
    """
    if granularity in DAYS:
        length = DAYS[granularity]
        begin = first - (first - _FIRST_WEEK[week_start]) % length
        return list(range(begin, last + length + 1, length))
    length = MONTHS[granularity]
    start = _month(first) - _month(first) % length
    return [_first_day(month) for month in range(start, _month(last) + length + 1, length)]


def period_start(
    zone: Zone,
    moment: int,
    granularity: Granularity,
    ago: int = 0,
    week_start: WeekStart = WeekStart.MONDAY,
) -> Instant:
    """Return the start of the period of an instant, or of the period `ago` periods before."""
    today = day_of(zone, moment)
    if granularity in DAYS:
        day = period_days(granularity, today, today, week_start)[0] - ago * DAYS[granularity]
    else:
        month = _month(today) - _month(today) % MONTHS[granularity]
        day = _first_day(month - ago * MONTHS[granularity])
    return Instant(first_instants(zone, [day * MS_PER_DAY])[0])


def _month(day: int) -> int:
    calendar_day = date.fromordinal(_EPOCH_DAY + day)
    return calendar_day.year * 12 + calendar_day.month - 1


def _first_day(month: int) -> int:
    return date(month // 12, month % 12 + 1, 1).toordinal() - _EPOCH_DAY


def next_month(wall: int) -> int:
    """Return the wall time at which the next month begins."""
    return _first_day(_month(wall // MS_PER_DAY) + 1) * MS_PER_DAY


def months_before(wall: int, months: int) -> tuple[int, bool]:
    """Return a wall time some months earlier, and whether the earlier month has the same day.

    If it lacks the day, the wall time is on its last day.
    """
    day, clock = divmod(wall, MS_PER_DAY)
    month = _month(day) - months
    month_day = day - _first_day(_month(day))
    length = _first_day(month + 1) - _first_day(month)
    target_day = _first_day(month) + min(month_day, length - 1)
    return target_day * MS_PER_DAY + clock, month_day < length
