"""Time ranges and comparison ranges by Python's own calendar."""

import re
from calendar import monthrange
from collections.abc import Collection
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from schema.scalars import parse_instant
from schema.time.durations import parse_duration
from tests.oracle.buckets import second_of
from tests.oracle.calendar import local_time

Interval = tuple[int, int]

DAYS_BACK: Final = {
    "TODAY": 0,
    "LAST_7_DAYS": 6,
    "LAST_28_DAYS": 27,
    "LAST_30_DAYS": 29,
    "LAST_90_DAYS": 89,
    "LAST_91_DAYS": 90,
}
PRESETS: Final = (
    *DAYS_BACK,
    *("YESTERDAY", "LAST_24_HOURS", "THIS_WEEK", "LAST_WEEK", "THIS_MONTH", "LAST_MONTH"),
    *("THIS_YEAR", "YEAR_TO_DATE", "LAST_12_MONTHS", "ALL_TIME"),
)
WEEK: Final = timedelta(days=7)
MONTHS: Final = {
    "THIS_MONTH": 1,
    "LAST_MONTH": 1,
    "THIS_YEAR": 12,
    "YEAR_TO_DATE": 12,
    "LAST_12_MONTHS": 12,
    "PREVIOUS_MONTH": 1,
    "YEAR_OVER_YEAR": 12,
}
"""The months by which a preset, or a mode of comparison, moves a range."""


def expected_range(
    text: str, now: int, zone: str, times: Collection[int], *, sunday_weeks: bool = False
) -> Interval:
    """Return the range of a GraphQL text; `times` are the times of all rows."""
    texts = re.findall(r'"([^"]*)"', text)
    today = local_time(zone, now // 1000).date()
    if "between" in text:
        return int(parse_instant(texts[0])), int(parse_instant(texts[1]))
    if "dates" in text:
        first, last = (date.fromisoformat(day) for day in (texts[0], texts[-1]))
        last = today if len(texts) == 1 else last
        end = now + 1 if last == today else _midnight(zone, last + timedelta(days=1))
        return _midnight(zone, first), end
    if "last" in text:
        return now + 1 - parse_duration(texts[0]), now + 1
    preset = preset_of(text)
    if preset == "LAST_24_HOURS":
        return now + 1 - 86_400_000, now + 1
    if preset == "ALL_TIME":
        start = min(*times, now) if times else _midnight(zone, today)
        return start, max([*times, now]) + 1
    return _by_calendar(preset, now, today, zone, sunday_weeks=sunday_weeks)


def _by_calendar(preset: str, now: int, today: date, zone: str, *, sunday_weeks: bool) -> Interval:
    week = today - timedelta(days=(today.weekday() + sunday_weeks) % 7)
    month = today.replace(day=1)
    full_periods = {
        "YESTERDAY": (today - timedelta(days=1), today),
        "LAST_WEEK": (week - WEEK, week),
        "LAST_MONTH": (_months_before(month, 1), month),
    }
    if preset in full_periods:
        first, last = full_periods[preset]
        return _midnight(zone, first), _midnight(zone, last)
    first_days = {
        "THIS_WEEK": week,
        "THIS_MONTH": month,
        "THIS_YEAR": today.replace(month=1, day=1),
        "YEAR_TO_DATE": today.replace(month=1, day=1),
        "LAST_12_MONTHS": _months_before(month, 11),
    }
    day = first_days.get(preset) or today - timedelta(days=DAYS_BACK[preset])
    return _midnight(zone, day), now + 1


def preset_of(text: str) -> str:
    """Return the preset that a range in GraphQL names; '' if it names none."""
    return "".join(re.findall("[A-Z][A-Z0-9_]{3,}", text)[:1]) if "preset" in text else ""


def _midnight(zone: str, day: date) -> int:
    return second_of(zone, day) * 1000


def _months_before(day: date, ago: int) -> date:
    """Return the same day some months before, or the last day of a shorter month."""
    year, month = divmod(day.year * 12 + day.month - 1 - ago, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def comparison_range(mode: str, text: str, interval: Interval, zone: str) -> Interval | None:
    """Return the range that a mode compares an interval with; `text` is its GraphQL.

    None where the clocks or the calendar allow several answers.
    """
    start, end = interval
    preset = preset_of(text)
    is_rolling = "last:" in text or preset in ("LAST_24_HOURS", "ALL_TIME")
    if mode == "PREVIOUS_PERIOD":
        if is_rolling or (not preset and start != _begin_of_day(zone, start)):
            return start - (end - start), start
        mode = preset
    ends = [_wall(zone, moment) for moment in interval]
    if ends[0] is None or ends[1] is None:
        return None
    if (ends[1] - timedelta(milliseconds=1)).date() != local_time(zone, (end - 1) // 1000).date():
        return None  # the calendar skips the day before
    if mode in MONTHS:
        return _move_by_months(ends[0], ends[1], MONTHS[mode], zone)
    return _move_by_days(ends[0], ends[1], _days_to_move(mode, ends[0], ends[1]), zone)


def _begin_of_day(zone: str, moment: int) -> int:
    return _midnight(zone, local_time(zone, moment // 1000).date())


def _days_to_move(mode: str, start: datetime, end: datetime) -> int:
    if mode == "PREVIOUS_PERIOD_MATCH_WEEKDAY":
        return 7 * max(1, -(-(end - start) // WEEK))
    if mode in ("PREVIOUS_WEEK", "THIS_WEEK", "LAST_WEEK"):
        return 7
    last = end - timedelta(milliseconds=1)
    return (last.date() - start.date()).days + 1


def _move_by_days(start: datetime, end: datetime, days: int, zone: str) -> Interval | None:
    moved_start, moved_end = (_instant(zone, wall - timedelta(days=days)) for wall in (start, end))
    return None if moved_start is None or moved_end is None else (moved_start, moved_end)


def _move_by_months(start: datetime, end: datetime, months: int, zone: str) -> Interval | None:
    """Move both ends; None for a range that begins on a day after the 28th, or ends with one."""
    if start.day > 28 or (end.day > 28 and end.time() == datetime.min.time()):
        return None
    moved_start, moved_end = (
        _instant(zone, datetime.combine(_months_before(wall.date(), months), wall.time()))
        for wall in (start, end)
    )
    if moved_start is None or moved_end is None or moved_start >= moved_end:
        return None
    return moved_start, moved_end


def _wall(zone: str, moment: int) -> datetime | None:
    """Return the local time of an instant, with milliseconds; None if clocks show it twice.

    The first instant of a day is midnight, even if clocks show no midnight or two.
    """
    second, ms = divmod(moment, 1000)
    wall = local_time(zone, second).replace(tzinfo=None) + timedelta(milliseconds=ms)
    if moment == _begin_of_day(zone, moment):
        return datetime.combine(wall.date(), datetime.min.time())
    return wall if _instant(zone, wall) == moment else None


def _instant(zone: str, wall: datetime) -> int | None:
    """Return the instant of a local time; None if clocks never show it, or twice.

    A midnight has an instant always: the first one of its day.
    """
    if wall.time() == datetime.min.time():
        return _midnight(zone, wall.date())
    clocks = ZoneInfo(zone)
    moments = [wall.replace(tzinfo=clocks, fold=fold) for fold in (0, 1)]
    if moments[0].utcoffset() != moments[1].utcoffset():
        return None
    epoch_time = moments[0].astimezone(ZoneInfo("UTC")) - datetime(
        1970, 1, 1, tzinfo=ZoneInfo("UTC")
    )
    return epoch_time // timedelta(milliseconds=1)
