"""OpenID Connect: people sign in with a certified provider, and get the rights of a key.

The provider and the service are processes of their own; a client plays the browser.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Final, TypeAlias

import httpx
import pytest

from settings import InvalidSettingError, from_environment
from tests.harness.access import make_key
from tests.harness.openid import CLIENT_ID, SECRET, PersonsBrowser, run_provider
from tests.harness.process import Process, free_port

PEOPLE: Final[dict[str, dict[str, Any]]] = {
    "ann": {"email": "Ann@acme.example", "email_verified": True, "name": "Ann", "groups": ["ops"]},
    "bob": {"email": "bob@acme.example", "email_verified": True},
    "eve": {"email": "ann@acme.example", "email_verified": False, "name": "Eve"},
    "joe": {"email": "joe@other.example", "email_verified": True},
}


OpenBrowser: TypeAlias = Callable[[Process], PersonsBrowser]


@pytest.fixture
def open_browser() -> Iterator[OpenBrowser]:
    """Open browsers of people, until the end of the test."""
    with contextlib.ExitStack() as stack:
        yield lambda service: stack.enter_context(PersonsBrowser(service))


def settings(issuer_port: int, **extra_settings: str) -> dict[str, str]:
    """Return the settings of a service in production that uses a provider."""
    return {
        "ANALYTICS_ENV": "production",
        "ANALYTICS_OPENID_ISSUER": f"http://127.0.0.1:{issuer_port}",
        "ANALYTICS_OPENID_CLIENT": CLIENT_ID,
        "ANALYTICS_OPENID_SECRET": SECRET,
        **extra_settings,
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the data folder with keys that have members."""
    folder = tmp_path_factory.mktemp("openid")
    data = folder / "data"
    make_key(
        "secret",
        "--name",
        "staff",
        "--scope",
        "query",
        "--member",
        "*@acme.example",
        data=data,
    )
    make_key("admin", "--name", "operators", "--member", "group:ops", data=data)
    return folder


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[Process]:
    """Run the service, and the provider that it sends people to."""
    port = free_port()
    with (
        run_provider(folder, port, PEOPLE) as provider,
        Process(folder / "data", port=port, settings=settings(provider.port)) as service,
    ):
        service.await_ready()
        yield service


def test_members_sign_in(service: Process, open_browser: OpenBrowser) -> None:
    """A person gets the rights of the key that names him most closely: a group before a domain."""
    assert service.http.get("/session").json()["provider"] == "127.0.0.1"
    for name, person, scopes in (("ann", "Ann@acme.example", 6), ("bob", "bob@acme.example", 1)):
        browser = open_browser(service)
        assert browser.sign_in(name) == "sign-in"
        caller = browser.caller()
        assert (caller["person"], len(caller["scopes"])) == (person, scopes)
        assert browser.http.get(f"{browser.base}metrics").status_code == 200
        assert "analytics-session" in browser.http.cookies
        assert "analytics-sign-in" not in browser.http.cookies


@pytest.mark.parametrize("name", ["eve", "joe", "nobody"])
def test_strangers(service: Process, open_browser: OpenBrowser, name: str) -> None:
    """The provider's word for an address that it did not verify counts for nothing."""
    browser = open_browser(service)
    assert browser.sign_in(name) == "sign-in?failure=forbidden"
    assert browser.caller()["person"] is None


def test_sign_ins_of_other_browsers(service: Process, open_browser: OpenBrowser) -> None:
    """A callback counts once, and in the browser that began: nobody signs another person in."""
    ann, victim = open_browser(service), open_browser(service)
    address = ann.sign_in_at_provider("ann")
    assert victim.go(address) == "sign-in?failure=unauthenticated"
    victim.begin()
    assert victim.go(address) == "sign-in?failure=unauthenticated"
    assert victim.caller()["person"] is None
    cookie = ann.http.cookies["analytics-sign-in"]
    assert ann.go(address) == "sign-in"
    ann.http.cookies.set("analytics-sign-in", cookie)
    assert ann.go(address) == "sign-in?failure=unauthenticated", "the code was used"


@pytest.mark.parametrize(
    "query", ["", "code=x", "state=x", "code=x&state=x", "error=access_denied&state=x", "code=%00"]
)
def test_callbacks_without_a_sign_in(
    service: Process, open_browser: OpenBrowser, query: str
) -> None:
    """A callback that no provider sent is no sign-in, and no fault of the service."""
    browser = open_browser(service)
    for _ in range(2):
        address = f"{browser.base}session/openid/callback?{query}"
        assert browser.go(address) == "sign-in?failure=unauthenticated"
        browser.begin()


def test_pages_that_begin(service: Process, open_browser: OpenBrowser) -> None:
    """Only our own page begins a sign-in, and the way back leads to it."""
    browser = open_browser(service)
    for base in ("http://evil.example/", f"{browser.base.rstrip('/')}.evil.example/"):
        answer = browser.begin(base)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["extensions"]["field"] == "base"
    address = f"{browser.base}session/openid"
    for headers in ({"origin": "http://evil.example"}, {"sec-fetch-site": "same-site"}):
        answer = browser.http.post(address, json={"base": browser.base}, headers=headers)
        assert answer.status_code == 403
    answer = browser.http.post(address, json={"base": browser.base})
    assert answer.status_code == 422, "a way back needs the origin of the page"


def test_the_secret_is_no_output(service: Process, open_browser: OpenBrowser) -> None:
    """The log has neither the client's secret nor a person's address."""
    open_browser(service).sign_in("ann")
    for text in (SECRET, "acme.example", "code="):
        assert text not in service.output()


@pytest.mark.parametrize(
    ("provider_settings", "service_settings"),
    [
        ({"CLIENT_SECRET": ""}, {"ANALYTICS_OPENID_SECRET": ""}),
        ({"CLAIMS_IN": "userinfo"}, {}),
    ],
    ids=["without a secret", "claims at the userinfo endpoint"],
)
def test_other_providers(
    tmp_path: Path,
    open_browser: OpenBrowser,
    provider_settings: dict[str, str],
    service_settings: dict[str, str],
) -> None:
    """A client needs no secret, and claims may be in the token or at the userinfo endpoint.

    A provider that is not there yet, or is down for a while, is asked again.
    """
    data = tmp_path / "data"
    make_key("admin", "--name", "operators", "--member", "ann@acme.example", data=data)
    issuer_port = free_port()
    with Process(data, settings=settings(issuer_port, **service_settings)) as service:
        service.await_ready()
        browser = open_browser(service)
        answer = browser.begin()
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        for _ in range(2):
            with run_provider(tmp_path, service.port, PEOPLE, provider_settings, port=issuer_port):
                assert browser.sign_in("ann") == "sign-in"
                assert browser.caller()["person"] == "Ann@acme.example"
                address = browser.sign_in_at_provider("ann")
            assert browser.go(address) == "sign-in?failure=unauthenticated", "nobody to ask"


def test_another_issuer(tmp_path: Path, open_browser: OpenBrowser) -> None:
    """A provider that claims to be another one is not used."""
    data = tmp_path / "data"
    make_key("admin", "--name", "operators", "--member", "ann@acme.example", data=data)
    issuer_port = free_port()
    issuer = f"http://localhost:{issuer_port}"
    with (
        Process(data, settings=settings(0, ANALYTICS_OPENID_ISSUER=issuer)) as service,
        run_provider(tmp_path, service.port, PEOPLE, port=issuer_port),
    ):
        service.await_ready()
        assert open_browser(service).begin().status_code == 503
        assert f"its issuer is http://127.0.0.1:{issuer_port}, not {issuer}" in service.output()


class _Nonsense(BaseHTTPRequestHandler):
    """A server that answers all requests with one body."""

    body = b""

    def do_GET(self) -> None:
        """Answer with the body."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_nonsense(tmp_path: Path, open_browser: OpenBrowser) -> None:
    """A provider that answers nonsense can't be used now; later it can, without a restart."""
    data = tmp_path / "data"
    make_key("admin", "--name", "operators", "--member", "ann@acme.example", data=data)
    issuer_port = free_port()
    with Process(data, settings=settings(issuer_port)) as service:
        service.await_ready()
        browser = open_browser(service)
        with HTTPServer(("127.0.0.1", issuer_port), _Nonsense) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            issuer = b'{"issuer": "http://127.0.0.1:%d"' % issuer_port
            for _Nonsense.body in (
                *(b"", b"<html>", b"[]", b"1", b'"x"', b"null", b"{}", b'{"issuer": []}'),
                issuer + b', "scopes_supported": 1, "authorization_endpoint": 1}',
            ):
                answer = browser.begin()
                assert (answer.status_code, _Nonsense.body) == (503, _Nonsense.body)
            server.shutdown()
            thread.join()
        with run_provider(tmp_path, service.port, PEOPLE, port=issuer_port):
            assert browser.sign_in("ann") == "sign-in"


def test_settings() -> None:
    """An issuer is an address on https, and needs the id of the client."""
    good = {
        "ANALYTICS_OPENID_ISSUER": "https://login.example/realms/a",
        "ANALYTICS_OPENID_CLIENT": "a",
        "ANALYTICS_OPENID_SECRET": "hidden",
    }
    assert "hidden" not in repr(from_environment(good))
    for issuer in (
        "login.example",
        "http://login.example",
        "https://",
        "https://u:p@login.example",
    ):
        with pytest.raises(InvalidSettingError, match="ANALYTICS_OPENID_ISSUER must be an address"):
            from_environment(good | {"ANALYTICS_OPENID_ISSUER": issuer})
    for name in ("ANALYTICS_OPENID_ISSUER", "ANALYTICS_OPENID_CLIENT"):
        with pytest.raises(InvalidSettingError, match="need one another"):
            from_environment(good | {name: ""})


def test_without_a_provider(tmp_path: Path, open_browser: OpenBrowser) -> None:
    """A service without a provider says so."""
    with Process(tmp_path / "data") as service:
        service.await_ready()
        browser = open_browser(service)
        answer = browser.begin()
        assert answer.status_code == httpx.codes.NOT_FOUND
        assert "ANALYTICS_OPENID_ISSUER" in answer.text
        assert browser.go(f"{browser.base}session/openid/callback") == "sign-in?failure=not_found"
