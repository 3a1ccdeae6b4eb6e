"""Comparison ranges of any range, compared with Python's calendar."""

import re
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from schema.errors import AnalyticsError
from schema.ranges import (
    CompareInput,
    CompareMode,
    DateRangeInput,
    TimeRangeInput,
    TimeRangePreset,
)
from schema.scalars import Instant, Zone, parse_instant, rfc3339
from schema.time.dates import parse_date
from schema.time.durations import parse_duration
from store.query.time.ranges import comparison, resolve_range
from tests.oracle.buckets import second_of
from tests.oracle.calendar import (
    CALENDAR_SETTINGS,
    local_text,
    local_time,
    range_input,
    utc_offset,
    zone_instants,
)
from tests.oracle.ranges import PRESETS, comparison_range, expected_range, preset_of

days = st.builds(lambda day, length: (day, length), st.integers(-40, 0), st.integers(0, 40))


@CALENDAR_SETTINGS
@given(
    zone_instants,
    st.one_of(
        st.sampled_from([f"{{preset: {name}}}" for name in PRESETS]),
        st.sampled_from(["P1D", "PT5H", "PT90S"]).map(lambda text: f'{{last: "{text}"}}'),
        days,
    ),
    st.sampled_from(list(CompareMode)),
)
def test_comparison_is_that_of_the_calendar(
    zone_instant: tuple[str, int], drawn_range: str | tuple[int, int], mode: CompareMode
) -> None:
    """Presets, `last`, `dates` and `between` in any zone are compared as Python's calendar says."""
    zone, now = zone_instant
    today = local_time(zone, now // 1000).date()
    texts = (
        [drawn_range] if isinstance(drawn_range, str) else _texts(zone, now, today, *drawn_range)
    )
    for text in texts:
        try:
            time_range = resolve_range(_input(text), Instant(now), Zone(zone), None)
        except AnalyticsError:
            continue  # days that the zone's calendar skips
        ends = time_range.from_, time_range.to
        if expected_range(text, now, zone, ()) != ends:
            assert any(_is_odd(zone, moment) for moment in (now, *ends)), text
            continue
        expected = comparison_range(mode.name, text, ends, zone)
        previous = comparison(time_range, CompareInput(mode=mode), Zone(zone), Instant(now))
        assert expected in (None, (previous.from_, previous.to)), (
            text,
            local_text(zone, previous.from_),
        )


def _texts(zone: str, now: int, today: date, ago: int, length: int) -> list[str]:
    first = today + timedelta(days=ago)
    last = min(today, first + timedelta(days=length))
    between = (second_of(zone, first) * 1000, max(second_of(zone, first) * 1000 + 1, now))
    start, end = (rfc3339(Instant(moment)) for moment in between)
    return [
        f'{{dates: {{from: "{first}", to: "{last}"}}}}',
        f'{{dates: {{from: "{first}"}}}}',
        f'{{between: {{from: "{start}", to: "{end}"}}}}',
    ]


def _is_odd(zone: str, moment: int) -> bool:
    """Say whether clocks change within two days of an instant."""
    hours = range(moment // 1000 - 172_800, moment // 1000 + 172_800, 900)
    return len({utc_offset(zone, second) for second in hours}) > 1


def _input(text: str) -> TimeRangeInput:
    values = re.findall(r'"([^"]*)"', text)
    if "preset" in text:
        return TimeRangeInput(preset=TimeRangePreset[preset_of(text)])
    if "dates" in text:
        first, last = (parse_date(day) for day in (values[0], values[-1]))
        return TimeRangeInput(dates=DateRangeInput(from_=first, to=last if values[1:] else None))
    if "between" in text:
        return range_input(*(parse_instant(moment) for moment in values))
    return TimeRangeInput(last=parse_duration(values[0]))
