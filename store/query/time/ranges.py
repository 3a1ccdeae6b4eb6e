"""Time ranges: inputs resolved to instants by local clocks, and the ranges of comparisons."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, NamedTuple

from strawberry import UNSET

from schema.buckets import Granularity, WeekStart
from schema.errors import AnalyticsError, bad_input
from schema.ranges import (
    MAX_HOURS,
    MAX_YEARS,
    CompareInput,
    CompareMode,
    DateRangeInput,
    TimeBetweenInput,
    TimeRange,
    TimeRangeInput,
    TimeRangePreset,
)
from schema.scalars import MS_PER_HOUR, UTC_ZONE, DurationMs, Instant, Zone, instant
from store.query.time.zones import (
    DAYS,
    MONTHS,
    MS_PER_DAY,
    day_of,
    first_instants,
    months_before,
    next_month,
    period_start,
    wall_time,
)
from store.timestamps import MAX_TIME


class Extent(NamedTuple):
    """The times of the oldest and of the newest row."""

    oldest: Instant
    newest: Instant


ALL_TIME: Final = Extent(Instant(0), MAX_TIME)
"""The times that a row may have: no row is older or newer."""

_BOUNDS: Final = (
    instant(datetime(1900, 1, 1, tzinfo=UTC)),
    instant(datetime(2200, 1, 1, tzinfo=UTC)),
)
_MS_PER_WEEK: Final = DAYS[Granularity.WEEK] * MS_PER_DAY

_PRESET_STARTS: Final = {
    TimeRangePreset.TODAY: (Granularity.DAY, 0, Granularity.DAY),
    TimeRangePreset.LAST_7_DAYS: (Granularity.DAY, 6, Granularity.DAY),
    TimeRangePreset.LAST_28_DAYS: (Granularity.DAY, 27, Granularity.DAY),
    TimeRangePreset.LAST_30_DAYS: (Granularity.DAY, 29, Granularity.DAY),
    TimeRangePreset.LAST_90_DAYS: (Granularity.DAY, 89, Granularity.DAY),
    TimeRangePreset.LAST_91_DAYS: (Granularity.DAY, 90, Granularity.DAY),
    TimeRangePreset.THIS_WEEK: (Granularity.WEEK, 0, Granularity.WEEK),
    TimeRangePreset.THIS_MONTH: (Granularity.MONTH, 0, Granularity.MONTH),
    TimeRangePreset.THIS_YEAR: (Granularity.YEAR, 0, Granularity.YEAR),
    TimeRangePreset.YEAR_TO_DATE: (Granularity.YEAR, 0, Granularity.YEAR),
    TimeRangePreset.LAST_12_MONTHS: (Granularity.MONTH, 11, Granularity.YEAR),
}
"""For each preset that ends now: the period it begins with, how many periods ago, and
`TimeRange.period`."""

_WHOLE_PERIODS: Final = {
    TimeRangePreset.YESTERDAY: Granularity.DAY,
    TimeRangePreset.LAST_WEEK: Granularity.WEEK,
    TimeRangePreset.LAST_MONTH: Granularity.MONTH,
}
"""The presets of one whole period: the period before the present one."""

_MONTHS_BACK: Final = {CompareMode.PREVIOUS_MONTH: 1, CompareMode.YEAR_OVER_YEAR: 12}


def resolve_range(
    range_input: TimeRangeInput,
    now: Instant,
    zone: Zone = UTC_ZONE,
    extent: Extent | None = ALL_TIME,
    week_start: WeekStart = WeekStart.MONDAY,
) -> TimeRange:
    """Resolve a range to instants; a range up to now includes the millisecond of `now`.

    ALL_TIME covers `extent` and `now`; without rows `extent` is None, and ALL_TIME is today so far.
    Raises `AnalyticsError` for a range that is empty or too long (except ALL_TIME).
    """
    if range_input.preset:
        return _preset(range_input.preset, now, zone, extent, week_start)
    if range_input.last is not None and range_input.last is not UNSET:
        return _last(range_input.last, now, zone)
    if range_input.between:
        return _between(range_input.between, now, zone)
    if range_input.dates:
        return _dates(range_input.dates, now, zone)
    raise bad_input("range", "needs one of last, preset, between, dates")


def _preset(
    preset: TimeRangePreset, now: Instant, zone: Zone, extent: Extent | None, week_start: WeekStart
) -> TimeRange:
    end = Instant(now + 1)
    if preset is TimeRangePreset.LAST_24_HOURS:
        return TimeRange(from_=Instant(end - MS_PER_DAY), to=end, timezone=zone)
    if preset is TimeRangePreset.ALL_TIME:
        start = period_start(zone, now, Granularity.DAY)
        if extent:
            start, end = min(extent.oldest, now), Instant(max(extent.newest, now) + 1)
        return TimeRange(from_=start, to=end, timezone=zone)
    if period := _WHOLE_PERIODS.get(preset):
        end = period_start(zone, now, period, week_start=week_start)
        start = period_start(zone, Instant(end - 1), period, week_start=week_start)
        return TimeRange(from_=start, to=end, timezone=zone, period=period)
    granularity, ago, period = _PRESET_STARTS[preset]
    start = period_start(zone, now, granularity, ago, week_start)
    return TimeRange(from_=start, to=end, timezone=zone, period=period)


def _last(length: DurationMs, now: Instant, zone: Zone) -> TimeRange:
    """Return the range of a length up to now; months are counted by the clocks of the zone."""
    end = Instant(now + 1)
    start = Instant(end - length)
    if length.months > 12 * MAX_YEARS:
        raise bad_input("last", f"must be at most {MAX_YEARS} years", limit=MAX_YEARS)
    if length.months:
        start = Instant(_months_ago(end, zone, length.months) - length)
        _check_years_apart("last", start, end, zone)
    else:
        _check_length("last", start, end)
    return TimeRange(from_=start, to=end, timezone=zone)


def _between(between: TimeBetweenInput, now: Instant, zone: Zone) -> TimeRange:
    start = between.from_
    end = Instant(now + 1) if between.to is None else between.to
    _check_length("between", start, end)
    time_range = TimeRange(from_=start, to=end, timezone=zone)
    begins_day = (
        is_in_known_years(time_range) and period_start(zone, start, Granularity.DAY) == start
    )
    return replace(time_range, period=Granularity.DAY if begins_day else None)


def _dates(dates: DateRangeInput, now: Instant, zone: Zone) -> TimeRange:
    """Return whole days; today ends now, as in presets."""
    today = day_of(zone, now)
    last = today if dates.to is None else dates.to
    walls = [dates.from_ * MS_PER_DAY, (last + 1) * MS_PER_DAY]
    if not _BOUNDS[0] <= min(walls) <= max(walls) <= _BOUNDS[1]:
        raise bad_input("dates", "only works in the years 1900 to 2199")
    if last < dates.from_:
        raise bad_input("dates", "must end after it begins")
    start, end = (Instant(edge) for edge in first_instants(zone, walls))
    _check_years_apart("dates", start, end, zone)
    if last == today:
        end = Instant(now + 1)
    if end <= start:
        raise bad_input("dates", "has no day that the calendar of the time zone has")
    return TimeRange(from_=start, to=end, timezone=zone, period=Granularity.DAY)


def _check_length(field: str, start: int, end: int) -> None:
    if end <= start:
        raise bad_input(field, "must end after it begins")
    if end - start > MAX_HOURS * MS_PER_HOUR:
        raise bad_input(field, f"must be at most {MAX_HOURS} hours", limit=MAX_HOURS)


def _check_years_apart(field: str, start: int, end: int, zone: Zone) -> None:
    if start < _months_ago(end, zone, 12 * MAX_YEARS):
        raise bad_input(field, f"must be at most {MAX_YEARS} years", limit=MAX_YEARS)


def _months_ago(moment: int, zone: Zone, months: int) -> int:
    """Return when the clocks showed the same time some months before."""
    return first_instants(zone, [months_before(wall_time(zone, moment), months)[0]])[0]


def is_in_known_years(time_range: TimeRange) -> bool:
    """Say whether a range is in the years 1900 to 2199, for which offsets to UTC are known."""
    return time_range.from_ >= _BOUNDS[0] and time_range.to <= _BOUNDS[1]


def comparison(
    time_range: TimeRange,
    compare: CompareInput,
    zone: Zone,
    now: Instant,
    extent: Extent | None = ALL_TIME,
    *,
    week_start: WeekStart = WeekStart.MONDAY,
) -> TimeRange:
    """Return the range that `time_range` is compared with; `extent` as for `resolve_range`.

    Both ends follow the clocks of the zone, so that a day is compared with a day. A range given as
    a length (`last`) is compared with the same length. If the clocks skipped the whole range, it
    gets the length of `time_range`.
    Raises `AnalyticsError` for a range that can't be resolved, or not in the years 1900 to 2199.
    """
    if compare.mode:
        _check_years(time_range)
        return _earlier_range(time_range, compare.mode, zone)
    if not compare.range:
        raise bad_input("compare", "needs one of mode, range")
    try:
        compared_range = resolve_range(compare.range, now, zone, extent, week_start)
    except AnalyticsError as error:
        raise bad_input("compare", error.message, limit=error.limit) from error
    _check_years(compared_range)
    return compared_range


def _check_years(time_range: TimeRange) -> None:
    if not is_in_known_years(time_range):
        raise bad_input("compare", "only works in the years 1900 to 2199")


def _earlier_range(time_range: TimeRange, mode: CompareMode, zone: Zone) -> TimeRange:
    if mode is CompareMode.PREVIOUS_PERIOD:
        return _previous_period(time_range, zone)
    begin, end = _walls(time_range, zone)
    if mode in _MONTHS_BACK:
        return _between_walls(time_range, zone, *_months_earlier(begin, end, _MONTHS_BACK[mode]))
    weeks = 1
    if mode is CompareMode.PREVIOUS_PERIOD_MATCH_WEEKDAY:
        # A change of the clocks lengthens or shortens seven days: count weeks by the shorter one.
        length = min(end - begin, time_range.to - time_range.from_)
        weeks = max(1, -(-length // _MS_PER_WEEK))
    return _between_walls(
        time_range, zone, begin - weeks * _MS_PER_WEEK, end - weeks * _MS_PER_WEEK
    )


def _previous_period(time_range: TimeRange, zone: Zone) -> TimeRange:
    same_length = replace(
        time_range,
        from_=Instant(2 * time_range.from_ - time_range.to),
        to=time_range.from_,
        timezone=zone,
    )
    if time_range.period is None:
        return same_length
    begin, end = _walls(time_range, zone)
    if time_range.period in MONTHS:
        return _between_walls(
            time_range, zone, *_months_earlier(begin, end, MONTHS[time_range.period])
        )
    if time_range.period is Granularity.WEEK:
        return _between_walls(time_range, zone, begin - _MS_PER_WEEK, end - _MS_PER_WEEK)
    if begin % MS_PER_DAY == 0 and end % MS_PER_DAY == 0:
        start = first_instants(zone, [begin - (end - begin)])[0]
        return (
            replace(same_length, from_=Instant(start)) if start < time_range.from_ else same_length
        )
    days = day_of(zone, time_range.to - 1) - day_of(zone, time_range.from_) + 1
    for days_back in (days, days + 1):  # the calendar may have skipped a day
        earlier_range = _between_walls(
            time_range, zone, begin - days_back * MS_PER_DAY, end - days_back * MS_PER_DAY
        )
        if earlier_range.to <= time_range.from_:
            return earlier_range
    return same_length


def _between_walls(time_range: TimeRange, zone: Zone, begin: int, end: int) -> TimeRange:
    """Return the range between wall times; if the clocks skipped it, as long as `time_range`."""
    start, stop = (first_instants(zone, [wall])[0] for wall in (begin, end))
    if stop <= start:
        stop = start + time_range.to - time_range.from_
    return replace(time_range, from_=Instant(start), to=Instant(stop), timezone=zone)


def _walls(time_range: TimeRange, zone: Zone) -> tuple[int, int]:
    """Return the wall times of both ends; the end of a whole day is always midnight."""
    begin = day_of(zone, time_range.from_) * MS_PER_DAY
    if first_instants(zone, [begin])[0] != time_range.from_:
        begin = wall_time(zone, time_range.from_)
    end = (day_of(zone, time_range.to - 1) + 1) * MS_PER_DAY
    if first_instants(zone, [end])[0] != time_range.to:
        end = wall_time(zone, time_range.to)
    return begin, end


def _months_earlier(begin: int, end: int, months: int) -> tuple[int, int]:
    """Shift both ends by months; a day that the earlier month lacks becomes its last day.

    A range within one month stays within one month.
    """
    start, same_day = months_before(begin, months)
    same_length_end = min(start + end - begin, next_month(start))
    if not same_day and end <= next_month(begin):
        return start, same_length_end
    stop, same_day = months_before(end, months)
    stop = stop if same_day else months_before(end - 1, months)[0] + 1
    return start, stop if stop > start else same_length_end
