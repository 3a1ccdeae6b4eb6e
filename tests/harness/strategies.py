"""Hypothesis strategies for the tests of series: values, aggregates, ranges and panels."""

from collections.abc import Sequence
from itertools import count
from typing import Any, Final

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from schema.buckets import Granularity
from schema.scalars import Instant, rfc3339
from tests.harness.panels import ALL_FIELDS, COMPARE_MODES, TIME_LISTS
from tests.harness.run_profile import LONG, short_or_long
from tests.harness.service import NOON
from tests.oracle.aggregates import RATE_UNITS, Aggregate
from tests.oracle.buckets import FINEST_FIRST, estimate_count
from tests.oracle.calendar import SPECIAL, instant_at
from tests.oracle.ranges import PRESETS

SERIES_SETTINGS: Final = settings(
    deadline=None,
    max_examples=short_or_long(7, 500),
    derandomize=not LONG,
    suppress_health_check=list(HealthCheck),
    database=None,
    phases=[Phase.generate],  # to shrink panels takes minutes
)
HOUR: Final = 3_600_000
SCENE_NUMBERS: Final = count()
"""A number for each scene, for its own names in one store."""

moments = st.one_of(
    st.sampled_from(
        [int(instant_at(*place)) for place in SPECIAL.values() if instant_at(*place) > 10**11]
    ),
    st.just(int(NOON)),
)
offsets = st.one_of(
    st.integers(-40, 40).map(lambda n: n * HOUR // 2),
    st.integers(-100, 100).map(lambda n: n * 60_000),
    st.integers(-3 * HOUR, 3 * HOUR),
    st.integers(-1, 1),
    st.integers(-30, 30).map(lambda n: n * 24 * HOUR),
)
numbers = st.one_of(
    st.integers(-5, 5).map(float),
    st.floats(-1e6, 1e6, allow_nan=False),
    st.sampled_from([0.0, 1e-300, -1e-300, 1e100, -1e100, 2.0**53 - 1, 0.1, 100.0]),
)
zones = st.sampled_from(sorted({zone for zone, *_ in SPECIAL.values()}))
quantile_levels = st.sampled_from([0, 0.01, 0.25, 0.5, 0.9, 0.99, 1]) | st.floats(0, 1)

PROPERTY_AGGREGATES: Final = frozenset(["sum", "avg", "min", "max", "quantile", "unique"])


def aggregates(fields: Sequence[str], properties: Sequence[str]) -> st.SearchStrategy[Any]:
    """Draw some aggregates, each with its arguments, and with a property where there are any."""
    return st.lists(st.sampled_from(fields), min_size=1, max_size=8).flatmap(
        lambda names: st.tuples(
            *(_aggregate(f"a{n}", name, properties) for n, name in enumerate(names))
        )
    )


@st.composite
def _aggregate(draw: st.DrawFn, key: str, name: str, properties: Sequence[str]) -> Aggregate:
    arguments: dict[str, Any] = {}
    if name == "quantile":
        arguments["q"] = draw(quantile_levels)
    if properties and name in PROPERTY_AGGREGATES:
        arguments["property"] = draw(st.sampled_from(properties))
    if (name == "quantile" or name.startswith("unique")) and draw(st.booleans()):
        arguments["exact"] = draw(st.booleans())
    if name == "rate" and draw(st.booleans()):
        arguments["per"] = draw(st.sampled_from(RATE_UNITS))
    return Aggregate(key, name, arguments)


def orders(fields: Sequence[str], properties: Sequence[str]) -> st.SearchStrategy[Any]:
    """Draw an order of series: an aggregate and a direction, or none."""
    sort_key = st.sampled_from(fields).flatmap(lambda name: _aggregate("by", name, properties))
    free = sort_key.map(
        lambda aggregate: Aggregate("by", aggregate.field, _change_arguments(aggregate.arguments))
    )
    return st.none() | st.tuples(free, st.sampled_from(["ASC", "DESC"]))


def _change_arguments(arguments: Any) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if name in ("q", "property")}


@st.composite
def time_ranges(draw: st.DrawFn, moment: int, times: Sequence[int]) -> tuple[int, int]:
    """Draw a range near a moment, often with edges at the times of rows."""
    edge = st.one_of(st.sampled_from(times), offsets.map(lambda offset: max(0, moment + offset)))
    start, end = sorted([draw(edge), draw(edge)])
    return start, max(start + 1, end)


def range_literal(start: int, end: int) -> str:
    """Return a range as a GraphQL literal."""
    return f'{{between: {{from: "{rfc3339(Instant(start))}", to: "{rfc3339(Instant(end))}"}}}}'


RELATIVE_RANGES: Final = [
    '{last: "1h"}',
    '{last: "P2D"}',
    '{last: "1ms"}',
    *(f"{{preset: {name}}}" for name in PRESETS),
    '{dates: {from: "2025-10-01"}}',
    '{dates: {from: "2025-09-30", to: "2025-10-09"}}',
]


@st.composite
def panel_arguments(draw: st.DrawFn, moment: int, times: Sequence[int]) -> dict[str, Any]:
    """Draw the arguments of a panel, such as range, comparison and granularity."""
    start, end = draw(time_ranges(moment, times))
    is_fixed = moment != NOON or draw(st.booleans())
    fine = [g for g in FINEST_FIRST if estimate_count(start, end, g) < 400]
    other_range = draw(time_ranges(moment, times))
    is_short = other_range[1] - other_range[0] <= 20 * (end - start)  # else too many buckets
    custom_modes = [f"{{range: {range_literal(*other_range)}}}"] if is_fixed and is_short else []
    granularity = draw(st.sampled_from([Granularity.AUTO, *fine])) if is_fixed else Granularity.AUTO
    modes = [f"{{mode: {mode}}}" for mode in COMPARE_MODES]
    series_fields = draw(st.sets(st.sampled_from(sorted(ALL_FIELDS))))
    compare = draw(st.none() | st.sampled_from([*modes, *custom_modes]))
    overall_fields = draw(st.none() | st.sets(st.sampled_from(sorted(ALL_FIELDS - TIME_LISTS))))
    for fields in (series_fields, overall_fields or set()):
        if "change" in fields:
            fields |= {"total", "previousTotal"}
        if "share" in fields:
            fields |= {"total"}
    return {
        "range": range_literal(start, end) if is_fixed else draw(st.sampled_from(RELATIVE_RANGES)),
        "granularity": granularity,
        "max_points": draw(st.sampled_from([1, 2, 10, 50, 300])),
        "zone": draw(zones),
        "compare": compare,
        "series_fields": frozenset(series_fields),
        "overall_fields": None if overall_fields is None else frozenset(overall_fields),
        "fill": draw(st.sampled_from([None, "NULL", "ZERO", "PREVIOUS", "LINEAR", "NONE"])),
        "limit": draw(st.sampled_from([1, 2, 3, 10, 1000])),
        "other_group": draw(st.booleans()),
        "offset": draw(st.sampled_from([0, 0, 0, 1, 2, 100])),
        "sunday_weeks": draw(st.booleans()),
    }
