"""GraphQL documents and variables that are invalid, or look cheaper than they are."""

from typing import Any

import pytest

from api.graphql.documents.documents import Documents
from api.graphql.schema import schema
from schema.limits import DEFAULT_LIMITS, DOCUMENT_DEPTH, DOCUMENT_TOKENS, VALIDATION_ERRORS
from tests.harness.apis import ask, error_summary, first_error, record
from tests.harness.service import Service

SYNTAX_ERRORS = {
    "comment": "# nothing",
    "white space": " \n\t,",
    "open": "{health {status}",
    "NUL": "{\0health {status}}",
    "lone surrogate": '{metric(name: "\\uD800") {name}}',
    "lone surrogate in braces": '{metric(name: "\\u{D800}") {name}}',
    "low surrogate first": '{metric(name: "\\uDE00\\uD83D") {name}}',
    "no code point": '{metric(name: "\\u{110000}") {name}}',
    "100,000 open": "{" * 100_000,
    "3,000 fields deep": "{a" * 3000 + "}" * 3000,
    "3,000 lists deep": f"{{metric(name: {'[' * 3000}{']' * 3000}) {{name}}}}",
    "3,000 objects deep": f"{{metric(name: {'{a:' * 3000}1{'}' * 3000}) {{name}}}}",
    "3,000 list types deep": f"query($a: {'[' * 3000}Int{']' * 3000}) {{health {{status}}}}",
    "20,000 tokens": "{health {" + "id " * 20_000 + "}}",
    "20,000 braces": "{}" * 10_000,
}
LIMITS_OF_THE_PARSER = {
    "3,000 fields deep": DOCUMENT_DEPTH,
    "3,000 lists deep": DOCUMENT_DEPTH,
    "3,000 objects deep": DOCUMENT_DEPTH,
    "3,000 list types deep": DOCUMENT_DEPTH,
    "20,000 tokens": DOCUMENT_TOKENS,
    "20,000 braces": DOCUMENT_TOKENS,
}
"""The limits that some of these documents break."""
AGO = '"2025-01-01T00:00:00Z"'
INVALID = {
    "unknown field": "{nope}",
    "unknown argument": "{metrics(nope: 1) {totalCount}}",
    "unknown fragment": "{...F}",
    "unknown directive": "{health @nope {status}}",
    "unknown type": "query($a: Nope) {metric(name: $a) {name}}",
    "unused variable": "query($a: Int) {health {status}}",
    "undefined variable": "{metric(name: $n) {name}}",
    "variable of another type": "query($a: Int) {metric(name: $a) {name}}",
    "unused fragment": "{health {status}} fragment F on Query {health {status}}",
    "fragment on another type": "{health {...F}} fragment F on Query {health {status}}",
    "fragment in itself": "{...F} fragment F on Query {...F}",
    "equal names": "query A {health {status}} query A {health {status}}",
    "two anonymous": "{health {status}} {health {status}}",
    "no selection": "{health}",
    "selection of a leaf": "{health {status {x}}}",
    "missing argument": "{metric {name}}",
    "conflicting aliases": "{a: health {status} a: overview {time}}",
    "skip twice": "{health {status @skip(if: false) @skip(if: false)}}",
    "number for a text": "{metric(name: 1) {name}}",
    "null for a text": "{metric(name: null) {name}}",
    "text for a number": '{metrics(first: "1") {totalCount}}',
    "fraction for an integer": "{metrics(first: 1.5) {totalCount}}",
    "2^31 for an integer": "{metrics(first: 2147483648) {totalCount}}",
    "5,000 digits for an integer": f"{{metrics(first: {'9' * 5000}) {{totalCount}}}}",
    "unknown input field": "{events(where: {nope: 1}) {totalCount}}",
    "no range": "{events(range: {}) {totalCount}}",
    "null range": "{events(range: {last: null}) {totalCount}}",
    "two ranges": f'{{events(range: {{last: "1h", between: {{from: {AGO}}}}}) {{totalCount}}}}',
    "duration of months": '{events(range: {last: "P1.5M"}) {totalCount}}',
    "duration of nothing": '{events(range: {last: "PT"}) {totalCount}}',
    "duration as a number": "{events(range: {last: 3600}) {totalCount}}",
    "100 equal fields": "{health {" + "nope " * 100 + "}}",
    "100 unknown fields": "{" + " ".join(f"f{number}" for number in range(100)) + "}",
}


INSTANTS = {
    "date without time": '{events(range: {between: {from: "2025-01-01"}}) {totalCount}}',
    "time without offset": '{events(where: {time: {gt: "2025-01-01T00:00:00"}}) {totalCount}}',
    "no such day": '{events(where: {time: {gt: "2025-02-30T00:00:00Z"}}) {totalCount}}',
    "after year 9999": '{events(where: {time: {gt: "9999-12-31T23:59:59-23:59"}}) {nodes {id}}}',
    "before the year 1": '{events(where: {time: {gt: "0001-01-01T00:00:00+23:59"}}) {nodes {id}}}',
}
"""Documents with a text that is no instant."""


@pytest.mark.parametrize("kind", SYNTAX_ERRORS)
async def test_documents_that_do_not_parse(service: Service, kind: str) -> None:
    """A text that is no document is a 400 with the line and column of the error."""
    answer = await service.post("/graphql", {"query": SYNTAX_ERRORS[kind]})
    limit = LIMITS_OF_THE_PARSER.get(kind)
    expected = ("query", limit.value) if limit else (None, None)
    assert error_summary(answer) == (400, "GRAPHQL_PARSE_FAILED", *expected)
    (place,) = first_error(answer)["locations"]
    assert place.keys() == {"line", "column"}


@pytest.mark.parametrize("kind", INVALID)
async def test_invalid_documents(service: Service, kind: str) -> None:
    """A document that does not fit the schema is a 400."""
    answer = await service.post("/graphql", {"query": INVALID[kind]})
    assert error_summary(answer) == (400, "GRAPHQL_VALIDATION_FAILED", None, None)
    assert "data" not in answer.json()
    assert len(answer.json()["errors"]) <= VALIDATION_ERRORS.value


@pytest.mark.parametrize("kind", INSTANTS)
async def test_unreadable_instants_in_a_document(service: Service, kind: str) -> None:
    """A literal that is no instant is refused like a variable: 422, with the field's name."""
    answer = await service.post("/graphql", {"query": INSTANTS[kind]})
    field = "from" if kind == "date without time" else "gt"
    assert error_summary(answer) == (422, "BAD_USER_INPUT", field, None)


@pytest.mark.parametrize(
    "query",
    [
        "fragment F on Query {health {status}}",
        "query A {health {status}} query B {overview {metricCount}}",
        "query A {health {status}} mutation B {deleteEvents(input: {all: true}) {matchedRows}}",
    ],
)
async def test_unclear_operation(service: Service, query: str) -> None:
    """The service never guesses the operation: none, or several without a name, is a 400."""
    answer = await service.post("/graphql", {"query": query})
    assert error_summary(answer) == (400, "BAD_REQUEST", "operationName", None)


async def test_subscription(service: Service) -> None:
    """A subscription is refused with a 400."""
    answer = await service.post("/graphql", {"query": "subscription {health {status}}"})
    assert error_summary(answer) == (400, "BAD_REQUEST", None, None)


VARIABLES: dict[str, tuple[str, str, Any]] = {
    "absent": ("String!", "metric(name: $v) {name}", ...),
    "null": ("String!", "metric(name: $v) {name}", None),
    "number": ("String!", "metric(name: $v) {name}", 1),
    "list": ("String!", "metric(name: $v) {name}", ["a"]),
    "object": ("String!", "metric(name: $v) {name}", {}),
    "text": ("Int", "metrics(first: $v) {totalCount}", "1"),
    "true": ("Int", "metrics(first: $v) {totalCount}", True),
    "2^31": ("Int", "metrics(first: $v) {totalCount}", 2**31),
    "2^64": ("Int", "metrics(first: $v) {totalCount}", 2**64),
    "10^400": ("Int", "metrics(first: $v) {totalCount}", 10**400),
    "fraction": ("Int", "metrics(first: $v) {totalCount}", 1.5),
    "page of none": ("Int", "metrics(first: $v) {totalCount}", 0),
    "page of 1,001": ("Int", "events(first: $v) {totalCount}", 1001),
    "cursor": ("String", "events(after: $v) {totalCount}", "x"),
    "cursor of Unicode": ("String", "events(after: $v) {totalCount}", "٣\0é💥"),
    "cursor of other numbers": ("String", "events(after: $v) {totalCount}", "LTEuLTEuLTE="),
    "filter": ("EventFilter", "events(where: $v) {totalCount}", [1]),
    "field of a filter": ("EventFilter", "events(where: $v) {totalCount}", {"nope": {"eq": "a"}}),
    "text of a filter": ("EventFilter", "events(where: $v) {totalCount}", {"name": {"eq": 1}}),
    "1,001 texts": (
        "EventFilter",
        "events(where: $v) {totalCount}",
        {"name": {"in": ["a"] * 1001}},
    ),
    "time": ("EventFilter", "events(where: $v) {totalCount}", {"time": {"gt": 1}}),
    "range": ("TimeRangeInput!", "events(range: $v) {totalCount}", {}),
    "two ranges": (
        "TimeRangeInput!",
        "events(range: $v) {totalCount}",
        {"last": "1h", "between": {"from": "2025-01-01T00:00:00Z"}},
    ),
    "empty range": ("TimeRangeInput!", "events(range: $v) {totalCount}", {"last": "0s"}),
    "long range": ("TimeRangeInput!", "events(range: $v) {totalCount}", {"last": "P999999W"}),
}


@pytest.mark.parametrize("kind", VARIABLES)
async def test_bad_variables(service: Service, kind: str) -> None:
    """A variable that does not fit is a 422, whether its type or its field refuses it."""
    type_name, field, value = VARIABLES[kind]
    query = f"query($v: {type_name}) {{{field}}}"
    variables = {} if value is ... else {"v": value}
    answer = await service.post("/graphql", {"query": query, "variables": variables})
    assert error_summary(answer)[:2] == (422, "BAD_USER_INPUT")


async def test_unneeded_variables(service: Service) -> None:
    """Variables that the document does not declare are ignored, with any value."""
    data = await ask(service, "{health {status}}", unknown={"key": [None, 1e300, 2**200, "💥"]})
    assert data == {"health": {"status": "OK"}}


def spread_twice(type_name: str, last: str, depth: int = 20) -> str:
    """Return fragments that each spread the next one twice: the last one 2^depth times."""
    return (
        "".join(f"fragment F{n} on {type_name} {{...F{n + 1} ...F{n + 1}}}" for n in range(depth))
        + f"fragment F{depth} on {type_name} {{{last}}}"
    )


@pytest.mark.parametrize(
    ("query", "type_name", "last", "expected"),
    [
        ("{...F0}", "Query", "health {status}", {"health": {"status": "OK"}}),
        ("{health {...F0}}", "Health", "status", {"health": {"status": "OK"}}),
        ('{metric(name: "m") {...F0}}', "Metric", "name", {"metric": {"name": "m"}}),
        ("{metrics {...F0}}", "MetricConnection", "totalCount", {"metrics": {"totalCount": 1}}),
        ("{events {...F0}}", "EventConnection", "nodes {name}", {"events": {"nodes": []}}),
        ("{overview {...F0}}", "Overview", "metricNames", {"overview": {"metricNames": ["m"]}}),
    ],
)
async def test_exponential_fragments(
    service: Service, query: str, type_name: str, last: str, expected: object
) -> None:
    """Fragments that multiply a million times cost no more than their text."""
    if (await ask(service, "{metrics {totalCount}}"))["metrics"]["totalCount"] == 0:
        await record(service, "/metrics", {"metric_name": "m", "value": 1})
    assert await ask(service, query + spread_twice(type_name, last)) == expected


async def test_exponential_fragments_around_a_query(service: Service) -> None:
    """Nor do they in a metric's query, which looks ahead at its selection."""
    last = 'query(range: {last: "1h"}) {__typename}'
    query = '{metric(name: "nobody") {...F0}}' + spread_twice("Metric", last)
    answer = await service.post("/graphql", {"query": query})
    assert error_summary(answer) == (404, "NOT_FOUND", None, None)


async def test_exponential_fragments_in_a_mutation(service: Service) -> None:
    """Nor do they in a mutation, which is executed once."""
    before = (await ask(service, "{overview {eventCount}}"))["overview"]["eventCount"]
    mutation = 'recordEvents(input: {events: [{name: "once"}]}) {accepted}'
    data = await ask(service, "mutation {...F0}" + spread_twice("Mutation", mutation))
    assert data == {"recordEvents": {"accepted": 1}}
    after = (await ask(service, "{overview {eventCount}}"))["overview"]["eventCount"]
    assert after - before == 1


def test_documents_are_kept_by_their_memory() -> None:
    """The oldest documents leave when their memory exceeds the budget."""
    documents = Documents(max_bytes=100_000)
    texts = [f"{{h{n}:health{{status}}}}" for n in range(100)]
    nodes = [documents.read_at_once(schema._schema, text, DEFAULT_LIMITS).node for text in texts]
    assert documents.read_at_once(schema._schema, texts[-1], DEFAULT_LIMITS).node is nodes[-1]
    assert documents.read_at_once(schema._schema, texts[0], DEFAULT_LIMITS).node is not nodes[0]
    assert len(documents._documents) < 30
    assert documents._bytes <= 100_000
