"""Trusted documents: saved by an operator, named by clients, kept on the disk, by project."""

from pathlib import Path
from typing import Final

import pytest

from schema.errors import AnalyticsError
from schema.limits import (
    DEFAULT_LIMITS,
    DOCUMENT_ID_CHARACTERS,
    TRUSTED_DOCUMENT_BYTES,
    TRUSTED_DOCUMENTS,
)
from store.access.documents import (
    DocumentList,
    DocumentsFile,
    NewDocument,
    TrustedDocument,
    TrustedDocuments,
    document_hash,
    save_documents,
)
from store.access.locked_file import UnusableFileError
from tests.harness.apis import ask, error_summary
from tests.harness.named_documents import ACCEPTS, METHODS, hash_of, save, send
from tests.harness.service import Service

OK: Final = {"data": {"health": {"status": "OK"}}}
TEXT: Final = "query Trusted {health {status}}\n"
HASH_ID: Final = f"sha256:{document_hash(TEXT)}"


@pytest.mark.parametrize("accept", ACCEPTS)
@pytest.mark.parametrize("method", METHODS)
async def test_names_of_a_document(service: Service, method: str, accept: str) -> None:
    """A document is found by its id, and by its hash in each spelling that clients have."""
    await save(service, ("Health.v1", TEXT))
    for request in (
        {"documentId": "Health.v1"},
        {"documentId": HASH_ID},
        {"documentId": document_hash(TEXT)},
        {"doc_id": "Health.v1", "query": ""},
        {"id": "Health.v1", "variables": {}},
        {"extensions": hash_of(TEXT)},
        {"documentId": "Health.v1", "operationName": "Trusted", "extensions": hash_of("x")},
    ):
        answer = await send(service, method, request, accept=accept)
        assert (answer.status_code, answer.json()) == (200, OK), request


@pytest.mark.parametrize("accept", ACCEPTS)
@pytest.mark.parametrize("method", METHODS)
async def test_unknown_documents(service: Service, method: str, accept: str) -> None:
    """An unknown id is a 404 that names `documentId`, with each media type."""
    for request in (
        {"documentId": "nobody"},
        {"documentId": f"sha256:{'a' * 64}"},
        {"doc_id": "nobody"},
        {"id": "x" * 10_000},
    ):
        answer = await send(service, method, request, accept=accept)
        assert error_summary(answer) == (404, "NOT_FOUND", "documentId", None)


async def test_a_query_wins(service: Service) -> None:
    """A request with a query executes it: other members are ignored, as before."""
    for member in ("documentId", "doc_id", "id"):
        answer = await service.post("/graphql", {"query": "{health {status}}", member: "nobody"})
        assert answer.json() == OK


async def test_variables_and_mutations(service: Service) -> None:
    """A named document takes variables; many rows are a batch; GET executes no mutation."""
    text = (
        "mutation R($m: [MetricInput!]!) {recordMetrics(input: {metrics: $m}) {accepted}}"
        " query N($n: String!) {metric(name: $n) {name}}"
    )
    await save(service, ("Two", text))
    for count in (1, 60, 20_000):
        rows = [{"name": "named", "value": 1}] * count
        request = {"documentId": "Two", "operationName": "R", "variables": {"m": rows}}
        answer = await service.post("/graphql", request)
        assert answer.json() == {"data": {"recordMetrics": {"accepted": count}}}
    request = {"documentId": "Two", "operationName": "N", "variables": {"n": "named"}}
    for method in METHODS:
        answer = await send(service, method, request)
        assert answer.json()["data"] == {"metric": {"name": "named"}}
    request = {"documentId": "Two", "operationName": "R", "variables": {"m": []}}
    assert (await send(service, "GET", request)).status_code == 405


async def test_save_list_delete(service: Service) -> None:
    """Documents are entries in order; one with a known id replaces it; a deleted one is unknown."""
    await service.context.store.keys.create_project("lists")
    project = {"analytics-project": "lists"}
    payload = await save(service, (None, TEXT), ("B", "{health {status}}"), **project)
    assert [(entry["id"], entry["error"]) for entry in payload] == [(HASH_ID, None), ("B", None)]
    await save(service, ("B", "{health {service}}"), ("C", TEXT), **project)
    query = {"query": "{documents {id text createdAt error}}"}
    entries = (await service.post("/graphql", query, **project)).json()["data"]["documents"]
    assert [(entry["id"], entry["text"]) for entry in entries] == [
        *((HASH_ID, TEXT), ("B", "{health {service}}"), ("C", TEXT)),
    ]
    deletion = {"query": 'mutation {deleteDocument(input: {id: "B"}) {id}}'}
    answer = await service.post("/graphql", deletion, **project)
    assert answer.json() == {"data": {"deleteDocument": {"id": "B"}}}
    answer = await service.post("/graphql", {"documentId": "B"}, **project)
    assert error_summary(answer)[1] == "NOT_FOUND"
    answer = await service.post("/graphql", deletion, **project)
    assert answer.json()["errors"][0]["extensions"] == {"code": "NOT_FOUND", "field": "id"}


async def test_projects_share_no_document(service: Service) -> None:
    """A document of one project is unknown in another one: by its id, by its hash, in the list."""
    await service.context.store.keys.create_project("other")
    other_project = {"analytics-project": "other"}
    text = "query OfDefault {health {status}}"
    await save(service, ("OfDefault", text))
    answer = await service.post("/graphql", {"documentId": "OfDefault"}, **other_project)
    assert error_summary(answer)[1] == "NOT_FOUND"
    answer = await service.post("/graphql", {"extensions": hash_of(text)}, **other_project)
    assert "PersistedQueryNotFound" in answer.text
    answer = await service.post("/graphql", {"query": "{documents {id}}"}, **other_project)
    assert answer.json()["data"]["documents"] == []
    deletion = {"query": 'mutation {deleteDocument(input: {id: "OfDefault"}) {id}}'}
    assert (await service.post("/graphql", deletion, **other_project)).json()["errors"]
    assert (await service.post("/graphql", {"documentId": "OfDefault"})).json() == OK


@pytest.mark.parametrize(
    ("document_id", "text", "field", "words"),
    [
        ("A", "{nope}", "documents[1].text", "'A': Cannot query field 'nope'"),
        ("A", "{", "documents[1].text", "'A': Syntax Error"),
        ("A", "", "documents[1].text", "Syntax Error"),
        ("A", "fragment F on Health {status}", "documents[1].text", "F"),
        ("A", "subscription {health}", "documents[1].text", "type 'Subscription'"),
        ("A", "{health {status}}" + "#" * 100_000, "documents[1].text", "documentBytes"),
        ("A", f"{{health {{{'status ' * 200}}}}}", "documents[1].text", "equalFields"),
        ("a b", TEXT, "documents[1].id", "letters, digits"),
        ("a:b", TEXT, "documents[1].id", "letters, digits"),
        ("", TEXT, "documents[1].id", "letters, digits"),
        (f"sha256:{'a' * 64}", TEXT, "documents[1].id", "is not the SHA-256"),
        ("a" * (DOCUMENT_ID_CHARACTERS.value + 1), TEXT, "documents[1].id", "documentIdCharacters"),
        ("First", "{health {service}}", "documents[1].id", "two documents"),
    ],
)
async def test_refused_documents(
    service: Service, document_id: str, text: str, field: str, words: str
) -> None:
    """A wrong document is refused with its name and the limit; none of the request is saved."""
    before = await ask(service, "{documents {id}}")
    (error,) = await save(service, ("First", TEXT), (document_id, text))
    assert (error["extensions"]["code"], error["extensions"]["field"]) == ("BAD_USER_INPUT", field)
    assert words in error["message"]
    assert await ask(service, "{documents {id}}") == before


def test_limits_of_the_file() -> None:
    """The number in a project and the bytes in all are bounded; a refusal changes nothing."""
    content = DocumentList()
    new_documents = [NewDocument("{a}", str(number)) for number in range(TRUSTED_DOCUMENTS.value)]
    save_documents(content, "p", new_documents, DEFAULT_LIMITS, 1)
    save_documents(content, "q", new_documents, DEFAULT_LIMITS, 1)
    save_documents(content, "p", new_documents[:1], DEFAULT_LIMITS, 2)  # replaced by the same
    assert len(content.documents) == 2 * TRUSTED_DOCUMENTS.value
    assert content.documents[0].created_ms == 1
    with pytest.raises(AnalyticsError, match="trustedDocuments") as refusal:
        save_documents(content, "p", [NewDocument("{a}", "more")], DEFAULT_LIMITS, 2)
    assert refusal.value.limit == TRUSTED_DOCUMENTS.value
    rest = TRUSTED_DOCUMENT_BYTES.value - 3 * len(content.documents)
    with pytest.raises(AnalyticsError, match="trustedDocumentBytes"):
        save_documents(content, "r", [NewDocument("é" * (rest // 2 + 1))], DEFAULT_LIMITS, 2)
    assert len(content.documents) == 2 * TRUSTED_DOCUMENTS.value
    save_documents(content, "r", [NewDocument("é" * (rest // 2))], DEFAULT_LIMITS, 2)


def write_document(data: Path, document_id: str, text: str) -> None:
    """Write a document past all checks, as an earlier version may have."""
    with DocumentsFile(data).change() as content:
        content.documents.append(TrustedDocument("default", document_id, text, 1))


async def test_a_damaged_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A running service keeps its documents, and says so; a start fails with one line."""
    documents = TrustedDocuments(tmp_path, DEFAULT_LIMITS)
    documents.open()
    await documents.save("default", [NewDocument(TEXT, "A")])
    path = tmp_path / "documents.json"
    assert path.stat().st_mode & 0o777 == 0o600
    whole = path.read_text()
    path.write_text("{")
    assert documents.find("default", "A") == TEXT
    assert documents.find("default", "A") == TEXT
    assert caplog.text.count("stay as they were") == 1
    with pytest.raises(AnalyticsError, match="can't be changed now"):
        await documents.save("default", [NewDocument(TEXT, "B")])
    with pytest.raises(UnusableFileError, match=r"documents\.json is damaged"):
        TrustedDocuments(tmp_path, DEFAULT_LIMITS).open()
    assert path.read_text() == "{"
    path.write_text(whole)
    assert documents.find("default", "A") == TEXT
    path.unlink()
    assert documents.find("default", "A") is None


async def test_changes_of_others_count_at_once(tmp_path: Path) -> None:
    """A document that another process saved is found, and one that it removed is not."""
    documents = TrustedDocuments(tmp_path, DEFAULT_LIMITS)
    documents.open()
    for number in range(20):
        write_document(tmp_path, f"D{number}", TEXT)
        assert documents.find("default", f"D{number}") == TEXT
    with DocumentsFile(tmp_path).change() as content:
        content.documents.clear()
    assert documents.find("default", "D0") is None
    assert documents.all_documents("default") == []


@pytest.mark.parametrize("value", [1, True, ["a"], {"a": 1}])
async def test_ids_are_texts(service: Service, value: object) -> None:
    """An id of another type is a 400 that names the member."""
    for member in ("documentId", "doc_id", "id"):
        answer = await service.post("/graphql", {member: value})
        assert error_summary(answer) == (400, "BAD_REQUEST", member, None)
