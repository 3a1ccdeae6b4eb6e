"""Tags and properties: keys, types and values, compared with plain Python."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.query import facets as sql
from store.query.filters.row_set import RowSet
from tests.harness.apis import ask, delete_all, error_summary, record
from tests.harness.run_profile import short_or_long
from tests.harness.service import Service

TAGS = """
query($search: String, $first: Int! = 1000) {
  metrics {
    nodes {name tags {name cardinality values(search: $search, first: $first) {value count type}}}
  }
}"""
PROPERTIES = """
query($search: String, $first: Int! = 1000) {
  eventTypes {
    name
    properties {
      key type coverage cardinality values(search: $search, first: $first) {value count type}
    }
  }
}"""
LARGE = 2**70 + 1
HOSTILE = [
    "'",
    '"',
    "\\",
    "\n",
    "é",
    "💥",
    "{p0:String}",
    "a.b",
    "\0",
    "",
    " ",
    "null",
    '{"a":"b"}',
]
texts = st.one_of(st.sampled_from(HOSTILE), st.text(alphabet="ab'\"\\é{}:,.", max_size=3))
tag_sets = st.dictionaries(
    st.sampled_from(["h", "r", "it's", 'q"', "\\", "é", "a.b", " "]), texts, max_size=3
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.sampled_from([1.0, 1, -0.5, 2.25, "1", "2025-01-01T00:00:00Z", "2025-01-01T00:00:00+02:00"]),
    texts,
)
property_values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(st.sampled_from(["x", "y", "x.y", "", "\\"]), inner, max_size=2),
    ),
    max_leaves=5,
)
property_sets = st.dictionaries(
    st.sampled_from(["", "p", "q", "it's", 'q"', "\\", "é", "{", "null", "x.y", "p.x", "\\."]),
    property_values,
    max_size=4,
)
NAMES = {
    str: "STRING", bool: "BOOLEAN", int: "NUMBER", float: "NUMBER", list: "ARRAY", dict: "OBJECT",
}  # fmt: skip
FEW_EXAMPLES = settings(
    max_examples=short_or_long(7, 20),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def text_of(value: Any) -> str:
    """Return the text of a value in a list: a text itself, other values as compact JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(with_integers(value), separators=(",", ":"), ensure_ascii=False)


def with_integers(value: Any) -> Any:
    """Return a value with 1.0 as 1, which are one value."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case list():
            return [with_integers(item) for item in value]
        case dict():
            return {key: with_integers(item) for key, item in value.items()}
    return value


def paths_and_values(value: dict[str, Any], level: int = 1) -> Iterator[tuple[str, Any]]:
    """Yield the paths and values of an object and of inner objects, three levels deep."""
    for part, item in value.items():
        key = part.replace("\\", "\\\\").replace(".", "\\.")
        if item is not None:
            yield key, item
        if isinstance(item, dict) and level < 3:
            yield from (
                (f"{key}.{inner_key}", inner_value)
                for inner_key, inner_value in paths_and_values(item, level + 1)
            )


def type_of(values: list[Any]) -> str:
    """Return the common type of values, or MIXED."""
    types = {NAMES[type(value)] for value in values}
    if types == {"STRING"} and all(value.startswith("2025-") for value in values):
        return "DATETIME"
    return types.pop() if len(types) == 1 else "MIXED"


def most_frequent(values: list[Any]) -> list[dict[str, object]]:
    """Count values as texts, most frequent first."""
    counts = Counter((text_of(value), NAMES[type(value)]) for value in values).items()
    sorted_counts = sorted(
        counts, key=lambda entry: (-entry[1], entry[0][0].encode(), entry[0][1] != "STRING")
    )
    return [
        {"value": value, "count": count, "type": type_name}
        for (value, type_name), count in sorted_counts
    ]


@FEW_EXAMPLES
@given(st.lists(st.tuples(st.sampled_from("mn"), tag_sets), min_size=1, max_size=12))
async def test_tags(service: Service, points: list[tuple[str, dict[str, str]]]) -> None:
    """A metric has all its tags, sorted, with values and their counts."""
    await delete_all(service)
    rows = [{"metric_name": name, "value": 1, "tags": tags} for name, tags in points]
    answer = (await service.post("/metrics/batch", rows)).json()
    assert answer["accepted"] == len(rows), answer
    expected: dict[str, dict[str, list[str]]] = {name: defaultdict(list) for name, _ in points}
    for name, tags in points:
        for key, value in tags.items():
            expected[name][key].append(value)
    nodes = (await ask(service, TAGS))["metrics"]["nodes"]
    assert {node["name"]: node["tags"] for node in nodes} == {
        name: [
            {"name": key, "cardinality": len(set(values)), "values": most_frequent(values)}
            for key, values in sorted(tags.items())
        ]
        for name, tags in expected.items()
    }


@FEW_EXAMPLES
@given(st.lists(st.tuples(st.sampled_from("ef"), property_sets), min_size=1, max_size=12))
async def test_properties(service: Service, events: list[tuple[str, dict[str, Any]]]) -> None:
    """An event type has all paths, with type, coverage and values; null is no value."""
    await delete_all(service)
    await record(service, "/events", *({"event_name": n, "properties": p} for n, p in events))
    expected: dict[str, dict[str, list[Any]]] = {name: defaultdict(list) for name, _ in events}
    for name, properties in events:
        for key, value in paths_and_values(properties):
            expected[name][key].append(value)
    total = Counter(name for name, _ in events)
    nodes = (await ask(service, PROPERTIES))["eventTypes"]
    assert {node["name"]: node["properties"] for node in nodes} == {
        name: [
            {
                "key": key,
                "type": type_of(values),
                "coverage": len(values) / total[name],
                "cardinality": len({(text_of(value), type_of([value])) for value in values}),
                "values": most_frequent(values),
            }
            for key, values in sorted(keys.items())
        ]
        for name, keys in expected.items()
    }


async def first_values(service: Service, query: str, **variables: object) -> list[tuple[str, int]]:
    """Return the values of the first key of the first name, with their counts."""
    data = await ask(service, query, **variables)
    nodes = data["metrics"]["nodes"] if "metrics" in data else data["eventTypes"]
    (key, *_) = nodes[0]["tags"] if "metrics" in data else nodes[0]["properties"]
    return [(entry["value"], entry["count"]) for entry in key["values"]]


async def test_values_are_searched_and_cut(service: Service) -> None:
    """`search` finds a part of a text in any case; `first` limits; long texts end at 1000."""
    await delete_all(service)
    values = ["Ab", "aB", "b%", "x" * 1000 + "1", "x" * 1000 + "2", "Ab", "B", "B", "B"]
    await record(service, "/events", *({"event_name": "e", "properties": {"p": v}} for v in values))
    rows = [{"metric_name": "m", "value": 1, "tags": {"p": v[:1000]}} for v in values]
    await record(service, "/metrics", *rows)
    long = "x" * 1000
    for query in (TAGS, PROPERTIES):
        assert await first_values(service, query) == [
            *(("B", 3), ("Ab", 2), (long, 2), ("aB", 1), ("b%", 1)),
        ]
        assert await first_values(service, query, first=2) == [("B", 3), ("Ab", 2)]
        assert await first_values(service, query, search="AB") == [("Ab", 2), ("aB", 1)]
        assert await first_values(service, query, search="%") == [("b%", 1)]
        assert len(await first_values(service, query, search="")) == 5
        assert await first_values(service, query, search="nobody") == []


async def test_numbers_beyond_64_bits(service: Service) -> None:
    """An integer keeps all its digits, also next to a text of the same digits."""
    await delete_all(service)
    properties = {"p": LARGE, "q": 2**63, "r": {"p": str(LARGE), "s": [LARGE, str(LARGE)]}}
    await record(service, "/events", {"event_name": "e", "properties": properties})
    (node,) = (await ask(service, PROPERTIES))["eventTypes"]
    assert {p["key"]: (p["type"], p["values"][0]["value"]) for p in node["properties"]} == {
        "p": ("NUMBER", str(LARGE)),
        "q": ("NUMBER", str(2**63)),
        "r": ("OBJECT", json.dumps(properties["r"], separators=(",", ":"))),
        "r.p": ("STRING", str(LARGE)),
        "r.s": ("ARRAY", f'[{LARGE},"{LARGE}"]'),
    }


async def test_path_and_key_with_one_spelling(service: Service) -> None:
    """The key `a.b` and the path to `b` in `a` differ, spelled as filters take them."""
    await delete_all(service)
    properties = {"a.b": 1, "a": {"b": "x"}, "\\": True}
    await record(service, "/events", {"event_name": "e", "properties": properties})
    (node,) = (await ask(service, PROPERTIES))["eventTypes"]
    assert {entry["key"]: entry["type"] for entry in node["properties"]} == {
        "a": "OBJECT",
        "a.b": "STRING",
        "a\\.b": "NUMBER",
        "\\\\": "BOOLEAN",
    }


async def test_at_most_1000_keys(service: Service) -> None:
    """Of more than 1000 keys, the 1000 most frequent are listed, sorted."""
    await delete_all(service)
    rows = [
        {"event_name": "e", "properties": {f"k{n:04}": 1 for n in range(start, start + 250)}}
        for start in range(0, 1250, 250)
    ]
    frequent_event = {"event_name": "e", "properties": {f"k{n:04}": 1 for n in range(1100, 1250)}}
    await record(service, "/events", *rows, frequent_event)
    (node,) = (await ask(service, "{eventTypes {properties {key coverage}}}"))["eventTypes"]
    keys = [entry["key"] for entry in node["properties"]]
    assert keys == [f"k{n:04}" for n in (*range(850), *range(1100, 1250))]
    assert {entry["coverage"] for entry in node["properties"]} == {1 / 6, 2 / 6}


@pytest.mark.parametrize("first", [0, -1, 1001])
async def test_numbers_of_values(service: Service, first: int) -> None:
    """`first` is 1 to 1000; another number is refused with name and limit."""
    await delete_all(service)
    await record(service, "/metrics", {"metric_name": "m", "value": 1, "tags": {"t": "x"}})
    await record(service, "/events", {"event_name": "e", "properties": {"t": "x"}})
    for query in (TAGS, PROPERTIES):
        answer = await service.post("/graphql", {"query": query, "variables": {"first": first}})
        assert error_summary(answer) == (422, "BAD_USER_INPUT", "first", 1000)


async def test_too_expensive(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of values over the size limit is refused; the list without it is answered."""
    await delete_all(service)
    rows = [{"event_name": "e", "properties": {"p": "x" * 900 + str(n)}} for n in range(200)]
    await record(service, "/events", *rows)
    monkeypatch.setattr(sql, "_SETTINGS", "SETTINGS max_result_bytes = 1000")
    answer = await service.post("/graphql", {"query": PROPERTIES})
    assert error_summary(answer)[:2] == (422, "QUERY_TOO_EXPENSIVE")
    assert (await ask(service, "{eventTypes {name count}}"))["eventTypes"][0]["count"] == 200


def test_what_is_selected_is_computed() -> None:
    """The statement for keys has no column that is not selected."""
    rows = RowSet("metrics", "default")
    assert "uniqCombined" not in sql.facet_keys(sql.TAGS, rows, ()).text
    assert "uniqCombined" in sql.facet_keys(sql.TAGS, rows, ("cardinality",)).text
    assert "ascii" not in sql.facet_keys(sql.PROPERTIES, rows, ("cardinality",)).text
