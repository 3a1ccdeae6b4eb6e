"""Values of properties: instants, casts, items of arrays, JSON, and values at paths."""

from typing import Any, Final

import pytest
import pytest_asyncio

from schema.scalars import Instant, rfc3339
from tests.harness.apis import ask, delete_all, error_summary, record
from tests.harness.filter_queries import listed_events
from tests.harness.service import Service
from tests.oracle import filters
from tests.oracle.aggregates import Aggregate, Row, expected_value

INSTANTS: Final = [
    "1970-01-01T00:00:00Z", "2024-02-29T12:34:56.789123+05:30", "2023-02-29T00:00:00Z",
    "0000-01-01T00:00:00Z", "0000-02-29T23:59:59-23:59", "9999-12-31T23:59:59.9999Z", "",
    "1850-03-01t00:00:00.5z", "2025-01-01", "2025-06-01T00:00:00-08:00", "2025-06-01T08:00:00Z",
    "2025-06-01T08:00:00.000Z", "2025-06-01T08:00:00.0001Z", "2025-06-01T07:59:59.9999Z",
    "2024-12-31T24:00:00Z", "2016-12-31T23:59:60Z", "1900-02-29T00:00:00Z", "2025-06-01 08:00:00Z",
    "2025-06-01T08:00Z", "2025-06-01T08:00:00", "2025-06-01T08:00:00,5Z",
    "2025-06-01T08:00:00+24:00",
    " 2025-06-01T08:00:00Z", "2025-06-01T08:00:00Z\n", "2025-06-01T08:00:00.Z", "x",
    "2025-13-01T00:00:00Z",
]  # fmt: skip
TEXTS: Final = [
    "19.99", " 5 ", "1e3", "-0", "1,5", "0x1f", ".5", "5.", "+5", "01", "", " ", "NaN", "1e400",
    "5\t",
    "1_000", "٣", "30101810845250003001", "5 5", "Infinity", "1E-2", "true",
]  # fmt: skip
OTHER_VALUES: Final[list[Any]] = [5, 2.5, True, None, [5], {"a": 5}, 10**400, -1]
LISTS: Final[list[Any]] = [
    ["a", "b"], ["b"], ["B", 1, 1.0], [], [None], "a", 7, ["a", 7, True], [[1], {"k": 1}], None,
    [2**64, "19.99"], [str(2**64)], ["2025-06-01T08:00:00Z"], [{"k": "a"}, {"k": 2}, 5],
]  # fmt: skip
START: Final = 1_750_000_000_000
PROPERTIES: Final = [
    *({"p": value} for value in [*INSTANTS, *TEXTS, *OTHER_VALUES]),
    *({"p": value} for value in LISTS),
    {},
]
EVENTS: Final[list[dict[str, Any]]] = [
    {"name": "e", "userId": None, "sessionId": None, "properties": properties, "time": START + n}
    for n, properties in enumerate(PROPERTIES)
]


@pytest_asyncio.fixture(scope="module", autouse=True)
async def _record_rows(service: Service) -> None:
    await delete_all(service)
    rows = [
        {"event_name": "e", "properties": event["properties"], "timestamp": event["time"]}
        for event in EVENTS
    ]
    await record(service, "/events", *rows)


async def check(service: Service, tests: dict[str, Any], where: Any = None) -> None:
    """Compare the events that pass a filter with the oracle's; `where` is its form in GraphQL."""
    expected = {row["time"] for row in EVENTS if filters.passes({"property": tests}, row)}
    assert await listed_events(service, {"property": where or tests}) == expected, tests


async def test_instants(service: Service) -> None:
    """Texts of RFC 3339 are compared as exact instants; other texts never pass."""
    instant = 1_748_764_800_000
    for operator in ("gt", "gte", "lt", "lte"):
        for moment in (
            0,
            instant,
            instant - 1,
            instant + 1,
            253_402_300_799_999,
            -62_135_596_800_000,
        ):
            tests = {"key": "p", "datetime": {operator: moment}}
            where = {"key": "p", "datetime": {operator: rfc3339(Instant(moment))}}
            await check(service, tests, where)
    bounds = {"gte": instant - 1, "lt": instant + 1}
    texts = {name: rfc3339(Instant(moment)) for name, moment in bounds.items()}
    await check(service, {"key": "p", "datetime": bounds}, {"key": "p", "datetime": texts})


async def test_casts(service: Service) -> None:
    """With a cast, and only then, the text of a number is this number."""
    for cast in ("NUMBER", None):
        for tests in (
            *({operator: 5} for operator in ("eq", "neq", "gt", "gte", "lt", "lte")),
            {"in": [5, 19.99]}, {"notIn": [1000, 0]}, {"isSet": True}, {"isSet": False},
        ):  # fmt: skip
            await check(service, {"key": "p", "number": tests, "cast": cast})


@pytest.mark.parametrize("cast", ["NUMBER", None])
async def test_casts_of_aggregates(service: Service, cast: str | None) -> None:
    """With a cast, sums, means, extremes and quantiles include texts of numbers."""
    rows = [Row(event["time"], n, properties=event["properties"]) for n, event in enumerate(EVENTS)]
    arguments = {"property": "p"} | ({"cast": cast} if cast else {})
    aggregates = [Aggregate(name, name, arguments) for name in ("sum", "avg", "min", "max")]
    aggregates.append(Aggregate("quantile", "quantile", arguments | {"q": 0.5, "exact": True}))
    texts = " ".join(aggregate.text.replace('"NUMBER"', "NUMBER") for aggregate in aggregates)
    query = f"{{eventTrend(range: {{preset: ALL_TIME}}) {{series {{total {{{texts}}}}}}}}}"
    (series,) = (await ask(service, query))["eventTrend"]["series"]
    for aggregate in aggregates:
        assert expected_value(aggregate, rows, {}, 0).allows(series["total"][aggregate.key]), (
            aggregate
        )


async def test_items(service: Service) -> None:
    """One item passes all positive tests of a type; a negative test holds for every item."""
    texts: list[dict[str, Any]] = [
        {"eq": "a"}, {"neq": "a"}, {"in": ["a", "B"]}, {"notIn": ["a", "B"]}, {"isSet": True},
        {"isSet": False}, {"contains": "."}, {"startsWith": "1", "endsWith": "9"}, {"like": "_"},
        {"startsWith": "a", "endsWith": "b"}, {"eq": "A", "caseSensitive": False},
        {"matches": "^b$"},
        {"notMatches": "^b$"}, {"startsWith": "b", "neq": "a"}, {"eq": str(2**64)}, {},
    ]  # fmt: skip
    numbers: list[dict[str, Any]] = [
        {"eq": 1}, {"neq": 1}, {"gt": 1, "lt": 9}, {"in": [7, 2]}, {"gte": 2.0**64},
        {"eq": 2.0**64},
        {"gt": 2.0**64}, {"isSet": False}, {"notIn": [1]},
    ]  # fmt: skip
    jsons: list[dict[str, Any]] = [
        {"eq": "1"}, {"eq": '"a"'}, {"neq": "1.0"}, {"in": ["[1]", "7"]}, {"eq": '{"k": 1.0}'},
        {"notIn": ["true"]}, {"eq": str(2**64)},
    ]  # fmt: skip
    for key in ("p[]", "p[].k", "q[]"):
        for tests in texts:
            await check(service, {"key": key, "string": tests})
        for tests in numbers:
            await check(service, {"key": key, "number": tests})
            await check(service, {"key": key, "number": tests, "cast": "NUMBER"})
        for tests in jsons:
            await check(service, {"key": key, "json": tests})
        for boolean in (True, False):
            await check(service, {"key": key, "boolean": {"eq": boolean}})
    instant = 1_748_764_800_000
    where = {
        "key": "p[]",
        "datetime": {"gte": rfc3339(Instant(instant)), "lte": rfc3339(Instant(instant))},
    }
    await check(service, {"key": "p[]", "datetime": {"gte": instant, "lte": instant}}, where)
    await check(service, {"key": "p[]", "string": {"neq": "a"}, "number": {"eq": 1}})


async def test_json(service: Service) -> None:
    """A value of any type equals its JSON, in any spelling."""
    for text in ("5", "5.0", "5e0", '"5."', "true", "[5]", "[5.0 ]", '{"a":5}', str(10**400), "[]"):
        for operator in ("eq", "neq"):
            await check(service, {"key": "p", "json": {operator: text}})
    await check(service, {"key": "p", "json": {"in": ["5", '" 5 "', "[ 5]"]}})
    await check(service, {"key": "p", "json": {"notIn": ["5", "true"]}})
    for is_set in (True, False):
        await check(service, {"key": "p", "json": {"isSet": is_set}})


async def test_property_of_an_event(service: Service) -> None:
    """`property` of an event is the recorded value at the path of filters, or null."""
    text = '{"a":{"b":30101810845250003001},"a.b":1.50,"t":["x",{"k":2},{"k":null}],"n":null}'
    body = f'{{"event_name": "one", "properties": {text}}}'.encode()
    assert (await service.post("/events", body)).is_success
    query = r"""{
      events(where: {name: {eq: "one"}}) {
        nodes {
          deep: property(key: "a.b") literal: property(key: "a\\.b") whole: property(key: "a")
          items: property(key: "t[]") inside: property(key: "t[].k") none: property(key: "n")
          absent: property(key: "a.c") scalar: property(key: "t.x")
        }
        edges {node {property(key: "a.b")}}
      }
    }"""
    answer = await service.post("/graphql", {"query": query})
    connection = answer.json()["data"]["events"]
    assert connection["nodes"] == [
        {
            "deep": 30101810845250003001, "literal": 1.5, "whole": {"b": 30101810845250003001},
            "items": ["x", {"k": 2}, {"k": None}], "inside": [2, None], "none": None,
            "absent": None, "scalar": None,
        }
    ]  # fmt: skip
    assert connection["edges"][0]["node"]["property"] == 30101810845250003001
    bad = await service.post("/graphql", {"query": query.replace('"a.c"', '"a\\\\"')})
    assert error_summary(bad)[1:3] == ("BAD_USER_INPUT", "key")


async def test_event_type(service: Service) -> None:
    """An event type is found by its name, or is null."""
    query = "query($name: String!) {eventType(name: $name) {id name count properties {key type}}}"
    event_type = (await ask(service, query, name="e"))["eventType"]
    assert (event_type["name"], event_type["count"]) == ("e", len(EVENTS))
    assert {"key": "p", "type": "MIXED"} in event_type["properties"]
    assert (await ask(service, query, name="nobody"))["eventType"] is None


@pytest.mark.parametrize(
    "number", ["1e400", "-1e400", "NaN", "Infinity", "9" * 5000, "01", "1.", "+1"]
)
async def test_refused_numbers(service: Service, number: str) -> None:
    """A row with a malformed number, or one beyond doubles, is rejected, and no other row."""
    body = f'{{"event_name": "e", "properties": {{"n": {number}}}}}'
    answer = await service.post("/events", body.encode())
    assert answer.status_code in {400, 422}, answer.text  # 400: the body is no JSON
    good = '{"event_name": "good", "properties": {"n": 1}}'
    answer = await service.post("/events/batch", f"{body}\n{good}".encode())
    assert (answer.json()["accepted"], answer.json()["rejected"]) == (1, 1), answer.text


async def test_a_number_without_a_double(service: Service) -> None:
    """A number beyond doubles is in no sum and no extreme, which have the other numbers."""
    huge = int("9" * 309)
    await record(
        service,
        "/events",
        *({"event_name": "huge", "properties": {"n": n}} for n in (huge, 1, -huge)),
    )
    query = """{
      eventTrend(range: {preset: LAST_24_HOURS}, where: {name: {eq: "huge"}}) {
        series {
          total {
            sum(property: "n") avg(property: "n") min(property: "n") max(property: "n")
            quantile(q: 1, property: "n") unique(property: "n", exact: true)
          }
        }
      }
    }"""
    (series,) = (await ask(service, query))["eventTrend"]["series"]
    quantile = series["total"].pop("quantile")
    assert series["total"] == {"sum": 1, "avg": 1, "min": 1, "max": 1, "unique": 3}
    assert abs(quantile - 1) < 0.01
