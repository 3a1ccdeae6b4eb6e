"""Deletion of events: exactly those that pass a filter, or all with `all: true`."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from schema.filters import BooleanFilter, DateTimeFilter, NumberFilter, StringFilter
from store.query.filters import emptiness, operators
from tests.harness.apis import ask, delete_all, error_summary, first_error, record
from tests.harness.run_profile import short_or_long
from tests.harness.service import Service
from tests.oracle import filters

LISTING: Final = "query($where: EventFilter) {events(where: $where) {totalCount nodes {name}}}"
DELETION: Final = """
mutation($where: EventFilter, $all: Boolean) {
  deleteEvents(input: {where: $where, all: $all}) {matchedRows}
}"""

ROWS: Final[list[dict[str, Any]]] = [
    {"event_name": "pro", "properties": {"plan": "pro"}},
    {"event_name": "free", "properties": {"plan": "free", "cart": {"plan": "pro"}}}
    | {"session_id": "s"},
    {"event_name": "none", "user_id": "u1"},
    {"event_name": "7", "properties": {"plan": 7, "cart": {"total": 7.0}}},
]
DELETIONS: Final[list[tuple[dict[str, Any], set[str]]]] = [
    ({"property": {"key": "plan", "string": {"eq": "pro"}}}, {"pro"}),
    ({"NOT": {"property": {"key": "plan", "string": {"matches": "^(pro|free)$"}}}}, {"none", "7"}),
    ({"property": {"key": "cart.total", "number": {"in": [7]}}}, {"7"}),
    ({"OR": [{"sessionId": {"eq": "s"}}, {"userId": {"like": "U%", "caseSensitive": False}}]},
     {"free", "none"}),
    ({"userId": {"isSet": False}}, {"pro", "free", "7"}),
    ({"property": {"key": "plan", "string": {"neq": ""}}}, {"pro", "free", "none", "7"}),
    ({"NOT": {"name": {"eq": "nobody"}}}, {"pro", "free", "none", "7"}),
    ({"name": {"matches": "[^7]"}}, {"pro", "free", "none"}),
]  # fmt: skip


@pytest.mark.parametrize("index", range(len(DELETIONS)))
async def test_deleting(service: Service, index: int) -> None:
    """A deletion deletes the events of the list with the same filter, and no others."""
    await delete_all(service)
    for row in ROWS:  # each row is a batch, and so a part of the table
        await record(service, "/events", row)
    where, deleted_names = DELETIONS[index]
    matches = await ask(service, LISTING, where=where)
    assert {node["name"] for node in matches["events"]["nodes"]} == deleted_names
    deletion = await ask(service, DELETION, where=where)
    assert deletion == {"deleteEvents": {"matchedRows": len(deleted_names)}}
    remaining_events = await ask(service, LISTING)
    assert {node["name"] for node in remaining_events["events"]["nodes"]} == {
        str(row["event_name"]) for row in ROWS
    } - deleted_names


NAME_TEST: Final = {"name": {"eq": "a"}}
EMPTY: Final[list[tuple[dict[str, Any], str]]] = [
    ({}, "where"),
    ({"userId": {"eq": None}}, "where.userId"),
    ({"userId": {}}, "where.userId"),
    ({"userId": None}, "where"),
    ({"AND": None, "OR": None, "NOT": None, "property": None, "performed": None}, "where"),
    ({"userId": {"caseSensitive": False}}, "where.userId"),
    (NAME_TEST | {"time": {"lt": None}}, "where.time"),
    (NAME_TEST | {"NOT": {}}, "where.NOT"),
    ({"NOT": {"NOT": {}}}, "where.NOT.NOT"),
    ({"AND": []}, "where.AND"),
    (NAME_TEST | {"OR": []}, "where.OR"),
    ({"OR": [NAME_TEST, {}]}, "where.OR[1]"),
    ({"OR": [NAME_TEST, {"userId": None}]}, "where.OR[1]"),
    ({"OR": [NAME_TEST, {"sessionId": {}}]}, "where.OR[1].sessionId"),
    ({"AND": [NAME_TEST, {"NOT": {"OR": [NAME_TEST, {}]}}]}, "where.AND[1].NOT.OR[1]"),
    ({"NOT": {"OR": []}}, "where.NOT.OR"),
    ({"property": {"key": "p", "string": {}}}, "where.property.string"),
    ({"property": {"key": "p", "number": {"gt": None}}}, "where.property.number"),
    ({"property": {"key": "p", "string": {"eq": "x"}, "boolean": {}}}, "where.property.boolean"),
    ({"property": {"key": "p"}}, "where.property"),
    ({"property": {"key": "p", "string": None}}, "where.property"),
    ({"userId": {"in": []}}, "where.userId.in"),
    ({"userId": {"notIn": []}}, "where.userId.notIn"),
    ({"property": {"key": "p", "number": {"notIn": []}}}, "where.property.number.notIn"),
    ({"property": {"key": "p", "string": {"in": []}}}, "where.property.string.in"),
    ({"userId": {"notIn": ["a", ""]}}, "where.userId.notIn"),
    ({"userId": {"eq": ""}}, "where.userId.eq"),
    ({"userId": {"neq": ""}}, "where.userId.neq"),
    ({"name": {"neq": ""}}, "where.name.neq"),
    ({"name": {"isSet": True}}, "where.name.isSet"),
    ({"NOT": {"name": {"isSet": False}}}, "where.NOT.name.isSet"),
    ({"name": {"contains": ""}}, "where.name.contains"),
    ({"name": {"notContains": ""}}, "where.name.notContains"),
    ({"name": {"startsWith": ""}}, "where.name.startsWith"),
    ({"property": {"key": "p", "string": {"endsWith": ""}}}, "where.property.string.endsWith"),
    *(({"name": {"like": text}}, "where.name.like") for text in ("%", "%%", "_%", "%_%")),
    ({"property": {"key": "p", "string": {"like": "%%"}}}, "where.property.string.like"),
    *(
        ({"name": {operator: pattern}}, f"where.name.{operator}")
        for operator in ("matches", "notMatches")
        for pattern in ("", ".*", ".", "^", "$", "^.*$", "(?s).+", "a*", "x{0}", "(a|)", r"\z")
    ),
    ({"property": {"key": "p", "string": {"matches": ".*"}}}, "where.property.string.matches"),
    ({"time": {"gte": "1970-01-01T00:00:00Z"}}, "where.time.gte"),
    ({"time": {"lt": "2100-01-01T00:00:00Z"}}, "where.time.lt"),
    ({"time": {"lte": "9999-12-31T23:59:59Z"}}, "where.time.lte"),
    ({"NOT": {"time": {"gt": "2100-01-01T00:00:00Z"}}}, "where.NOT.time.gt"),
]


@pytest.mark.parametrize("index", range(len(EMPTY)))
async def test_empty_filters_delete_nothing(service: Service, index: int) -> None:
    """A filter is refused if any part of it selects every event or none."""
    await delete_all(service)
    await record(service, "/events", {"event_name": "a", "user_id": "u"})
    where, field = EMPTY[index]
    answer = await service.post("/graphql", {"query": DELETION, "variables": {"where": where}})
    assert error_summary(answer) == (422, "BAD_USER_INPUT", field, None)
    assert (await ask(service, LISTING))["events"]["totalCount"] == 1


@pytest.mark.parametrize(
    ("variables", "field"),
    [
        ({}, "where"),
        ({"where": None}, "where"),
        ({"where": None, "all": None}, "where"),
        ({"all": False}, "where"),
        ({"where": None, "all": False}, "where"),
        ({"where": NAME_TEST, "all": True}, "all"),
        ({"where": {}, "all": True}, "all"),
        ({"where": {}, "all": False}, "where"),
    ],
)
async def test_all_or_a_filter(service: Service, variables: dict[str, Any], field: str) -> None:
    """A deletion takes either a filter with a test, or `all: true`."""
    await delete_all(service)
    await record(service, "/events", {"event_name": "a"})
    query = "mutation($input: DeleteEventsInput!) {deleteEvents(input: $input) {matchedRows}}"
    answer = await service.post("/graphql", {"query": query, "variables": {"input": variables}})
    assert error_summary(answer) == (422, "BAD_USER_INPUT", field, None)
    answer = await service.post("/graphql", {"query": DELETION, "variables": variables})
    assert error_summary(answer) == (422, "BAD_USER_INPUT", field, None)
    assert (await ask(service, LISTING))["events"]["totalCount"] == 1


async def test_all(service: Service) -> None:
    """`all: true` deletes every event; `all: false` has no effect next to a filter."""
    await delete_all(service)
    await record(service, "/events", {"event_name": "a"}, {"event_name": "b"}, {"event_name": "b"})
    deleted = await ask(service, DELETION, where=NAME_TEST, all=False)
    assert deleted == {"deleteEvents": {"matchedRows": 1}}
    assert await ask(service, DELETION, all=True) == {"deleteEvents": {"matchedRows": 2}}
    assert await ask(service, DELETION, all=True) == {"deleteEvents": {"matchedRows": 0}}


async def test_forgotten_variables(service: Service) -> None:
    """A document without values for its variables deletes nothing."""
    await delete_all(service)
    await record(service, "/events", {"event_name": "a", "user_id": "u"})
    for variables, where in (
        ("$f: String", "{userId: {eq: $f}}"),
        ("$f: StringFilter", "{userId: $f}"),
        ("$f: EventFilter", "$f"),
        ("$f: EventFilter", "{NOT: $f}"),
        ("$f: [EventFilter!]", "{AND: $f}"),
        ("$f: [String!]", "{userId: {notIn: $f}}"),
        ("$f: DateTime", "{time: {gte: $f}}"),
        ("$f: Float", '{property: {key: "p", number: {gt: $f}}}'),
        ("$f: Boolean", "{userId: {isSet: $f}}"),
    ):
        query = f"mutation({variables}) {{deleteEvents(input: {{where: {where}}}) {{matchedRows}}}}"
        answer = await service.post("/graphql", {"query": query})
        assert error_summary(answer)[:2] == (422, "BAD_USER_INPUT"), query
        assert str(first_error(answer)["extensions"]["field"]).startswith("where"), query
    assert (await ask(service, LISTING))["events"]["totalCount"] == 1


@pytest.mark.parametrize(
    "where", [{}, {"AND": [{"NOT": NAME_TEST}]}, {"OR": [{"name": {"neq": "e"}}]}]
)
async def test_performed_does_not_delete(service: Service, where: dict[str, Any]) -> None:
    """A filter with `performed` could miss rows: it is refused, and deletes none."""
    await delete_all(service)
    await record(service, "/events", {"event_name": "e", "user_id": "u"})
    performed = {"performed": {"event": "e"}}
    where = {**where, "NOT": {"NOT": performed}}
    answer = await service.post("/graphql", {"query": DELETION, "variables": {"where": where}})
    assert error_summary(answer) == (422, "BAD_USER_INPUT", "where.NOT.NOT.performed", None)
    assert (await ask(service, LISTING))["events"]["totalCount"] == 1


def test_every_operator_has_an_entry() -> None:
    """The tables of emptiness have each operator of each type, also a new one."""
    filters: Sequence[Any] = (StringFilter, NumberFilter, BooleanFilter, DateTimeFilter)
    names = {part.name for tests in filters for part in dataclasses.fields(tests)}
    positive = {operators.NEGATIVE.get(name, name) for name in names - {"case_sensitive"}}
    for table in (
        emptiness.PROPERTY_EMPTINESS,
        emptiness.OPTIONAL_TEXT_EMPTINESS,
        emptiness.NAME_EMPTINESS,
        emptiness.TIME_EMPTINESS,
    ):
        assert table.keys() == positive


EVENTS: Final[list[dict[str, Any]]] = [
    {"name": "a", "userId": "u", "sessionId": None, "properties": {"p": "x", "n": 1}},
    {"name": "b", "userId": None, "sessionId": "s", "properties": {"p": "", "n": "1"}},
    {"name": "A", "userId": "v", "sessionId": "s", "properties": {}},
    {"name": "ab", "userId": "", "sessionId": None, "properties": {"n": None, "": "x"}},
]
_TEXTS: Final = st.sampled_from(["", "a", "u", "s", "x"])
_PATTERNS: Final = st.sampled_from(["", "a", ".*", "^a", ".", "%"])


def _maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(values, st.none())


def _tests(**operators: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {}, optional={name: _maybe(values) for name, values in operators.items()}
    )


_STRING: Final = st.one_of(
    _tests(eq=_TEXTS, neq=_TEXTS, caseSensitive=st.booleans()),
    _tests(contains=_TEXTS, startsWith=_TEXTS, notContains=_TEXTS, endsWith=_TEXTS),
    _tests(like=_PATTERNS, matches=_PATTERNS, notMatches=_PATTERNS, isSet=st.booleans()),
    st.dictionaries(st.sampled_from(["in", "notIn"]), _maybe(st.lists(_TEXTS, max_size=2))),
)
_NUMBER: Final = _tests(
    eq=st.just(1.0), gt=st.just(0.0), lte=st.just(0.0), notIn=st.lists(st.just(1.0), max_size=1)
)
_PROPERTY: Final = st.fixed_dictionaries(
    {"key": st.sampled_from(["p", "n", ""])},
    optional={"string": _maybe(_STRING), "number": _maybe(_NUMBER)},
).filter(lambda tests: tests.get("string") is not None or tests.get("number") is not None)
_LEAF: Final = _tests(name=_STRING, userId=_STRING, sessionId=_STRING, property=_PROPERTY)
FILTERS: Final = st.recursive(
    _LEAF,
    lambda inner: st.builds(
        lambda *parts: {name: part for tests in parts for name, part in tests.items()},
        st.one_of(st.just({}), _LEAF),
        _tests(NOT=inner, AND=st.lists(inner, max_size=2), OR=st.lists(inner, max_size=2)),
    ),
    max_leaves=4,
)


def without_nulls(where: Any) -> Any:
    """Return a filter without its nulls."""
    if isinstance(where, dict):
        return {name: without_nulls(part) for name, part in where.items() if part is not None}
    return [without_nulls(item) for item in where] if isinstance(where, list) else where


def has_tests(where: Mapping[str, Any]) -> bool:
    """Say whether each filter in this one, and each test of a value, has at least one test."""
    for name, part in where.items():
        match name:
            case "AND" | "OR":
                good = bool(part) and all(map(has_tests, part))
            case "NOT":
                good = has_tests(part)
            case "property":
                good = all(bool(tests) for kind, tests in part.items() if kind != "key")
            case _:
                good = bool(part.keys() - {"caseSensitive"})
        if not good:
            return False
    return bool(where)


@settings(
    max_examples=short_or_long(20, 60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(where=FILTERS)
@example(where={"OR": [{"name": {"eq": "a"}}, {}]})
@example(where={"name": {"notIn": []}})
async def test_any_filter(service: Service, where: dict[str, Any]) -> None:
    """A deletion is refused, or deletes exactly the events that pass the filter.

    A filter without a test deletes nothing.
    """
    await delete_all(service)
    rest_names = {"name": "event_name", "userId": "user_id", "sessionId": "session_id"}
    rows = [
        {rest_names.get(key, key): value or None for key, value in row.items()} for row in EVENTS
    ]
    await record(service, "/events", *rows)
    answer = await service.post("/graphql", {"query": DELETION, "variables": {"where": where}})
    remaining_matches = await ask(service, LISTING, where=where)
    remaining_names = {node["name"] for node in (await ask(service, LISTING))["events"]["nodes"]}
    all_names = {row["name"] for row in EVENTS}
    if "errors" in answer.json():
        assert error_summary(answer)[:2] == (422, "BAD_USER_INPUT")
        assert remaining_names == all_names
        return
    non_null_where = without_nulls(where)
    assert has_tests(non_null_where), where
    matching_names = {row["name"] for row in EVENTS if filters.passes(non_null_where, row)}
    assert answer.json()["data"]["deleteEvents"]["matchedRows"] == len(matching_names)
    assert remaining_names == all_names - matching_names
    assert {node["name"] for node in remaining_matches["events"]["nodes"]} == set()
