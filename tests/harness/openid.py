"""A certified provider of OpenID Connect in a process of its own, and a person's browser."""

import contextlib
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Self

import httpx
import msgspec

from tests.harness import javascript
from tests.harness.process import Process, free_port

CLIENT_ID: Final = "analytics"
SECRET: Final = "a-secret-of-the-tests-that-is-long-enough"

_ACTION: Final = re.compile(r'action="([^"]+)"')


@contextlib.contextmanager
def run_provider(
    folder: Path,
    service_port: int,
    people: Mapping[str, Mapping[str, Any]],
    settings: Mapping[str, str] = MappingProxyType({}),
    *,
    port: int | None = None,
    prefix: Sequence[str] = (),
) -> Iterator[Process]:
    """Run a provider that knows people by their names, for the service at a port.

    `prefix` is the begin of the command.
    """
    environment = {
        "PEOPLE": msgspec.json.encode(people).decode(),
        "REDIRECT_URI": " ".join(
            f"http://{host}:{service_port}/session/openid/callback"
            for host in ("127.0.0.1", "localhost")
        ),
        "CLIENT_SECRET": SECRET,
        **settings,
    }
    with Process(
        Path(tempfile.mkdtemp(dir=folder)) / "provider",  # its log begins empty
        (*prefix, str(javascript.NODE), "provider.ts"),
        port=port or free_port(),
        folder=javascript.CLIENTS,
        settings=environment,
    ) as provider:
        provider.await_output("issuer http")
        yield provider


class PersonsBrowser:
    """The browser of a person, with cookies of its own."""

    def __init__(self, service: Process) -> None:
        """Open the pages of a service."""
        self.base = f"http://127.0.0.1:{service.port}/"
        self.http = httpx.Client(trust_env=False, headers={"user-agent": "Person"}, timeout=30)

    def __enter__(self) -> Self:
        """Return the browser."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the browser."""
        self.http.close()

    def begin(self, base: str = "") -> httpx.Response:
        """Press the button of the provider on the page to sign in."""
        return self.http.post(
            f"{self.base}session/openid",
            json={"base": base or self.base},
            headers={"origin": self.base.rstrip("/"), "sec-fetch-site": "same-origin"},
        )

    def sign_in_at_provider(self, name: str) -> str:
        """Begin a sign-in, and give a name to the provider; return the callback's address."""
        answer = self._follow(self.http.get(self.begin().json()["location"]))
        for form in ({"prompt": "login", "login": name, "password": "p"}, {"prompt": "consent"}):
            if action := _ACTION.search(answer.text):
                answer = self._follow(self.http.post(action[1], data=form))
        return str(answer.headers["location"])

    def _follow(self, answer: httpx.Response) -> httpx.Response:
        """Follow redirects until a page, or until the way back to the service."""
        while answer.is_redirect and not answer.headers["location"].startswith(self.base):
            answer = self.http.get(answer.url.join(answer.headers["location"]))
        return answer

    def go(self, address: str) -> str:
        """Go to an address of the service, as the provider sends one; return where it leads."""
        answer = self.http.get(address, headers={"sec-fetch-site": "cross-site"})
        assert answer.status_code == 303, answer.text
        return str(httpx.URL(address).join(answer.headers["location"])).removeprefix(self.base)

    def sign_in(self, name: str) -> str:
        """Sign in; return the page that the browser ends at."""
        return self.go(self.sign_in_at_provider(name))

    def caller(self) -> dict[str, Any]:
        """Return what the pages know of their caller."""
        caller: dict[str, Any] = self.http.get(f"{self.base}session").json()
        return caller
