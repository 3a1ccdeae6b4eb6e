"""Signed tokens: what a token must have, what it shows, and when it ends."""

import time
from collections.abc import AsyncIterator
from typing import Any, Final, NamedTuple

import jwt
import pytest
import pytest_asyncio

from schema.access import KeyKind, RowFilter, Scope
from schema.filter_json import filter_from_json
from settings import Settings
from store.access import tokens
from store.access.registry import Key, KeyRequest
from tests.harness.access import as_caller, bearer, error_code
from tests.harness.service import Service, run_service

OUR_ROWS: Final = {"events": {"userId": {"eq": "ours"}}}


class Signer(NamedTuple):
    """A running service in production, and a key that signs tokens."""

    service: Service
    key: Key

    def sign(self, secret: str | None = None, **claims: Any) -> str:
        """Return a token for our rows; claims of None are left out."""
        content = {"exp": time.time() + 60, "rowFilter": OUR_ROWS} | claims
        content = {name: value for name, value in content.items() if value is not None}
        headers = {"kid": self.key.id}
        return jwt.encode(content, secret or self.key.token_secret or "", "HS256", headers)

    async def status(self, token: str) -> int:
        """Return the status of a query with a token."""
        answer = await self.service.http.get("/events", headers=bearer(token))
        if answer.status_code == 401:
            assert error_code(answer) == "UNAUTHENTICATED"
        return answer.status_code


@pytest_asyncio.fixture(scope="module")
async def signer(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Signer]:
    """Start a service with events of two users."""
    data = tmp_path_factory.mktemp("data")
    settings = Settings(data=data, store=data / "store", production=True)
    async with run_service(settings) as service:
        _, secret = await service.context.store.keys.create(KeyRequest("b", KeyKind.SECRET))
        back_end = as_caller(service, secret)
        for user in ("ours", "ours", "theirs"):
            await back_end.post("/events", {"event_name": f"by-{user}", "user_id": user})
        await back_end.post("/metrics", {"metric_name": "theirs", "value": 1})
        request = KeyRequest("embed", KeyKind.SECRET, signs_tokens=True)
        key, _ = await service.context.store.keys.create(request)
        yield Signer(service, key)


async def test_a_token_shows_its_rows(signer: Signer) -> None:
    """A token shows the rows of its filter, over both APIs, and has only the scope QUERY."""
    caller = as_caller(signer.service, signer.sign())
    answer = await caller.http.get("/events")
    assert answer.json()["total"] == 2
    assert "theirs" not in answer.text
    assert (await caller.http.get("/metrics")).json()["metrics"] == []
    query = "{viewer {scopes apiKey {id}} events {totalCount}}"
    data = (await caller.graphql(query))["data"]
    assert data == {
        "viewer": {"scopes": ["QUERY"], "apiKey": {"id": signer.key.id}},
        "events": {"totalCount": 2},
    }
    for path, body in (("/metrics", {"metric_name": "m", "value": 1}), ("/events/batch", [])):
        assert (await caller.post(path, body)).status_code in {403, 422}
    assert (await caller.http.delete("/events")).status_code == 403
    assert (await caller.http.get("/internal/metrics")).status_code == 403


async def test_a_token_ends(signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token is refused from its expiry on, also one that was verified before."""
    token = signer.sign(exp=int(time.time()) + 60)
    assert await signer.status(token) == 200
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now + 61 * 10**9)
    assert await signer.status(token) == 401


HOUR: Final = 3600
WRONG_CLAIMS: Final[list[dict[str, Any]]] = [
    {"exp": None},
    {"exp": "soon"},
    {"exp": -1},
    {"exp": 10**300},
    {"exp": 10**12},
    {"rowFilter": None},
    {"rowFilter": 1},
    {"rowFilter": {"event": {}}},
    {"rowFilter": {"events": {"user": {}}}},
    {"rowFilter": {"events": {"performed": {"event": "e"}}}},
    {"rowFilter": {"events": {"name": {"in": ["x"] * 1001}}}},
    {"project": "shop"},
    {"nbf": 10**11},
    {"secret": "x" * 43},
    {"note": "x" * 10_000},
]


@pytest.mark.parametrize("claims", WRONG_CLAIMS)
async def test_wrong_tokens(signer: Signer, claims: dict[str, Any]) -> None:
    """A token that lacks a claim, has a wrong one or a wrong signature is refused."""
    assert await signer.status(signer.sign(**claims)) == 401


async def test_lifetime(signer: Signer) -> None:
    """A token may be valid for 24 hours, not for more."""
    assert await signer.status(signer.sign(exp=time.time() + 24 * HOUR - 60)) == 200
    assert await signer.status(signer.sign(exp=time.time() + 24 * HOUR + 60)) == 401


async def test_claims_of_the_customer(signer: Signer) -> None:
    """Claims about audience, issuer and user are not looked at."""
    claims: dict[str, Any] = {
        "aud": "us",
        "iss": "us",
        "sub": 5,
        "jti": 6,
        "iat": time.time(),
        "role": "x",
    }
    assert await signer.status(signer.sign(**claims, project="default")) == 200


async def test_forged_tokens(signer: Signer) -> None:
    """No other algorithm, key, part or text is taken for a token."""
    claims = {"exp": time.time() + 60, "rowFilter": {"events": {}}}
    header, payload, signature = signer.sign().split(".")
    secret = signer.key.token_secret or ""
    _, *other_parts = signer.sign(rowFilter={"events": {}}).split(".")
    plain_key, plain_secret = await signer.service.context.store.keys.create(
        KeyRequest("plain", KeyKind.SECRET)
    )
    for token in (
        jwt.encode(claims, "", "none", {"kid": signer.key.id}),
        jwt.encode(claims, secret * 2, "HS512", {"kid": signer.key.id}),
        jwt.encode(claims, secret, "HS256"),
        jwt.encode(claims, secret, "HS256", {"kid": "key_nobody"}),
        jwt.encode(claims, plain_secret, "HS256", {"kid": plain_key.id}),
        jwt.encode(claims, plain_key.sha256, "HS256", {"kid": plain_key.id}),
        f"{header}.{other_parts[0]}.{signature}",
        f"{header}.{payload}.",
        *("..", "a.b.c", f"{header}..{signature}", f"{header}.{payload}.{signature}x", "\x7f.."),
    ):
        assert await signer.status(token) == 401, token


async def test_revoking_the_key_ends_its_tokens(signer: Signer) -> None:
    """A token of a revoked key is refused at once."""
    keys = signer.service.context.store.keys
    key, _ = await keys.create(KeyRequest("k", KeyKind.SECRET, signs_tokens=True))
    other_signer = Signer(signer.service, key)
    token = other_signer.sign()
    assert await other_signer.status(token) == 200
    await keys.revoke(key.id)
    assert await other_signer.status(token) == 401


async def test_the_filter_of_the_key_holds_too(signer: Signer) -> None:
    """A token shows no row that its key does not show."""
    row_filter = filter_from_json(RowFilter, OUR_ROWS, "rowFilter")
    request = KeyRequest(
        "k", KeyKind.SECRET, scopes=[Scope.QUERY], row_filter=row_filter, signs_tokens=True
    )
    key, _ = await signer.service.context.store.keys.create(request)
    token = Signer(signer.service, key).sign(rowFilter={"events": {}, "metrics": {}})
    caller = as_caller(signer.service, token)
    assert (await caller.http.get("/events")).json()["total"] == 2
    assert (await caller.http.get("/metrics")).json()["metrics"] == []


async def test_another_project(signer: Signer) -> None:
    """A token does not open another project."""
    headers = bearer(signer.sign()) | {"Analytics-Project": "shop"}
    assert (await signer.service.http.get("/events", headers=headers)).status_code == 404


async def test_memory_of_tokens(signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any number of tokens takes bounded memory; wrong ones take none."""
    monkeypatch.setattr(tokens, "_CACHE_SIZE", 10)
    cached_tokens = signer.service.context.store.tokens._tokens_by_text
    cached_tokens.clear()
    for n in range(25):
        assert await signer.status(signer.sign(n=n)) == 200
        await signer.status(signer.sign(n=n, secret="x" * 43))
    assert len(cached_tokens) <= 10


async def test_the_token_secret_is_shown_once(signer: Signer) -> None:
    """Only the answer that makes the key has its token secret."""
    _, secret = await signer.service.context.store.keys.create(KeyRequest("a", KeyKind.ADMIN))
    admin = as_caller(signer.service, secret)
    call = 'createApiKey(input: {name: "k", kind: SECRET, signsTokens: true})'
    answer = await admin.graphql(f"mutation {{{call} {{tokenSecret apiKey {{id signsTokens}}}}}}")
    payload = answer["data"]["createApiKey"]
    assert len(payload["tokenSecret"]) == 43
    assert payload["apiKey"]["signsTokens"] is True
    key_list = await admin.graphql("{apiKeys {id kind name prefix signsTokens rowFilter}}")
    assert payload["tokenSecret"] not in str(key_list)
    wrong = await admin.graphql(f"mutation {{{call.replace('SECRET', 'ADMIN')} {{secret}}}}")
    assert wrong["errors"][0]["extensions"]["field"] == "signsTokens"
