"""The dashboards in a browser, in a network with only the service."""

import gzip
import os
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Response, ViewportSize, expect

from tests.harness import javascript
from tests.harness.access import make_key
from tests.harness.browser import Visit, chromium_for, isolated_service, needs_chromium
from tests.harness.process import Process

pytestmark = [needs_chromium, pytest.mark.slow]

SCREENSHOTS: Final = os.environ.get("SCREENSHOTS")
"""A folder for pictures of the dashboards."""

DESKTOP: Final = ViewportSize(width=1440, height=900)
PHONE: Final = ViewportSize(width=390, height=844)
AXE: Final = javascript.CLIENTS / "node_modules/axe-core/axe.min.js"
MOST_SCRIPT: Final = 45 * 1024
"""Bytes of compressed script that the first picture may fetch."""

MENUS: Final = ("Time range", "Comparison", "Add a filter", "Events over time: more")
READY: Final = ".overview[aria-busy=false] .plot canvas"
RECORD: Final = """mutation Record($events: [EventInput!]!) {
  recordEvents(input: {events: $events}) { accepted }
}"""
LONG_PAGE: Final = "/blog/" + "how-to-descale-an-espresso-machine-" * 5
PAGES: Final = ("/", "/pricing", LONG_PAGE, *(f"/products/{number}" for number in range(12)))
COUNTRIES: Final = ("DE", "US", "FR")


def _events(now: datetime) -> list[dict[str, Any]]:
    """Make 10 users with 3 views a day: 2 days of the last week, and 1 day of the week before."""
    return [
        {
            "name": "page_view",
            "userId": f"user {user}",
            "sessionId": f"{days} {user}",
            "time": (now - timedelta(days=days, minutes=view)).isoformat(),
            "properties": {
                "page": PAGES[(user + view) % len(PAGES)],
                "country": COUNTRIES[user % 2 if user < 8 else 2],
                "is_new": user < 3,
            },
        }
        for days in (1, 2, 8)
        for user in range(10)
        for view in range(3)
    ]


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Start a service for the tests that look at its events."""
    with isolated_service(tmp_path_factory.mktemp("service")) as service:
        yield service


@pytest_asyncio.fixture(scope="module")
async def browser(
    process: Process, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Browser]:
    """Start a browser, and record the events of all tests from it."""
    async with chromium_for(process, tmp_path_factory.mktemp("browser")) as chromium:
        page = await chromium.new_page()
        visit = Visit(page, f"http://127.0.0.1:{process.port}")
        await page.goto(visit.base)
        await visit.graphql(RECORD, events=_events(datetime.now(UTC)))
        await page.close()
        yield chromium


@pytest_asyncio.fixture
async def visit(browser: Browser, process: Process) -> AsyncIterator[Visit]:
    """Open an empty window; fail at its end if the page had errors or used another host."""
    context = await browser.new_context(viewport=DESKTOP, timezone_id="UTC")
    async with context:
        new_visit = Visit(await context.new_page(), f"http://127.0.0.1:{process.port}")
        new_visit.watch()
        yield new_visit
        new_visit.assert_clean()


def _figure(page: Page, title: str) -> Any:
    return page.locator(".kpi", has_text=title).locator(".kpi-value")


async def _look_at(page: Page, name: str, part: str = "html") -> None:
    """Check that a page fits its width and axe finds nothing in a part; take a picture."""
    fits = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    assert await page.evaluate(fits), "it scrolls sideways"
    await page.evaluate(AXE.read_text())
    results = await page.evaluate("axe.run", part)
    assert [
        (violation["id"], [node["html"] for node in violation["nodes"]])
        for violation in results["violations"]
    ] == []
    if SCREENSHOTS:
        await page.screenshot(path=Path(SCREENSHOTS) / f"dashboards-{name}.png")


@pytest.mark.parametrize(
    ("size", "schemes"),
    [(DESKTOP, ("dark", "light")), (PHONE, ("light", "dark"))],
    ids=["desktop", "phone"],
)
async def test_page(
    browser: Browser,
    process: Process,
    size: ViewportSize,
    schemes: Sequence[Literal["light", "dark"]],
) -> None:
    """The overview and its menus are accessible and silent, at any width, in light and dark."""
    async with await browser.new_context(viewport=size, reduced_motion="reduce") as context:
        visit = Visit(await context.new_page(), f"http://127.0.0.1:{process.port}")
        visit.watch()
        await visit.open("/dashboards#filter=not:property.page:/nowhere", READY)
        for scheme in schemes:
            await visit.page.emulate_media(color_scheme=scheme)
            await _look_at(visit.page, f"overview-{size['width']}-{scheme}")
        form = f"{size['width']}-{schemes[-1]}"
        for menu in MENUS:
            await visit.page.get_by_role("button", name=menu).first.click()
            await visit.page.locator(".sheet :is(button, a)").first.wait_for()
            await _look_at(visit.page, f"{menu.split()[-1]}-{form}", ".menu:has(.sheet)")
            await visit.page.keyboard.press("Escape")
        await visit.page.get_by_text("Values as a table").click()
        await visit.page.locator(".values td").first.wait_for()
        await visit.page.get_by_role("button", name="Show all").first.click()
        await visit.page.locator("dialog .row .value").first.wait_for()
        await _look_at(visit.page, f"all-{form}", "dialog")
        visit.assert_clean()


async def test_figures(visit: Visit) -> None:
    """The figures are those of the events, with their change from the week before."""
    await visit.open("/dashboards", READY)
    await expect(_figure(visit.page, "Unique users")).to_have_text("10")
    await expect(_figure(visit.page, "Sessions").first).to_have_text("20")
    events = visit.page.get_by_role("button", name="Events 60")
    await expect(events).to_contain_text("up 100 %")
    await expect(events).to_contain_text("from 30")
    rows = visit.page.get_by_label("Places").locator(".row")
    await expect(rows).to_have_text(
        [
            re.compile(r"^(Germany|United States)24\s?40"),
            re.compile(r"^(Germany|United States)24"),
            "France1220 %",
        ]
    )


async def test_script_is_small(visit: Visit) -> None:
    """The first picture fetches at most 45 kB of compressed script, and asks two questions."""
    scripts: list[Response] = []
    questions: list[str] = []
    visit.page.on(
        "response", lambda answer: scripts.append(answer) if answer.url.endswith(".js") else None
    )
    visit.page.on(
        "request",
        lambda request: (
            questions.append(request.post_data or "") if request.url.endswith("/graphql") else None
        ),
    )
    await visit.open("/dashboards", READY)
    sizes = [len(gzip.compress(await script.body(), 9)) for script in scripts]
    assert scripts
    assert sum(sizes) <= MOST_SCRIPT, sizes
    assert sum("query Now" not in question for question in questions) == 2


async def test_row_filters_everything(visit: Visit) -> None:
    """A click on a row filters all panels; the address has the filter, and back takes it away."""
    await visit.open("/dashboards", READY)
    await visit.page.get_by_role("button", name="France").click()
    await expect(_figure(visit.page, "Unique users")).to_have_text("2")
    assert "filter=is:property.country:FR" in visit.page.url
    await visit.page.get_by_role("button", name="Country is France", exact=False).first.click()
    await expect(_figure(visit.page, "Unique users")).to_have_text("8")
    await visit.page.reload()
    await expect(_figure(visit.page, "Unique users")).to_have_text("8")
    await visit.page.get_by_role("button", name="true").first.click()
    await expect(_figure(visit.page, "Unique users")).to_have_text("3")
    await visit.page.go_back()
    await visit.page.go_back()
    await expect(_figure(visit.page, "Unique users")).to_have_text("2")
    await visit.page.get_by_role("button", name="Remove the filter Country is France").click()
    await expect(_figure(visit.page, "Unique users")).to_have_text("10")


async def test_filter_form(visit: Visit) -> None:
    """The form adds a filter of any property and operator."""
    await visit.open("/dashboards", READY)
    await visit.page.keyboard.press("/")
    await visit.page.get_by_label("Field").select_option("Page")
    await visit.page.get_by_label("Test").select_option("contains")
    await visit.page.get_by_label("Value", exact=True).fill("PRICING")
    await visit.page.get_by_role("button", name="Add filter").click()
    await expect(visit.page.get_by_role("button", name="Events 6", exact=False)).to_be_visible()
    await visit.page.keyboard.press("Escape")
    await expect(visit.page.locator(".chip")).to_have_count(0)


async def test_address_shows_the_same(visit: Visit, browser: Browser) -> None:
    """A copied address shows the same range, comparison, figure and zone to somebody elsewhere."""
    await visit.open("/dashboards", READY)
    for key in ("t", "x", "1"):
        await visit.page.keyboard.press(key)
    await expect(_figure(visit.page, "Unique users")).to_have_text("10")
    await expect(visit.page.locator(".main-chart h2")).to_have_text("Unique users")
    await expect(visit.page.locator(".dash")).to_have_count(0)
    legend = await visit.page.locator(".legend").inner_text()
    async with await browser.new_context(timezone_id="Asia/Tokyo") as context:
        page = await context.new_page()
        await page.goto(visit.page.url)
        await page.locator(READY).wait_for()
        assert await page.locator(".legend").inner_text() == legend
        await expect(page.get_by_role("button", name="Time range")).to_have_text("Last 30 days")
        await expect(page.locator(".main-chart h2")).to_have_text("Unique users")


async def test_drag_zooms(visit: Visit) -> None:
    """A drag over the chart shows that part of the range, and one click leads back."""
    await visit.open("/dashboards#range=30d", READY)
    box = await visit.page.locator(".u-over").bounding_box()
    assert box
    middle = box["y"] + box["height"] / 2
    await visit.page.mouse.move(box["x"] + box["width"] * 0.8, middle)
    await visit.page.mouse.down()
    await visit.page.mouse.move(box["x"] + box["width"] - 2, middle, steps=4)
    await expect(visit.page.locator(".tooltip")).to_be_visible()
    await visit.page.mouse.up()
    await visit.page.wait_for_url(re.compile(r"range=\d{4}-\d\d-\d\dT.*\.\.\d{4}-\d\d-\d\dT"))
    await expect(visit.page.get_by_role("button", name="Events 60")).to_be_visible()
    await visit.page.get_by_role("button", name="Zoom out").click()
    await visit.page.wait_for_url(re.compile("range=30d"))


async def test_all_rows_can_be_searched(visit: Visit) -> None:
    """The dialog of a list has all rows, finds some of them, and filters by a click."""
    await visit.open("/dashboards", READY)
    await (
        visit.page.get_by_label("Pages").get_by_role("button", name=re.compile("Show all")).click()
    )
    rows = visit.page.locator("dialog button.row")
    await visit.page.get_by_label("Search in Page").fill("PRODUCTS/8")
    await expect(rows).to_have_count(1)
    await rows.click()
    await expect(visit.page.locator("dialog")).to_have_count(0)
    await expect(visit.page.locator(".chip")).to_contain_text("Page is /products/8")


@pytest.mark.parametrize(
    ("size", "scheme"), [(DESKTOP, "dark"), (PHONE, "light")], ids=["desktop", "phone"]
)
async def test_event_explorer(
    browser: Browser, process: Process, size: ViewportSize, scheme: Literal["light", "dark"]
) -> None:
    """Events are listed newest first, shown in detail, and followed along one user."""
    async with await browser.new_context(
        viewport=size, color_scheme=scheme, reduced_motion="reduce"
    ) as context:
        visit = Visit(await context.new_page(), f"http://127.0.0.1:{process.port}")
        visit.watch()
        page = visit.page
        await visit.open("/dashboards", READY)
        await page.get_by_role("link", name="Events", exact=True).click()
        rows = page.locator("tbody tr")
        await expect(rows).to_have_count(50)
        await expect(page.locator(".events .column-title")).to_have_text("60 in this range")
        await _look_at(page, f"events-{size['width']}")
        await page.get_by_role("button", name="Show more").click()
        await expect(rows).to_have_count(60)
        times = await rows.locator("th").all_inner_texts()
        assert len(set(times)) == 6
        assert times == sorted(times, reverse=True)
        await rows.first.click()
        await expect(page.locator("dialog")).to_contain_text("page_view")
        await _look_at(page, f"event-{size['width']}", "dialog")
        await page.get_by_role("button", name="Timeline of this user").click()
        await expect(rows).to_have_count(6)
        await expect(page.locator(".chip")).to_contain_text("User is user")
        await page.get_by_role("link", name="Overview").click()
        await expect(_figure(page, "Unique users")).to_have_text("1")
        await page.go_back()
        await expect(rows).to_have_count(6)
        visit.assert_clean()


async def test_error_says_what_to_do(visit: Visit) -> None:
    """An error of the API appears with its message and a way out."""
    await visit.page.goto(f"{visit.base}/dashboards#range=90d&interval=SECOND")
    problem = visit.page.get_by_role("alert")
    await expect(problem).to_contain_text("SECOND makes more than 11000 buckets")
    await expect(problem).to_contain_text("BAD_USER_INPUT")
    await _look_at(visit.page, "error")
    await problem.get_by_role("button", name="Fresh view").click()
    await visit.page.locator(READY).wait_for()
    await expect(problem).to_have_count(0)
    visit.problems = [text for text in visit.problems if "422" not in text]  # Chromium's own line


async def test_nothing_in_a_range(visit: Visit) -> None:
    """Filters that no event passes leave a note, and a way back."""
    await visit.page.goto(f"{visit.base}/dashboards#filter=is:name:nobody")
    await expect(visit.page.get_by_text("No events pass these filters")).to_be_visible()
    await _look_at(visit.page, "nothing")
    await visit.page.get_by_role("button", name="Clear the filters").click()
    await visit.page.locator(READY).wait_for()


async def test_panel_can_be_taken_away(visit: Visit) -> None:
    """A panel is saved as CSV, and its question runs in the explorer."""
    await visit.open("/dashboards", READY)
    places = visit.page.get_by_label("Places", exact=True)
    await places.get_by_role("button", name="Places: more").click()
    link = await places.get_by_role("link", name="Open in the explorer").get_attribute("href")
    async with visit.page.expect_download() as download:
        await places.get_by_role("button", name="Download CSV").click()
    lines = (await (await download.value).path()).read_text().splitlines()
    assert (lines[0], lines[3]) == ("Country,Events", "France,12")
    fragment = parse_qs(urlsplit(link or "").fragment)
    variables = msgspec.json.decode(fragment["variables"][0])
    answer = await visit.graphql(fragment["query"][0], **variables)
    assert answer["trend"]["series"][0]["total"]["count"] == 60


async def test_shortcuts(visit: Visit) -> None:
    """The list of shortcuts opens by its own key; kiosk mode shows panels only."""
    await visit.open("/dashboards", READY)
    await visit.page.keyboard.press("?")
    await _look_at(visit.page, "shortcuts", "dialog")
    await visit.page.keyboard.press("Escape")
    await expect(visit.page.locator("dialog")).to_have_count(0)
    await visit.page.keyboard.press("k")
    await expect(visit.page.locator(".bar")).to_have_count(0)
    await _look_at(visit.page, "kiosk")
    await visit.page.keyboard.press("Escape")
    await expect(visit.page.locator(".bar")).to_have_count(1)


async def test_first_event_below_a_prefix(tmp_path: Path) -> None:
    """An empty project waits for its first event, and shows it; under a prefix, too."""
    with isolated_service(tmp_path, {"ROOT_PATH": "/analytics"}) as process:
        async with chromium_for(process, tmp_path) as browser:
            base = f"http://127.0.0.1:{process.port}/analytics"
            visit = Visit(await browser.new_page(), base)
            visit.watch()
            await visit.open("/dashboards", ".waiting")
            await expect(visit.page.locator("pre")).to_contain_text(f"curl -X POST {base}/events")
            await _look_at(visit.page, "waiting")
            await visit.graphql(RECORD, events=[{"name": "first"}])
            await expect(visit.page.get_by_role("status")).to_contain_text(
                "Your first event is here."
            )
            await _look_at(visit.page, "arrived")
            await visit.page.get_by_role("button", name="Open the dashboard").click()
            await expect(
                visit.page.get_by_role("button", name="Events 1", exact=False)
            ).to_be_visible()
            await visit.open("/dashboards/traffic", ".unknown")
            await visit.page.get_by_role("button", name="Open the overview").click()
            await visit.page.locator(READY).wait_for()
            assert visit.page.url.startswith(f"{base}/dashboards#")
            visit.assert_clean()


async def test_sign_in_leads_back(tmp_path: Path) -> None:
    """In production a stranger signs in, and sees the view of his link."""
    key = make_key("secret", "--name", "staff", data=tmp_path / "data")
    with isolated_service(tmp_path, {"ANALYTICS_ENV": "production"}) as process:
        async with chromium_for(process, tmp_path) as browser:
            page = await browser.new_page()
            await page.goto(
                f"http://localhost:{process.port}/dashboards#range=today&filter=is:name:x"
            )
            await page.wait_for_url("**/sign-in")
            await page.get_by_label("Key").fill(key)
            await page.get_by_role("button", name="Sign in", exact=True).click()
            await page.wait_for_url("**/dashboards#range=today&filter=is:name:x**")
            await expect(page.get_by_text("Record your first event")).to_be_visible()
            await expect(page.locator("pre")).to_contain_text(
                "Authorization: Bearer $ANALYTICS_KEY"
            )
