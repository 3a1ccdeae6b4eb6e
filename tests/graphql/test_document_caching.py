"""Caching of answers to named documents by GET: tags, 304, and what no cache may keep."""

from typing import Any, Final

import pytest

from schema.access import KeyKind, RowFilter, Scope
from schema.filters import EventFilter, StringFilter
from store.access.documents import NewDocument
from store.access.registry import KeyRequest
from tests.harness.access import as_caller
from tests.harness.named_documents import ACCEPTS, hash_of, send
from tests.harness.service import Service

TOTAL: Final = 'query Total($name: String = "c") {events(where: {name: {eq: $name}}) {totalCount}}'


@pytest.fixture(autouse=True)
async def documents(service: Service) -> None:
    """Save a document."""
    await service.context.store.documents.save("default", [NewDocument(TOTAL, "Total")])


@pytest.mark.parametrize("accept", ACCEPTS)
async def test_a_tag_while_the_data_is_the_same(service: Service, accept: str) -> None:
    """The tag gets a 304 without a body until the data changes; private caches ask each time."""
    request = {"documentId": "Total"}
    first = await send(service, "GET", request, accept=accept)
    assert first.headers["cache-control"] == "private, max-age=0, must-revalidate"
    names = {name.strip().lower() for name in first.headers["vary"].split(",")}
    assert names >= {"authorization", "accept", "analytics-project"}
    tag = first.headers["etag"]
    assert tag.startswith('W/"')
    for value in (tag, tag.removeprefix("W/"), f'"x", {tag}', "*"):
        answer = await send(service, "GET", request, accept=accept, **{"if-none-match": value})
        assert (answer.status_code, answer.content) == (304, b"")
        assert "content-type" not in answer.headers
        for name in ("etag", "cache-control", "vary"):
            assert answer.headers[name] == first.headers[name]
    await service.post("/events", {"event_name": "c"})
    answer = await send(service, "GET", request, accept=accept, **{"if-none-match": tag})
    assert answer.status_code == 200
    assert answer.headers["etag"] != tag
    total, before = (entry.json()["data"]["events"]["totalCount"] for entry in (answer, first))
    assert total == before + 1


async def test_automatic_documents(service: Service) -> None:
    """The answer to a hash has a tag, too."""
    await service.post("/graphql", {"query": TOTAL, "extensions": hash_of(TOTAL)})
    request = {"extensions": hash_of(TOTAL)}
    tag = (await send(service, "GET", request)).headers["etag"]
    answer = await send(service, "GET", request, **{"if-none-match": tag})
    assert answer.status_code == 304


@pytest.mark.parametrize(
    ("method", "request_body"),
    [
        ("POST", {"documentId": "Total"}),
        ("POST", {"query": TOTAL}),
        ("GET", {"query": TOTAL}),
        ("GET", {"query": TOTAL, "extensions": hash_of(TOTAL)}),
        ("GET", {"documentId": "nobody"}),
        ("GET", {"documentId": "Total", "variables": {"name": 1}}),
        ("GET", {"documentId": "Total", "operationName": "X"}),
    ],
)
async def test_what_is_not_cached(
    service: Service, method: str, request_body: dict[str, Any]
) -> None:
    """Answers to POST, to documents that were sent, and errors are not kept."""
    answer = await send(service, method, request_body, **{"if-none-match": "*"})
    assert answer.status_code != 304
    assert answer.headers["cache-control"] == "no-store"
    assert "etag" not in answer.headers


async def test_partial_errors_are_not_cached(service: Service) -> None:
    """An answer with data and an error is not kept."""
    text = '{a: metric(name: "nobody") {name} health {status}}'
    await service.context.store.documents.save("default", [NewDocument(text, "Partial")])
    answer = await send(service, "GET", {"documentId": "Partial"}, **{"if-none-match": "*"})
    assert answer.status_code == 200
    assert "errors" in answer.json()
    assert answer.headers["cache-control"] == "no-store"


async def test_tags_are_of_one_caller(service: Service) -> None:
    """The tag of one key is unknown to another, with the same rows and with others."""
    for user in ("ours", "theirs"):
        await service.post("/events", {"event_name": "k", "user_id": user})
    callers = [service]
    for user in ("ours", "theirs", "ours"):
        row_filter = RowFilter(events=EventFilter(user_id=StringFilter(eq=user)))
        request = KeyRequest("k", KeyKind.SECRET, scopes=[Scope.QUERY], row_filter=row_filter)
        _, secret = await service.context.store.keys.create(request)
        callers.append(as_caller(service, secret))
    named_request = {"documentId": "Total", "variables": {"name": "k"}}
    tags = [(await send(caller, "GET", named_request)).headers["etag"] for caller in callers]
    assert len(set(tags)) == len(tags)
    for caller in callers:
        for tag, owner in zip(tags, callers, strict=True):
            answer = await send(caller, "GET", named_request, **{"if-none-match": tag})
            assert answer.status_code == (304 if caller is owner else 200)


async def test_large_answers(service: Service) -> None:
    """A compressed answer has the tag, too, and its 304 no body."""
    rows = [{"event_name": f"large-{number:03}"} for number in range(100)]
    await service.post("/events/batch", rows)
    text = "{eventTypes(first: 500) {name}}"
    await service.context.store.documents.save("default", [NewDocument(text, "Large")])
    headers = {"accept-encoding": "gzip"}
    answer = await send(service, "GET", {"documentId": "Large"}, **headers)
    assert answer.headers["content-encoding"] == "gzip"
    headers["if-none-match"] = answer.headers["etag"]
    answer = await send(service, "GET", {"documentId": "Large"}, **headers)
    assert (answer.status_code, answer.content) == (304, b"")
