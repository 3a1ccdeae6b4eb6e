"""Ranges of time as they are meant: presets by local clocks, and what is compared with them."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, NamedTuple

from strawberry import UNSET

from schema.buckets import Granularity
from schema.errors import AnalyticsError, bad_input
from schema.ranges import (
    MAX_HOURS,
    CompareInput,
    CompareMode,
    TimeRange,
    TimeRangeInput,
    TimeRangePreset,
)
from schema.scalars import MS_PER_HOUR, UTC_ZONE, Instant, Zone, instant
from store.timestamps import MAX_TIME
from store.zones import (
    DAYS,
    MS_PER_DAY,
    day_of,
    first_instants,
    months_before,
    period_start,
    wall_time,
)


class Extent(NamedTuple):
    """The times of the oldest and of the newest row."""

    oldest: Instant
    newest: Instant


EVER: Final = Extent(Instant(0), MAX_TIME)
"""No row is older or newer."""

_BOUNDS: Final = (
    instant(datetime(1900, 1, 1, tzinfo=UTC)),
    instant(datetime(2200, 1, 1, tzinfo=UTC)),
)
_MS_PER_WEEK: Final = DAYS[Granularity.WEEK] * MS_PER_DAY

_SINCE: Final = {
    TimeRangePreset.TODAY: (Granularity.DAY, 0),
    TimeRangePreset.LAST_7_DAYS: (Granularity.DAY, 6),
    TimeRangePreset.LAST_28_DAYS: (Granularity.DAY, 27),
    TimeRangePreset.LAST_30_DAYS: (Granularity.DAY, 29),
    TimeRangePreset.LAST_91_DAYS: (Granularity.DAY, 90),
    TimeRangePreset.THIS_WEEK: (Granularity.WEEK, 0),
    TimeRangePreset.THIS_MONTH: (Granularity.MONTH, 0),
    TimeRangePreset.THIS_YEAR: (Granularity.YEAR, 0),
    TimeRangePreset.LAST_12_MONTHS: (Granularity.MONTH, 11),
}
"""The period with whose start a preset begins, as so many periods before the present one."""

_MONTHS_BACK: Final = {CompareMode.PREVIOUS_MONTH: 1, CompareMode.YEAR_OVER_YEAR: 12}


def resolve_range(
    asked: TimeRangeInput,
    now: Instant,
    zone: Zone = UTC_ZONE,
    extent: Extent | None = EVER,
) -> TimeRange:
    """Return the instants that are meant; the millisecond of `now` itself is in the range.

    `extent` is null if there are no rows. Only ALL_TIME looks at it: it has the oldest and the
    newest row in it, and `now` in any case; in an empty store it is today so far.
    Raises `AnalyticsError` for a range that is empty, or longer than `MAX_HOURS` (not ALL_TIME).
    """
    end = Instant(now + 1)
    if asked.preset:
        start, end = _preset(asked.preset, now, zone, extent)
        return TimeRange(from_=start, to=end, timezone=zone)
    if asked.last is not None and asked.last is not UNSET:
        field, start = "last", Instant(end - asked.last)
    elif asked.between:
        field, start = "between", asked.between.from_
        end = end if asked.between.to is None else asked.between.to
    else:
        raise bad_input("range", "needs one of last, preset, between")
    if end <= start:
        raise bad_input(field, "must end after it begins")
    if end - start > MAX_HOURS * MS_PER_HOUR:
        raise bad_input(field, f"must be at most {MAX_HOURS} hours", limit=MAX_HOURS)
    return TimeRange(from_=start, to=end, timezone=zone)


def _preset(
    preset: TimeRangePreset, now: Instant, zone: Zone, extent: Extent | None
) -> tuple[Instant, Instant]:
    end = Instant(now + 1)
    if preset is TimeRangePreset.LAST_24_HOURS:
        return Instant(end - MS_PER_DAY), end
    today = period_start(zone, now, Granularity.DAY)
    if preset is TimeRangePreset.YESTERDAY:
        return period_start(zone, Instant(today - 1), Granularity.DAY), today
    if preset is TimeRangePreset.ALL_TIME:
        if extent is None:
            return today, end
        return min(extent.oldest, now), Instant(max(extent.newest, now) + 1)
    granularity, ago = _SINCE[preset]
    return period_start(zone, now, granularity, ago), end


def known(span: TimeRange) -> bool:
    """Tell whether a range is in the years 1900 to 2199, outside of which clocks are not known."""
    return span.from_ >= _BOUNDS[0] and span.to <= _BOUNDS[1]


def comparison(
    span: TimeRange,
    compare: CompareInput,
    zone: Zone,
    now: Instant,
    extent: Extent | None = EVER,
) -> TimeRange:
    """Return the range that another one is compared with; `extent` as for `resolve_range`.

    Both of its ends are found by the clocks of the zone, so that a day is compared with a day. If
    these skipped all of it, it is as long as the other one.
    Raises `AnalyticsError` for a range that can't be resolved, or not in the years 1900 to 2199.
    """
    if compare.mode:
        _check_years(span)
        return _earlier(span, compare.mode, zone)
    if not compare.range:
        raise bad_input("compare", "needs one of mode, range")
    try:
        found = resolve_range(compare.range, now, zone, extent)
    except AnalyticsError as error:
        raise bad_input("compare", error.message, limit=error.limit) from error
    _check_years(found)
    return found


def _check_years(span: TimeRange) -> None:
    if not known(span):
        raise bad_input("compare", "only works in the years 1900 to 2199")


def _earlier(span: TimeRange, mode: CompareMode, zone: Zone) -> TimeRange:
    if mode is CompareMode.PREVIOUS_PERIOD:
        return _directly_before(span, zone)
    begin, end = _walls(span, zone)
    if mode in _MONTHS_BACK:
        begin, end = _months_earlier(begin, end, _MONTHS_BACK[mode])
    else:
        weeks = max(1, -((begin - end) // _MS_PER_WEEK))
        back = weeks if mode is CompareMode.PREVIOUS_PERIOD_MATCH_WEEKDAY else 1
        begin, end = begin - back * _MS_PER_WEEK, end - back * _MS_PER_WEEK
    start = first_instants(zone, [begin])[0]
    stop = first_instants(zone, [end])[0]
    if stop <= start:
        stop = start + span.to - span.from_
    return replace(span, from_=Instant(start), to=Instant(stop), timezone=zone)


def _directly_before(span: TimeRange, zone: Zone) -> TimeRange:
    begin, end = _walls(span, zone)
    start = span.from_ - (span.to - span.from_)
    if begin % MS_PER_DAY == 0 and end % MS_PER_DAY == 0:
        whole_days = first_instants(zone, [begin - (end - begin)])[0]
        start = whole_days if whole_days < span.from_ else start
    return replace(span, from_=Instant(start), to=span.from_, timezone=zone)


def _walls(span: TimeRange, zone: Zone) -> tuple[int, int]:
    """Return the wall times of both ends; that of a whole day's end is midnight in any case."""
    begin = day_of(zone, span.from_) * MS_PER_DAY
    if first_instants(zone, [begin])[0] != span.from_:
        begin = wall_time(zone, span.from_)
    end = (day_of(zone, span.to - 1) + 1) * MS_PER_DAY
    if first_instants(zone, [end])[0] != span.to:
        end = wall_time(zone, span.to)
    return begin, end


def _months_earlier(begin: int, end: int, months: int) -> tuple[int, int]:
    """Shift both ends by the calendar. A range keeps its length if its first day was moved."""
    start, same_day = months_before(begin, months)
    if not same_day:
        return start, start + end - begin
    stop, same_day = months_before(end, months)
    return start, stop if same_day else months_before(end - 1, months)[0] + 1
