"""Keys of groups: value, type, and a filter for the rows of the group."""

import json
from collections import Counter
from typing import Any, Final

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.filters.test_canonical_json import EDGES, values
from tests.harness.apis import ask, delete_all, record
from tests.harness.run_profile import short_or_long
from tests.harness.service import Service
from tests.oracle.aggregates import identity

GROUPS: Final = """
query($by: [GroupByInput!]!) {
  eventTrend(range: {preset: LAST_24_HOURS}, groupBy: $by, limit: 1000) {
    series {
      isOther
      key {value type filter}
      total {count}
    }
  }
}"""
COUNT: Final = "query($where: EventFilter) {events(where: $where, first: 1) {totalCount}}"
POINTS: Final = """
query($where: MetricFilter, $by: [String!]) {
  metric(name: "m") {
    query(range: {preset: LAST_24_HOURS}, where: $where, groupBy: $by, limit: 1000) {
      series {key {value type filter} total {count}}
    }
  }
}"""
KINDS: Final = {
    str: "STRING", bool: "BOOLEAN", int: "NUMBER", float: "NUMBER", list: "ARRAY", dict: "OBJECT",
}  # fmt: skip
FEW_EXAMPLES: Final = settings(
    max_examples=short_or_long(5, 25),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def in_javascript(value: Any) -> Any:
    """Return JSON as a JavaScript client passes it on, with doubles as numbers."""
    return json.loads(json.dumps(value), parse_int=lambda text: as_written(float(text)))


def as_written(double: float) -> float:
    """Return a double as JavaScript writes it, without a point if it is an integer."""
    return int(double) if double.is_integer() and abs(double) < 1e21 else double


async def event_groups(service: Service, *group_by: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the groups of all events."""
    series = (await ask(service, GROUPS, by=list(group_by)))["eventTrend"]["series"]
    assert not any(group["isOther"] for group in series)
    return list(series)


async def check_groups(service: Service, *group_by: dict[str, Any]) -> list[dict[str, Any]]:
    """Check that keys are unique, and that each filter matches as many events as its group."""
    groups = await event_groups(service, *group_by)
    keys = [tuple((key["value"], key["type"]) for key in group["key"]) for group in groups]
    assert len(set(keys)) == len(keys), keys
    for group in groups:
        where = {"AND": [in_javascript(key["filter"]) for key in group["key"]]}
        count = (await ask(service, COUNT, where=where))["events"]["totalCount"]
        assert count == group["total"]["count"], (where, group)
    return groups


def expected_counts(property_values: list[Any]) -> Counter[Any]:
    """Count values by group; null and a missing value are one group."""
    return Counter(identity(value) for value in property_values)


async def record_values(service: Service, property_values: list[Any], path: str = "p") -> None:
    """Record an event for each value."""
    await delete_all(service)
    await record(
        service,
        "/events",
        *({"event_name": "e", "properties": {path: value}} for value in property_values),
    )


@FEW_EXAMPLES
@given(property_values=st.lists(st.one_of(st.none(), values), min_size=1, max_size=12))
@example(
    property_values=[
        1,
        "1",
        True,
        "true",
        1.0,
        None,
        "null",
        "(none)",
        "",
        [],
        {},
        [1],
        "[1]",
        [1.0],
    ]
)
@example(property_values=EDGES[:40])
async def test_properties(service: Service, property_values: list[Any]) -> None:
    """Groups of a property have the counts and types of Python, and filters match their events."""
    await record_values(service, property_values)
    groups = await check_groups(service, {"property": "p"})
    counts = expected_counts(property_values)
    assert sorted(group["total"]["count"] for group in groups) == sorted(counts.values())
    assert sum(group["total"]["count"] for group in groups) == len(property_values)
    types = Counter(KINDS.get(type(value)) for value in property_values)
    by_type: Counter[Any] = Counter()
    for group in groups:
        by_type[group["key"][0]["type"]] += group["total"]["count"]
    assert by_type == types


async def test_values_have_all_digits(service: Service) -> None:
    """The key of an integer has all its digits."""
    property_values = [
        30101810845250003001,
        30101810845250003002,
        int("9" * 309),
        10**308,
        10**22,
        2**70,
        7,
    ]
    await record_values(service, property_values)
    groups = await event_groups(service, {"property": "p"})
    assert {group["key"][0]["value"] for group in groups} == set(map(str, property_values))


@pytest.mark.parametrize("key", ["a.b", "\\", "a[]", "[]", "\\[]", "a\\.b[]", ".", "a[].b"])
async def test_paths(service: Service, key: str) -> None:
    """Groups of a key that its path must escape have filters that match."""
    await record_values(service, [1, "1", None], key)
    (event_type,) = (await ask(service, "{eventTypes {properties {key}}}"))["eventTypes"]
    (path,) = (entry["key"] for entry in event_type["properties"])
    assert len(await check_groups(service, {"property": path})) == 3


async def test_fields_and_bands(service: Service) -> None:
    """Groups by user, name, session and band have filters, and so has the group without a value."""
    await delete_all(service)
    rows: list[dict[str, Any]] = [
        {"event_name": name, "properties": {"n": n}}
        | ({"user_id": user} if user else {})
        | ({"session_id": "s"} if n == 5 else {})
        for name, user, n in [
            ("a", None, 1), ("a", "u", 5), ("b", "u", "5"), ("b", "", None), ("c", "v", 10**400),
            ("c", None, -(10**400)), ("d", None, 9.99), ("d", None, 10), ("d", None, "12"),
        ]
    ]  # fmt: skip
    await record(service, "/events", *rows)
    for field in ("NAME", "USER_ID", "SESSION_ID"):
        groups = await check_groups(service, {"field": field})
        assert {group["key"][0]["type"] for group in groups} <= {"STRING", None}
    for cast in (None, "NUMBER"):
        band = {"property": "n", "bounds": [0, 5, 10], "cast": cast}
        groups = await check_groups(service, {"bucketNumber": band})
        counts = {group["key"][0]["value"]: group["total"]["count"] for group in groups}
        missing, middle, last = (3, 2, 2) if cast is None else (1, 3, 3)
        assert counts == {"< 0": 1, "[0, 5)": 1, "[5, 10)": middle, ">= 10": last, None: missing}
    await check_groups(service, {"property": "n"}, {"field": "NAME"}, {"field": "USER_ID"})


async def test_tags(service: Service) -> None:
    """The filter of a tag's group matches its points, whatever the tag's key and value."""
    await delete_all(service)
    tag_sets = [{}, {"k.b": ""}, {"k.b": "1"}, {"k.b": "null"}, {"k.b": 'a"\\\n'}, {"k.b": "1"}]
    await record(
        service, "/metrics", *({"metric_name": "m", "value": 1, "tags": tags} for tags in tag_sets)
    )
    groups = (await ask(service, POINTS, by=["k.b"]))["metric"]["query"]["series"]
    assert len(groups) == 5
    for group in groups:
        where = group["key"][0]["filter"]
        data = await ask(service, POINTS, where=where)
        (group_series,) = data["metric"]["query"]["series"]
        assert group_series["total"]["count"] == group["total"]["count"]


@FEW_EXAMPLES
@given(property_values=st.lists(st.one_of(st.none(), values), min_size=1, max_size=10))
@example(property_values=[1, "1", True, "true", 1.0, None, [1], "[1]", 2**64, 2.0**64, str(2**64)])
async def test_numbers_of_values(service: Service, property_values: list[Any]) -> None:
    """Catalogue, `unique` and groups agree; only groups count missing values."""
    await record_values(service, property_values)
    counts = expected_counts(property_values)
    missing = counts.pop(identity(None), 0)
    data = await ask(
        service,
        """{
          eventTrend(range: {preset: LAST_24_HOURS}) {
            series {total {unique(property: "p", exact: true)}}
          }
          eventType(name: "e") {
            properties {key type cardinality values(first: 1000) {value type count}}
          }
        }""",
    )
    assert data["eventTrend"]["series"][0]["total"]["unique"] == len(counts)
    assert len(await event_groups(service, {"property": "p"})) == len(counts) + (missing > 0)
    properties = [facet for facet in data["eventType"]["properties"] if facet["key"] == "p"]
    assert len(properties) == bool(counts)
    for facet in properties:
        assert facet["cardinality"] == len(counts)
        assert sorted(entry["count"] for entry in facet["values"]) == sorted(counts.values())
        catalogue_counts = Counter((entry["type"], entry["count"]) for entry in facet["values"])
        groups = [group for group in await event_groups(service, {"property": "p"}) if group["key"]]
        group_counts = Counter(
            (group["key"][0]["type"], group["total"]["count"]) for group in groups
        )
        group_counts.pop((None, missing), None)
        assert catalogue_counts == group_counts


async def test_invalid_json_is_refused(service: Service) -> None:
    """An invalid JSON text or null is an error that names its place."""
    for text in ("", "{", "nul", "'a'", "null", "NaN", "1e999"):
        where = {"property": {"key": "p", "json": {"eq": text}}}
        answer = await service.post("/graphql", {"query": COUNT, "variables": {"where": where}})
        (error,) = answer.json()["errors"]
        assert error["extensions"]["code"] == "BAD_USER_INPUT"
        assert error["extensions"]["field"] == "where.property.json.eq", error


async def test_items(service: Service) -> None:
    """An event counts once in the group of each of its items, and once in the other group."""
    property_values = [
        ["a", "b"],
        ["b", "b"],
        ["c", "d", 1, 1.0],
        [],
        None,
        "a",
        [None],
        ["x", "y", "z", 2**70],
    ]
    await record_values(service, property_values, "tags")
    groups = await check_groups(service, {"property": "tags[]"})
    counts = {group["key"][0]["value"]: group["total"]["count"] for group in groups}
    single_counts = dict.fromkeys([*"acdxyz", "1", str(2**70)], 1)
    assert counts == single_counts | {"b": 2, None: 4}
    query = """query($fill: Granularity!) {
      eventTrend(range: {preset: LAST_24_HOURS}, granularity: $fill, limit: 2,
                 groupBy: [{property: "tags[]"}]) {
        series {isOther label total {count} columns @include(if: true) {count}}
        meta {totalGroups}
      }
    }"""
    data = (await ask(service, query, fill="DAY"))["eventTrend"]
    totals = {group["label"]: group["total"]["count"] for group in data["series"]}
    assert totals == {"(none)": 4, "b": 2, "Other": 3}
    assert [sum(group["columns"]["count"]) for group in data["series"]] == [4, 2, 3]
    assert data["meta"]["totalGroups"] == len(counts)
    totals_only = query.replace("columns @include(if: true) {count}", "")
    data = (await ask(service, totals_only, fill="DAY"))["eventTrend"]
    assert {group["label"]: group["total"]["count"] for group in data["series"]} == totals


async def test_items_of_objects(service: Service) -> None:
    """A path reaches into items, and two arrays make groups of pairs."""
    cart = [{"sku": "a", "n": 1}, {"sku": "b"}, {"n": 2}]
    await delete_all(service)
    rows = [{"cart": cart, "t": [1, 2]}, {"cart": [{"sku": "a"}], "t": [2]}, {"cart": {"sku": "a"}}]
    await record(service, "/events", *({"event_name": "e", "properties": row} for row in rows))
    groups = await check_groups(service, {"property": "cart[].sku"})
    assert {group["key"][0]["value"]: group["total"]["count"] for group in groups} == {
        "a": 2,
        "b": 1,
        None: 1,
    }
    pairs = await check_groups(service, {"property": "cart[].sku"}, {"property": "t[]"})
    counts = {
        tuple(key["value"] for key in group["key"]): group["total"]["count"] for group in pairs
    }
    assert counts == {
        ("a", "1"): 1,
        ("a", "2"): 2,
        ("b", "1"): 1,
        ("b", "2"): 1,
        (None, None): 1,
    }
    assert msgspec.json.encode(groups)
