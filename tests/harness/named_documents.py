"""GraphQL requests that name their document by an id or a hash, by POST and by GET."""

import json
from typing import Any, Final
from urllib.parse import urlencode

import httpx

from store.access.documents import document_hash
from tests.harness.service import Service

JSON: Final = "application/json"
GRAPHQL_JSON: Final = "application/graphql-response+json"
ACCEPTS: Final = ("*/*", JSON, GRAPHQL_JSON)
METHODS: Final = ("GET", "POST")


async def send(
    service: Service, method: str, request: dict[str, Any], **headers: str
) -> httpx.Response:
    """Send a GraphQL request by a method."""
    if method == "POST":
        return await service.post("/graphql", request, **headers)
    texts = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in request.items()
        if value is not None
    }
    return await service.http.get("/graphql?" + urlencode(texts), headers=headers)


def hash_of(document: str) -> dict[str, Any]:
    """Return the extensions of a request with the hash of a document, as Apollo sends them."""
    return {"persistedQuery": {"version": 1, "sha256Hash": document_hash(document)}}


async def save(service: Service, *documents: tuple[str | None, str], **headers: str) -> Any:
    """Save documents, each an id and a text, by the mutation; return its payload or its errors."""
    query = (
        "mutation($d: [DocumentInput!]!)"
        " {saveDocuments(input: {documents: $d}) {documents {id text error}}}"
    )
    inputs = [{"id": name, "text": text} for name, text in documents]
    answer = await service.post("/graphql", {"query": query, "variables": {"d": inputs}}, **headers)
    content = answer.json()
    return content.get("errors") or content["data"]["saveDocuments"]["documents"]
