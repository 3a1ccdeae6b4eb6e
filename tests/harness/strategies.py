"""Screens full of questions: what hypothesis draws for the tests of series."""

from collections.abc import Sequence
from itertools import count
from typing import Any, Final

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from schema.buckets import Granularity
from schema.scalars import Instant, rfc3339
from tests.faults.form import LONG, either
from tests.harness.panels import ALL_PARTS, LISTS, MODES
from tests.harness.service import NOON
from tests.oracle.aggregates import LENGTHS, Asked
from tests.oracle.buckets import FINEST_FIRST, most
from tests.oracle.calendar import SPECIAL, at
from tests.oracle.ranges import PRESETS

BOUNDED: Final = settings(
    deadline=None,
    max_examples=either(15, 500),
    derandomize=not LONG,
    suppress_health_check=list(HealthCheck),
    database=None,
    phases=[Phase.generate],  # to shrink screens takes minutes
)
HOUR: Final = 3_600_000
NUMBERS: Final = count()
"""A number for each scene, so that each has names of its own in one store."""

moments = st.one_of(
    st.sampled_from([int(at(*place)) for place in SPECIAL.values() if at(*place) > 10**11]),
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
levels = st.sampled_from([0, 0.01, 0.25, 0.5, 0.9, 0.99, 1]) | st.floats(0, 1)

OF_A_PROPERTY: Final = frozenset(["sum", "avg", "min", "max", "quantile", "unique"])


def aggregates(fields: Sequence[str], properties: Sequence[str]) -> st.SearchStrategy[Any]:
    """Draw some aggregates, each with its own arguments; of a property where there are any."""
    return st.lists(st.sampled_from(fields), min_size=1, max_size=8).flatmap(
        lambda names: st.tuples(
            *(_aggregate(f"a{n}", name, properties) for n, name in enumerate(names))
        )
    )


@st.composite
def _aggregate(draw: st.DrawFn, key: str, name: str, properties: Sequence[str]) -> Asked:
    given: dict[str, Any] = {}
    if name == "quantile":
        given["q"] = draw(levels)
    if properties and name in OF_A_PROPERTY:
        given["property"] = draw(st.sampled_from(properties))
    if (name == "quantile" or name.startswith("unique")) and draw(st.booleans()):
        given["exact"] = draw(st.booleans())
    if name == "rate" and draw(st.booleans()):
        given["per"] = draw(st.sampled_from(LENGTHS))
    return Asked(key, name, given)


def orders(fields: Sequence[str], properties: Sequence[str]) -> st.SearchStrategy[Any]:
    """Draw what series are ordered by."""
    by = st.sampled_from(fields).flatmap(lambda name: _aggregate("by", name, properties))
    free = by.map(lambda asked: Asked("by", asked.field, _without(asked.arguments)))
    return st.none() | st.tuples(free, st.sampled_from(["ASC", "DESC"]))


def _without(arguments: Any) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if name in ("q", "property")}


@st.composite
def spans(draw: st.DrawFn, moment: int, times: Sequence[int]) -> tuple[int, int]:
    """Draw a range near a moment, often with edges at which there are rows."""
    edge = st.one_of(st.sampled_from(times), offsets.map(lambda offset: max(0, moment + offset)))
    first, behind = sorted([draw(edge), draw(edge)])
    return first, max(first + 1, behind)


def between(first: int, behind: int) -> str:
    """Write a range as GraphQL."""
    return f'{{between: {{from: "{rfc3339(Instant(first))}", to: "{rfc3339(Instant(behind))}"}}}}'


RELATIVE: Final = [
    '{last: "1h"}',
    '{last: "P2D"}',
    '{last: "1ms"}',
    *(f"{{preset: {name}}}" for name in PRESETS),
    '{dates: {from: "2025-10-01"}}',
    '{dates: {from: "2025-09-30", to: "2025-10-09"}}',
]


@st.composite
def asked(draw: st.DrawFn, moment: int, times: Sequence[int]) -> dict[str, Any]:
    """Draw a range, what it is compared with, and how it is cut."""
    first, behind = draw(spans(moment, times))
    fixed = moment != NOON or draw(st.booleans())
    fine = [g for g in FINEST_FIRST if most(first, behind, g) < 400]
    other = draw(spans(moment, times))
    comparable = fixed and other[1] - other[0] <= 20 * (
        behind - first
    )  # else it has too many buckets
    own = [f"{{range: {between(*other)}}}"] if comparable else []
    granularity = draw(st.sampled_from([Granularity.AUTO, *fine])) if fixed else Granularity.AUTO
    modes = [f"{{mode: {mode}}}" for mode in MODES]
    parts = draw(st.sets(st.sampled_from(sorted(ALL_PARTS))))
    compare = draw(st.none() | st.sampled_from([*modes, *own]))
    whole = draw(st.none() | st.sets(st.sampled_from(sorted(ALL_PARTS - LISTS))))
    for selected in (parts, whole or set()):
        if "change" in selected:
            selected |= {"total", "previousTotal"}
        if "share" in selected:
            selected |= {"total"}
    return {
        "range": between(first, behind) if fixed else draw(st.sampled_from(RELATIVE)),
        "granularity": granularity,
        "points": draw(st.sampled_from([1, 2, 10, 50, 300])),
        "zone": draw(zones),
        "compare": compare,
        "parts": frozenset(parts),
        "whole": None if whole is None else frozenset(whole),
        "fill": draw(st.sampled_from([None, "NULL", "ZERO", "PREVIOUS", "LINEAR", "NONE"])),
        "limit": draw(st.sampled_from([1, 2, 3, 10, 1000])),
        "others": draw(st.booleans()),
        "offset": draw(st.sampled_from([0, 0, 0, 1, 2, 100])),
        "sunday": draw(st.booleans()),
    }
