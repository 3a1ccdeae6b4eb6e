"""Chart and table of AUTO in `docs/graphql.md`, compared with the code."""

import re
from pathlib import Path
from typing import Final

import pytest

from bench.auto_granularity import CHART, FEW_POINTS, MAX_POINTS, NOW, chart, samples
from schema.buckets import Granularity
from schema.ranges import TimeRangeInput, TimeRangePreset
from schema.scalars import UTC_ZONE
from schema.time.durations import parse_duration
from store.query.time.buckets import buckets
from store.query.time.ranges import resolve_range

ROWS: Final = re.findall(
    r'^\| `(?:last: "(\w+)"|preset: (\w+))` \| `(\w+)` \| (\d+) \|$',
    Path("docs/graphql.md").read_text(),
    re.MULTILINE,
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0] or row[1])
def test_the_table_is_what_auto_does(row: tuple[str, str, str, str]) -> None:
    """AUTO cuts each range of the table into its granularity and number of points."""
    last, preset, granularity, points = row
    range_input = (
        TimeRangeInput(last=parse_duration(last))
        if last
        else TimeRangeInput(preset=TimeRangePreset[preset])
    )
    time_range = resolve_range(range_input, NOW)
    result = buckets(time_range, Granularity.AUTO, MAX_POINTS, UTC_ZONE)
    assert (result.granularity.name, len(result.starts)) == (granularity, int(points))


def test_the_table_is_found() -> None:
    """The pattern finds the rows of the table."""
    assert len(ROWS) > 20


def test_the_chart_is_what_auto_does() -> None:
    """`python -m bench.auto_granularity` draws the chart of the documentation."""
    assert CHART.read_text() == chart()


def test_most_ranges_have_enough_points() -> None:
    """Ranges have 60 to 300 points, except 5 to 10 minutes and 300 to 420 days."""
    exceptions = [sample for sample in samples() if not FEW_POINTS <= sample.points <= MAX_POINTS]
    minute, day = 60_000, 86_400_000
    assert all(
        5 * minute <= sample.length <= 10 * minute or 300 * day <= sample.length <= 420 * day
        for sample in exceptions
    )
