"""Operators of filters on every kind of field, compared with an oracle in plain Python."""

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schema.filters import (
    BooleanFilter,
    DateTimeFilter,
    EventFilter,
    JsonFilter,
    MetricFilter,
    NumberFilter,
    StringFilter,
)
from schema.scalars import Instant, rfc3339
from tests.harness.apis import ask, record
from tests.harness.filter_queries import (
    field_names,
    listed_events,
    passing_events,
    passing_metrics,
)
from tests.harness.run_profile import LONG, short_or_long
from tests.harness.service import Service
from tests.oracle import filters

TEXTS: Final = [
    "", "a", "A", "ab", "aB", "b", "é", "É", "ß", "straße", "STRASSE", "ΣΑΣ", "σας", "σασ",
    "a%b", "a_b", "a\\b", "\\", "\\\\", "%", "_", "a.b", "aXb", "a+b", "(", "[", "^a$", "\t", "\n",
    "a\nb", "\0x", "\x1f", '"', '"p":"a"', '","p":"a', "'", "' OR 1 --", "{p0:String}", "12",
    "1e3", "true", "null", "😀", "\x7f", "a/b", " ", "\u2028", "100000000000000000000",
]  # fmt: skip
OPERANDS: Final = [
    "", "a", "A", "É", "straße", "σας", "a%b", "a\\b", "\\", "_", ".", "(", "\t", "\n", "\0x", '"',
    '"p":"a"', "'", "{p0:String}", "12", "null", "😀", "\x7f", "\x1f", "\u2028",
    "100000000000000000000",
]  # fmt: skip
NAMES: Final = [text for text in TEXTS if text and not any(c < " " or c == "\x7f" for c in text)]
NUMBERS: Final = [
    0, -0.0, 1, 1.0, -1, 0.1, 12, 667, 667.0, 6.67e2, 1e16, 10**16, 1e300, -1e-300, 5e-324,
    2**53, 2**53 + 1, 2**63, 2**64, 10**20, -(10**20), 1e21, 2**53 + 2, 2**60, 2.0**60, 2**60 + 1,
    1152921504606847000, 2**63 + 1, 10**20 + 1, -(10**20) - 1, -(2**53) - 1, 10**22, 10**22 - 1,
    int("9" * 309), -int("9" * 309), 10**308, 1e308, 2**64 - 1, -(2**63) - 1,
]  # fmt: skip
OTHER_VALUES: Final = [True, False, None, [], ["a"], [1], {}, {"a": 1}, {"p": "a"}]
PATTERNS: Final = ["a", "^a", "b$", "a.b", "", "a|é", "[ab]+$", r"\.", r"^\d+$", r"\\", "x{0}"]
LIKES: Final = [
    "a", "a%", "%b", "a_b", "%", "_", "", r"a\%b", r"a\_b", r"a\\b", r"a\b", "%é%", "%.%",
]  # fmt: skip

MISLEADING: Final[list[dict[str, Any]]] = [
    {"z": {"p": "a"}},
    {"z": {"p": 667}, "p": None},
    {"z": '"p":"a"'},
    {'x"p': "a"},
    {'x","p': "a"},
    {"z,": ":a", ":": "other"},
    {"a.b": "literal"},
    {"a": {"b": "nested", "c.d": {"e\\": "deep"}}, "a.b": "both"},
    {"a": ["b"]},
    {"a": "b"},
    {"a": {"": 5, "b": 12}},
    {"": "a"},
    {"": {"": "a", "b": 667}},
    {"": 667, "p": {"": None}},
    {"": None, "a": {"": ""}},
    {"id_str": "100000000000000000000", "p": 10**20},
]
START: Final = 1_760_000_000_000


def _events() -> Iterator[dict[str, Any]]:
    values = [*TEXTS, *NUMBERS, *OTHER_VALUES]
    for n, value in enumerate(values):
        yield {"properties": {"p": value, "a": {"b": value}}, "userId": f"u{n % 5}"}
    yield from ({"properties": properties} for properties in MISLEADING)
    for n, text in enumerate(NAMES):
        user = text if n % 2 else f"u{n % 5}"
        yield {"name": text, "userId": user, "sessionId": text, "properties": {}}
    yield {"properties": {}}


EVENTS: Final[list[dict[str, Any]]] = [
    {"name": "e", "userId": None, "sessionId": None, **event, "time": START + n}
    for n, event in enumerate(_events())
]
METRICS: Final[list[dict[str, Any]]] = [
    {"value": value, "tags": tags, "time": START + n}
    for n, (value, tags) in enumerate(
        [
            *((1.5, {"other": "a", "p": text}) for text in TEXTS),
            *((number, {}) for number in NUMBERS if not -(2**53) < number < 2**53 or number),
            *(
                (0.0, tags)
                for tags in MISLEADING
                if all(key and type(v) is str for key, v in tags.items())
            ),
            (-0.0, {}),
            (0, {"http.status": "500", "p": ""}),
        ]
    )
    if not isinstance(value, int) or abs(value) < 2**53
]


@pytest_asyncio.fixture(scope="module", autouse=True)
async def _record_rows(service: Service) -> None:
    rest_names = {"name": "event_name", "userId": "user_id", "sessionId": "session_id"}
    rest_names |= {"time": "timestamp"}
    rows = [{rest_names.get(key, key): value for key, value in event.items()} for event in EVENTS]
    await record(service, "/events", *rows)
    points = [
        {"metric_name": "m", "value": m["value"], "tags": m["tags"], "timestamp": m["time"]}
        for m in METRICS
    ]
    await record(service, "/metrics", *points)


async def check_events(service: Service, where: dict[str, Any]) -> None:
    """Compare the events that pass a filter with the oracle's."""
    expected = {row["time"] for row in EVENTS if filters.passes(where, row, EVENTS)}
    assert await passing_events(service, where) == expected, where


async def check_listed_events(service: Service, where: dict[str, Any]) -> None:
    """Compare the events that the GraphQL API lists with the oracle's."""
    expected = {row["time"] for row in EVENTS if filters.passes(where, row, EVENTS)}
    assert await listed_events(service, where) == expected, where


async def check_metrics(service: Service, where: dict[str, Any]) -> None:
    """Compare the points that pass a filter with the oracle's."""
    expected = {row["time"] for row in METRICS if filters.passes(where, row)}
    assert await passing_metrics(service, where) == expected, where


def texts_for(operator: str) -> Sequence[Any]:
    """Return the operands for an operator of texts."""
    match operator.removeprefix("not").lower():
        case "in":
            return [[], ["a"], ["A", "é", ""], TEXTS, ["nobody"]]
        case "matches":
            return PATTERNS
        case "like":
            return LIKES
        case "isset":
            return [True, False]
    return OPERANDS


def numbers_for(operator: str) -> Sequence[Any]:
    """Return the operands for an operator of numbers."""
    match operator.removeprefix("not").lower():
        case "in":
            return [[], [667], [0, -0.0, 10**20], list(map(float, filter(is_double, NUMBERS)))]
        case "isset":
            return [True, False]
    return list(filter(is_double, NUMBERS))


def is_double(number: float) -> bool:
    """Say whether a number can be a Float of GraphQL."""
    return abs(number) <= 10**308 and float(number) == number


def string_tests() -> Iterator[dict[str, Any]]:
    """Yield tests of every operator of texts with all its operands."""
    for operator in sorted(field_names(StringFilter) - {"caseSensitive"}):
        for value in texts_for(operator):
            yield {operator: value}
            yield {operator: value, "caseSensitive": False}


def number_tests() -> Iterator[dict[str, Any]]:
    """Yield tests of every operator of numbers with all its operands."""
    for operator in sorted(field_names(NumberFilter)):
        yield from ({operator: value} for value in numbers_for(operator))


def boolean_tests() -> Iterator[dict[str, Any]]:
    """Yield tests of every operator of booleans with all its operands."""
    for operator in field_names(BooleanFilter):
        yield from ({operator: value} for value in (True, False))


TURN: Final = random.randrange(2)
"""The half of the pairs that the short form has, by chance. A text has two tests: by case."""


def share(tests: Iterator[dict[str, Any]], field: str, fields: Sequence[str]) -> Iterator[Any]:
    """Yield a field's share of a half of the tests; in the long form each field has all tests."""
    for n, test in enumerate(tests):
        if LONG or (n // 2 % 2 == TURN and fields[n // 4 % len(fields)] == field):
            yield test


COLUMNS: Final = ("name", "userId", "sessionId")
KEYS: Final = ("p", "a.b")


@pytest.mark.parametrize("field", COLUMNS)
async def test_texts_of_columns(service: Service, field: str) -> None:
    """Tests of texts agree with Python, also for events without user or session."""
    for tests in share(string_tests(), field, COLUMNS):
        await check_listed_events(service, {field: tests})


@pytest.mark.parametrize("key", KEYS)
async def test_texts_of_properties(service: Service, key: str) -> None:
    """Only JSON strings at the exact path are texts."""
    for tests in share(string_tests(), key, KEYS):
        await check_events(service, {"property": {"key": key, "string": tests}})


@pytest.mark.parametrize("key", KEYS)
async def test_numbers_and_booleans_of_properties(service: Service, key: str) -> None:
    """Only JSON numbers, in any spelling, are numbers, and only booleans booleans."""
    for tests in share(number_tests(), key, KEYS):
        await check_events(service, {"property": {"key": key, "number": tests}})
    for tests in boolean_tests():
        await check_listed_events(service, {"property": {"key": key, "boolean": tests}})


@pytest.mark.parametrize("key", ["", "a.", ".", ".b"])
async def test_empty_keys(service: Service, key: str) -> None:
    """A property with an empty key works like others, at every level."""
    for tests in ({"eq": "a"}, {"neq": "a"}, {"isSet": True}, {"in": ["", "a"]}, {"matches": "^a"}):
        await check_events(service, {"property": {"key": key, "string": tests}})
    for number in ({"eq": 667}, {"lte": 5}, {"isSet": False}, {"notIn": [5]}):
        await check_events(service, {"property": {"key": key, "number": number}})


async def test_groups_by_an_empty_key(service: Service) -> None:
    """Groups, aggregates and orders accept the empty key."""
    query = """query($key: String!) {
      eventTrend(range: {preset: ALL_TIME}, groupBy: [{property: $key}, {bucketNumber: {
        property: $key, bounds: [600]}}], orderBy: {aggregate: SUM, property: $key}, limit: 1) {
        series {label total {count sum(property: $key) unique(property: $key)}}}}"""
    for key, label in (("", "667, >= 600"), ("a.", "5, < 600")):
        (first, _) = (await ask(service, query, key=key))["eventTrend"]["series"]
        number = float(label.split(",")[0])
        assert first == {"label": label, "total": {"count": 1, "sum": number, "unique": 1}}


async def test_several_types_of_one_property(service: Service) -> None:
    """Tests of several types must all hold; a negative one holds for other types."""
    number_and_text = {"string": {"neq": "a"}, "number": {"gt": 1}}
    await check_events(service, {"property": {"key": "p", **number_and_text}})
    number_and_boolean = {"boolean": {"eq": True}, "number": {"gt": 1}}
    await check_events(service, {"property": {"key": "p", **number_and_boolean}})


HOSTILE_KEYS: Final = [
    r"a\.b", r"a.c\.d.e\\", "a.", "z.p", "nope", "p.x", 'x"p', 'x","p', ":", "z,", "}", "'", "{p0}",
    "p\t", "\0", "é", "0", "id_str", "a.0", "{p0:String}", " ",
]  # fmt: skip


@pytest.mark.parametrize("key", HOSTILE_KEYS)
async def test_hostile_keys(service: Service, key: str) -> None:
    """A key is found at its path, and nowhere else."""
    for tests in ({"isSet": True}, {"isSet": False}, {"neq": "a"}, {"contains": ""}):
        await check_events(service, {"property": {"key": key, "string": tests}})
        await check_metrics(service, {"tag": {"key": key, "string": tests}})
    await check_events(service, {"property": {"key": key, "number": {"gte": 0}}})


async def test_tags(service: Service) -> None:
    """Tests of texts on tags agree with Python."""
    for tests in share(string_tests(), "p", ["p"]):
        await check_metrics(service, {"tag": {"key": "p", "string": tests}})
    for key in ("http.status", "z", "other"):
        for tests in ({"eq": "500"}, {"isSet": True}, {"isSet": False}):
            await check_metrics(service, {"tag": {"key": key, "string": tests}})


async def test_values(service: Service) -> None:
    """Tests of numbers on values agree with Python."""
    for tests in share(number_tests(), "value", ["value"]):
        await check_metrics(service, {"value": tests})


async def test_times(service: Service) -> None:
    """Times are compared to the millisecond."""
    for operator in field_names(DateTimeFilter):
        for time in (START - 1, START, START + 7, START + 10**6):
            await check_events(service, {"time": {operator: time}})
            await check_metrics(service, {"time": {operator: time}})


def test_every_operator_has_an_oracle() -> None:
    """Each operator of the schema has an oracle in plain Python."""
    expected: list[tuple[type, Mapping[str, object]]] = [
        (StringFilter, filters.STRING),
        (StringFilter, filters.ANY_CASE),
        (NumberFilter, filters.NUMBER),
        (BooleanFilter, filters.BOOLEAN),
        (DateTimeFilter, filters.TIME),
        (JsonFilter, filters.JSON),
    ]
    for kind, table in expected:
        assert field_names(kind) - {"isSet", "caseSensitive"} == table.keys(), kind
    parts = {"AND", "OR", "NOT", "time", "property", "performed", "name", "userId", "sessionId"}
    assert field_names(EventFilter) == parts
    assert field_names(MetricFilter) == {"AND", "OR", "NOT", "time", "tag", "value"}


async def test_performed(service: Service) -> None:
    """`performed` selects users by the count of an event, 0 included."""
    counts: list[dict[str, Any] | None] = [
        None, {}, {"eq": 0}, {"neq": 0}, {"gte": 1}, {"lt": 2}, {"in": [0, 2]}, {"notIn": [0, 1]},
        {"gt": 1.5}, {"eq": 0.5}, {"isSet": True}, {"isSet": False}, {"gte": 0}, {"gt": 1, "lt": 9},
    ]  # fmt: skip
    for count in counts:
        for inner in (None, {"property": {"key": "p", "number": {"gt": 0}}}, {"name": {"eq": "a"}}):
            for event in ("e", "a", "nobody"):
                arguments = {"count": count, "where": inner}
                tests = {"event": event} | {k: v for k, v in arguments.items() if v is not None}
                await check_events(service, {"performed": tests})
                if LONG or event == "e":
                    await check_events(service, {"NOT": {"performed": tests}})


async def test_performed_within_performed(service: Service) -> None:
    """The filter of `performed` may have a `performed` itself."""
    inner = {"event": "a", "count": {"eq": 0}}
    tests = {"event": "e", "where": {"performed": inner}, "count": {"gte": 3}}
    await check_events(service, {"OR": [{"performed": tests}, {"name": {"eq": "b"}}]})


async def test_performed_looks_in_the_range(service: Service) -> None:
    """`performed` counts only events in the range of the query."""
    query = """query($to: DateTime!) {events(
      where: {performed: {event: "e", count: {gte: 2}}}
      range: {between: {from: "2020-01-01T00:00:00Z", to: $to}}) {totalCount}}"""
    for end in (5, 6, 7, 10):
        rows = EVENTS[:end]
        where = {"performed": {"event": "e", "count": {"gte": 2}}}
        expected = sum(filters.passes(where, row, rows) for row in rows)
        data = await ask(service, query, to=rfc3339(Instant(START + end)))
        assert data["events"]["totalCount"] == expected


def leaves() -> st.SearchStrategy[dict[str, Any]]:
    """Make filters of one test."""
    strings = st.sampled_from(list(string_tests()))
    numbers = st.sampled_from(list(number_tests()))
    keys = st.sampled_from(["p", "a.b", "z.p", "a", r"a\.b", 'x"p'])
    properties = st.one_of(
        st.fixed_dictionaries({"key": keys, "string": strings}),
        st.fixed_dictionaries({"key": keys, "number": numbers}),
        st.fixed_dictionaries({"key": keys, "boolean": st.sampled_from(list(boolean_tests()))}),
    )
    columns = st.sampled_from(["name", "userId", "sessionId"])
    performed = st.fixed_dictionaries(
        {"event": st.sampled_from(["e", "a"])},
        optional={"count": st.sampled_from([{"eq": 0}, {"gte": 2}])},
    )
    return st.one_of(
        st.just({}),
        columns.flatmap(lambda column: st.fixed_dictionaries({column: strings})),
        st.fixed_dictionaries({"property": properties}),
        st.fixed_dictionaries({"performed": performed}),
    )


def trees() -> st.SearchStrategy[dict[str, Any]]:
    """Make filters of any form."""
    return st.recursive(
        leaves(),
        lambda children: st.one_of(
            st.fixed_dictionaries(
                {},
                optional={
                    "AND": st.lists(children, max_size=3),
                    "OR": st.lists(children, max_size=3),
                    "NOT": children,
                    "name": st.sampled_from([{"eq": "e"}, {"neq": "a"}]),
                },
            )
        ),
        max_leaves=8,
    )


@settings(
    max_examples=short_or_long(35, 150),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(where=trees())
async def test_trees(service: Service, where: dict[str, Any]) -> None:
    """Nested AND, OR and NOT agree with Python; no test has a third value."""
    await check_listed_events(service, where)
