"""Comparison ranges by local clocks."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.errors import AnalyticsError
from schema.ranges import CompareInput, CompareMode, TimeRange, TimeRangeInput, TimeRangePreset
from schema.scalars import UTC_ZONE, Instant, Zone
from schema.time.durations import DurationMs
from store.query.time.ranges import Extent, comparison, resolve_range
from tests.harness.service import NOON
from tests.oracle.calendar import (
    CALENDAR_SETTINGS,
    instant_at,
    latest_day,
    local_range,
    local_time,
    range_input,
    ranges,
    zone_instants,
)

HOUR: Final = 3_600_000
DAY: Final = 24 * HOUR
TODAY: Final = TimeRangeInput(preset=TimeRangePreset.TODAY)
BEFORE: Final = CompareInput(mode=CompareMode.PREVIOUS_PERIOD)


def range_between(zone: str, first: str, end: str) -> TimeRange:
    """Resolve `between` for two local times."""
    edges = (instant_at(zone, time) for time in (first, end))
    return resolve_range(range_input(*edges), NOON, Zone(zone))


def ends(time_range: TimeRange) -> tuple[int, int]:
    """Return both ends of a range."""
    return time_range.from_, time_range.to


COMPARISONS: Final = {
    "day before": (
        "PREVIOUS_PERIOD Europe/Berlin",
        "2026-03-30 2026-03-31",
        "2026-03-29 2026-03-30",
    ),
    "days before": (
        "PREVIOUS_PERIOD Europe/Berlin",
        "2026-03-30 2026-04-06",
        "2026-03-23 2026-03-30",
    ),
    "days before one without a midnight": (
        "PREVIOUS_PERIOD America/Sao_Paulo",
        "2018-11-04T01:00 2018-11-05",
        "2018-11-03 2018-11-04T01:00",
    ),
    "day before which one is skipped": (
        "PREVIOUS_PERIOD Pacific/Apia",
        "2011-12-31 2012-01-01",
        "2011-12-29 2011-12-31",
    ),
    "hours before": (
        "PREVIOUS_PERIOD Europe/Berlin",
        "2026-03-29T04:00 2026-03-29T08:00",
        "2026-03-28T23:00 2026-03-29T04:00",
    ),
    "day so far": (
        "PREVIOUS_PERIOD Asia/Kolkata",
        "2026-06-02 2026-06-02T09:30",
        "2026-06-01 2026-06-01T09:30",
    ),
    "week so far": (
        "PREVIOUS_PERIOD Europe/Berlin",
        "2026-03-27 2026-04-02T09:13",
        "2026-03-20 2026-03-26T09:13",
    ),
    "day of 23 hours so far": (
        "PREVIOUS_PERIOD Europe/Berlin",
        "2026-03-29 2026-03-29T15:00",
        "2026-03-28 2026-03-28T15:00",
    ),
    "day so far, after a skipped one": (
        "PREVIOUS_PERIOD Pacific/Apia",
        "2011-12-31 2011-12-31T09:13",
        "2011-12-29 2011-12-29T09:13",
    ),
    "day so far, without a midnight": (
        "PREVIOUS_PERIOD America/Sao_Paulo",
        "2018-11-04T01:00 2018-11-04T09:00",
        "2018-11-03 2018-11-03T09:00",
    ),
    "from an hour that is no midnight": (
        "PREVIOUS_PERIOD UTC",
        "2026-06-02T01:00 2026-06-02T09:30",
        "2026-06-01T16:30 2026-06-02T01:00",
    ),
    "weekday": (
        "PREVIOUS_PERIOD_MATCH_WEEKDAY Europe/Berlin",
        "2026-03-30 2026-03-31T15:00",
        "2026-03-23 2026-03-24T15:00",
    ),
    "weekday, a week of 169 hours": (
        "PREVIOUS_PERIOD_MATCH_WEEKDAY Europe/Berlin",
        "2026-10-24 2026-10-31",
        "2026-10-17 2026-10-24",
    ),
    "weekday, 8 days": (
        "PREVIOUS_PERIOD_MATCH_WEEKDAY UTC",
        "2026-06-15 2026-06-23",
        "2026-06-01 2026-06-09",
    ),
    "weekday, a month": (
        "PREVIOUS_PERIOD_MATCH_WEEKDAY UTC",
        "2026-06-01 2026-07-01",
        "2026-04-27 2026-05-27",
    ),
    "week": ("PREVIOUS_WEEK America/New_York", "2026-03-08 2026-03-09", "2026-03-01 2026-03-02"),
    "week before a day without a midnight": (
        "PREVIOUS_WEEK America/Sao_Paulo",
        "2018-11-04T01:00 2018-11-05",
        "2018-10-28 2018-10-29",
    ),
    "week before a day before one without a midnight": (
        "PREVIOUS_WEEK America/Sao_Paulo",
        "2018-11-03 2018-11-04T01:00",
        "2018-10-27 2018-10-28",
    ),
    "week before, where there is no midnight": (
        "PREVIOUS_WEEK Asia/Beirut",
        "2022-04-03 2022-04-04",
        "2022-03-27T01:00 2022-03-28",
    ),
    "week before, on the day that is skipped": (
        "PREVIOUS_WEEK Pacific/Apia",
        "2012-01-06 2012-01-07",
        "2011-12-31 2012-01-01",
    ),
    "week before, in the hour that is skipped": (
        "PREVIOUS_WEEK Europe/Berlin",
        "2026-04-05T02:10 2026-04-05T02:50",
        "2026-03-29T03:00 2026-03-29T03:40",
    ),
    "week before, out of the hour that is skipped": (
        "PREVIOUS_WEEK Europe/Berlin",
        "2026-04-05T02:10 2026-04-05T03:10",
        "2026-03-29T03:00 2026-03-29T03:10",
    ),
    "month": ("PREVIOUS_MONTH Europe/Berlin", "2026-03-01 2026-04-01", "2026-02-01 2026-03-01"),
    "short month": (
        "PREVIOUS_MONTH Europe/Berlin",
        "2026-02-01 2026-03-01",
        "2026-01-01 2026-02-01",
    ),
    "month so far": (
        "PREVIOUS_MONTH Asia/Kathmandu",
        "2026-06-01 2026-06-10T09:30",
        "2026-05-01 2026-05-10T09:30",
    ),
    "March 31": ("PREVIOUS_MONTH Europe/Berlin", "2026-03-31 2026-04-01", "2026-02-28 2026-03-01"),
    "March 31 of a leap year": (
        "PREVIOUS_MONTH UTC",
        "2024-03-31 2024-04-01",
        "2024-02-29 2024-03-01",
    ),
    "March 30": ("PREVIOUS_MONTH UTC", "2026-03-30 2026-03-31", "2026-02-28 2026-03-01"),
    "March 31 so far": (
        "PREVIOUS_MONTH UTC",
        "2026-03-31 2026-03-31T15:00",
        "2026-02-28 2026-02-28T15:00",
    ),
    "March 29 to 31": ("PREVIOUS_MONTH UTC", "2026-03-29 2026-04-01", "2026-02-28 2026-03-01"),
    "March 30 and 31 of a leap year": (
        "PREVIOUS_MONTH UTC",
        "2024-03-30 2024-04-01",
        "2024-02-29 2024-03-01",
    ),
    "March 29 to April 2": ("PREVIOUS_MONTH UTC", "2026-03-29 2026-04-03", "2026-02-28 2026-03-03"),
    "from a noon to the morning after next": (
        "PREVIOUS_MONTH UTC",
        "2026-03-29T12:00 2026-03-31T06:00",
        "2026-02-28T12:00 2026-03-01",
    ),
    "from the noon of March 28 to the next morning": (
        "PREVIOUS_MONTH UTC",
        "2026-03-28T12:00 2026-03-29T06:00",
        "2026-02-28T12:00 2026-03-01",
    ),
    "May 31": ("PREVIOUS_MONTH UTC", "2026-05-30 2026-06-01", "2026-04-30 2026-05-01"),
    "up to March 31": ("PREVIOUS_MONTH UTC", "2026-03-25 2026-03-31", "2026-02-25 2026-03-01"),
    "March up to its 31st, so far": (
        "PREVIOUS_MONTH UTC",
        "2026-03-01 2026-03-31T15:00",
        "2026-02-01 2026-02-28T15:00",
    ),
    "January": (
        "PREVIOUS_MONTH Pacific/Kiritimati",
        "1995-01-15 1995-01-16",
        "1994-12-15 1994-12-16",
    ),
    "year": ("YEAR_OVER_YEAR America/New_York", "2026-03-08 2026-03-09", "2025-03-08 2025-03-09"),
    "February 29": ("YEAR_OVER_YEAR UTC", "2024-02-29 2024-03-01", "2023-02-28 2023-03-01"),
    "February of a leap year": (
        "YEAR_OVER_YEAR UTC",
        "2024-02-01 2024-03-01",
        "2023-02-01 2023-03-01",
    ),
    "up to February 29": ("YEAR_OVER_YEAR UTC", "2024-02-01 2024-02-29", "2023-02-01 2023-03-01"),
    "year so far": (
        "YEAR_OVER_YEAR Australia/Lord_Howe",
        "2026-01-01 2026-06-10T09:30",
        "2025-01-01 2025-06-10T09:30",
    ),
}


@pytest.mark.parametrize("kind", COMPARISONS)
def test_comparison(kind: str) -> None:
    """Each mode gives the comparison range of the table, in zones with odd clocks."""
    mode, zone = COMPARISONS[kind][0].split()
    time_range, expected = (range_between(zone, *times.split()) for times in COMPARISONS[kind][1:])
    previous = comparison(time_range, CompareInput(mode=CompareMode[mode]), Zone(zone), NOON)
    assert ends(previous) == ends(expected)


TO_DATE: Final = {
    "today": ("TODAY Europe/Berlin", "2026-06-17T09:13", "2026-06-16 2026-06-16T09:13"),
    "today of 23 hours": ("TODAY Europe/Berlin", "2026-03-29T09:13", "2026-03-28 2026-03-28T09:13"),
    "the day after": ("TODAY Europe/Berlin", "2026-03-30T09:13", "2026-03-29 2026-03-29T09:13"),
    "the hour that yesterday lacks": (
        "TODAY Europe/Berlin",
        "2026-03-30T02:30",
        "2026-03-29 2026-03-29T03:00",
    ),
    "7 days": ("LAST_7_DAYS Asia/Kolkata", "2026-06-17T09:13", "2026-06-04 2026-06-10T09:13"),
    "7 days with a change": (
        "LAST_7_DAYS America/New_York",
        "2026-03-10T09:13",
        "2026-02-25 2026-03-03T09:13",
    ),
    "90 days": ("LAST_90_DAYS UTC", "2026-06-17T09:13", "2025-12-20 2026-03-19T09:13"),
    "this week": ("THIS_WEEK Europe/Berlin", "2026-06-17T09:13", "2026-06-08 2026-06-10T09:13"),
    "last week": ("LAST_WEEK Europe/Berlin", "2026-06-17T09:13", "2026-06-01 2026-06-08"),
    "this month": ("THIS_MONTH Europe/Berlin", "2026-06-17T09:13", "2026-05-01 2026-05-17T09:13"),
    "March 31": ("THIS_MONTH UTC", "2026-03-31T09:13", "2026-02-01 2026-02-28T09:13"),
    "the end of March": ("THIS_MONTH UTC", "2026-03-31T23:59:59.999", "2026-02-01 2026-03-01"),
    "last month": ("LAST_MONTH Europe/Berlin", "2026-04-17T09:13", "2026-02-01 2026-03-01"),
    "this year": ("THIS_YEAR UTC", "2026-06-17T09:13", "2025-01-01 2025-06-17T09:13"),
    "year to date": ("YEAR_TO_DATE UTC", "2024-02-29T09:13", "2023-01-01 2023-02-28T09:13"),
    "12 months": ("LAST_12_MONTHS UTC", "2026-06-17T09:13", "2024-07-01 2025-06-17T09:13"),
    "yesterday": ("YESTERDAY Europe/Berlin", "2026-03-31T09:13", "2026-03-29 2026-03-30"),
    "24 hours": ("LAST_24_HOURS UTC", "2026-06-17T23:59:59.999", "2026-06-16 2026-06-17"),
}


@pytest.mark.parametrize("kind", TO_DATE)
def test_presets_are_compared_with_the_same_clock_times(kind: str) -> None:
    """PREVIOUS_PERIOD moves each preset by whole days, weeks, months or years."""
    preset, now, expected = TO_DATE[kind]
    name, zone = preset.split()
    moment = Instant(instant_at(zone, now) - (not now.endswith("999")))
    time_range = resolve_range(TimeRangeInput(preset=TimeRangePreset[name]), moment, Zone(zone))
    previous = comparison(time_range, BEFORE, Zone(zone), moment)
    assert ends(previous) == tuple(instant_at(zone, time) for time in expected.split())


def test_a_rolling_range_keeps_its_length() -> None:
    """`last` is compared with an equal length before, even from midnight on a day of 23 hours."""
    now = Instant(instant_at("Europe/Berlin", "2026-03-30") - 1)
    for last in (DurationMs(23 * HOUR), DurationMs(5 * HOUR), DurationMs(0, months=1)):
        time_range = resolve_range(TimeRangeInput(last=last), now, Zone("Europe/Berlin"))
        previous = comparison(time_range, BEFORE, Zone("Europe/Berlin"), now)
        assert ends(previous) == (2 * time_range.from_ - time_range.to, time_range.from_)


def test_seven_days_with_a_change_are_compared_with_seven_days() -> None:
    """Seven days of 169 hours are compared with the week before, not two weeks before."""
    now = instant_at("Europe/Berlin", "2026-03-30T15:30")
    time_range = resolve_range(TimeRangeInput(last=DurationMs(7 * DAY)), now, Zone("Europe/Berlin"))
    weekday = CompareInput(mode=CompareMode.PREVIOUS_PERIOD_MATCH_WEEKDAY)
    previous = comparison(time_range, weekday, Zone("Europe/Berlin"), now)
    assert previous.to - 1 == instant_at("Europe/Berlin", "2026-03-23T15:30")


@CALENDAR_SETTINGS
@given(ranges, st.sampled_from(list(CompareMode)))
def test_comparison_is_earlier_and_never_empty(time_range: TimeRange, mode: CompareMode) -> None:
    """For any range in any zone, the comparison range begins earlier, and is not empty."""
    zone = time_range.timezone
    if not mode.name.endswith("WEEKDAY"):
        end = min(time_range.to, time_range.from_ + 3650 * DAY)
        time_range = resolve_range(range_input(time_range.from_, end), NOON, zone)
    previous = comparison(time_range, CompareInput(mode=mode), zone, NOON)
    assert previous.from_ < previous.to
    assert previous.from_ < time_range.from_
    if mode is CompareMode.PREVIOUS_PERIOD:
        assert previous.to == time_range.from_ or (
            time_range.period and previous.to <= time_range.from_
        )
    if mode is CompareMode.PREVIOUS_PERIOD_MATCH_WEEKDAY:
        assert previous.to <= time_range.from_ + 2 * HOUR


@CALENDAR_SETTINGS
@given(zone_instants, st.integers(1, 60), st.sampled_from(list(CompareMode)))
def test_whole_days_are_compared_with_whole_days(
    zone_instant: tuple[str, int], days: int, mode: CompareMode
) -> None:
    """The comparison range of whole local days is whole local days."""
    zone, moment = zone_instant
    today = resolve_range(TODAY, Instant(moment), Zone(zone)).from_
    later = Instant(today + days * DAY + DAY // 2)
    end = resolve_range(TODAY, later, Zone(zone)).from_
    time_range = resolve_range(range_input(today, end), NOON, Zone(zone))
    previous = comparison(time_range, CompareInput(mode=mode), Zone(zone), NOON)
    for edge in (previous.from_, previous.to):
        assert latest_day(zone, edge) > latest_day(zone, edge - 1), local_time(zone, edge // 1000)


def test_comparison_with_any_range() -> None:
    """A comparison range of the caller is resolved like `range`, presets included."""
    zone = Zone("Asia/Kolkata")
    time_range = local_range(zone, "2026-01-01", "2026-02-01")
    for other_range in (range_input(0, DAY), TimeRangeInput(preset=TimeRangePreset.LAST_7_DAYS)):
        previous = comparison(time_range, CompareInput(range=other_range), zone, NOON)
        assert previous == resolve_range(other_range, NOON, zone)
    all_time = CompareInput(range=TimeRangeInput(preset=TimeRangePreset.ALL_TIME))
    previous = comparison(
        time_range, all_time, zone, NOON, Extent(Instant(77), Instant(NOON + DAY))
    )
    assert (previous.from_, previous.to) == (77, NOON + DAY + 1)
    with pytest.raises(AnalyticsError) as excinfo:
        comparison(time_range, CompareInput(), zone, NOON)
    assert (excinfo.value.status, excinfo.value.field) == (422, "compare")


@pytest.mark.parametrize("last", [0, 10**18], ids=["empty", "long"])
def test_bad_range_to_compare_with_is_refused(last: int) -> None:
    """A comparison range that can't be resolved is a 422 for `compare` with the reason."""
    time_range = local_range("UTC", "2026-01-01", "2026-02-01")
    other_range = TimeRangeInput(last=DurationMs(last))
    with pytest.raises(AnalyticsError) as resolve_excinfo:
        resolve_range(other_range, NOON)
    with pytest.raises(AnalyticsError) as excinfo:
        comparison(time_range, CompareInput(range=other_range), UTC_ZONE, NOON)
    error = excinfo.value
    assert (error.status, error.field, error.limit) == (422, "compare", resolve_excinfo.value.limit)
    assert error.message == f"compare: {resolve_excinfo.value.message}"
