"""GraphQL over HTTP: media types, statuses, and requests of every wrong kind."""

import json
from urllib.parse import urlencode

import pytest

from tests.doors import record, said, stored
from tests.service import Service

QUERY = b'{"query": "{health {status}}"}'
WRONG = b'{"query": "{nope}"}'
OK = {"data": {"health": {"status": "OK"}}}
GRAPHQL_JSON = "application/graphql-response+json"
DELETION = "mutation {deleteEvents(input: {all: true}) {matchedRows}}"


@pytest.mark.parametrize(
    ("accept", "media_type", "status_of_errors"),
    [
        ("*/*", "application/json", 400),
        ("", "application/json", 400),
        ("application/*", "application/json", 400),
        ("text/plain, */*;q=0.1", "application/json", 400),
        ("application/json", "application/json", 200),
        ("Application/JSON; charset=utf-8", "application/json", 200),
        ("text/html, application/json", "application/json", 200),
        (GRAPHQL_JSON, GRAPHQL_JSON, 400),
        (f"application/json, {GRAPHQL_JSON}", GRAPHQL_JSON, 400),
        (f"{GRAPHQL_JSON}; charset=utf-8, */*", GRAPHQL_JSON, 400),
    ],
)
async def test_media_types(
    service: Service, accept: str, media_type: str, status_of_errors: int
) -> None:
    """The answer has the type that is accepted; errors have a status unless plain JSON is asked."""
    answer = await service.post("/graphql", QUERY, accept=accept)
    assert (answer.status_code, answer.json()) == (200, OK)
    assert answer.headers["content-type"] == f"{media_type}; charset=utf-8"
    answer = await service.post("/graphql", WRONG, accept=accept)
    assert answer.status_code == status_of_errors
    assert answer.headers["content-type"] == f"{media_type}; charset=utf-8"
    (error,) = answer.json()["errors"]
    assert error["extensions"] == {"code": "GRAPHQL_VALIDATION_FAILED"}
    assert answer.json().keys() == {"errors"}


@pytest.mark.parametrize("accept", ["text/html", "image/*", "application/xml", "x" * 50_000])
async def test_not_acceptable(service: Service, accept: str) -> None:
    """A client that takes no JSON gets 406, and nothing is executed."""
    await record(service, "/events", {"event_name": "kept"})
    before = await stored(service)
    answer = await service.post("/graphql", {"query": DELETION}, accept=accept)
    assert said(answer) == (406, "NOT_ACCEPTABLE", None, None)
    assert await stored(service) == before


@pytest.mark.parametrize(
    "content_type",
    [
        *("", "text/plain", "application/graphql", "application/x-www-form-urlencoded"),
        *("multipart/form-data; boundary=x", "application/json; charset=latin-1", "json"),
        *("application/json; charset=utf-16", "application/jsonp", "é".encode().decode("latin-1")),
    ],
)
async def test_unsupported_media_type(service: Service, content_type: str) -> None:
    """Only JSON in UTF-8 is read: a form of another site can't ask for anything."""
    before = await stored(service)
    headers = [(b"content-type", content_type.encode("latin-1"))]
    body = json.dumps({"query": DELETION})
    answer = await service.http.post("/graphql", content=body, headers=headers)
    assert said(answer) == (415, "UNSUPPORTED_MEDIA_TYPE", None, None)
    assert await stored(service) == before


@pytest.mark.parametrize(
    "content_type",
    [
        *("application/json", "APPLICATION/JSON", "application/json;charset=UTF-8"),
        *('application/json; charset="utf-8"', "application/json; charset=utf-8; x=y"),
    ],
)
async def test_supported_media_type(service: Service, content_type: str) -> None:
    """JSON in UTF-8 is read, however it is named."""
    answer = await service.post("/graphql", QUERY, **{"content-type": content_type})
    assert (answer.status_code, answer.json()) == (200, OK)


async def test_query_by_get(service: Service) -> None:
    """A query may come in the URL, with its variables and the name of its operation."""
    document = "query A($n: Int!) {metrics(first: $n) {totalCount}} query B {health {status}}"
    for sent in (
        {"query": "{health {status}}"},
        {"query": "{health {status}}", "operationName": "", "variables": "", "extensions": "{}"},
        {"query": document, "operationName": "B"},
        {
            "query": "query($a: Boolean!) {health {status @include(if: $a)}}",
            "variables": '{"a":true}',
        },
    ):
        answer = await service.http.get("/graphql?" + urlencode(sent))
        assert (answer.status_code, answer.json()) == (200, OK)
    sent = {"query": document, "operationName": "A", "variables": '{"n": 0}'}
    answer = await service.http.get("/graphql?" + urlencode(sent))
    assert said(answer) == (422, "BAD_USER_INPUT", "first", 1000)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_mutation_by_get(service: Service, method: str) -> None:
    """A mutation in a URL is a 405 that allows POST; nothing is executed, whatever the body is."""
    await record(service, "/events", {"event_name": "kept"})
    before = await stored(service)
    for url, body in (
        ("/graphql?" + urlencode({"query": DELETION}), b""),
        ("/graphql?" + urlencode({"query": DELETION}), QUERY),
    ):
        sent = {"content-type": "application/json"}
        answer = await service.http.request(method, url, content=body, headers=sent)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    body = json.dumps({"query": DELETION}).encode()
    answer = await service.http.request(method, "/graphql", content=body, headers=sent)
    assert answer.status_code == 400
    assert await stored(service) == before


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("variables={}", "query"),
        ("query=", "query"),
        ("query={health{status}}&variables=[]", "variables"),
        ("query={health{status}}&variables={", "variables"),
        ("query={health{status}}&variables=1", "variables"),
        ("query={health{status}}&variables=%FF", "variables"),
        ('query={health{status}}&variables={"a":' + "9" * 5000 + "}", "variables"),
        ('query={health{status}}&variables={"a":"\\ud800"}', "variables"),
        ("query={health{status}}&variables=" + "[" * 20_000, "variables"),
        ("query={health{status}}&operationName=X", "operationName"),
    ],
)
async def test_bad_urls(service: Service, query: str, field: str) -> None:
    """A URL that is no GraphQL request is a 400 that names the parameter."""
    assert said(await service.http.get(f"/graphql?{query}")) == (400, "BAD_REQUEST", field, None)


MALFORMED: dict[str, tuple[bytes, str | None]] = {
    "nothing": (b"", None),
    "number": (b"123", None),
    "text": (b'"x"', None),
    "null": (b"null", None),
    "true": (b"true", None),
    "list": (b"[]", None),
    "batch": (b"[" + QUERY + b"]", None),
    "no query": (b"{}", None),
    "query is null": (b'{"query": null}', None),
    "query is empty": (b'{"query": ""}', "query"),
    "query is a number": (b'{"query": 1}', None),
    "query is a list": (b'{"query": ["{health {status}}"]}', None),
    "variables are a list": (QUERY[:-1] + b', "variables": []}', None),
    "variables are a text": (QUERY[:-1] + b', "variables": "{}"}', None),
    "extensions are a list": (QUERY[:-1] + b', "extensions": []}', None),
    "operationName is a number": (QUERY[:-1] + b', "operationName": 1}', None),
    "operationName is unknown": (QUERY[:-1] + b', "operationName": "X"}', "operationName"),
    "operationName is empty": (QUERY[:-1] + b', "operationName": ""}', "operationName"),
    "cut": (QUERY[:-1], None),
    "two": (QUERY + QUERY, None),
    "trailing comma": (QUERY[:-1] + b",}", None),
    "single quotes": (b"{'query': '{health {status}}'}", None),
    "byte order mark": (b"\xef\xbb\xbf" + QUERY, None),
    "UTF-16": (QUERY.decode().encode("utf-16"), None),
    "invalid UTF-8": (b'{"query": "\xff"}', None),
    "UTF-8 of a surrogate": (b'{"query": "\xed\xa0\x80"}', None),
    "lone surrogate in the document": (b'{"query": "{a(b: \\"\\ud800\\")}"}', None),
    "lone surrogate in a variable": (QUERY[:-1] + b', "variables": {"a": "\\udfff"}}', None),
    "lone surrogate as a key": (QUERY[:-1] + b', "variables": {"\\ud800": 1}}', None),
    "control character": (b'{"query": "\n\x00{health {status}}"}', None),
    "NaN": (QUERY[:-1] + b', "variables": {"a": NaN}}', None),
    "1e999": (QUERY[:-1] + b', "variables": {"a": 1e999}}', None),
    "5,000 digits": (QUERY[:-1] + b', "variables": {"a": ' + b"9" * 5000 + b"}}", None),
    "5,000 digits as a request": (b"9" * 5000, None),
    "100,000 open lists": (b"[" * 100_000, None),
    "100,000 lists": (b"[" * 100_000 + b"]" * 100_000, None),
    "100,000 lists as a query": (b'{"query": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", None),
    "100,000 lists as a variable": (
        QUERY[:-1] + b', "variables": {"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
        None,
    ),
    "100,000 objects": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, None),
}


@pytest.mark.parametrize("kind", MALFORMED)
async def test_malformed_bodies(service: Service, kind: str) -> None:
    """A body that is no GraphQL request is a 400 in the one shape, never a 500."""
    body, field = MALFORMED[kind]
    assert said(await service.post("/graphql", body)) == (400, "BAD_REQUEST", field, None)
    answer = await service.post("/graphql", body, accept="application/json")
    assert said(answer) == (400, "BAD_REQUEST", field, None)
