"""What ranges of time mean, told by Python's calendar: the oracle's ranges."""

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
"""The months that a preset, or a mode of comparison, is moved by."""


def expected_range(
    text: str, now: int, zone: str, times: Collection[int], *, sunday_weeks: bool = False
) -> Interval:
    """Return the range that is written in GraphQL; `times` are those of all rows.

    `sunday`: weeks begin on Sunday.
    """
    found = re.findall(r'"([^"]*)"', text)
    today = local_time(zone, now // 1000).date()
    if "between" in text:
        return int(parse_instant(found[0])), int(parse_instant(found[1]))
    if "dates" in text:
        first, last = (date.fromisoformat(day) for day in (found[0], found[-1]))
        last = today if len(found) == 1 else last
        end = now + 1 if last == today else _midnight(zone, last + timedelta(days=1))
        return _midnight(zone, first), end
    if "last" in text:
        return now + 1 - parse_duration(found[0]), now + 1
    preset = preset_of(text)
    if preset == "LAST_24_HOURS":
        return now + 1 - 86_400_000, now + 1
    if preset == "ALL_TIME":
        oldest = min(*times, now) if times else _midnight(zone, today)
        return oldest, max([*times, now]) + 1
    return _by_calendar(preset, now, today, zone, sunday=sunday_weeks)


def _by_calendar(preset: str, now: int, today: date, zone: str, *, sunday: bool) -> Interval:
    week = today - timedelta(days=(today.weekday() + sunday) % 7)
    month = today.replace(day=1)
    whole = {
        "YESTERDAY": (today - timedelta(days=1), today),
        "LAST_WEEK": (week - WEEK, week),
        "LAST_MONTH": (_months(month, 1), month),
    }
    if preset in whole:
        first, last = whole[preset]
        return _midnight(zone, first), _midnight(zone, last)
    since = {
        "THIS_WEEK": week,
        "THIS_MONTH": month,
        "THIS_YEAR": today.replace(month=1, day=1),
        "YEAR_TO_DATE": today.replace(month=1, day=1),
        "LAST_12_MONTHS": _months(month, 11),
    }
    day = since.get(preset) or today - timedelta(days=DAYS_BACK[preset])
    return _midnight(zone, day), now + 1


def preset_of(text: str) -> str:
    """Return the preset that a range in GraphQL names; '' if it names none."""
    return "".join(re.findall("[A-Z][A-Z0-9_]{3,}", text)[:1]) if "preset" in text else ""


def _midnight(zone: str, day: date) -> int:
    return second_of(zone, day) * 1000


def _months(day: date, ago: int) -> date:
    """Return a date some months before; the last of the month if that has no such day."""
    year, month = divmod(day.year * 12 + day.month - 1 - ago, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def comparison_range(mode: str, text: str, span: Interval, zone: str) -> Interval | None:
    """Return the range that a mode means for a range as it is written.

    None where the clocks or the calendar make it odd.
    """
    first, behind = span
    preset = preset_of(text)
    rolling = "last:" in text or preset in ("LAST_24_HOURS", "ALL_TIME")
    if mode == "PREVIOUS_PERIOD":
        if rolling or (not preset and first != _begin_of_day(zone, first)):
            return first - (behind - first), first
        mode = preset
    ends = [_wall(zone, end) for end in span]
    if ends[0] is None or ends[1] is None:
        return None
    if (ends[1] - timedelta(milliseconds=1)).date() != local_time(
        zone, (behind - 1) // 1000
    ).date():
        return None  # the calendar skips the day before
    if mode in MONTHS:
        return _moved_by_months(ends[0], ends[1], MONTHS[mode], zone)
    return _moved_by_days(ends[0], ends[1], _days_moved(mode, ends[0], ends[1]), zone)


def _begin_of_day(zone: str, moment: int) -> int:
    return _midnight(zone, local_time(zone, moment // 1000).date())


def _days_moved(mode: str, first: datetime, behind: datetime) -> int:
    if mode == "PREVIOUS_PERIOD_MATCH_WEEKDAY":
        return 7 * max(1, -(-(behind - first) // WEEK))
    if mode in ("PREVIOUS_WEEK", "THIS_WEEK", "LAST_WEEK"):
        return 7
    last = behind - timedelta(milliseconds=1)
    return (last.date() - first.date()).days + 1


def _moved_by_days(first: datetime, behind: datetime, days: int, zone: str) -> Interval | None:
    start, end = (_instant(zone, wall - timedelta(days=days)) for wall in (first, behind))
    return None if start is None or end is None else (start, end)


def _moved_by_months(first: datetime, behind: datetime, months: int, zone: str) -> Interval | None:
    """Move both ends; a range that begins on a day after the 28th, or ends with one, is odd."""
    if first.day > 28 or (behind.day > 28 and behind.time() == datetime.min.time()):
        return None
    start, end = (
        _instant(zone, datetime.combine(_months(wall.date(), months), wall.time()))
        for wall in (first, behind)
    )
    return (start, end) if start is not None and end is not None and start < end else None


def _wall(zone: str, moment: int) -> datetime | None:
    """Return what clocks show, with milliseconds; None if they show it twice.

    A day that begins without a midnight, or with two, begins with midnight.
    """
    second, ms = divmod(moment, 1000)
    shown = local_time(zone, second).replace(tzinfo=None) + timedelta(milliseconds=ms)
    if moment == _begin_of_day(zone, moment):
        return datetime.combine(shown.date(), datetime.min.time())
    return shown if _instant(zone, shown) == moment else None


def _instant(zone: str, wall: datetime) -> int | None:
    """Return when clocks show a time; None if they never do, or twice, and it is no midnight."""
    if wall.time() == datetime.min.time():
        return _midnight(zone, wall.date())
    clocks = ZoneInfo(zone)
    moments = [wall.replace(tzinfo=clocks, fold=fold) for fold in (0, 1)]
    if moments[0].utcoffset() != moments[1].utcoffset():
        return None
    since = moments[0].astimezone(ZoneInfo("UTC")) - datetime(1970, 1, 1, tzinfo=ZoneInfo("UTC"))
    return since // timedelta(milliseconds=1)
