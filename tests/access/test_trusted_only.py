"""Callers who may execute trusted documents only: by their key, its tokens, or the setting."""

import dataclasses
import time
from collections.abc import AsyncIterator
from typing import Any, Final

import jwt
import pytest
import pytest_asyncio

from schema.access import KeyKind
from schema.errors import AnalyticsError
from settings import Settings
from store.access.documents import NewDocument
from store.access.registry import KeyRequest, Registry, add_key
from tests.harness.access import bearer
from tests.harness.apis import error_summary
from tests.harness.named_documents import METHODS, hash_of, save, send
from tests.harness.service import Service, run_service

TEXT: Final = "query T {viewer {project}}"
OK: Final = {"data": {"viewer": {"project": "default"}}}
LIMITED_CALLERS: Final = ("limited", "token of limited")
FREE_CALLERS: Final = ("free", "token of free", "admin")


@pytest_asyncio.fixture(scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """Start a service in production with a trusted document."""
    data = tmp_path_factory.mktemp("data")
    settings = Settings(data=data, store=data / "store", production=True)
    async with run_service(settings) as new_service:
        await new_service.context.store.documents.save("default", [NewDocument(TEXT, "T")])
        yield new_service


@pytest_asyncio.fixture(scope="module")
async def secrets(service: Service) -> dict[str, str]:
    """Make keys, and a token of each secret key."""
    secrets = {}
    for name, kind, trusted_only in (
        ("limited", KeyKind.SECRET, True),
        ("free", KeyKind.SECRET, False),
        ("admin", KeyKind.ADMIN, False),
    ):
        signs_tokens = kind is KeyKind.SECRET
        request = KeyRequest(name, kind, signs_tokens=signs_tokens, trusted_only=trusted_only)
        key, secrets[name] = await service.context.store.keys.create(request)
        if key.token_secret:
            claims = {"exp": time.time() + 600, "rowFilter": {"events": {}}}
            token = jwt.encode(claims, key.token_secret, "HS256", {"kid": key.id})
            secrets[f"token of {name}"] = token
    return secrets


async def check_limited(service: Service, headers: dict[str, str]) -> None:
    """Check that a caller executes trusted documents, and nothing else."""
    for method in METHODS:
        for request in ({"documentId": "T"}, {"extensions": hash_of(TEXT)}):
            assert (await send(service, method, request, **headers)).json() == OK
        requests: list[dict[str, Any]] = [
            *({"query": "{viewer {project}}"}, {"query": TEXT}, {"query": "{__typename}"}),
            *({"query": "{__schema {types {name}}}"}, {"query": "{"}),
            {"query": TEXT, "extensions": hash_of(TEXT)},
            {"query": "{health {status}}", "extensions": hash_of("{health {status}}")},
            {"query": "mutation {recordEvents(input: {events: []}) {accepted}}"},
        ]
        for request in requests:
            answer = await send(service, method, request, **headers)
            assert error_summary(answer) == (403, "FORBIDDEN", "query", None)
            assert "send `documentId`" in answer.json()["errors"][0]["message"]
        for request in ({"extensions": hash_of("{health {status}}")}, {"documentId": "nobody"}):
            answer = await send(service, method, request, **headers)
            assert error_summary(answer)[:2] == (404, "NOT_FOUND")
            assert "PersistedQuery" not in answer.text  # clients would send the document


@pytest.mark.parametrize("caller", LIMITED_CALLERS)
async def test_limited_callers(service: Service, secrets: dict[str, str], caller: str) -> None:
    """A key with the option, and its tokens, execute trusted documents only."""
    text = "{health {status}}"
    request = {"query": text, "extensions": hash_of(text)}
    free = bearer(secrets["free"])
    assert "data" in (await service.post("/graphql", request, **free)).json()  # known to others
    await check_limited(service, bearer(secrets[caller]))
    rows = [{"name": "m", "value": 1}] * 100
    mutation = "mutation($m: [MetricInput!]!) {recordMetrics(input: {metrics: $m}) {accepted}}"
    content = {"query": mutation, "variables": {"m": rows}}
    answer = await service.post("/graphql", content, **bearer(secrets[caller]))
    assert error_summary(answer)[:2] == (403, "FORBIDDEN")


@pytest.mark.parametrize("caller", FREE_CALLERS)
async def test_free_callers(service: Service, secrets: dict[str, str], caller: str) -> None:
    """Other keys and tokens execute any document, and trusted ones."""
    headers = bearer(secrets[caller])
    for request in ({"query": TEXT}, {"documentId": "T"}):
        assert (await service.post("/graphql", request, **headers)).json() == OK


async def test_rest_is_not_limited(service: Service, secrets: dict[str, str]) -> None:
    """REST has fixed queries, which a limited key may send."""
    headers = bearer(secrets["limited"])
    assert (await service.http.get("/events", headers=headers)).status_code == 200
    answer = await service.post("/metrics", {"metric_name": "m", "value": 1}, **headers)
    assert answer.status_code == 200


async def test_a_document_gives_no_rights(service: Service, secrets: dict[str, str]) -> None:
    """A trusted document does what the scopes of its caller allow, and no more."""
    text = "mutation {deleteEvents(input: {all: true}) {matchedRows}}"
    assert (await save(service, ("Delete", text), **bearer(secrets["admin"])))[0]["error"] is None
    for caller in ("limited", "token of limited", "free"):
        request = {"documentId": "Delete"}
        answer = await service.post("/graphql", request, **bearer(secrets[caller]))
        assert "FORBIDDEN" in answer.text
    answer = await service.post("/graphql", {"documentId": "T"})
    assert answer.status_code == 401


async def test_the_setting(service: Service, secrets: dict[str, str]) -> None:
    """With the setting every caller is limited but for admin keys; development is, too."""
    transport: Any = service.http._transport
    state = transport.app.state
    before = state.context
    try:
        grant = dataclasses.replace(before.grant, trusted_only=True)
        state.context = dataclasses.replace(before, grant=grant)
        for caller in (*LIMITED_CALLERS, "free", "token of free"):
            await check_limited(service, bearer(secrets[caller]))
        headers = bearer(secrets["admin"])
        assert (await service.post("/graphql", {"query": TEXT}, **headers)).json() == OK
    finally:
        state.context = before


def test_admin_keys_are_never_limited() -> None:
    """An admin key manages the documents, so the option is refused."""
    with pytest.raises(AnalyticsError, match="trustedDocumentsOnly"):
        add_key(Registry(), KeyRequest("a", KeyKind.ADMIN, trusted_only=True), 0)


async def test_the_option_is_shown(service: Service, secrets: dict[str, str]) -> None:
    """A key says that it is limited, in GraphQL as it was made."""
    mutation = (
        'mutation {createApiKey(input: {name: "k", kind: SECRET, trustedDocumentsOnly: true})'
        " {apiKey {trustedDocumentsOnly}}}"
    )
    headers = bearer(secrets["admin"])
    answer = await service.post("/graphql", {"query": mutation}, **headers)
    assert answer.json()["data"]["createApiKey"]["apiKey"] == {"trustedDocumentsOnly": True}
    answer = await service.post(
        "/graphql", {"query": "{apiKeys {trustedDocumentsOnly}}"}, **headers
    )
    values = [key["trustedDocumentsOnly"] for key in answer.json()["data"]["apiKeys"]]
    assert values[:3] == [True, False, False]
