"""Automatic persisted queries: the protocol of Apollo Client and urql, and the bounds of memory."""

from typing import Any, Final

import pytest

from schema.access import KeyKind, Scope
from schema.limits import AUTOMATIC_DOCUMENT_BYTES, AUTOMATIC_PROJECTS, DEFAULT_LIMITS
from store.access.documents import AutomaticDocuments, document_hash
from store.access.registry import KeyRequest
from tests.harness.access import as_caller
from tests.harness.apis import error_summary
from tests.harness.named_documents import ACCEPTS, GRAPHQL_JSON, JSON, METHODS, hash_of, send
from tests.harness.service import Service

OK: Final = {"data": {"health": {"status": "OK"}}}
HASH_FIELD: Final = "extensions.persistedQuery.sha256Hash"


def document(name: str) -> str:
    """Return a document that no other test sends."""
    return f"query {name} {{health {{status}}}}"


@pytest.mark.parametrize("accept", ACCEPTS)
@pytest.mark.parametrize("method", METHODS)
async def test_an_unknown_hash(service: Service, method: str, accept: str) -> None:
    """The error is the one on which Apollo Client and urql send the document, uncached."""
    requests: list[dict[str, Any]] = [
        {"extensions": hash_of("unknown")},
        {"query": None, "extensions": hash_of("unknown")},
        {"query": "", "extensions": hash_of("unknown")},
        {"operationName": "A", "variables": {"a": 1}, "extensions": hash_of("unknown")},
        {"extensions": hash_of("unknown") | {"clientLibrary": {"name": "@apollo/client"}}},
    ]
    for request in requests:
        answer = await send(service, method, request, accept=accept)
        assert answer.status_code == (404 if accept == GRAPHQL_JSON else 200)
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json() == {
            "errors": [
                {
                    "message": "PersistedQueryNotFound",
                    "extensions": {"code": "PERSISTED_QUERY_NOT_FOUND"},
                }
            ]
        }


@pytest.mark.parametrize("accept", [JSON, GRAPHQL_JSON])
@pytest.mark.parametrize("hash_method", METHODS)
@pytest.mark.parametrize("document_method", METHODS)
async def test_a_document_is_kept(
    service: Service, document_method: str, hash_method: str, accept: str
) -> None:
    """A document that was sent with its hash is executed, and found by the hash from then on."""
    text = document(f"Kept{document_method}{hash_method}{len(accept)}")
    extensions = hash_of(text)
    first = await send(service, hash_method, {"extensions": extensions}, accept=accept)
    assert first.json()["errors"][0]["message"] == "PersistedQueryNotFound"
    extensions["persistedQuery"]["miss"] = True  # as urql says
    for request, method in (
        ({"query": text, "extensions": extensions}, document_method),
        ({"extensions": hash_of(text)}, hash_method),
        ({"extensions": hash_of(text), "operationName": None, "variables": {}}, "POST"),
    ):
        answer = await send(service, method, request, accept=accept)
        assert (answer.status_code, answer.json()) == (200, OK)


@pytest.mark.parametrize("accept", ACCEPTS)
@pytest.mark.parametrize("method", METHODS)
async def test_a_wrong_hash(service: Service, method: str, accept: str) -> None:
    """A document with the hash of another one is refused, and not kept under either hash."""
    text, other_text = document("Wrong"), document("Wronged")
    request = {"query": text, "extensions": hash_of(other_text)}
    answer = await send(service, method, request, accept=accept)
    assert error_summary(answer) == (400, "BAD_REQUEST", HASH_FIELD, None)
    assert answer.json()["errors"][0]["message"] == "provided sha does not match query"
    for hashed_text in (text, other_text):
        answer = await send(service, method, {"extensions": hash_of(hashed_text)})
        assert answer.json()["errors"][0]["message"] == "PersistedQueryNotFound"


@pytest.mark.parametrize(
    ("persisted_query", "field"),
    [
        ({"version": 1, "sha256Hash": "x"}, HASH_FIELD),
        ({"version": 1, "sha256Hash": "A" * 64}, HASH_FIELD),
        ({"version": 1, "sha256Hash": "a" * 63}, HASH_FIELD),
        ({"version": 1, "sha256Hash": "a" * 65}, HASH_FIELD),
        ({"version": 1, "sha256Hash": "a" * 64 + "\n"}, HASH_FIELD),
        ({"version": 2, "sha256Hash": "a" * 64}, "extensions.persistedQuery.version"),
        ({"version": "1", "sha256Hash": "a" * 64}, "extensions.persistedQuery"),
        ({"version": 1, "sha256Hash": 5}, "extensions.persistedQuery"),
        ({"sha256Hash": "a" * 64}, "extensions.persistedQuery"),
        ({"version": 1}, "extensions.persistedQuery"),
        ("a" * 64, "extensions.persistedQuery"),
        ([1], "extensions.persistedQuery"),
    ],
)
@pytest.mark.parametrize("method", METHODS)
async def test_malformed_extensions(
    service: Service, method: str, persisted_query: object, field: str
) -> None:
    """A malformed hash is a 400 that names the field, with a document and without."""
    for query in (None, document("Malformed")):
        request = {"query": query, "extensions": {"persistedQuery": persisted_query}}
        answer = await send(service, method, request)
        assert error_summary(answer) == (400, "BAD_REQUEST", field, None)


@pytest.mark.parametrize("persisted_query", [None, False, {}, [], ""])
@pytest.mark.parametrize("method", METHODS)
async def test_an_empty_extension(service: Service, method: str, persisted_query: object) -> None:
    """An empty extension means the same as its absence."""
    extensions = {"persistedQuery": persisted_query}
    answer = await send(service, method, {"query": document("E"), "extensions": extensions})
    assert answer.json() == OK
    answer = await send(service, method, {"extensions": extensions})
    assert answer.status_code == 400


async def is_kept(service: Service, text: str) -> bool:
    """Say whether the service finds a document by its hash."""
    answer = await service.post("/graphql", {"extensions": hash_of(text)})
    return "PersistedQueryNotFound" not in answer.text


@pytest.mark.parametrize(
    "text",
    ["{nope}", "{", "", "query A {health {status}} query B {health {status}}", "#" * 200_000],
)
async def test_refused_documents_are_not_kept(service: Service, text: str) -> None:
    """A document that is not executed is not kept, because nobody could use it."""
    answer = await service.post("/graphql", {"query": text, "extensions": hash_of(text)})
    assert "errors" in answer.json()
    assert not await is_kept(service, text)


async def test_mutations(service: Service) -> None:
    """A mutation may be kept, is executed by POST each time, and is refused by GET."""
    text = 'mutation {recordMetrics(input: {metrics: [{name: "apq", value: 1}]}) {accepted}}'
    request = {"query": text, "extensions": hash_of(text)}
    assert (await send(service, "GET", request)).status_code == 405
    assert not await is_kept(service, text)
    for content in (request, {"extensions": hash_of(text)}, {"extensions": hash_of(text)}):
        answer = await service.post("/graphql", content)
        assert answer.json() == {"data": {"recordMetrics": {"accepted": 1}}}
    answer = await send(service, "GET", {"extensions": hash_of(text)})
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert (await service.http.get("/metrics/apq")).json()["count"] == 3


async def test_projects_share_no_document(service: Service) -> None:
    """A hash that one project knows is unknown to another one."""
    text = document("OfOneProject")
    await service.context.store.keys.create_project("apq")
    request = {"query": text, "extensions": hash_of(text)}
    assert (await service.post("/graphql", request)).json() == OK
    header = {"analytics-project": "apq"}
    answer = await service.post("/graphql", {"extensions": hash_of(text)}, **header)
    assert answer.json()["errors"][0]["message"] == "PersistedQueryNotFound"
    assert (await service.post("/graphql", request, **header)).json() == OK
    assert (await service.post("/graphql", {"extensions": hash_of(text)}, **header)).json() == OK


async def test_a_caller_without_rights_keeps_nothing(service: Service) -> None:
    """A key that may not query leaves no query in memory."""
    _, secret = await service.context.store.keys.create(KeyRequest("p", KeyKind.PUBLIC))
    text = document("OfAPublicKey")
    caller = as_caller(service, secret)
    answer = await caller.post("/graphql", {"query": text, "extensions": hash_of(text)})
    assert error_summary(answer)[1] == "FORBIDDEN"
    assert not await is_kept(service, text)
    request = KeyRequest("q", KeyKind.SECRET, scopes=[Scope.QUERY])
    _, secret = await service.context.store.keys.create(request)
    caller = as_caller(service, secret)
    answer = await caller.post("/graphql", {"query": text, "extensions": hash_of(text)})
    assert answer.json() == OK
    assert await is_kept(service, text)


def text_of_bytes(number: int, size: int) -> str:
    """Return a text of some bytes of UTF-8, of which no other is equal."""
    return f"{number:08}" + "é" * ((size - 8) // 2)


def test_memory_is_bounded() -> None:
    """The documents that were used longest ago are dropped; each byte of UTF-8 counts."""
    documents, size = AutomaticDocuments(DEFAULT_LIMITS), AUTOMATIC_DOCUMENT_BYTES.value // 16
    texts = [text_of_bytes(number, size) for number in range(18)]
    hashes = list(map(document_hash, texts))
    for sha256, text in zip(hashes[:16], texts, strict=False):
        documents.keep("a", sha256, text)
    assert all(documents.find("a", sha256) for sha256 in hashes[:16])
    documents.find("a", hashes[0])
    for number in (16, 17):
        documents.keep("a", hashes[number], texts[number])
        documents.keep("a", hashes[number], texts[number])  # counts once
    kept_numbers = [n for n, sha256 in enumerate(hashes) if documents.find("a", sha256)]
    assert kept_numbers == [0, *range(3, 18)]


def test_projects_have_their_own_memory() -> None:
    """A busy project drops no document of another; the number of projects is bounded."""
    documents, limit = AutomaticDocuments(DEFAULT_LIMITS), AUTOMATIC_PROJECTS.value
    documents.keep("quiet", "h", "{quiet}")
    for number in range(100):
        documents.keep("busy", str(number), text_of_bytes(number, 100_000))
    assert documents.find("quiet", "h") == "{quiet}"
    for number in range(limit - 2):
        documents.keep(f"p{number}", "h", "{p}")
    assert documents.find("quiet", "h") == "{quiet}"
    for number in range(limit - 1):
        documents.keep(f"q{number}", "h", "{q}")
    assert documents.find("quiet", "h") == "{quiet}"
    documents.keep("last", "h", "{last}")
    documents.keep("one-more", "h", "{last}")
    assert documents.find("busy", "99") is None
