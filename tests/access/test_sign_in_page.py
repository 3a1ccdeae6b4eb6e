"""The page to sign in, in a browser: with a key, with a provider on another site, and out again."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final, Literal

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, ViewportSize, expect

from tests.harness import javascript
from tests.harness.access import make_key
from tests.harness.browser import (
    Visit,
    chromium_for,
    enter_network,
    isolated_service,
    needs_chromium,
)
from tests.harness.openid import CLIENT_ID, SECRET, run_provider
from tests.harness.process import Process, free_port

pytestmark = [needs_chromium, pytest.mark.slow]

SCREENSHOTS: Final = os.environ.get("SCREENSHOTS")
"""A folder for pictures of each state of the pages."""

DESKTOP: Final = ViewportSize(width=1280, height=800)
PHONE: Final = ViewportSize(width=390, height=844)
AXE: Final = javascript.CLIENTS / "node_modules/axe-core/axe.min.js"
PEOPLE: Final = {"ann": {"email": "ann@acme.example", "email_verified": True}}
EDITOR: Final = ".graphiql-query-editor .view-line"


@pytest.fixture(scope="module")
def issuer_port() -> int:
    """Choose a port for the provider."""
    return free_port()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the folder of the service."""
    return tmp_path_factory.mktemp("service")


@pytest.fixture(scope="module")
def key(folder: Path) -> str:
    """Make a key to sign in with, and one whose members may."""
    data = folder / "data"
    make_key("secret", "--name", "staff", "--member", "*@acme.example", data=data)
    return make_key("admin", "--name", "ops", data=data)


@pytest.fixture(scope="module")
def process(folder: Path, issuer_port: int, key: str) -> Iterator[Process]:
    """Start a service in production, with a provider that is not there yet."""
    assert key
    settings = {
        "ANALYTICS_ENV": "production",
        "ANALYTICS_OPENID_ISSUER": f"http://127.0.0.1:{issuer_port}",
        "ANALYTICS_OPENID_CLIENT": CLIENT_ID,
        "ANALYTICS_OPENID_SECRET": SECRET,
    }
    with isolated_service(folder, settings) as service:
        yield service


@pytest_asyncio.fixture(scope="module")
async def browser(process: Process, folder: Path) -> AsyncIterator[Browser]:
    """Start a browser for all tests of this file."""
    async with chromium_for(process, folder) as chromium:
        yield chromium


@pytest_asyncio.fixture
async def page(browser: Browser, process: Process) -> AsyncIterator[Page]:
    """Open an empty window whose addresses begin with the service; nobody is signed in."""
    async with await browser.new_context(
        viewport=DESKTOP,
        base_url=f"http://localhost:{process.port}/",
    ) as context:
        yield await context.new_page()


async def look_at(page: Page, name: str) -> None:
    """Check that a page fits each width and is accessible; take pictures if they are wanted."""
    fits = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    forms: list[tuple[ViewportSize, Literal["light", "dark"]]] = [
        *((PHONE, "light"), (PHONE, "dark")),
        *((DESKTOP, "dark"), (DESKTOP, "light")),
    ]
    for size, scheme in forms:
        await page.set_viewport_size(size)
        await page.emulate_media(color_scheme=scheme)
        assert await page.evaluate(fits), "it scrolls sideways"
        await page.evaluate(AXE.read_text())
        results = await page.evaluate("axe.run({exclude: ['#explorer']})")  # GraphiQL draws it
        serious = [
            (violation["id"], [node["html"] for node in violation["nodes"]])
            for violation in results["violations"]
            if violation["impact"] in ("serious", "critical")
        ]
        assert serious == []
        if SCREENSHOTS:
            await page.screenshot(path=Path(SCREENSHOTS) / f"{name}-{size['width']}-{scheme}.png")


async def sign_in(page: Page, key: str) -> None:
    """Give a key to the form, and press its button."""
    await page.get_by_label("Key").fill(key)
    await page.get_by_role("button", name="Sign in", exact=True).click()


async def test_sign_in_with_a_key(page: Page, key: str) -> None:
    """The start page and the explorer lead to the page to sign in, and from there back.

    Who signs out sees no figures any more.
    """
    await page.goto("")
    await expect(page.locator("#status")).to_have_text("Ready")
    await expect(page.locator("#sign-in")).to_be_visible()
    await expect(page.locator("#metric-count")).to_be_hidden()
    await look_at(page, "start-stranger")
    await page.goto("graphql?query=%7Bviewer%7Bproject%7D%7D")
    await page.wait_for_url("**/sign-in")
    await look_at(page, "sign-in")
    await sign_in(page, "admin_wrong")
    await expect(page.get_by_role("alert")).to_have_text("The key is unknown.")
    await look_at(page, "sign-in-wrong")
    await sign_in(page, key)
    await page.wait_for_url("**/graphql?query=**")
    await page.locator(EDITOR).first.wait_for()
    await page.locator(".graphiql-execute-button").click()
    await expect(page.locator(".result-window")).to_contain_text('"project": "default"')
    await look_at(page, "explorer-operator")
    await page.goto("")
    await expect(page.locator("#metric-count")).to_have_text("0")
    await look_at(page, "start-operator")
    await page.get_by_role("link", name="ops").click()
    await expect(page.locator("#signed-in")).to_be_visible()
    await look_at(page, "signed-in")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.locator("#signing-in")).to_be_visible()
    answer = await page.evaluate("fetch('metrics').then(({status}) => status)")
    assert answer == 401


async def test_provider_that_is_down(page: Page) -> None:
    """The page says that the provider can't be reached, and one may sign in with a key."""
    await page.goto("sign-in")
    await page.get_by_role("button", name="Continue with 127.0.0.1").click()
    await expect(page.get_by_role("alert")).to_contain_text("127.0.0.1 can't be reached now")
    await expect(page.get_by_label("Key")).to_be_visible()


async def test_sign_in_with_the_provider(
    page: Page, folder: Path, process: Process, issuer_port: int
) -> None:
    """A provider on another site sends the browser back, and the person is signed in."""
    button = page.get_by_role("button", name="Continue with 127.0.0.1")
    with run_provider(
        folder, process.port, PEOPLE, port=issuer_port, prefix=enter_network(process)
    ):
        await page.goto("sign-in?next=")
        await button.click()
        await page.locator("[name=login]").fill("joe")
        await page.locator("[name=password]").fill("p")
        await page.locator("[type=submit]").click()
        await page.locator("[type=submit]").click()
        await page.wait_for_url("**/sign-in")
        await expect(page.get_by_role("alert")).to_contain_text("Ask your operator")
        await look_at(page, "sign-in-forbidden")
        await page.context.clear_cookies(domain="127.0.0.1")
        await page.goto("sign-in?next=")
        await button.click()
        await page.locator("[name=login]").fill("ann")
        await page.locator("[name=password]").fill("p")
        await page.locator("[type=submit]").click()
        await page.locator("[type=submit]").click()
        await expect(page.locator("#account")).to_have_text("ann@acme.example")
        await expect(page.locator("#event-count")).to_have_text("0")
        await look_at(page, "start-member")


async def test_next_page_is_ours(page: Page, key: str, process: Process) -> None:
    """A link to the page to sign in leads to no foreign page, whatever it says."""
    for number, address in enumerate(
        (
            "//evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "/evil",
            "..",
            "graphql/x",
        )
    ):
        await page.context.clear_cookies()
        await page.goto(f"sign-in?next={address}&try={number}")
        await sign_in(page, key)
        await page.wait_for_url(f"http://localhost:{process.port}/")


async def test_policy(page: Page, key: str, process: Process) -> None:
    """The pages keep to their content security policy, and ask no other host."""
    visit = Visit(page, f"http://localhost:{process.port}")
    visit.watch()
    await visit.open("/sign-in", "#signing-in:not([hidden])")
    await sign_in(page, key)
    await page.locator("#metric-count").wait_for()
    await visit.open("/sign-in", "#signed-in:not([hidden])")
    visit.assert_clean()
