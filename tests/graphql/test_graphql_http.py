"""GraphQL over HTTP: media types, statuses and malformed requests."""

import json
from urllib.parse import urlencode

import pytest

from tests.harness.apis import error_summary, record, stored_totals
from tests.harness.service import Service

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
        (f"{GRAPHQL_JSON};q=0, application/json", "application/json", 200),
        (f"{GRAPHQL_JSON};q=0, */*", "application/json", 200),
        (f"{GRAPHQL_JSON};q=0.5, application/json;q=0.4", GRAPHQL_JSON, 400),
        (f"{GRAPHQL_JSON};q=0.4, application/json;q=0.5", "application/json", 400),
        (f"application/json;q=1.0, {GRAPHQL_JSON};q=1.000", GRAPHQL_JSON, 400),
        ("application/json;q=0.9, */*;q=0.1", "application/json", 400),
        ("application/json;q=0.1, */*;q=0.9", GRAPHQL_JSON, 400),
        ("application/json;q=0, */*", GRAPHQL_JSON, 400),
        ("application/json;q=0, application/*;q=0.2, */*;q=0", GRAPHQL_JSON, 400),
        ("application/*;q=0, application/json;q=0.1", "application/json", 200),
        ("application/json ; Q=0.5 ; charset=UTF-8", "application/json", 200),
        ('application/json; charset="utf-8"', "application/json", 200),
        ("application/json;q=high", "application/json", 200),
        ("application/json;q=5", "application/json", 200),
        (
            f"multipart/mixed;deferSpec=20220824, {GRAPHQL_JSON}, application/json",
            GRAPHQL_JSON,
            400,
        ),
        ("application/json, text/plain, */*", "application/json", 400),
        ("text/html, image/gif, *; q=.2, */*; q=.2", "application/json", 400),
        (" , ;, ,", "application/json", 400),
    ],
)
async def test_media_types(
    service: Service, accept: str, media_type: str, status_of_errors: int
) -> None:
    """The answer has the accepted media type; with plain JSON, errors have status 200."""
    answer = await service.post("/graphql", QUERY, accept=accept)
    assert (answer.status_code, answer.json()) == (200, OK)
    assert answer.headers["content-type"] == f"{media_type}; charset=utf-8"
    answer = await service.post("/graphql", WRONG, accept=accept)
    assert answer.status_code == status_of_errors
    assert answer.headers["content-type"] == f"{media_type}; charset=utf-8"
    (error,) = answer.json()["errors"]
    assert error["extensions"] == {"code": "GRAPHQL_VALIDATION_FAILED"}
    assert answer.json().keys() == {"errors"}


@pytest.mark.parametrize(
    "accept",
    [
        *("text/html", "image/*", "application/xml", "x" * 50_000, "json", ",".join("abc" * 9000)),
        *("application/json;q=0", "*/*;q=0", f"application/json;q=0.0, {GRAPHQL_JSON};q=0.000"),
        *("application/json; charset=utf-16", "application/*;q=0, */*"),
    ],
)
async def test_not_acceptable(service: Service, accept: str) -> None:
    """A client that takes no JSON gets 406, and nothing is executed."""
    await record(service, "/events", {"event_name": "kept"})
    before = await stored_totals(service)
    answer = await service.post("/graphql", {"query": DELETION}, accept=accept)
    assert error_summary(answer) == (406, "NOT_ACCEPTABLE", None, None)
    assert await stored_totals(service) == before


@pytest.mark.parametrize(
    "content_type",
    [
        *("", "text/plain", "application/graphql", "application/x-www-form-urlencoded"),
        *("multipart/form-data; boundary=x", "application/json; charset=latin-1", "json"),
        *("application/json; charset=utf-16", "application/jsonp", "é".encode().decode("latin-1")),
    ],
)
async def test_unsupported_media_type(service: Service, content_type: str) -> None:
    """Only JSON in UTF-8 is read: a form on another site cannot send a request."""
    before = await stored_totals(service)
    headers = [(b"content-type", content_type.encode("latin-1"))]
    body = json.dumps({"query": DELETION})
    answer = await service.http.post("/graphql", content=body, headers=headers)
    assert error_summary(answer) == (415, "UNSUPPORTED_MEDIA_TYPE", None, None)
    assert await stored_totals(service) == before


@pytest.mark.parametrize(
    "content_type",
    [
        *("application/json", "APPLICATION/JSON", "application/json;charset=UTF-8"),
        *('application/json; charset="utf-8"', "application/json; charset=utf-8; x=y"),
    ],
)
async def test_supported_media_type(service: Service, content_type: str) -> None:
    """JSON in UTF-8 is read with each spelling of its media type."""
    answer = await service.post("/graphql", QUERY, **{"content-type": content_type})
    assert (answer.status_code, answer.json()) == (200, OK)


async def test_query_by_get(service: Service) -> None:
    """A query may come in the URL, with its variables and the name of its operation."""
    document = "query A($n: Int!) {metrics(first: $n) {totalCount}} query B {health {status}}"
    for parameters in (
        {"query": "{health {status}}"},
        {"query": "{health {status}}", "operationName": "", "variables": "", "extensions": "{}"},
        {"query": document, "operationName": "B"},
        {
            "query": "query($a: Boolean!) {health {status @include(if: $a)}}",
            "variables": '{"a":true}',
        },
    ):
        answer = await service.http.get("/graphql?" + urlencode(parameters))
        assert (answer.status_code, answer.json()) == (200, OK)
    parameters = {"query": document, "operationName": "A", "variables": '{"n": 0}'}
    answer = await service.http.get("/graphql?" + urlencode(parameters))
    assert error_summary(answer) == (422, "BAD_USER_INPUT", "first", 1000)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_mutation_by_get(service: Service, method: str) -> None:
    """A mutation in a URL is a 405 that allows POST; nothing is executed, with any body."""
    await record(service, "/events", {"event_name": "kept"})
    before = await stored_totals(service)
    for url, body in (
        ("/graphql?" + urlencode({"query": DELETION}), b""),
        ("/graphql?" + urlencode({"query": DELETION}), QUERY),
    ):
        headers = {"content-type": "application/json"}
        answer = await service.http.request(method, url, content=body, headers=headers)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    body = json.dumps({"query": DELETION}).encode()
    answer = await service.http.request(method, "/graphql", content=body, headers=headers)
    assert answer.status_code == 400
    assert await stored_totals(service) == before


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
    assert error_summary(await service.http.get(f"/graphql?{query}")) == (
        400,
        "BAD_REQUEST",
        field,
        None,
    )


MALFORMED_BODIES: dict[str, tuple[bytes, str | None]] = {
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
    "an id that is no text": (b'{"documentId": 1}', "documentId"),
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


@pytest.mark.parametrize("kind", MALFORMED_BODIES)
async def test_malformed_bodies(service: Service, kind: str) -> None:
    """A body that is no GraphQL request is a 400 in the shape of all errors, never a 500."""
    body, field = MALFORMED_BODIES[kind]
    assert error_summary(await service.post("/graphql", body)) == (400, "BAD_REQUEST", field, None)
    answer = await service.post("/graphql", body, accept="application/json")
    assert error_summary(answer) == (400, "BAD_REQUEST", field, None)


async def test_batches(service: Service) -> None:
    """A list of requests is refused; the message names batching."""
    for body in (b"[" + QUERY + b"]", b" \n[]", b"[" + QUERY + b"," + QUERY + b"]"):
        answer = await service.post("/graphql", body)
        assert error_summary(answer) == (400, "BAD_REQUEST", None, None)
        assert "batching" in answer.json()["errors"][0]["message"]


async def test_explorer_or_api(service: Service) -> None:
    """A browser that prefers HTML gets the explorer; a client that prefers JSON, the answer."""
    path = "/graphql?query={health{status}}"
    for accept, is_page in (
        ("text/html,application/xhtml+xml,*/*;q=0.8", True),
        ("text/html, application/json", True),
        ("application/json, text/html;q=0.9", False),
        ("text/html;q=0, */*", False),
        ("*/*", False),
    ):
        answer = await service.http.get(path, headers={"accept": accept})
        assert answer.headers["content-type"].startswith("text/html") == is_page, accept
