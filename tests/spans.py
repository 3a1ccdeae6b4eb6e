"""What ranges of time mean, told by Python's calendar: the oracle's ranges."""

import re
from collections.abc import Collection, Mapping
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from schema.scalars import parse_duration, parse_instant
from tests.clocks import local
from tests.cuts import begin

Span = tuple[int, int]

DAYS_BACK: Final = {
    "TODAY": 0,
    "LAST_7_DAYS": 6,
    "LAST_28_DAYS": 27,
    "LAST_30_DAYS": 29,
    "LAST_91_DAYS": 90,
}
PRESETS: Final = (
    *DAYS_BACK,
    *("YESTERDAY", "LAST_24_HOURS", "THIS_WEEK", "THIS_MONTH", "THIS_YEAR", "LAST_12_MONTHS"),
    "ALL_TIME",
)
WEEK: Final = timedelta(days=7)


def meant(text: str, now: int, zone: str, times: Collection[int]) -> Span:
    """Return the range that is written in GraphQL; `times` are those of all rows."""
    found = re.findall(r'"([^"]*)"', text)
    if "between" in text:
        return int(parse_instant(found[0])), int(parse_instant(found[1]))
    if "last" in text:
        return now + 1 - parse_duration(found[0]), now + 1
    preset = re.findall("[A-Z][A-Z0-9_]+", text)[0]
    today = local(zone, now // 1000).date()
    if preset == "LAST_24_HOURS":
        return now + 1 - 86_400_000, now + 1
    if preset == "ALL_TIME":
        oldest = min(*times, now) if times else _midnight(zone, today)
        return oldest, max([*times, now]) + 1
    if preset == "YESTERDAY":
        return _midnight(zone, today - timedelta(days=1)), _midnight(zone, today)
    first = {
        "THIS_WEEK": today - timedelta(days=today.weekday()),
        "THIS_MONTH": today.replace(day=1),
        "THIS_YEAR": today.replace(month=1, day=1),
        "LAST_12_MONTHS": _months(today.replace(day=1), 11),
    }
    day = first.get(preset) or today - timedelta(days=DAYS_BACK[preset])
    return _midnight(zone, day), now + 1


def _midnight(zone: str, day: date) -> int:
    return begin(zone, day) * 1000


def _months(day: date, ago: int) -> date:
    months = day.year * 12 + day.month - 1 - ago
    return day.replace(year=months // 12, month=months % 12 + 1)


def compared(mode: str, span: Span, zone: str) -> Span | None:
    """Return the range that a mode means; None where the clocks or the calendar make it odd."""
    if mode == "PREVIOUS_PERIOD":
        return _directly_before(span, zone)
    ends = [_wall(zone, end) for end in span]
    if None in ends or any(end and end.day > 28 for end in ends):
        return None
    length = ends[1] - ends[0] if ends[0] and ends[1] else WEEK
    weeks = max(1, -(-length // WEEK)) if mode == "PREVIOUS_PERIOD_MATCH_WEEKDAY" else 1
    months: Mapping[str, int] = {"PREVIOUS_MONTH": 1, "YEAR_OVER_YEAR": 12}
    found = [
        _instant(
            zone,
            datetime.combine(_months(end.date(), months[mode]), end.time())
            if mode in months
            else end - weeks * WEEK,
        )
        for end in ends
        if end
    ]
    return (found[0], found[1]) if found[0] is not None and found[1] is not None else None


def _directly_before(span: Span, zone: str) -> Span | None:
    first, behind = span
    days = [local(zone, end // 1000).date() for end in span]
    if all(_midnight(zone, day) == end for day, end in zip(days, span, strict=True)):
        before = days[0] - (days[1] - days[0])
        clear = all(_instant(zone, datetime.combine(day, datetime.min.time())) for day in days)
        return (_midnight(zone, before), first) if clear else None
    clear = all(_wall(zone, end) for end in span)
    return (first - (behind - first), first) if clear else None


def _wall(zone: str, moment: int) -> datetime | None:
    """Return what clocks show, with milliseconds; None if they show it twice."""
    second, ms = divmod(moment, 1000)
    shown = local(zone, second).replace(tzinfo=None) + timedelta(milliseconds=ms)
    return shown if _instant(zone, shown) == moment else None


def _instant(zone: str, wall: datetime) -> int | None:
    """Return when clocks show a time; None if they never do, or twice."""
    clocks = ZoneInfo(zone)
    moments = [wall.replace(tzinfo=clocks, fold=fold) for fold in (0, 1)]
    if moments[0].utcoffset() != moments[1].utcoffset():
        return None
    since = moments[0].astimezone(ZoneInfo("UTC")) - datetime(1970, 1, 1, tzinfo=ZoneInfo("UTC"))
    return since // timedelta(milliseconds=1)
