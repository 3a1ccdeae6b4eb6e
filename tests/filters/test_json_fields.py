"""Fields of a row: the engine's values from its JSON, compared with Python."""

from typing import Any, Final

import msgspec
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from store.query.fields import json_fields
from store.query.filters.row_set import RowSet
from store.query.sql import Statement
from tests.harness.run_profile import short_or_long
from tests.harness.service import Service

HOSTILE: Final = st.text(alphabet="\"\\.:,{}[]a'é\0\n\u2028\x1f ", min_size=0, max_size=4)
VALUES: Final = st.one_of(
    HOSTILE,
    st.text(max_size=5),
    st.just(""),
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
)
NESTED_VALUES: Final = st.recursive(
    VALUES,
    lambda inner: st.one_of(
        st.dictionaries(HOSTILE, inner, max_size=3), st.lists(inner, max_size=2)
    ),
    max_leaves=6,
)
FIELD_SETTINGS: Final = settings(
    max_examples=short_or_long(100, 300),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


class PropertyRow(msgspec.Struct):
    text: str | None
    number: float | None
    boolean: int | None
    is_set: int
    has: int


class TagRow(msgspec.Struct):
    text: str
    raw: str
    is_set: int
    has: int


async def read(
    service: Service, column: str, value: object, expressions: str, rows: RowSet
) -> bytes:
    """Return the row of expressions over one JSON value in a column."""
    slot = rows.bind("String", msgspec.json.encode(value).decode() if value else "")
    text = f"WITH {slot} AS {column} SELECT {expressions}"
    (row,) = await service.context.store.select(Statement(text, rows.slots.params), msgspec.Raw)
    return bytes(row)


def value_at(value: Any, keys: list[str]) -> Any:
    """Walk through objects."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def properties_and_paths() -> st.SearchStrategy[tuple[dict[str, Any], list[str]]]:
    """Make properties, and a path that often leads to a value in them."""
    documents = st.dictionaries(HOSTILE, NESTED_VALUES, max_size=4)
    return documents.flatmap(lambda doc: st.tuples(st.just(doc), paths(doc)))


def paths(value: Any) -> st.SearchStrategy[list[str]]:
    """Make a path that may lead somewhere in a value."""
    if not isinstance(value, dict) or not value:
        return st.lists(HOSTILE, min_size=1, max_size=2)
    deeper = st.sampled_from(sorted(value)).flatmap(
        lambda key: paths(value[key]).map(lambda rest: [key, *rest])
    )
    return st.one_of(st.sampled_from(sorted(value)).map(lambda key: [key]), deeper)


@FIELD_SETTINGS
@given(properties_and_path=properties_and_paths())
@example(properties_and_path=({"a": 10**20}, ["a"]))
@example(properties_and_path=({"a": "100000000000000000000"}, ["a"]))
@example(properties_and_path=({"a": {"b": "x"}, "b": -(2**63) - 1}, ["b"]))
@example(properties_and_path=({"a": {"b": str(-(2**63) - 1)}, "b": -(2**63) - 1}, ["b"]))
@example(properties_and_path=({"a": {"b": 2**70}, "b": str(2**70)}, ["b"]))
async def test_properties(
    service: Service, properties_and_path: tuple[dict[str, Any], list[str]]
) -> None:
    """A value with any key has exactly its own type, and is only at its path."""
    properties, keys = properties_and_path
    rows = RowSet("events", "default")
    text = json_fields.property_text(rows.slots, keys)
    large = json_fields.property_is_large(rows.slots, keys)
    parts = {
        "text": f"if({large}, NULL, {text})",
        "number": json_fields.property_any_number(rows.slots, keys),
        "boolean": json_fields.property_boolean(rows.slots, keys),
        "is_set": json_fields.property_is_set(rows.slots, keys),
        "has": json_fields.may_have_property(rows.slots, keys),
    }
    expressions = ", ".join(f"{expression} AS {name}" for name, expression in parts.items())
    row = msgspec.json.decode(
        await read(service, "properties", properties, expressions, rows), type=PropertyRow
    )
    value = value_at(properties, keys)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    assert row.text == (value if isinstance(value, str) else None)
    assert row.number == (float(value) if is_number else None)
    assert row.boolean == (value if isinstance(value, bool) else None)
    assert row.is_set == (value is not None)
    assert row.has >= row.is_set


@FIELD_SETTINGS
@given(
    tags=st.dictionaries(HOSTILE, st.one_of(HOSTILE, st.text(max_size=5)), max_size=4),
    key=HOSTILE,
    choose=st.integers(0, 5),
)
@example(tags={'x"a': "v"}, key="a", choose=5)
@example(tags={"a,": ":x"}, key=":", choose=5)
@example(tags={"a": "\\"}, key="a", choose=5)
async def test_tags(service: Service, tags: dict[str, str], key: str, choose: int) -> None:
    """A tag is found by its full key, and has the recorded text."""
    key = sorted(tags)[choose] if choose < len(tags) else key
    rows = RowSet("metrics", "default")
    parts = {
        "text": json_fields.tag_text(rows.slots, key),
        "raw": json_fields.tag_raw(rows.slots, key),
        "is_set": json_fields.tag_is_set(rows.slots, key),
        "has": json_fields.may_have_tag(rows.slots, key),
    }
    expressions = ", ".join(f"{expression} AS {name}" for name, expression in parts.items())
    row = msgspec.json.decode(await read(service, "tags", tags, expressions, rows), type=TagRow)
    raw = msgspec.json.encode(tags[key]).decode() if key in tags else ""
    assert (row.text, row.raw, row.is_set) == (tags.get(key, ""), raw, key in tags)
    assert row.has >= row.is_set
