"""Arguments and variables: null for a default, and the path of an error in a variable."""

import re
from typing import Any

import pytest
from graphql import (
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLNonNull,
    GraphQLObjectType,
    Undefined,
)

from api.graphql.schema import schema
from tests.harness.apis import ask, record
from tests.harness.service import Service

DAY = 'range: {between: {from: "2026-01-01T00:00:00Z", to: "2026-01-02T00:00:00Z"}}'
METRIC_FIELDS = [
    """query(DAY groupBy: ["h"] «limit: null timezone: null granularity: null maxPoints: null
        otherGroup: null fill: null») {times series {label columns {sum}}}""",
    "query(DAY «where: null groupBy: null orderBy: null compare: null») {series {label}}",
    "query(DAY) {series {total {quantile(q: 0.5 «exact: null») rate«(per: null)»}}}",
    """query(DAY compare: {mode: PREVIOUS_PERIOD})
        {series {change«(aggregate: null)» {absolute}}}""",
    'query(DAY groupBy: ["h"] orderBy: {«aggregate: null direction: null»}) {series {label}}',
    "samples(DAY «timezone: null first: null after: null last: null before: null») {nodes {value}}",
    "tags {values«(first: null search: null)» {value}}",
]
QUERY_FIELDS = [
    "eventTypes«(first: null search: null after: null)» {name}",
    "events«(where: null range: null timezone: null first: null)» {totalCount}",
    """metrics«(search: null kind: null first: null)»
        {totalCount nodes {name query(DAY «limit: null granularity: null») {times}}}""",
    "eventTrend(DAY «limit: null fill: null otherGroup: null maxPoints: null») {times}",
    """metricFormula(DAY formula: "a" «fill: null timezone: null granularity: null»
        inputs: [{as: "a" metric: "m" «aggregate: null where: null groupBy: null»}]) {times}""",
    'events(where: {name: {eq: "E" «caseSensitive: null in: null»}}) {totalCount}',
    "setAside«(first: null)» {id}",
]


@pytest.mark.parametrize(
    "text", [*(f'metric(name: "m") {{{field}}}' for field in METRIC_FIELDS), *QUERY_FIELDS]
)
async def test_null_is_as_good_as_absent(service: Service, text: str) -> None:
    """Null for an argument or input field that has a default is the default."""
    rows = [
        {"metric_name": "m", "value": n, "tags": {"h": str(n)}, "timestamp": "2026-01-01T12:00:00Z"}
        for n in range(3)
    ]
    await record(service, "/metrics", *rows)
    await record(service, "/events", {"event_name": "e"}, {"event_name": "E"})
    text = f"{{{text.replace('DAY', DAY)}}}"
    expected = await ask(service, re.sub("«.*?»", "", text, flags=re.DOTALL))
    assert await ask(service, text.replace("«", "").replace("»", "")) == expected


async def test_null_in_variables(service: Service) -> None:
    """A nullable variable with a default may be null or absent."""
    await record(service, "/metrics", {"metric_name": "v", "value": 1})
    query = """query($l: Int, $z: TimeZone, $g: Granularity, $f: Fill, $o: Boolean, $e: Boolean) {
      metric(name: "v") {query(range: {last: "P1D"}, limit: $l, timezone: $z, granularity: $g,
        fill: $f, otherGroup: $o) {times series {total {quantile(q: 0.5, exact: $e)}}}}
      metrics(first: $l) {nodes {name query(range: {last: "P1D"}, granularity: $g) {times}}}
    }"""
    names = ("l", "z", "g", "f", "o", "e")
    content = await service.graphql(query, **dict.fromkeys(names))
    assert "errors" not in content, content
    default_content = await service.graphql(query)
    default_series = default_content["data"]["metric"]["query"]["series"]
    assert content["data"]["metric"]["query"]["series"] == default_series


def test_whatever_has_a_default_is_nullable() -> None:
    """Each argument and input field with a default accepts null."""
    default_count = 0
    for graphql_type in schema._schema.type_map.values():
        if (
            isinstance(graphql_type, GraphQLObjectType | GraphQLInputObjectType)
            and graphql_type.name[:2] != "__"
        ):
            for field in graphql_type.fields.values():
                inputs = field.args.values() if isinstance(field, GraphQLField) else [field]
                for argument in inputs:
                    has_default = (
                        argument.default is not None or argument.default_value is not Undefined
                    )
                    assert not (has_default and isinstance(argument.type, GraphQLNonNull)), (
                        graphql_type.name
                    )
                    default_count += has_default
    assert default_count > 50


RANGE = 'query($range: TimeRangeInput!) {metric(name: "m") {query(range: $range) {times}}}'
WHERE = "query($where: EventFilter) {events(where: $where) {totalCount}}"
KEYS = 'query($by: [GroupByInput!]) {eventTrend(range: {last: "P1D"}, groupBy: $by) {times}}'
ROWS = "mutation($rows: [MetricInput!]!) {recordMetrics(input: {metrics: $rows}) {accepted}}"
NOW = "2026-01-01T00:00:00Z"
GOOD = {"name": "a", "value": 1}
ARGUMENT = 'query($v: %s) {metric(name: "m") {query(range: {last: "P1D"}, %s: $v) {times}}}'


@pytest.mark.parametrize(
    ("query", "variables", "fields"),
    [
        (RANGE, {"range": {"between": {"to": None}}}, ["range.between.from"]),
        (RANGE, {"range": {"between": {"from": None}}}, ["range.between.from"]),
        (RANGE, {"range": {"between": {"from": NOW, "until": 1}}}, ["range.between.until"]),
        (RANGE, {"range": {"between": 5}}, ["range.between"]),
        (RANGE, {"range": {"last": "1q"}}, ["range.last"]),
        (RANGE, {"range": {"preset": "NOPE"}}, ["range.preset"]),
        (RANGE, {"range": {"last": "P1D", "preset": "TODAY"}}, ["range"]),
        (RANGE, {"range": {}}, ["range"]),
        (RANGE, {"range": {"last": None}}, ["range.last"]),
        (RANGE, {"range": {"lasst": "P1D"}}, ["range.lasst", "range"]),
        (RANGE, {"range": "P1D"}, ["range"]),
        (RANGE, {"range": None}, ["range"]),
        (RANGE, {}, ["range"]),
        (WHERE, {"where": {"AND": [{}, {"userId": {"eq": 5}}]}}, ["where.AND[1].userId.eq"]),
        (WHERE, {"where": {"property": {"key": "a", "number": 5}}}, ["where.property.number"]),
        (WHERE, {"where": {"property": {"string": {"eq": "x"}}}}, ["where.property.key"]),
        (WHERE, {"where": {"name": {"in": ["a", 1]}}}, ["where.name.in[1]"]),
        (WHERE, {"where": {"nope": 1}}, ["where.nope"]),
        (KEYS, {"by": [{"property": "a"}, {"property": "b", "field": "NAME"}]}, ["by[1]"]),
        (KEYS, {"by": [{"property": "a"}, {"field": None}]}, ["by[1].field"]),
        (KEYS, {"by": {}}, ["by"]),
        (ROWS, {"rows": [GOOD, {"name": "a", "value": "x"}]}, ["rows[1].value"]),
        (ROWS, {"rows": [{"value": 1}]}, ["rows[0].name"]),
        (ARGUMENT % ("Int!", "limit"), {"v": "x"}, ["v"]),
        (ARGUMENT % ("Int!", "limit"), {"v": 2**40}, ["v"]),
        (ARGUMENT % ("Int!", "limit"), {"v": None}, ["v"]),
        (ARGUMENT % ("TimeZone", "timezone"), {"v": "Mars/Olympus"}, ["v"]),
    ],
)
async def test_errors_in_variables(
    service: Service, query: str, variables: dict[str, Any], fields: list[str]
) -> None:
    """The error names the variable with a wrong value, and the path in it."""
    answer = await service.post("/graphql", {"query": query, "variables": variables})
    assert answer.status_code == 422
    errors = answer.json()["errors"]
    assert [error["extensions"] for error in errors] == [
        {"code": "BAD_USER_INPUT", "field": field} for field in fields
    ]
    for error in errors:
        name = error["extensions"]["field"].partition(".")[0].partition("[")[0]
        assert error["message"].startswith(f"Variable '${name}' has invalid value")
        assert error["locations"]


async def test_many_errors_in_variables(service: Service) -> None:
    """Errors are counted up to 50, and the answer stays small."""
    rows = [{"name": "a", "value": "x"}] * 10_000
    answer = await service.post("/graphql", {"query": ROWS, "variables": {"rows": rows}})
    assert (answer.status_code, len(answer.json()["errors"])) == (422, 50)


FRAGMENT = 'fragment F on Query {metric(name: "m") {query(range: {last: $last}) {times}}} '


@pytest.mark.parametrize(("before", "after"), [(FRAGMENT, ""), ("", FRAGMENT)])
async def test_variables_of_one_of(service: Service, before: str, after: str) -> None:
    """The error names a nullable variable of a @oneOf input, before or after its fragment."""
    await record(service, "/metrics", {"metric_name": "m", "value": 1})
    query = before + "query($last: Duration!) {...F} " + after
    assert (await ask(service, query, last="P1D"))["metric"]["query"]
    nullable = query.replace("Duration!", "Duration")
    answer = await service.post("/graphql", {"query": nullable, "variables": {"last": "P1D"}})
    assert answer.status_code == 400
    (error,) = answer.json()["errors"]
    assert error["extensions"] == {"code": "GRAPHQL_VALIDATION_FAILED", "field": "last"}


@pytest.mark.parametrize("literal", ["{}", '{last: "P1D", preset: TODAY}', "{last: null}"])
async def test_literals_of_one_of(service: Service, literal: str) -> None:
    """A literal with no or two members is refused once."""
    query = f'{{metric(name: "m") {{query(range: {literal}) {{times}}}}}}'
    answer = await service.post("/graphql", {"query": query})
    assert answer.status_code == 400
    assert len(answer.json()["errors"]) == 1


async def test_invalid_instant_of_a_query(service: Service) -> None:
    """An error of `query` has its path, although its statement runs with its parent."""
    await record(service, "/metrics", {"metric_name": "m", "value": 1})
    content = await service.graphql(RANGE, range={"between": {"from": "nonsense"}})
    assert content["data"] == {"metric": {"query": None}}
    (error,) = content["errors"]
    assert error["path"] == ["metric", "query"]
    assert error["extensions"] == {"code": "BAD_USER_INPUT", "field": "range.between.from"}


TIME_VARIABLE = """query($since: DateTime!) {
  events(where: {AND: [{time: {gt: "2026-01-01T00:00:00Z"}}, {time: {lt: $since}}]}) {nodes {id}}
}"""
SAME_LITERAL = (
    'query($name: String) {events(where: {name: {eq: $name}, time: {lt: "x"}}) {nodes {id}}}'
)
LITERAL = '{events(where: {time: {lt: "x"}}) {nodes {id}}}'


@pytest.mark.parametrize(
    ("query", "variables", "field"),
    [
        (TIME_VARIABLE, {"since": "2026-01-01"}, "since"),
        (
            WHERE,
            {"where": {"OR": [{}, {"NOT": {"time": {"lt": 5}}}]}},
            "where.OR[1].NOT.time.lt",
        ),
        (LITERAL, {}, "lt"),
        (SAME_LITERAL, {"name": "x"}, "lt"),
    ],
    ids=["a variable", "inside a variable", "a literal", "a literal like a text"],
)
async def test_path_of_an_invalid_instant(
    service: Service, query: str, variables: dict[str, object], field: str
) -> None:
    """The error names the variable and the path in it, or the field of a literal."""
    content = await service.graphql(query, **variables)
    assert content["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT", "field": field}
