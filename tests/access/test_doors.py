"""Doors: host names, pages of other sites, and headers against caches and sniffing."""

import contextlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from starlette.types import Scope

from api.hosts import Hosts
from schema.access import KeyKind
from schema.errors import AnalyticsError
from settings import Settings, from_environment
from store.access.registry import KeyRequest
from tests.harness.access import error_code
from tests.harness.service import Service, run_service

METRIC = {"metric_name": "m", "value": 1}


@pytest_asyncio.fixture(scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """Start a service in development."""
    data = tmp_path_factory.mktemp("data")
    async with run_service(Settings(data=data, store=data / "store")) as development_service:
        yield development_service


def is_answered(hosts: Hosts, host: str) -> bool:
    """Say whether a host is answered."""
    scope: Scope = {"headers": [(b"host", host.encode("latin-1"))]}
    with contextlib.suppress(AnalyticsError):
        hosts.check(scope)
        return True
    return False


LOOPBACK = ["localhost", "localhost:3011", "LOCALHOST", "api.localhost:1", "127.0.0.1:3011"]
LOOPBACK += ["127.1.2.3", "[::1]", "[::1]:3011", "localhost."]
PRIVATE = ["192.168.1.5:3011", "[fe80::1]", "8.8.8.8", "analytics:3011", "mac.local", "a.b.lan"]
PUBLIC = ["evil.example", "evil.example:3011", "127.0.0.1.nip.io", "localhost.evil.example", "a.b."]
PUBLIC += ["evil.com", "x" * 300 + ".com"]
BROKEN_HOSTS = [
    "[::1].evil.com",
    "\xe4.com",
    "localhost@evil.com",
    "evil\\\\@x",
    "[::1",
    "a:b",
    "localhost, evil.com",
]


@pytest.mark.parametrize("host", LOOPBACK + PRIVATE + PUBLIC)
def test_hosts(host: str) -> None:
    """Without a setting, development answers to all but public names, production to any."""
    assert is_answered(Hosts((), is_open=True), host) is (host not in PUBLIC)
    assert is_answered(Hosts((), is_open=False), host)


@pytest.mark.parametrize("host", BROKEN_HOSTS)
def test_malformed_hosts(host: str) -> None:
    """What is no host is answered nowhere."""
    assert not is_answered(Hosts((), is_open=True), host)
    assert not is_answered(Hosts((), is_open=False), host)
    assert not is_answered(Hosts(["localhost"], is_open=False), host)


@pytest.mark.parametrize("is_open", [True, False])
def test_configured_hosts(is_open: bool) -> None:
    """With a setting, the names in it and loopback names are answered, and no others."""
    settings = from_environment({"ANALYTICS_HOSTS": "App.example, 10.0.0.1,, ::2"})
    hosts = Hosts(settings.hosts, is_open=is_open)
    for host in ("app.example", "APP.example:443", "10.0.0.1:80", "[::2]:80", *LOOPBACK):
        assert is_answered(hosts, host), host
    for host in ("sub.app.example", "app.example.evil.com", "10.0.0.2", *PUBLIC, *PRIVATE):
        assert not is_answered(hosts, host), host


@pytest.mark.parametrize("path", ["/", "/metrics", "/graphql?query={__typename}", "/livez", "/x"])
async def test_every_path_checks_the_host(service: Service, path: str) -> None:
    """A page that rebinds its name to the service gets no answer of any path."""
    answer = await service.http.get(path, headers={"host": "evil.example"})
    assert (answer.status_code, error_code(answer)) == (400, "BAD_REQUEST")
    assert "evil.example" in answer.text
    answer = await service.post("/metrics", METRIC, host="evil.example")
    assert answer.status_code == 400


SIMPLE_TYPES = [
    *("", "text/plain", "text/plain;charset=UTF-8", "Text/Plain"),
    *("application/x-www-form-urlencoded", "multipart/form-data; boundary=x"),
]


@pytest.mark.parametrize("content_type", SIMPLE_TYPES)
@pytest.mark.parametrize("path", ["/metrics", "/events", "/metrics/batch", "/graphql"])
async def test_pages_of_other_sites(service: Service, path: str, content_type: str) -> None:
    """A page of another site can't write by a request that its browser sends without asking."""
    headers = {"content-type": content_type, "sec-fetch-site": "cross-site"}
    row = METRIC if path.startswith("/metrics") else {"event_name": "e"}
    answer = await service.post(path, row, **headers)
    assert answer.status_code == 403
    if path != "/graphql":
        for site in ("same-origin", "same-site", "none"):
            answer = await service.post(path, row, **headers | {"sec-fetch-site": site})
            assert answer.status_code == 200, site
        is_preflighted = headers | {"content-type": "application/json"}
        assert (await service.post(path, row, **is_preflighted)).status_code == 200
        request = KeyRequest("k", KeyKind.PUBLIC)
        _, secret = await service.context.store.keys.create(request)
        assert (await service.post(f"{path}?key={secret}", row, **headers)).status_code == 200


ANSWERS = ["/metrics", "/events", "/metrics/nobody", "/events?limit=x", "/health", "/nowhere"]
ANSWERS += ["/graphql?query={__typename}", "/graphql?query={", "/internal/metrics", "/readyz"]


@pytest.mark.parametrize("path", ANSWERS)
async def test_answers_are_neither_kept_nor_sniffed(service: Service, path: str) -> None:
    """No cache keeps an answer of the APIs, and no browser takes it for a page."""
    answer = await service.http.get(path)
    assert answer.headers.get_list("cache-control") == ["no-store"]
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]


async def test_recording_answers_are_neither_kept_nor_sniffed(service: Service) -> None:
    """The same holds on the fast lane, with and without an origin."""
    for headers in ({}, {"origin": "https://app.example"}):
        for body in (METRIC, {}):
            answer = await service.post("/metrics", body, **headers)
            assert answer.headers.get_list("cache-control") == ["no-store"]
            assert answer.headers.get_list("x-content-type-options") == ["nosniff"]


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("ANALYTICS_HOSTS", "https://app.example"),
        ("ANALYTICS_HOSTS", "app.example:443"),
        ("ANALYTICS_CORS_CREDENTIALS", "true"),
    ],
)
def test_wrong_settings(variable: str, text: str) -> None:
    """A wrong setting names itself and what it takes."""
    with pytest.raises(ValueError, match=f"{variable} must be"):
        from_environment({variable: text})
