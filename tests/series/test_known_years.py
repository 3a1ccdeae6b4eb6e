"""Comparison ranges and buckets at the ends of the known years, 1900 to 2199."""

from typing import Final

import pytest

from schema.buckets import Granularity
from schema.errors import AnalyticsError
from schema.ranges import CompareInput, CompareMode
from schema.scalars import Zone
from store.query.time.buckets import buckets, previous_buckets
from store.query.time.ranges import comparison, resolve_range
from tests.harness.service import NOON
from tests.oracle.calendar import instant_at, range_input

FIRST: Final = instant_at("UTC", "1900-01-01"), instant_at("UTC", "1900-12-31")
LAST: Final = instant_at("UTC", "2199-01-01"), instant_at("UTC", "2200-01-01")
YEARS: Final = {
    "1": range_input(instant_at("UTC", "0001-01-01"), instant_at("UTC", "0001-02-01")),
    "1899": range_input(
        instant_at("UTC", "1899-12-31T23:59:59.999"), instant_at("UTC", "1900-01-02")
    ),
    "2200": range_input(instant_at("UTC", "2199-01-01"), instant_at("UTC", "2200-01-01") + 1),
    "9999": range_input(instant_at("UTC", "9999-01-01"), instant_at("UTC", "9999-12-31")),
}


@pytest.mark.parametrize("year", YEARS)
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Apia", "America/Juneau"])
def test_years_without_clocks(year: str, zone: str) -> None:
    """Ranges of any year work, but only 1900 to 2199 have comparisons and buckets."""
    year_range, clocks = YEARS[year], Zone(zone)
    time_range = resolve_range(year_range, NOON, clocks)
    result = buckets(time_range, Granularity.AUTO, 300, clocks)
    assert (result.granularity, result.starts, result.end) == (
        Granularity.AUTO,
        (time_range.from_,),
        time_range.to,
    )
    modes = [CompareInput(mode=mode) for mode in CompareMode]
    for compare in (CompareInput(range=year_range), *modes):
        with pytest.raises(AnalyticsError) as excinfo:
            comparison(time_range, compare, clocks, NOON)
        error = excinfo.value
        assert error.message == "compare: only works in the years 1900 to 2199"
        assert (error.status, error.field) == (422, "compare")
    for granularity in Granularity:
        if granularity is not Granularity.AUTO:
            with pytest.raises(AnalyticsError) as excinfo:
                buckets(time_range, granularity, 300, clocks)
            error = excinfo.value
            assert error.message == "granularity: only works in the years 1900 to 2199"
            assert (error.status, error.field) == (422, "granularity")


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Apia", "America/Juneau", "Asia/Manila"])
def test_first_and_last_year_with_clocks(zone: str) -> None:
    """In 1900 and 2199 all works, even buckets and comparison ranges that reach beyond."""
    for edge in (range_input(*FIRST), range_input(*LAST)):
        time_range = resolve_range(edge, NOON, Zone(zone))
        for granularity in (Granularity.AUTO, Granularity.DAY, Granularity.YEAR):
            result = buckets(time_range, granularity, 300, Zone(zone))
            for mode in CompareMode:
                previous = comparison(time_range, CompareInput(mode=mode), Zone(zone), NOON)
                assert previous.from_ < previous.to
                assert previous_buckets(result, previous, Zone(zone)).starts
