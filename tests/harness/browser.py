"""Chromium, driven by Playwright, in one network with a service and nothing else."""

import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import pytest
from playwright.async_api import (
    Browser,
    ConsoleMessage,
    Page,
    Request,
    async_playwright,
)

from tests.harness.process import SERVE, Process

# Without windows it takes a sixth less time.
_PROGRAMS: Final = ("chromium-headless-shell", "chromium", "google-chrome")
CHROMIUM: Final = next(filter(None, map(shutil.which, _PROGRAMS)), None)
needs_chromium: Final = pytest.mark.skipif(
    CHROMIUM is None and "CI" not in os.environ,
    reason="Chromium is not installed (apt-get install chromium); in CI this is a failure",
)

# A new network with loopback only; to create it takes root.
_ISOLATE: Final = ("unshare", "--net", "--", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
_CAN_ISOLATE: Final = os.geteuid() == 0 and all(map(shutil.which, ("unshare", "nsenter", "ip")))

# Root may not use Chromium's own sandbox. The other options stop requests to its maker's hosts.
_OPTIONS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextlib.contextmanager
def isolated_service(
    folder: Path, settings: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Process]:
    """Run a service in a network without other hosts, where this user may create one."""
    command = (*_ISOLATE, *SERVE) if _CAN_ISOLATE else SERVE
    with Process(folder / "data", command, settings=settings) as process:
        process.await_output("Uvicorn running on")  # /readyz is out of reach from here
        yield process


def enter_network(process: Process) -> tuple[str, ...]:
    """Return the begin of a command that runs a program in the network of a service."""
    return ("nsenter", "--target", str(process.pid), "--net", "--") if _CAN_ISOLATE else ()


@contextlib.asynccontextmanager
async def chromium_for(process: Process, folder: Path) -> AsyncIterator[Browser]:
    """Run a browser in the network of a service."""
    assert CHROMIUM, "Chromium is not installed: apt-get install chromium"
    program = folder / "chromium"
    command = " ".join((*enter_network(process), CHROMIUM))
    program.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    program.chmod(0o755)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=_OPTIONS)
        yield browser
        await browser.close()


@dataclass  # Playwright sets attributes on it
class Visit:
    """A visitor's page, its errors and warnings, and its requests to other hosts."""

    page: Page
    base: str
    foreign_requests: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def _on_request(self, request: Request) -> None:
        origin = f"http://{urlsplit(self.base).netloc}/"
        if not request.url.startswith((f"{self.base}/", "data:", f"blob:{origin}")):
            self.foreign_requests.append(request.url)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"{message.type}: {message.text}")

    def watch(self) -> None:
        """Collect the page's requests to other hosts, its errors and its warnings."""
        self.page.on("request", self._on_request)
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.problems.append(f"uncaught: {error}"))

    async def open(self, path: str, ready: str) -> None:
        """Open a page of the service, and wait for the element `ready`."""
        await self.page.goto(f"{self.base}{path}")
        await self.page.locator(ready).first.wait_for()

    async def graphql(self, query: str, **variables: object) -> Any:
        """Run a GraphQL operation from the page; return the data of an answer without errors."""
        script = """async ([address, body]) => (await fetch(address, {
            method: "POST", headers: {"Content-Type": "application/json"}, body,
        })).json()"""
        body = msgspec.json.encode({"query": query, "variables": variables}).decode()
        content = await self.page.evaluate(script, [f"{self.base}/graphql", body])
        assert "errors" not in content, content
        return content["data"]

    def assert_clean(self) -> None:
        """Fail if the page sent a request to another host, or logged an error or warning."""
        assert self.foreign_requests == []
        assert self.problems == []
