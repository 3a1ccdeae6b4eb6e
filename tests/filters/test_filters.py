"""Filters: limits and refusals, use of indexes, bound texts, groups and tags."""

import json
from typing import Any, Final

import msgspec
import pytest

from schema.filters import EventFilter, MetricFilter, StringFilter
from schema.ranges import TimeRange
from schema.scalars import Instant
from store.query import statements
from store.query.fields.json_fields import (
    keys_of,
    property_boolean,
    property_group,
    tag_raw,
    tag_text,
)
from store.query.filters.conditions import event_condition, metric_condition
from store.query.filters.row_set import RowSet
from store.query.sql import Statement
from tests.harness.apis import ask, delete_all, error_summary, first_error, record
from tests.harness.filter_queries import make_input
from tests.harness.service import Service

QUERY: Final = "query($where: EventFilter) {events(where: $where) {totalCount nodes {name}}}"
DELETION: Final = """
mutation($where: EventFilter!) {deleteEvents(input: {where: $where}) {matchedRows}}"""

EQ: Final = {"name": {"eq": "a"}}


def nest(depth: int) -> dict[str, Any]:
    """Return a filter inside of several `NOT`."""
    where: dict[str, Any] = EQ
    for _ in range(depth):
        where = {"NOT": where}
    return where


REFUSALS: Final[dict[str, tuple[dict[str, Any], str, int | None]]] = {
    "texts": ({"name": {"in": ["a"] * 1001}}, "where.name.in", 1000),
    "texts of a property": (
        {"AND": [{}, {"property": {"key": "p", "string": {"notIn": ["a"] * 1001}}}]},
        "where.AND[1].property.string.notIn",
        1000,
    ),
    "numbers": (
        {"NOT": {"property": {"key": "p", "number": {"in": [1] * 1001}}}},
        "where.NOT.property.number.in",
        1000,
    ),
    "branches": ({"OR": [EQ] * 1001}, "where.OR", 1000),
    "empty branches": ({"AND": [{}] * 1000}, "where.AND[500]", 500),
    "empty lists": ({"AND": [{"OR": []}] * 1000}, "where.AND[500].OR", 500),
    "tests": ({"AND": [EQ] * 501}, "where.AND[500].name.eq", 500),
    "levels": (nest(21), "where" + ".NOT" * 21, 20),
    "pattern": ({"userId": {"matches": "a" * 1001}}, "where.userId.matches", 1000),
    "like": ({"userId": {"like": "a" * 1001}}, "where.userId.like", 1000),
    "open like": ({"sessionId": {"like": "a\\\\\\"}}, "where.sessionId.like", None),
    "long key": ({"property": {"key": "k" * 1001, "string": {}}}, "where.property.key", 1000),
    "deep key": ({"property": {"key": "k." * 20, "string": {}}}, "where.property.key", 20),
    "open key": ({"property": {"key": "k\\", "string": {}}}, "where.property.key", None),
    "escaped letter": ({"property": {"key": "k\\n", "string": {}}}, "where.property.key", None),
    "no test": ({"property": {"key": "k"}}, "where.property", None),
    "performed": (
        {"AND": [{"performed": {"event": "e"}}] * 11},
        "where.AND[10].performed",
        10,
    ),
    "pattern of performed": (
        {"performed": {"event": "e", "where": {"name": {"notMatches": "("}}}},
        "where.performed.where.name.notMatches",
        None,
    ),
    "count of performed": (
        {"performed": {"event": "e", "count": {"in": [0] * 1001}}},
        "where.performed.count.in",
        1000,
    ),
}


@pytest.mark.parametrize("kind", REFUSALS)
async def test_refusals(service: Service, kind: str) -> None:
    """A filter that is too large or wrong is a 422 with the path in the filter, and the limit."""
    where, field, limit = REFUSALS[kind]
    for query in (QUERY, DELETION):
        answer = await service.post("/graphql", {"query": query, "variables": {"where": where}})
        if query == QUERY or "performed" not in field:
            assert error_summary(answer) == (422, "BAD_USER_INPUT", field, limit)


PATTERNS: Final = [
    "(",
    "[",
    "a**",
    "*",
    "\\",
    "(?=a)",
    "(a{1000}){1000}",
    r"\1",
    "(?<n",
    r"\p{Nope}",
]


@pytest.mark.parametrize("pattern", PATTERNS)
async def test_invalid_patterns(service: Service, pattern: str) -> None:
    """A pattern that RE2 refuses is a 422 with its reason, with events or without."""
    await delete_all(service)
    for name in ("e", None):
        for operator in ("matches", "notMatches"):
            tests = {operator: pattern, "caseSensitive": name is None}
            where = {"OR": [EQ, {"userId": {"matches": "fine"}}, {"name": tests}]}
            answer = await service.post("/graphql", {"query": QUERY, "variables": {"where": where}})
            field = f"where.OR[2].name.{operator}"
            assert error_summary(answer) == (422, "BAD_USER_INPUT", field, None)
            assert "is no regular expression: " in answer.json()["errors"][0]["message"]
        if name:
            await record(service, "/events", {"event_name": name})


async def test_largest_filters(service: Service) -> None:
    """A filter at the limits is answered."""
    deep = ".".join(["k" * 40] * 20)
    string = {"contains": "é" * 100, "eq": "b", "startsWith": "c", "matches": "d", "like": "e%"}
    largest = {"property": {"key": deep, "string": string}}
    for where in (
        {"name": {"in": ["é" * 500] * 1000}},
        {"OR": [largest] * 100},
        {"AND": [{"name": {"neq": f"n{n}"}} for n in range(500)]},
        {"userId": {"matches": "(a|b)" * 200, "like": "%" * 1000, "caseSensitive": False}},
        nest(20),
        {"property": {"key": r"\." * 500, "number": {"in": [1e300] * 1000}}},
    ):
        assert "events" in await ask(service, QUERY, where=where)


@pytest.mark.parametrize("depth", [22, 60, 100, 200, 400, 3000])
async def test_deep_filters(service: Service, depth: int) -> None:
    """A filter of any depth over the limit is refused, without a failure."""
    literal = "{NOT: " * (depth - 1) + '{name: {eq: "a"}}' + "}" * (depth - 1)
    bodies = [
        {"query": f"{{events(where: {literal}) {{totalCount}}}}"},
        {"query": QUERY, "variables": {"where": "deep"}},
    ]
    for body in bodies:
        text = json.dumps(body)
        deep = '{"NOT": ' * (depth - 1) + '{"name": {"eq": "a"}}' + "}" * (depth - 1)
        answer = await service.post("/graphql", text.replace('"deep"', deep).encode())
        assert first_error(answer)["extensions"]["code"] in {
            "BAD_USER_INPUT",
            "BAD_REQUEST",
            "GRAPHQL_PARSE_FAILED",
            "GRAPHQL_VALIDATION_FAILED",
        }


async def test_infinity_in_a_document(service: Service) -> None:
    """A literal that no double holds is refused."""
    where = '{property: {key: "p", number: {lt: 1e999}}}'
    query = f"{{events(where: {where}) {{totalCount}}}}"
    answer = await service.post("/graphql", {"query": query})
    assert error_summary(answer) == (400, "GRAPHQL_VALIDATION_FAILED", None, None)
    assert "Float cannot represent" in first_error(answer)["message"]


async def test_null_is_as_good_as_absent(service: Service) -> None:
    """A null in a filter is no test."""
    await delete_all(service)
    await record(service, "/events", {"event_name": "a"}, {"event_name": "b"})
    for where in (
        {"AND": None, "OR": None, "NOT": None, "property": None, "performed": None},
        {"name": {"eq": None, "in": None, "isSet": None, "caseSensitive": None}},
        {"property": {"key": "p", "string": {"eq": None}, "number": None}},
    ):
        assert (await ask(service, QUERY, where=where))["events"]["totalCount"] == 2


class ExplainRow(msgspec.Struct):
    explain: str


async def granules(service: Service, rows: RowSet) -> tuple[int, int]:
    """Return the number of granules that a count reads, and of all granules."""
    count_statement = statements.count(rows)
    statement = Statement(
        f"EXPLAIN indexes = 1 {count_statement.text}", count_statement.params, count_statement.scans
    )
    lines = [
        row.explain.strip() for row in await service.context.store.select(statement, ExplainRow)
    ]
    read = [row.removeprefix("Granules: ") for row in lines if row.startswith("Granules: ")]
    return int(read[-1].split("/")[0]), int(read[0].split("/")[1])


@pytest.mark.parametrize(
    "where",
    [
        {"name": {"eq": "n7"}},
        {"name": {"in": ["n7", "n8"]}},
        {"AND": [{"name": {"eq": "n7"}}, {"property": {"key": "p", "string": {"neq": "x"}}}]},
        {"OR": [{"name": {"eq": "n7"}}, {"name": {"eq": "n8"}}]},
        {"userId": {"eq": "user-77"}},
        {"userId": {"in": ["user-77", "user-78"]}},
        {"sessionId": {"eq": "session-77"}},
    ],
)
async def test_indexes_are_used(service: Service, where: dict[str, Any]) -> None:
    """A test of name, user or session reads at most a third of the table."""
    count_statement = statements.count(RowSet("events", "default"))
    (count_row,) = await service.context.store.select(count_statement, statements.CountRow)
    if count_row.rows < 100_000:
        await service.context.store.engine.write(
            Statement(
                "INSERT INTO events (project, name, time, user_id, session_id, batch, row)"
                " SELECT 'default', 'n' || intDiv(number, 10000), toDateTime64(number, 3, 'UTC'),"
                " 'user-' || intDiv(number, 100), 'session-' || intDiv(number, 100), 1, number"
                " FROM numbers(100000)"
            )
        )
    rows = statements.event_rows(RowSet("events", "default"), make_input(EventFilter, where))
    read, total = await granules(service, rows)
    assert 0 < read <= total / 3, (read, total)


async def test_metric_condition_names_its_own_field(service: Service) -> None:
    """An error has the name of the filter's argument from the caller."""
    for tests, field in (
        ({"tag": {"key": "", "string": {}}}, "input.where.tag.key"),
        ({"OR": [{"value": {"in": [1.0] * 1001}}]}, "input.where.OR[0].value.in"),
    ):
        rows = RowSet("metrics", "default")
        with pytest.raises(Exception, match=r"at most 1000|1 to 1000") as error:
            metric_condition(make_input(MetricFilter, tests), rows, "input.where")
        assert getattr(error.value, "field", None) == field
    assert service.context.grant.project == "default"


def test_no_value_is_in_the_text() -> None:
    """The texts of a filter are bound: the SQL is the same for all of them."""
    texts = []
    for word in ("plain", "it's {p0:String} \\ --"):
        time_range = TimeRange(from_=Instant(1), to=Instant(2))
        where = {
            "name": {"like": word, "in": [word]},
            "property": {"key": "a.b", "string": {"matches": word, "eq": word}},
            "performed": {"event": word, "where": {"userId": {"contains": word}}},
        }
        rows = RowSet("events", "default")
        texts.append(event_condition(make_input(EventFilter, where), rows, time_range))
    assert texts[0] == texts[1]


def test_paths() -> None:
    """A dot divides a path, unless it is escaped."""
    assert keys_of("a", "f") == ("a",)
    assert keys_of(r"a.b\.c\\.d", "f") == ("a", "b.c\\", "d")
    assert keys_of(".", "f") == ("", "")


class Group(msgspec.Struct):
    key: str
    rows: int


EQUAL: Final[list[list[str]]] = [
    ["667", "667.0", "6.67e2", "66700e-2"],
    ["0", "0.0", "-0.0", "-0"],
    ["10000000000000000000", "1e19"],
    ["100000000000000000000", "1e20", "100000000000000000000.0"],
    ["1e22", "10000000000000000000000"],
    ["0.1", "1e-1"],
    ["null"],
    ['"a/b"', '"a\\/b"', '"\\u0061/b"'],
    ['"é\\u0001\\n"', '"\\u00e9\\u0001\\n"'],
    ['"667"'],
    ['"100000000000000000000"'],
    ["true"],
    ["false"],
    ['"true"'],
    ['""'],
    ["[1,2.5]", "[1, 2.50]"],
    ['{"a":1}', '{ "a" : 1.0 }'],
]


async def test_groups_of_properties(service: Service) -> None:
    """Equal values are one group, others are not; null and no value are one group."""
    await delete_all(service)
    lines = [
        b'{"event_name": "g", "properties": {"p": %s}}' % text.encode()
        for texts in EQUAL
        for text in texts
    ]
    lines.append(b'{"event_name": "g", "properties": {"z": {"p": 1}}}')
    answer = await service.post("/events/batch", b"\n".join(lines))
    assert answer.json()["accepted"] == len(lines)
    where = EventFilter(name=StringFilter(eq="g"))
    rows = statements.event_rows(RowSet("events", "default"), where)
    key = property_group(rows.slots, ("p",))
    statement = rows.statement(f"SELECT {key} AS key, count() AS rows", "GROUP BY key")
    groups = {row.key: row.rows for row in await service.context.store.select(statement, Group)}
    assert groups.pop("") == 2
    assert sorted(groups.values()) == sorted(len(texts) for texts in EQUAL if texts != ["null"])
    for texts in EQUAL[0], EQUAL[7]:
        assert groups[msgspec.json.encode(msgspec.json.decode(texts[0])).decode()] == len(texts)


async def test_raw_tags(service: Service) -> None:
    """A tag has the same JSON, and its recorded text, with any neighbour."""
    texts = ["", "a", "\\", "a\\", '"', "é", "\n", "\x01", "\x7f", "/", "\u2028", "{", "😀", "\b\f"]
    points = [
        {"metric_name": "raw", "value": 1, "tags": {"k": text, "z": neighbour}}
        for text in texts
        for neighbour in ("plain", "back\\slash")
    ]
    await record(service, "/metrics", *points)
    rows = statements.metric_rows(RowSet("metrics", "default"), "raw")
    raw, text = tag_raw(rows.slots, "k"), tag_text(rows.slots, "k")
    before = f"SELECT {raw} || '|' || toJSONString({text}) AS key, count() AS rows"
    statement = rows.statement(before, "GROUP BY key")
    groups = {row.key: row.rows for row in await service.context.store.select(statement, Group)}
    assert set(groups.values()) == {2}
    assert {json.loads(key.split("|")[0]) for key in groups} == set(texts)
    assert all(len(set(map(json.loads, key.split("|")))) == 1 for key in groups)


async def test_booleans_as_values(service: Service) -> None:
    """A boolean is 1 or 0, and other values are no booleans."""
    await delete_all(service)
    values = [True, False, 1, 0, "true", None, [True]]
    rows = [{"event_name": "b", "properties": {"p": value}} for value in values]
    await record(service, "/events", *rows)
    where = EventFilter(name=StringFilter(eq="b"))
    events = statements.event_rows(RowSet("events", "default"), where)
    key = f"ifNull(toString({property_boolean(events.slots, ('p',))}), 'none')"
    statement = events.statement(f"SELECT {key} AS key, count() AS rows", "GROUP BY key")
    groups = {row.key: row.rows for row in await service.context.store.select(statement, Group)}
    assert groups == {"1": 1, "0": 1, "none": 5}
