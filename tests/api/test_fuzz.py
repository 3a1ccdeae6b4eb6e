"""Arbitrary requests on every route: always an answer, never a 5xx."""

import json
from typing import Any
from urllib.parse import quote_from_bytes

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st

from schema.errors import STATUS
from tests.harness.run_profile import short_or_long
from tests.harness.service import Service

FUZZ_SETTINGS = settings(derandomize=True, deadline=None, max_examples=short_or_long(75, 300))
POSTS = ["/metrics", "/events", "/metrics/batch", "/events/batch", "/graphql"]
GETS = ["/metrics", "/events", "/dashboard", "/health", "/health-check", "/livez", "/readyz"]
FIELDS = [
    "metric_name",
    "event_name",
    "value",
    "tags",
    "properties",
    "timestamp",
    "id",
    "user_id",
    "session_id",
]
TOKENS = [
    *("{", "}", "(", ")", "[", "]", ":", "...", "$", "@", "!", "=", "|", "&", ",", "#", "\n"),
    *("query", "mutation", "subscription", "fragment", "on", "true", "null", "F", "$v", "Query"),
    *("{health {status}}", "metrics", "events", "metric", "overview", "nodes", "name", "query"),
    *("first: 1", "(first: -1)", 'name: "m"', 'last: "1h"', "where: {}", "totalCount", "__schema"),
    *("recordEvents(input: {events: [", '{name: "e", properties: ', "]})", "{accepted}", "...F"),
    *('"text"', '"""block"""', '"\\uD800"', "1", "-0", "1e999", "9" * 20, "@skip(if: true)"),
]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(10**40), 10**40),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
)
json_values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)
rows = st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=6)
bodies = st.one_of(json_values, rows, st.lists(rows, max_size=4))
requests = st.fixed_dictionaries(
    {},
    optional={
        "query": st.one_of(json_values, st.sampled_from(TOKENS), st.text()),
        "variables": json_values,
        "operationName": json_values,
        "extensions": json_values,
    },
)


def assert_answer(answer: httpx.Response) -> None:
    """Check that an answer is no 5xx, and that an error has the shape of all errors."""
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        content = answer.json()
        assert content.keys() <= {"errors", "data", "extensions"}
        for error in content["errors"]:
            assert error["message"]
            assert error["extensions"]["code"] in STATUS
        assert answer.status_code == STATUS[content["errors"][0]["extensions"]["code"]]


@given(body=st.binary(max_size=300))
@FUZZ_SETTINGS
async def test_any_bytes(service: Service, body: bytes) -> None:
    """Any bytes as a body, also with a false claim of gzip."""
    for path in POSTS:
        assert_answer(await service.post(path, body))
        assert_answer(await service.post(path, body, **{"content-encoding": "gzip"}))


@given(body=bodies)
@FUZZ_SETTINGS
async def test_any_json(service: Service, body: Any) -> None:
    """Any JSON value as a body, most of them like rows."""
    content = json.dumps(body).encode()
    for path in POSTS:
        assert_answer(await service.post(path, content))


@given(
    lines=st.lists(st.one_of(st.binary(max_size=40), rows), max_size=8), end=st.sampled_from("\r\n")
)
@FUZZ_SETTINGS
async def test_any_lines(service: Service, lines: list[Any], end: str) -> None:
    """Any lines, some of them rows, as NDJSON."""
    texts = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    for path in ("/metrics/batch", "/events/batch"):
        assert_answer(await service.post(path, (end + "\n").encode().join(texts)))


@given(body=requests)
@FUZZ_SETTINGS
async def test_any_graphql_request(service: Service, body: Any) -> None:
    """Any members in a GraphQL request."""
    assert_answer(await service.post("/graphql", json.dumps(body).encode()))


@given(
    tokens=st.lists(st.one_of(st.sampled_from(TOKENS), st.text(max_size=3)), max_size=25),
    variables=st.dictionaries(st.sampled_from(["v", "w"]), json_values),
)
@FUZZ_SETTINGS
async def test_any_document(service: Service, tokens: list[str], variables: Any) -> None:
    """Any sequence of tokens as a document, in a body and in a URL."""
    document = " ".join(tokens)
    assert_answer(await service.post("/graphql", {"query": document, "variables": variables}))
    parameters = {"query": document, "variables": json.dumps(variables)}
    assert_answer(await service.http.get("/graphql", params=parameters))


@given(path=st.binary(max_size=40), query=st.binary(max_size=40))
@FUZZ_SETTINGS
async def test_any_path_and_query(service: Service, path: bytes, query: bytes) -> None:
    """Any path and any query string, percent-encoded."""
    path_text = quote_from_bytes(path, safe="/.")
    query_text = quote_from_bytes(query, safe="=&;+[]")
    for url in (
        f"/{path_text}?{query_text}",
        f"/metrics/{path_text}?hours={query_text}",
        f"/metrics/{path_text}?{query_text}",
    ):
        assert_answer(await service.http.get(url))
    assert_answer(await service.http.get(f"/events?event_name={path_text}&limit={query_text}"))
    assert_answer(await service.http.get(f"/graphql?query={path_text}&variables={query_text}"))


@given(query=st.dictionaries(st.sampled_from(["hours", "limit", "event_name", "x"]), scalars))
@FUZZ_SETTINGS
async def test_any_parameters(service: Service, query: dict[str, Any]) -> None:
    """Any values for known parameters."""
    params = {key: str(value) for key, value in query.items()}
    for path in [*GETS, "/metrics/m"]:
        assert_answer(await service.http.get(path, params=params))


@given(text=st.text(max_size=60), cursor=st.binary(max_size=40))
@FUZZ_SETTINGS
async def test_any_arguments(service: Service, text: str, cursor: bytes) -> None:
    """Any texts as arguments of queries: names, searches, cursors, times, durations."""
    query = """
    query($text: String!, $texts: [String!]!, $cursor: String!) {
      metric(name: $text) {name}
      metrics(search: $text, after: $text) {totalCount nodes {name}}
      events(where: {name: {eq: $text}, userId: {in: $texts}}, after: $cursor) {totalCount}
    }"""
    variables = {"text": text, "texts": [text, ""], "cursor": cursor.decode("latin-1")}
    assert_answer(await service.post("/graphql", {"query": query, "variables": variables}))
    for type_name, field in (
        ("DateTime!", "range: {between: {from: $text}}"),
        ("Duration!", "range: {last: $text}"),
    ):
        query = f"query($text: {type_name}) {{events({field}) {{totalCount}}}}"
        assert_answer(await service.post("/graphql", {"query": query, "variables": {"text": text}}))
