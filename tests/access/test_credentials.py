"""Credentials: the places of a key in a request, and the pages that may use it."""

import base64
from collections.abc import AsyncIterator
from typing import Final

import pytest
import pytest_asyncio

from schema.access import KeyKind
from settings import Settings
from store.access.registry import KeyRequest
from tests.harness.access import error_code
from tests.harness.service import Service, run_service

METRIC: Final = {"metric_name": "m", "value": 1}
PAGE: Final = "https://app.example"


@pytest_asyncio.fixture(scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """Start a service in production."""
    data = tmp_path_factory.mktemp("data")
    settings = Settings(data=data, store=data / "store", production=True)
    async with run_service(settings) as production_service:
        yield production_service


async def make(service: Service, kind: KeyKind, *origins: str) -> str:
    """Make a key, and return its secret."""
    request = KeyRequest("k", kind, origins=origins)
    return (await service.context.store.keys.create(request))[1]


def basic(user: str, password: str = "") -> str:
    """Return the header of basic authentication."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


async def test_headers(service: Service) -> None:
    """A key is the bearer token, or the user of basic authentication with any password."""
    secret = await make(service, KeyKind.SECRET)
    for header in (
        *("Bearer", "Bearer ", secret, f"Token {secret}", f"Bearer {secret}x"),
        *(
            f"Bearer {secret[:-1]}",
            f"Bearer {secret} {secret}",
            "Bearer \x7f",
            f"Bearer {'x' * 60_000}",
        ),
        *("Basic", "Basic ???", basic("", secret), basic(f"{secret} ")),
    ):
        answer = await service.post("/metrics", METRIC, authorization=header)
        assert (answer.status_code, error_code(answer)) == (401, "UNAUTHENTICATED"), header
        assert secret not in answer.text


@pytest.mark.parametrize("path", ["/metrics", "/metrics/batch", "/graphql"])
async def test_public_keys_in_addresses(service: Service, path: str) -> None:
    """A public key may be in the address, where a client can set no header."""
    secret = await make(service, KeyKind.PUBLIC)
    query = 'mutation {recordEvents(input: {events: [{name: "e"}]}) {accepted}}'
    body = {"query": query} if path == "/graphql" else METRIC
    for address in (f"{path}?key={secret}", f"{path}?key={secret}&key={secret}&precision=ms"):
        if address.count("key") > 1 and path != "/graphql":
            continue  # a repeated parameter is refused on REST
        answer = await service.post(address, body)
        assert answer.status_code == 200, answer.text
        assert error_code(answer) is None
    answer = await service.post(f"{path}?key={secret}", body, authorization=f"Bearer {secret}")
    assert answer.status_code == 200


async def test_secret_keys_in_addresses(service: Service) -> None:
    """Another key in an address is refused, even a valid one: addresses are logged."""
    public, secret, admin = [await make(service, kind) for kind in KeyKind]
    for address in (f"/metrics?key={secret}", f"/metrics?key={admin}", "/metrics?key="):
        answer = await service.post(address, METRIC)
        assert (answer.status_code, error_code(answer)) == (401, "UNAUTHENTICATED")
    for address, header in (
        (f"/graphql?key={public}&key=pk_other", ""),
        (f"/metrics?key={public}", f"Bearer {secret}"),
    ):
        headers = {"authorization": header} if header else {}
        answer = await service.post(address, METRIC, **headers)
        assert (answer.status_code, error_code(answer)) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize("text", ["%91", "pk_%C3%A9", "pk_%00", "%ED%A0%80"])
@pytest.mark.parametrize("path", ["/metrics", "/events/batch", "/graphql"])
async def test_odd_texts_in_addresses(service: Service, path: str, text: str) -> None:
    """Any text as the key in an address is a 401, also if it is no ASCII or no UTF-8."""
    answer = await service.post(f"{path}?key={text}", METRIC)
    assert (answer.status_code, error_code(answer)) == (401, "UNAUTHENTICATED")


async def test_origins_of_a_key(service: Service) -> None:
    """A public key with origins works for their pages only, and CORS admits just those."""
    secret = await make(service, KeyKind.PUBLIC, PAGE, "http://localhost:8080")
    header = {"authorization": f"Bearer {secret}"}
    for origin in (PAGE, "http://localhost:8080", "HTTPS://APP.example"):
        answer = await service.post("/events", {"event_name": "e"}, origin=origin, **header)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == origin
    foreign_origins = ("https://evil.example", f"{PAGE}.evil.example", f"{PAGE}:8443", "null")
    for headers in (header, *(header | {"origin": origin} for origin in foreign_origins)):
        answer = await service.post("/events", {"event_name": "e"}, **headers)
        assert (answer.status_code, error_code(answer)) == (403, "FORBIDDEN")
        assert "access-control-allow-origin" not in answer.headers


async def test_preflights_of_origins(service: Service) -> None:
    """A preflight, which names no key, is admitted for the origins of usable keys."""
    page = "https://preflight.example"
    headers = {
        "origin": page,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, content-type",
    }
    assert (await service.http.options("/events", headers=headers)).status_code == 400
    request = KeyRequest("k", KeyKind.PUBLIC, origins=[page])
    key, _ = await service.context.store.keys.create(request)
    answer = await service.http.options("/events", headers=headers)
    assert answer.status_code == 200
    assert "authorization" in answer.headers["access-control-allow-headers"]
    await service.context.store.keys.revoke(key.id)
    assert (await service.http.options("/events", headers=headers)).status_code == 400


async def test_a_refused_caller_stores_nothing(service: Service) -> None:
    """Rows of callers without the right to record are not received, and not counted."""
    counts = service.context.store.row_counts["metrics"]
    before = counts.received
    for headers in ({}, {"authorization": "Bearer pk_unknown"}):
        for path in ("/metrics", "/metrics/batch"):
            assert (await service.post(path, METRIC, **headers)).status_code == 401
    assert counts.received == before
