"""Edges of buckets by the clocks of every zone."""

from bisect import bisect_right
from itertools import pairwise
from typing import Any, Final

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from schema.buckets import Granularity, WeekStart
from schema.errors import AnalyticsError
from schema.ranges import TimeRange
from schema.scalars import Instant, Zone
from store.query.time.buckets import MAX_BUCKETS, Buckets, buckets, previous_buckets
from tests.oracle.calendar import (
    CALENDAR_SETTINGS,
    DAY_PARTS,
    STEPS,
    ZONES,
    bucket_edges,
    bucket_key,
    cut_instants,
    cut_or_suggestion,
    instant_at,
    latest_day,
    local_range,
    local_text,
    local_time,
    period_key,
    ranges,
    shares,
    time_range,
    utc_offset,
    zone_instants,
)

HOUR: Final = 3_600_000
DAY: Final = 24 * HOUR
CALENDAR: Final = [
    g for g in Granularity if g not in {**STEPS, **DAY_PARTS} and g is not Granularity.AUTO
]

SAMPLING: Final = {
    Granularity.SECOND: (1, 1200),
    Granularity.TEN_SECONDS: (10, 3000),
    **dict.fromkeys(list(STEPS)[2:], (30, 2 * 86_400)),
    **dict.fromkeys(DAY_PARTS, (30, 3 * 86_400)),
    Granularity.DAY: (30, 4 * 86_400),
    Granularity.WEEK: (900, 20 * 86_400),
    Granularity.MONTH: (900, 70 * 86_400),
    Granularity.QUARTER: (900, 200 * 86_400),
    Granularity.YEAR: (900, 400 * 86_400),
}
"""Seconds between two looks at the clocks, and the longest range in seconds."""

REACH: Final = dict.fromkeys([*STEPS, *DAY_PARTS], 7200) | {
    Granularity.TWO_HOURS: 4 * 3600,
    Granularity.SIX_HOURS: 10 * 3600,
    Granularity.TWELVE_HOURS: 40 * 3600,
    Granularity.DAY: 3 * 86_400,
    Granularity.WEEK: 9 * 86_400,
    Granularity.MONTH: 33 * 86_400,
    Granularity.QUARTER: 94 * 86_400,
    Granularity.YEAR: 368 * 86_400,
}
"""Seconds within which at least one bucket begins."""


@CALENDAR_SETTINGS
@given(
    zone_instants,
    st.tuples(st.sampled_from(list(SAMPLING)), st.sampled_from(WeekStart)),
    shares,
    st.floats(0.001, 1),
    st.integers(0, 999),
)
def test_buckets_begin_where_the_clocks_say(
    zone_instant: tuple[str, int],
    grain: tuple[Granularity, WeekStart],
    before: float,
    length: float,
    ms: int,
) -> None:
    """In any zone, buckets begin where a scan of the clocks finds their beginning."""
    zone, moment = zone_instant
    granularity, week_start = grain
    sunday = week_start is WeekStart.SUNDAY
    stride, longest = SAMPLING[granularity]
    seconds = max(1, int(longest * length))
    first: int = moment - int(seconds * before) * 1000 - ms
    end = first + seconds * 1000 - ms % 7
    reach = REACH[granularity]
    assume(
        stride <= 30
        or first > reach * 1000 + instant_at("UTC", "1972-02-01")
        or zone != "Africa/Monrovia"
    )
    low, high = first // 1000 - reach, end // 1000 + reach
    starts = bucket_edges(zone, granularity, low, high, stride, sunday_weeks=sunday)
    expected = [start for start, after in pairwise(starts) if after > first and start < end]
    result = cut_instants(zone, granularity, first, end, week_start)
    assert [local_text(zone, s) for s in result.starts] == [local_text(zone, s) for s in expected]
    assert result.end == min(start for start in starts if start >= end)


def test_no_change_of_any_clock_is_missed() -> None:
    """From 2000 to 2040 days begin where clocks show a midnight, or skip it."""
    for zone in ZONES[::12]:
        for year in range(2000, 2040):
            start = instant_at("UTC", f"{year}-01-01")
            result = cut_instants(zone, Granularity.DAY, start, start + 366 * DAY)
            for moment in result.starts[1:]:
                clock, before = (
                    local_time(zone, moment // 1000),
                    local_time(zone, moment // 1000 - 1),
                )
                assert before.date() < clock.date()
                assert clock.hour == clock.minute == 0 or clock.utcoffset() != before.utcoffset()


@CALENDAR_SETTINGS
@given(
    ranges,
    st.sampled_from(list(Granularity)),
    st.integers(1, MAX_BUCKETS),
    st.randoms(use_true_random=False),
)
def test_buckets_tile_the_range(
    time_range: TimeRange, granularity: Granularity, max_points: int, dice: Any
) -> None:
    """Buckets cover any range in any zone, without gaps, overlaps, or empty or needless buckets."""
    zone = time_range.timezone
    result = cut_or_suggestion(time_range, granularity, max_points)
    limit = max_points if granularity is Granularity.AUTO else MAX_BUCKETS
    assert 1 <= len(result.starts) <= limit
    assert result.times == list(result.starts)
    edges = [*result.starts, result.end]
    assert all(start < after for start, after in pairwise(edges))
    assert edges[0] <= time_range.from_ < edges[1]
    assert edges[-2] < time_range.to <= edges[-1]
    assert sum(result.lengths) == result.end - result.starts[0]
    assert (result.step is not None) == (len(set(result.lengths)) == 1)
    assert sum(result.widths(time_range, time_range.to)) == time_range.to - time_range.from_
    for _ in range(5):
        moment = dice.randrange(time_range.from_, time_range.to)
        index = bisect_right(result.starts, moment) - 1
        start, last = edges[index], edges[index + 1] - 1
        if result.granularity in STEPS:
            step = STEPS[result.granularity]
            assert last - start < step * 1000
            phases = {utc_offset(zone, m // 1000) % step for m in (start, moment, last)}
            assert len(phases) == 1
        elif result.granularity in DAY_PARTS:
            step = DAY_PARTS[result.granularity] * HOUR
            assert last - start < step + 24 * HOUR
            assert bucket_key(result.granularity, local_time(zone, start // 1000)) >= bucket_key(
                result.granularity, local_time(zone, (start - 1) // 1000)
            )
        elif result.granularity in CALENDAR:
            days = {
                period_key(result.granularity, latest_day(zone, m)) for m in (start, moment, last)
            }
            assert len(days) == 1


@CALENDAR_SETTINGS
@given(ranges, st.integers(1, 3000))
def test_auto_is_the_finest_that_fits(time_range: TimeRange, max_points: int) -> None:
    """AUTO keeps to `maxPoints`, and the next finer granularity exceeds it."""
    result = buckets(time_range, Granularity.AUTO, max_points, time_range.timezone)
    assert len(result.starts) <= max_points
    granularities = [*STEPS, *DAY_PARTS, *CALENDAR, Granularity.AUTO]
    if finer := granularities[: granularities.index(result.granularity)]:
        finer_result = cut_or_suggestion(time_range, finer[-1])
        assert finer_result.granularity is not finer[-1] or len(finer_result.starts) > max_points
    if result.granularity is not Granularity.AUTO:
        assert result == buckets(time_range, result.granularity, max_points, time_range.timezone)


def test_range_that_even_years_do_not_fit_is_one_bucket() -> None:
    """With one point, a range over New Year is its own bucket, and not partial."""
    time_range = local_range("UTC", "2022-12-31T12:00", "2023-01-02T12:00")
    result = buckets(time_range, Granularity.AUTO, 1, Zone("UTC"))
    assert result == Buckets(Granularity.AUTO, (time_range.from_,), time_range.to, 2 * DAY)
    assert result.partial(time_range, time_range.to) == [False]
    earlier = local_range("UTC", "2025-12-30T12:00", "2025-12-31T11:00")
    previous = previous_buckets(result, earlier, Zone("UTC"))
    assert (previous.starts, previous.end) == ((earlier.from_,), earlier.to)


def test_partial_buckets_and_widths() -> None:
    """A bucket's width excludes time outside of the range, and time after now."""
    hours = "2026-06-01T09:30", "2026-06-01T14:00"
    time_range = local_range("UTC", *hours)
    result = buckets(time_range, Granularity.HOUR, 300, Zone("UTC"))
    end = time_range.to
    assert result.widths(time_range, end) == [HOUR // 2, *[HOUR] * 4]
    assert result.partial(time_range, end) == [True, *[False] * 4]
    now = instant_at("UTC", "2026-06-01T12:15")
    assert result.widths(time_range, now) == [HOUR // 2, HOUR, HOUR, HOUR // 4 + 1, 0]
    assert result.partial(time_range, now) == [True, False, False, True, True]
    last = Instant(instant_at("UTC", "2026-06-01T12:00") - 1)
    assert result.partial(time_range, last) == [True, False, False, True, True]
    assert result.partial(time_range, Instant(last - 1)) == [True, False, True, True, True]
    assert result.widths(time_range, Instant(0)) == [0] * 5


@pytest.mark.parametrize("max_points", [0, -1, MAX_BUCKETS + 1, 2**40])
@pytest.mark.parametrize("granularity", [Granularity.AUTO, Granularity.DAY])
def test_points_out_of_bounds_are_refused(granularity: Granularity, max_points: int) -> None:
    """`maxPoints` must be from 1 to 11,000, even if the granularity is fixed."""
    with pytest.raises(AnalyticsError) as excinfo:
        buckets(time_range(0, DAY), granularity, max_points, Zone("UTC"))
    error = excinfo.value
    assert (error.status, error.field, error.limit) == (422, "maxPoints", MAX_BUCKETS)


def test_too_many_buckets_are_refused_with_what_would_fit() -> None:
    """A granularity makes up to 11,000 buckets; the error for more names one that fits."""
    full = MAX_BUCKETS * 1000
    assert len(cut_instants("UTC", Granularity.SECOND, 0, full).starts) == MAX_BUCKETS
    refusals = {
        (Granularity.SECOND, 0, full + 1): "TEN_SECONDS",
        (Granularity.SECOND, -1, full): "TEN_SECONDS",
        (Granularity.SECOND, 0, 3650 * DAY): "TWELVE_HOURS",
        (Granularity.HOUR, 0, 500 * DAY): "TWO_HOURS",
        (Granularity.TWO_HOURS, 0, 1000 * DAY): "SIX_HOURS",
        (Granularity.SIX_HOURS, 0, 3000 * DAY): "TWELVE_HOURS",
        (Granularity.DAY, 0, 130 * 365 * DAY): "WEEK",
    }
    for (granularity, first, end), fits in refusals.items():
        with pytest.raises(AnalyticsError) as excinfo:
            cut_instants("UTC", granularity, first, end)
        error = excinfo.value
        assert (error.status, error.field, error.limit) == (422, "granularity", MAX_BUCKETS)
        assert error.message == (
            f"granularity: {granularity.name} makes more than 11000 buckets of this range;"
            f" {fits} would fit"
        )


def test_previous_buckets_are_cut_alike() -> None:
    """The comparison range has the same granularity; February has fewer days than March."""
    march = local_range("Europe/Berlin", "2026-03-01", "2026-04-01")
    february = local_range("Europe/Berlin", "2026-02-01", "2026-03-01")
    zone = Zone("Europe/Berlin")
    days = buckets(march, Granularity.AUTO, 31, zone)
    assert (days.granularity, len(days.starts)) == (Granularity.DAY, 31)
    before = previous_buckets(days, february, zone)
    assert (before.granularity, len(before.starts), before.step) == (Granularity.DAY, 28, DAY)
    assert (before.starts[0], before.end) == (february.from_, february.to)


def test_previous_range_that_is_far_longer_is_refused() -> None:
    """A comparison range may have up to twice the limit of buckets; ten years in seconds fail."""
    seconds = cut_instants("UTC", Granularity.SECOND, 0, HOUR)
    longest = time_range(0, 2 * MAX_BUCKETS * 1000)
    assert len(previous_buckets(seconds, longest, Zone("UTC")).starts) == 2 * MAX_BUCKETS
    with pytest.raises(AnalyticsError) as excinfo:
        previous_buckets(seconds, time_range(0, 3650 * DAY), Zone("UTC"))
    error = excinfo.value
    assert (error.status, error.field, error.limit) == (422, "compare", 2 * MAX_BUCKETS)
