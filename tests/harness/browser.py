"""Chromium beside a service that reaches nothing but itself, driven by Playwright."""

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

CHROMIUM: Final = shutil.which("chromium") or shutil.which("google-chrome")
needs_chromium: Final = pytest.mark.skipif(
    CHROMIUM is None and "CI" not in os.environ,
    reason="Chromium is not installed (apt-get install chromium); in CI this is a failure",
)

# A network of its own that has nothing but loopback, where this user may make one.
_ALONE: Final = ("unshare", "--net", "--", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
_CAN_BE_ALONE: Final = os.geteuid() == 0 and all(map(shutil.which, ("unshare", "nsenter", "ip")))

# Root may not use Chromium's own sandbox; the rest keeps it from asking for its maker's hosts.
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
    """Run a service in a network in which there is nothing else."""
    command = (*_ALONE, *SERVE) if _CAN_BE_ALONE else SERVE
    with Process(folder / "data", command, settings=settings) as process:
        process.await_output("Uvicorn running on")  # nobody outside can ask
        yield process


@contextlib.asynccontextmanager
async def chromium_for(process: Process, folder: Path) -> AsyncIterator[Browser]:
    """Run a browser in the network of a service."""
    assert CHROMIUM, "Chromium is not installed: apt-get install chromium"
    program = folder / "chromium"
    beside = f"nsenter --target {process.pid} --net -- " if _CAN_BE_ALONE else ""
    program.write_text(f'#!/bin/sh\nexec {beside}{CHROMIUM} "$@"\n')
    program.chmod(0o755)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=_OPTIONS)
        yield browser
        await browser.close()


@dataclass  # Playwright sets attributes on it
class Visit:
    """A visitor's page, and what went wrong or elsewhere on it."""

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
        """Note what the page asks for and what it complains of."""
        self.page.on("request", self._on_request)
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.problems.append(f"uncaught: {error}"))

    async def open(self, path: str, ready: str) -> None:
        """Open a page of the service, and wait for an element that shows when it is ready."""
        await self.page.goto(f"{self.base}{path}")
        await self.page.locator(ready).first.wait_for()

    async def graphql(self, query: str, **variables: object) -> Any:
        """Ask the service from the page; return the data of an answer without errors."""
        script = """async ([address, body]) => (await fetch(address, {
            method: "POST", headers: {"Content-Type": "application/json"}, body,
        })).json()"""
        body = msgspec.json.encode({"query": query, "variables": variables}).decode()
        content = await self.page.evaluate(script, [f"{self.base}/graphql", body])
        assert "errors" not in content, content
        return content["data"]

    def assert_clean(self) -> None:
        """Fail if anything was asked of another host, or complained of."""
        assert self.foreign_requests == []
        assert self.problems == []
