"""Buckets on days of odd clock changes, written by hand."""

from typing import Final

import pytest

from schema.buckets import Granularity
from schema.scalars import Zone
from store.query.time.buckets import Buckets, buckets
from tests.oracle.calendar import cut_instants, instant_at, local_range, local_text

HOUR: Final = 3_600_000


def clock_times(zone: str, result: Buckets) -> list[str]:
    """Return the local times at which buckets begin, and that of the end."""
    return [local_text(zone, start)[5:] for start in (*result.starts, result.end)]


SPECIAL_DAYS: Final[dict[str, tuple[str, Granularity, str, str, list[str]]]] = {
    "day without a midnight": (
        *("America/Sao_Paulo", Granularity.DAY, "2018-11-03T12:00", "2018-11-05T12:00"),
        [
            "11-03T00:00:00-03:00",
            "11-04T01:00:00-02:00",
            "11-05T00:00:00-02:00",
            "11-06T00:00:00-02:00",
        ],
    ),
    "day with two midnights": (
        *("America/Havana", Granularity.DAY, "2024-11-03T12:00", "2024-11-03T13:00"),
        ["11-03T00:00:00-04:00", "11-04T00:00:00-05:00"],
    ),
    "midnight in the middle of what is skipped": (
        *("America/Toronto", Granularity.DAY, "1919-03-31T12:00", "1919-03-31T13:00"),
        ["03-31T00:30:00-04:00", "04-01T00:00:00-04:00"],
    ),
    "day that is left and entered again": (
        *("America/St_Johns", Granularity.DAY, "2008-11-01T12:00", "2008-11-02T12:00"),
        ["11-01T00:00:00-02:30", "11-02T00:00:00-02:30", "11-03T00:00:00-03:30"],
    ),
    "skipped day": (
        *("Pacific/Apia", Granularity.DAY, "2011-12-29T12:00", "2011-12-31T12:00"),
        ["12-29T00:00:00-10:00", "12-31T00:00:00+14:00", "01-01T00:00:00+14:00"],
    ),
    "hours of a spring night": (
        *("Europe/Berlin", Granularity.HOUR, "2026-03-29T01:10", "2026-03-29T04:00"),
        ["03-29T01:00:00+01:00", "03-29T03:00:00+02:00", "03-29T04:00:00+02:00"],
    ),
    "hours of an autumn night": (
        *("Europe/Berlin", Granularity.HOUR, "2026-10-25T01:10", "2026-10-25T03:01"),
        [
            "10-25T01:00:00+02:00",
            "10-25T02:00:00+02:00",
            "10-25T02:00:00+01:00",
            "10-25T03:00:00+01:00",
            "10-25T04:00:00+01:00",
        ],
    ),
    "hours where half an hour is skipped": (
        *("Australia/Lord_Howe", Granularity.HOUR, "2026-10-04T01:10", "2026-10-04T04:00"),
        [
            "10-04T01:00:00+10:30",
            "10-04T02:30:00+11:00",
            "10-04T03:00:00+11:00",
            "10-04T04:00:00+11:00",
        ],
    ),
    "hours where half an hour is repeated": (
        *("Australia/Lord_Howe", Granularity.HOUR, "2026-04-05T01:00", "2026-04-05T03:00"),
        [
            "04-05T01:00:00+11:00",
            "04-05T01:30:00+10:30",
            "04-05T02:00:00+10:30",
            "04-05T03:00:00+10:30",
        ],
    ),
    "quarters of an hour, to which half an hour is nothing": (
        *(
            "Australia/Lord_Howe",
            Granularity.FIFTEEN_MINUTES,
            "2026-10-04T01:45",
            "2026-10-04T02:45",
        ),
        ["10-04T01:45:00+10:30", "10-04T02:30:00+11:00", "10-04T02:45:00+11:00"],
    ),
    "hours of a zone with minutes": (
        *("Asia/Kathmandu", Granularity.HOUR, "2026-06-01T12:10", "2026-06-01T13:10"),
        ["06-01T12:00:00+05:45", "06-01T13:00:00+05:45", "06-01T14:00:00+05:45"],
    ),
    "hours of a zone with seconds": (
        *("Africa/Monrovia", Granularity.HOUR, "1972-01-06T23:10", "1972-01-07T01:10"),
        [
            "01-06T23:00:00-00:44:30",
            "01-07T00:44:30+00:00",
            "01-07T01:00:00+00:00",
            "01-07T02:00:00+00:00",
        ],
    ),
    "two hours of a spring night": (
        *("Europe/Berlin", Granularity.TWO_HOURS, "2026-03-29T00:10", "2026-03-29T05:00"),
        [
            "03-29T00:00:00+01:00",
            "03-29T03:00:00+02:00",
            "03-29T04:00:00+02:00",
            "03-29T06:00:00+02:00",
        ],
    ),
    "two hours of an autumn night": (
        *("Europe/Berlin", Granularity.TWO_HOURS, "2026-10-25T00:10", "2026-10-25T05:00"),
        [
            "10-25T00:00:00+02:00",
            "10-25T02:00:00+02:00",
            "10-25T04:00:00+01:00",
            "10-25T06:00:00+01:00",
        ],
    ),
    "six hours, by half an hour on": (
        *("Australia/Lord_Howe", Granularity.SIX_HOURS, "2026-10-04T01:00", "2026-10-04T12:00"),
        [
            "10-04T00:00:00+10:30",
            "10-04T06:00:00+11:00",
            "10-04T12:00:00+11:00",
        ],
    ),
    "half days of a zone with minutes": (
        *("Asia/Kathmandu", Granularity.TWELVE_HOURS, "2026-06-01T12:10", "2026-06-02T00:10"),
        [
            "06-01T12:00:00+05:45",
            "06-02T00:00:00+05:45",
            "06-02T12:00:00+05:45",
        ],
    ),
    "six hours of a day without a midnight": (
        *("America/Sao_Paulo", Granularity.SIX_HOURS, "2018-11-03T20:00", "2018-11-04T08:00"),
        [
            "11-03T18:00:00-03:00",
            "11-04T01:00:00-02:00",
            "11-04T06:00:00-02:00",
            "11-04T12:00:00-02:00",
        ],
    ),
    "weeks": (
        *("Asia/Kolkata", Granularity.WEEK, "2026-06-03T12:00", "2026-06-08T12:00"),
        ["06-01T00:00:00+05:30", "06-08T00:00:00+05:30", "06-15T00:00:00+05:30"],
    ),
    "quarters": (
        *("Europe/Berlin", Granularity.QUARTER, "2026-02-28T00:00", "2026-04-01T00:01"),
        ["01-01T00:00:00+01:00", "04-01T00:00:00+02:00", "07-01T00:00:00+02:00"],
    ),
    "years of which one lacks its last day": (
        *("Pacific/Kiritimati", Granularity.YEAR, "1994-06-01T00:00", "1995-06-01T00:00"),
        ["01-01T00:00:00-10:00", "01-01T00:00:00+14:00", "01-01T00:00:00+14:00"],
    ),
}


@pytest.mark.parametrize("kind", SPECIAL_DAYS)
def test_special_days(kind: str) -> None:
    """Buckets begin at the local times of the table."""
    zone, granularity, first, end, expected = SPECIAL_DAYS[kind]
    time_range = local_range(zone, first, end)
    assert clock_times(zone, buckets(time_range, granularity, 300, Zone(zone))) == expected


def test_days_of_23_and_25_hours() -> None:
    """Days of 23 hours in spring and 25 in autumn make an irregular step."""
    for first, hours in (("2026-03-29", 23), ("2026-10-25", 25), ("2026-10-27", 24)):
        start = instant_at("Europe/Berlin", first)
        days = cut_instants("Europe/Berlin", Granularity.DAY, start - 1, start + 23 * HOUR)
        assert days.lengths == [24 * HOUR, hours * HOUR]
        assert days.step == (24 * HOUR if hours == 24 else None)
        hourly = cut_instants("Europe/Berlin", Granularity.HOUR, start, days.end)
        assert (len(hourly.starts), hourly.step) == (hours, HOUR)
