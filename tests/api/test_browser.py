"""The pages in a browser, in a network with only the service."""

import os
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, ViewportSize, expect

from tests.harness import javascript
from tests.harness.browser import Visit, chromium_for, isolated_service, needs_chromium
from tests.harness.process import Process

pytestmark = [needs_chromium, pytest.mark.slow]

SCREENSHOTS: Final = os.environ.get("SCREENSHOTS")
"""A folder for pictures of every page."""

READY: Final = {
    "/": ".status.good",
    "/graphql": ".graphiql-query-editor .view-line",
    "/docs": ".opblock",
    "/redoc": "[data-section-id]",
}
DESKTOP: Final = ViewportSize(width=1280, height=800)
PHONE: Final = ViewportSize(width=390, height=844)
AXE: Final = javascript.CLIENTS / "node_modules/axe-core/axe.min.js"
RUN: Final = ".graphiql-execute-button"
NUMBERS: Final = '{metric(name:"browsed"){query(range:{last:"PT1H"}){series{total{count sum}}}}}'


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Start a service for all tests of this file."""
    with isolated_service(tmp_path_factory.mktemp("service")) as service:
        yield service


@pytest_asyncio.fixture(scope="module")
async def browser(
    process: Process, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Browser]:
    """Start a browser for all tests of this file."""
    async with chromium_for(process, tmp_path_factory.mktemp("browser")) as chromium:
        yield chromium


@pytest_asyncio.fixture
async def visit(browser: Browser, process: Process) -> AsyncIterator[Visit]:
    """Open an empty window; fail at its end if the page had errors or used another host."""
    async with await browser.new_context(viewport=DESKTOP) as context:
        new_visit = Visit(await context.new_page(), f"http://127.0.0.1:{process.port}")
        new_visit.watch()
        yield new_visit
        new_visit.assert_clean()


async def _type_query(visit: Visit, text: str) -> None:
    """Replace the text of the editor by keys."""
    editor = visit.page.locator(".graphiql-query-editor .monaco-editor").first
    await editor.click()
    await visit.page.keyboard.press("Control+A")
    await visit.page.keyboard.press("Delete")
    await visit.page.keyboard.insert_text(text)


async def _answer_of(visit: Visit, key: str = "Control+Enter") -> Any:
    """Run the query of the editor; return the answer of the service."""
    async with visit.page.expect_response("**/graphql") as response:
        await visit.page.keyboard.press(key)
    return await (await response.value).json()


@pytest.mark.parametrize(
    ("size", "schemes"),
    [(DESKTOP, ("light", "dark")), (PHONE, ("dark", "light"))],
    ids=["desktop", "phone"],
)
@pytest.mark.parametrize("path", READY)
async def test_page(
    browser: Browser,
    process: Process,
    path: str,
    size: ViewportSize,
    schemes: Sequence[Literal["light", "dark"]],
) -> None:
    """Each page appears without another host and without an error, at any width.

    It follows a change of the color scheme. Axe finds nothing serious in our elements.
    """
    context = await browser.new_context(viewport=size, color_scheme=schemes[0])
    async with context:
        visit = Visit(await context.new_page(), f"http://127.0.0.1:{process.port}")
        visit.watch()
        await visit.open(path, READY[path])
        for scheme in schemes:
            await visit.page.emulate_media(color_scheme=scheme)
            await _assert_shown(visit, path, f"{size['width']}-{scheme}")
        visit.assert_clean()


async def _assert_shown(visit: Visit, path: str, form: str) -> None:
    """Check the width of a page and its elements; take a picture if that is wanted."""
    if path != "/redoc":  # its own width, not ours
        fits = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        assert await visit.page.evaluate(fits), "it scrolls sideways"
    if SCREENSHOTS:
        await visit.page.wait_for_timeout(1000)
        name = f"{path.strip('/') or 'start'}-{form}.png"
        await visit.page.screenshot(path=Path(SCREENSHOTS) / name)
    if path != "/graphql":  # GraphiQL draws all of it
        await _assert_accessible(visit.page, path)


async def _assert_accessible(page: Page, path: str) -> None:
    """Check our elements with Axe, without the elements of Swagger UI and ReDoc."""
    await page.evaluate(AXE.read_text())
    foreign_elements = [] if path == "/" else [["#main > *"]]
    results = await page.evaluate("theirs => axe.run({exclude: theirs})", foreign_elements)
    serious = [
        (violation["id"], [node["html"] for node in violation["nodes"]])
        for violation in results["violations"]
        if violation["impact"] in ("serious", "critical")
    ]
    assert serious == []
    assert results["passes"]


async def test_query_is_typed_and_run(visit: Visit) -> None:
    """The explorer runs a typed query, and shows the right numbers."""
    await visit.open("/graphql", READY["/graphql"])
    record = "mutation($m: [MetricInput!]!) {recordMetrics(input: {metrics: $m}) {accepted}}"
    points = [{"name": "browsed", "value": value} for value in (1, 2, 39)]
    assert await visit.graphql(record, m=points) == {"recordMetrics": {"accepted": 3}}
    await _type_query(visit, NUMBERS)
    answer = await _answer_of(visit)
    (series,) = answer["data"]["metric"]["query"]["series"]
    assert series["total"] == {"count": 3, "sum": 42}
    response = visit.page.locator(".graphiql-response")
    await expect(response).to_contain_text('"count": 3')
    await expect(response).to_contain_text('"sum": 42')


async def test_names_are_completed(visit: Visit) -> None:
    """The editor suggests names of the schema, and Enter takes one."""
    await visit.open("/graphql", READY["/graphql"])
    await _type_query(visit, "{ heal")
    await visit.page.keyboard.press("Control+Space")
    suggestions = visit.page.locator(".suggest-widget .monaco-list-row", has_text="health")
    await expect(suggestions.first).to_be_visible()
    await visit.page.keyboard.press("Enter")
    await visit.page.keyboard.insert_text(" { status } }")
    assert (await _answer_of(visit))["data"] == {"health": {"status": "OK"}}


async def test_examples_run_as_they_are(visit: Visit) -> None:
    """A new visitor has our examples as tabs, and each answers without an error."""
    await visit.open("/graphql", READY["/graphql"])
    names = [name.strip() for name in await visit.page.locator(".graphiql-tab").all_inner_texts()]
    assert names == ["WhatIsHere", "Record", "ResponseTime", "Signups", "Discover"]
    for name in names:
        await visit.page.locator(".graphiql-tab", has_text=name).first.click()
        async with visit.page.expect_response("**/graphql") as response:
            await visit.page.locator(RUN).click()
        answer = await (await response.value).json()
        assert "errors" not in answer, (name, answer)
        if SCREENSHOTS and name == "ResponseTime":
            await visit.page.get_by_role("button", name="Show Documentation Explorer").click()
            await visit.page.wait_for_timeout(1000)
            await visit.page.screenshot(path=Path(SCREENSHOTS) / "explorer.png")


async def test_headers_are_sent(visit: Visit) -> None:
    """The headers of the editor go with the request: a key, for example."""
    await visit.open("/graphql", READY["/graphql"])
    call = 'createApiKey(input: {name: "explorer", kind: SECRET})'
    key = (await visit.graphql(f"mutation {{{call} {{secret}}}}"))["createApiKey"]["secret"]
    await visit.page.get_by_role("button", name="Headers").click()
    await visit.page.locator(".graphiql-editor-tool .monaco-editor:visible").click()
    await visit.page.keyboard.press("Control+A")
    await visit.page.keyboard.insert_text(f'{{"Authorization": "Bearer {key}"}}')
    await _type_query(visit, "{health {status}}")
    async with visit.page.expect_request("**/graphql") as request:
        await visit.page.keyboard.press("Control+Enter")
    assert (await request.value).headers["authorization"] == f"Bearer {key}"


async def test_history_and_documentation(visit: Visit) -> None:
    """The history has each executed query, and the schema is documented next to the editor."""
    await visit.open("/graphql", READY["/graphql"])
    await _type_query(visit, "query Remembered {health {status}}")
    tab = visit.page.locator(".graphiql-tab-active")
    await expect(tab).to_contain_text("Remembered")  # the history keeps it by this name
    await _answer_of(visit)
    await visit.page.get_by_role("button", name="Show History").click()
    await expect(visit.page.locator(".graphiql-history")).to_contain_text("Remembered")
    await visit.page.get_by_role("button", name="Show Documentation Explorer").click()
    documentation = visit.page.locator(".graphiql-doc-explorer")
    await documentation.get_by_role("link", name="Query").click()
    await expect(documentation).to_contain_text("eventTrend")


async def test_links_to_operations(visit: Visit) -> None:
    """A link to an operation opens with the operation; the button makes such a link."""
    await visit.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await visit.open("/graphql#query=%7Bhealth%7Bstatus%7D%7D", READY["/graphql"])
    await expect(visit.page.locator(".graphiql-query-editor")).to_contain_text("{health{status}}")
    await visit.page.get_by_role("button", name="Link to this operation").click()
    link = f"{visit.base}/graphql#query=%7Bhealth%7Bstatus%7D%7D"
    await expect(visit.page).to_have_url(link)
    assert await visit.page.evaluate("navigator.clipboard.readText()") == link


async def test_start_page_follows_the_service(visit: Visit) -> None:
    """The start page counts the stored rows, and rows that arrive while it is open."""
    await visit.open("/", READY["/"])
    event_count = int(await visit.page.locator("#event-count").inner_text())
    record = "mutation($e: [EventInput!]!) {recordEvents(input: {events: $e}) {accepted}}"
    await visit.graphql(record, e=[{"name": "seen"}] * 7)
    await expect(visit.page.locator("#event-count")).to_have_text(str(event_count + 7))
    await expect(visit.page.locator("#status")).to_have_text("Ready")


async def test_start_page_can_be_copied_from(visit: Visit) -> None:
    """The first curl has the address of this service, and its button copies it."""
    await visit.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await visit.open("/", READY["/"])
    await visit.page.get_by_role("button", name="Copy").first.click()
    await expect(visit.page.get_by_role("button", name="Copied")).to_be_visible()
    clipboard = await visit.page.evaluate("navigator.clipboard.readText()")
    assert clipboard.startswith(f"curl -X POST {visit.base}/metrics ")


async def test_keyboard(visit: Visit) -> None:
    """Tab reaches a link past the bar and all controls, with a visible focus."""
    await visit.open("/", READY["/"])
    await visit.page.keyboard.press("Tab")
    skip = visit.page.get_by_role("link", name="Skip to content")
    await expect(skip).to_be_focused()
    await expect(skip).to_be_in_viewport()
    focus_texts = []
    for _ in range(40):
        await visit.page.keyboard.press("Tab")
        text = "document.activeElement.textContent.trim().slice(0, 20)"
        focus_texts.append(await visit.page.evaluate(text))
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        if await visit.page.evaluate("document.activeElement === document.body"):
            break
        assert await visit.page.evaluate(outline) != "none", focus_texts[-1]
    expected = ["Explorer", "REST API", "REST reference", "Copy", "Health", "OpenAPI"]
    assert set(expected) <= set(focus_texts)


async def test_rest_can_be_tried(visit: Visit) -> None:
    """Swagger UI sends a request and shows the answer."""
    await visit.open("/docs", READY["/docs"])
    operation = visit.page.locator(".opblock", has_text="/health").first
    await operation.locator(".opblock-summary-control").click()
    await operation.get_by_role("button", name="Execute").click()
    answer = operation.locator(".live-responses-table")
    await expect(answer).to_contain_text('"ok": true')


async def test_rest_reference_has_every_path(visit: Visit) -> None:
    """ReDoc shows each operation."""
    await visit.open("/redoc", READY["/redoc"])
    for path in ("/metrics/batch", "/events", "/dashboard"):
        await expect(visit.page.locator("#main")).to_contain_text(path)


async def test_below_a_prefix(tmp_path: Path) -> None:
    """Under a prefix every page works, and the explorer uses the service there."""
    with isolated_service(tmp_path, {"ROOT_PATH": "/analytics"}) as process:
        async with chromium_for(process, tmp_path) as browser:
            base = f"http://127.0.0.1:{process.port}/analytics"
            visit = Visit(await browser.new_page(), base)
            visit.watch()
            for path, ready in READY.items():
                await visit.open(path, ready)
            await visit.open("/graphql", READY["/graphql"])
            await _type_query(visit, "{health {status}}")
            assert (await _answer_of(visit))["data"] == {"health": {"status": "OK"}}
            visit.assert_clean()


async def test_start_page_of_an_empty_service(tmp_path: Path) -> None:
    """The page of an empty service waits for the first row, and shows its arrival."""
    with isolated_service(tmp_path) as process:
        async with chromium_for(process, tmp_path) as browser:
            visit = Visit(await browser.new_page(), f"http://127.0.0.1:{process.port}")
            await visit.open("/", READY["/"])
            arrival = visit.page.locator("#arrival")
            await expect(arrival).to_have_text("Waiting for the first row…")
            record = 'mutation {recordEvents(input: {events: [{name: "first"}]}) {accepted}}'
            await visit.graphql(record)
            await expect(arrival).to_have_text("Stored: both APIs return it.")
            process.kill()
            await expect(visit.page.locator("#status")).to_have_text("Not reachable")
