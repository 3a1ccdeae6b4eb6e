"""Texts of durations and dates."""

from datetime import date, timedelta
from fractions import Fraction
from typing import Final

import pytest
from graphql import GraphQLError
from hypothesis import given
from hypothesis import strategies as st

from schema.errors import AnalyticsError
from schema.series.aggregates import AggregateKind, aggregate
from schema.time.dates import iso_date, parse_date
from schema.time.durations import DurationMs, iso_duration, parse_duration
from tests.oracle.calendar import CALENDAR_SETTINGS

DURATIONS: Final = {
    "1h30m": (5_400_000, 0),
    "1w2d3h4m5s6ms": (788_645_006, 0),
    "5ms": (5, 0),
    "1.5h": (5_400_000, 0),
    "1h0.5m": (3_630_000, 0),
    "0,5s": (500, 0),
    "1m5ms": (60_005, 0),
    "P1M": (0, 1),
    "P1Y": (0, 12),
    "P1Y2M3DT4H": (273_600_000, 14),
    "P1Y1W": (604_800_000, 12),
    "PT1.5H": (5_400_000, 0),
    "PT1,5H": (5_400_000, 0),
    "PT1H0.5M": (3_630_000, 0),
    "P0.5D": (43_200_000, 0),
    "P1MT0.25S": (250, 1),
    "PT0.0005S": (1, 0),
    "PT0.1S": (100, 0),
}
INVALID_DURATIONS: Final[tuple[object, ...]] = (
    *(
        "",
        "P",
        "PT",
        "P1DT",
        "1",
        "h",
        "1.5h30m",
        ".5h",
        "1.h",
        "30m1h",
        "1h1h",
        "1H",
        "p1d",
        "pt5m",
        "1 h",
        " 1h",
    ),
    *("P1S", "PT1D", "PT1Y", "P1H", "P1D1M", "-P1D", "+P1D", "P-1D", "PT1.5H30M", "P0.5Y", "P1.5M"),
    *("P1.5Y2M", "PT.5H", "PT1.H", "P1M1.5MT", "1y", "1h\n", "PT\u0661H", "\u0661h", "1e3s", "inf"),
    *(None, 5, 1.5, True, [], {}),
)


@pytest.mark.parametrize("text", DURATIONS)
def test_durations_are_read(text: str) -> None:
    """Durations combine units; the smallest has a fraction; months are apart from milliseconds."""
    duration = parse_duration(text)
    assert (duration, duration.months) == DURATIONS[text]


@pytest.mark.parametrize("text", INVALID_DURATIONS, ids=repr)
def test_other_texts_are_refused(text: object) -> None:
    """A text that is no duration is an input error that describes durations."""
    with pytest.raises(GraphQLError, match="Duration"):
        parse_duration(text)


counts = st.none() | st.integers(0, 10**9 - 1)
UNITS: Final = (
    *(("", "W", 604_800_000), ("", "D", 86_400_000)),
    *(("T", "H", 3_600_000), ("T", "M", 60_000), ("T", "S", 1000)),
)


@CALENDAR_SETTINGS
@given(st.tuples(*[counts] * 5), st.integers(0, 10**9 - 1), st.sampled_from(".,"))
def test_durations_are_the_sum_of_their_parts(
    numbers: tuple[int | None, ...], fraction: int, sign: str
) -> None:
    """Any mixture of units, the smallest with a fraction, has its exact sum, rounded."""
    unit_indexes = [n for n, number in enumerate(numbers) if number is not None]
    text, total = "P", Fraction(0)
    for n in unit_indexes:
        time, letter, ms = UNITS[n]
        quantity = Fraction(numbers[n] or 0)
        digits = str(numbers[n])
        if n == unit_indexes[-1]:
            quantity += Fraction(fraction, 10**9)
            digits += f"{sign}{fraction:09d}"
        text += ("T" if time and "T" not in text else "") + digits + letter
        total += quantity * ms
    if unit_indexes:
        duration = parse_duration(text)
        assert abs(duration - total) <= Fraction(1, 2)
        assert duration.months == 0


def test_durations_are_written() -> None:
    """A written duration is read as the same duration."""
    lengths = [0, 1500, 86_400_000, 31_536_000_000, 1_234_567_891]
    for expected in (*map(DurationMs, lengths), DurationMs(0, 14), DurationMs(250, 1)):
        duration = parse_duration(iso_duration(expected))
        assert (duration, duration.months) == (expected, expected.months)


@pytest.mark.parametrize("text", ["P1M", "P1Y", "P1MT1S"])
def test_a_rate_needs_a_fixed_length(text: str) -> None:
    """`per` of a rate refuses months and years, as their length varies."""
    with pytest.raises(AnalyticsError) as excinfo:
        aggregate("metrics", AggregateKind.RATE, per=parse_duration(text))
    assert excinfo.value.field == "per"
    assert "months" in excinfo.value.message


@given(st.dates())
def test_dates_are_read_and_written(day: date) -> None:
    """A date is read as days since 1970, and written as it was."""
    day_number = parse_date(day.isoformat())
    assert date(1970, 1, 1) + timedelta(days=day_number) == day
    assert iso_date(day_number) == day.isoformat()


@pytest.mark.parametrize(
    "text",
    [
        *("2026-02-29", "2026-13-01", "2026-6-1", "20260601", "2026-W01-1", "2026-06-01T00:00:00Z"),
        *(
            "",
            " 2026-06-01",
            "2026-06-01\n",
            "\u0662026-06-01",
            "0000-01-01",
            "today",
            None,
            20260601,
        ),
    ],
    ids=repr,
)
def test_other_dates_are_refused(text: object) -> None:
    """A text that is no day of the calendar is an input error."""
    with pytest.raises(GraphQLError, match="Date must be"):
        parse_date(text)
