"""Equality of JSON values: the engine and Python find the same values equal."""

import math
from typing import Any, Final

import msgspec
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from store.query.fields import json_fields
from store.query.sql import Slots, Statement
from tests.harness.run_profile import short_or_long
from tests.harness.service import Service
from tests.oracle.aggregates import as_double, identity

HUGE: Final = int("9" * 309)
EDGES: Final[list[Any]] = [
    2**53, 2**53 + 1, 2**53 - 1, 2.0**53, 2**60, 2.0**60, 1152921504606847000, 2**63, 2.0**63,
    2**63 - 1, 2**64, 2.0**64, 2**64 - 1, -(2**63), -(2**63) - 1, -(2.0**63), 2**70, 2.0**70,
    30101810845250003001, 30101810845250003002, 10**20, 1e20, 10**21, 1e21, 10**22, 1e22, 10**23,
    1e23, int(1e23), 10**308, 1e308, int(1e308), HUGE, HUGE - 1, -HUGE, 667, 667.0, 0, -0.0, 0.0,
    0.1, 1e-7, 5e-324, 72057594037927936, 7.205759403792794e16, 72057594037927940, 1e16, 10**16,
    99999999999999999999, "30101810845250003001", "667", "1e21", "-0", "n1", "s1", "null", "true",
    True, False, 1, "a/b", "\u2028", 'é\n\x7f\\"', "", "x" * 40, "0" * 40, "1" + "0" * 308,
]  # fmt: skip
EDGES.extend([[value] for value in list(EDGES)])
EDGES.extend([{"a": {"12345678901234567890": value}} for value in EDGES[:50]])

scalars = st.one_of(
    st.sampled_from([value for value in EDGES if not isinstance(value, list | dict)]),
    st.integers(-(2**80), 2**80),
    st.integers(2**53, 2**64),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(1e15, 1e23),
    st.floats(1e15, 1e23).map(int),
    st.text(max_size=5),
    st.integers(10**16, 10**30).map(str),
    st.text(alphabet='"\\,:[]{}-0123456789.e', max_size=30),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(alphabet='a"\\:,1', max_size=3), inner, max_size=2),
    ),
    max_leaves=6,
)


class EngineValues(msgspec.Struct):
    texts: list[str]
    canonical_texts: list[str]
    numbers: list[float | None]


async def texts_of(service: Service, values: list[Any]) -> EngineValues:
    """Return the engine's texts of values as properties and as operands, and their numbers."""
    slots = Slots()
    documents = [msgspec.json.encode({"p": value, "q": "1"}).decode() for value in values]
    json_texts = [msgspec.json.encode(value).decode() for value in values]
    group, number = (
        read(slots, ("p",))
        for read in (json_fields.property_group, json_fields.property_any_number)
    )
    array = slots.bind("Array(String)", documents)
    canonical_texts = json_fields.canonical_values(slots, json_texts)
    rows = f"SELECT arrayJoin(arrayEnumerate({array})) AS n, {array}[n] AS properties"
    text = (
        f"SELECT groupArray({group}) AS texts, {canonical_texts} AS canonical_texts,"  # noqa: S608 - slots
        f" groupArray(tuple({number})).1 AS numbers FROM ({rows})"
    )
    (engine_values,) = await service.context.store.select(
        Statement(text, slots.params), EngineValues
    )
    return engine_values


def check(values: list[Any], engine_values: EngineValues) -> None:
    """Check that texts are equal for equal values only, and that numbers are right."""
    assert engine_values.texts == engine_values.canonical_texts
    by_text = {
        text: identity(value) for text, value in zip(engine_values.texts, values, strict=True)
    }
    by_value = {
        identity(value): text for text, value in zip(engine_values.texts, values, strict=True)
    }
    for text, value in zip(engine_values.texts, values, strict=True):
        assert by_text[text] == identity(value), (text, value)
        assert by_value[identity(value)] == text, (text, value)
    for number, value in zip(engine_values.numbers, values, strict=True):
        assert number == as_double(value), value


async def test_edges(service: Service) -> None:
    """Integers of any size differ from each other, from doubles and texts, also inside arrays."""
    check(EDGES, await texts_of(service, EDGES))


@settings(
    max_examples=short_or_long(45, 200),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(sample=st.lists(values, min_size=1, max_size=12))
@example(sample=[[-0.0], [0], [0.0], {"a": -0.0}, {"a": 0}])
@example(sample=[{'":-0,': 1}, {'":-0,': 1.0}, '":-0,', [":-0,"]])
async def test_values(service: Service, sample: list[Any]) -> None:
    """Values are equal in the engine exactly if they are equal in Python."""
    finite = [value for value in sample if not isinstance(value, float) or math.isfinite(value)]
    check(finite, await texts_of(service, finite))
