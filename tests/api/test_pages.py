"""Pages for browsers, their files and their headers."""

import gzip
import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest
import pytest_asyncio

from settings import InvalidSettingError, from_environment
from tests.harness import javascript
from tests.harness.apis import error_summary
from tests.harness.service import Service, prefixed_service

PAGES = {
    "/": "Metrics and events",
    "/dashboards": "Dashboards",
    "/dashboards/traffic": "Dashboards",
    "/graphql": "GraphQL explorer",
    "/docs": "REST API",
    "/redoc": "REST reference",
}
BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
PREFIX = "/analytics"


@pytest_asyncio.fixture
async def service_with_prefix(service: Service) -> AsyncIterator[Service]:
    """Serve the store a second time, under paths with a prefix."""
    async with prefixed_service(service, PREFIX) as api:
        yield api


class _Links(HTMLParser):
    """The addresses in a page, its text, and the inline parts that a strict policy forbids."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.addresses += [attributes[key] or "" for key in ("href", "src") if key in attributes]
        self.inline += [key for key in attributes if key == "style" or key.startswith("on")]
        if tag == "style" or (tag == "script" and "src" not in attributes):
            self.inline.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def _read(page: httpx.Response) -> _Links:
    links = _Links()
    links.feed(page.text)
    return links


@pytest.mark.parametrize(("path", "title"), PAGES.items())
async def test_page(service: Service, path: str, title: str) -> None:
    """Each page is HTML with its title, and browsers revalidate it each time."""
    page = await service.http.get(path, headers=BROWSER)
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-cache"
    assert title in page.text
    head = await service.http.head(path, headers=BROWSER)
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.parametrize("path", PAGES)
async def test_addresses_of_a_page(service: Service, path: str) -> None:
    """Every address in a page is relative and answers; nothing in it is inline."""
    links = _read(await service.http.get(path, headers=BROWSER))
    assert links.inline == []
    assert links.addresses
    for address in links.addresses:
        assert re.match(r"\w+:|/", address) is None, address
        if not address.startswith("#"):
            answer = await service.http.get(urljoin(path, address), headers=BROWSER)
            assert answer.status_code == 200, address


@pytest.mark.parametrize("path", PAGES)
async def test_policy(service: Service, path: str) -> None:
    """A page loads and runs only files of this service, even with injected text."""
    page = await service.http.get(path, headers=BROWSER)
    directives = [
        directive.split() for directive in page.headers["content-security-policy"].split(";")
    ]
    policy = {name: set(sources) for name, *sources in directives}
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == {"'none'"}
    assert policy["frame-ancestors"] == {"'none'"}
    assert policy["script-src"] == policy["connect-src"] == {"'self'"}
    is_own = path == "/" or path.startswith("/dashboards")
    styles = {"'self'"} if is_own else {"'self'", "'unsafe-inline'"}  # Monaco writes styles
    assert policy["style-src"] == styles
    all_sources = set.union(*policy.values())
    assert all_sources <= {"'none'", "'self'", "'unsafe-inline'", "data:", "blob:"}
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cross-origin-opener-policy"] == "same-origin"


async def test_caching_of_files(service: Service) -> None:
    """A file with its hash in its name is cached for a year; others are revalidated by 304."""
    page = await service.http.get("/graphql", headers=BROWSER)
    (script,) = re.findall(r'src="\./(static/explorer/[^"]+\.js)"', page.text)
    script_answer = await service.http.get(f"/{script}")
    assert script_answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    for path in ("/graphql", "/static/pages.css"):
        first = await service.http.get(path, headers=BROWSER)
        assert first.headers["cache-control"] == "no-cache"
        tag = {"if-none-match": first.headers["etag"]}
        second_answer = await service.http.get(path, headers=BROWSER | tag)
        assert (second_answer.status_code, second_answer.content) == (304, b"")


@pytest.mark.parametrize(
    "path", ["/graphql", "/static/swagger/swagger-ui-bundle.js", "/static/swagger/swagger-ui.css"]
)
async def test_compressed_files(service: Service, path: str) -> None:
    """A built file is compressed for clients that accept gzip, with another ETag."""
    plain = await service.http.get(path, headers=BROWSER | {"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert "Accept-Encoding" in plain.headers["vary"]
    request = service.http.build_request("GET", path, headers=BROWSER)
    request.headers["accept-encoding"] = "gzip, br"
    gzip_answer = await service.http.send(request, stream=True)
    raw = b"".join([chunk async for chunk in gzip_answer.aiter_raw()])
    assert gzip_answer.headers["content-encoding"] == "gzip"
    assert gzip_answer.headers["content-type"] == plain.headers["content-type"]
    assert gzip_answer.headers["etag"] != plain.headers["etag"]
    assert gzip.decompress(raw) == plain.content


async def test_explorer_is_for_browsers(service: Service) -> None:
    """A browser at /graphql gets the explorer, a program the error that `query` is missing."""
    for accept in ("*/*", "application/json", "application/graphql-response+json"):
        answer = await service.http.get("/graphql", headers={"accept": accept})
        assert error_summary(answer) == (400, "BAD_REQUEST", "query", None)
    query_answer = await service.http.get(
        "/graphql?query={health{status}}", headers={"accept": "*/*"}
    )
    assert query_answer.json()["data"] == {"health": {"status": "OK"}}
    assert "Accept" in query_answer.headers["vary"].split(", ")


@pytest.mark.parametrize(
    "path",
    [
        "/static/",
        "/static/none.js",
        "/static/../index.html",
        "/static/..%2f..%2f..%2fapp.py",
        "/static/%2e%2e/%2e%2e/%2e%2e/app.py",
        "/static/%00",
        "/static/pages.css%00.png",
        "/static/pages.css/x",
        f"/static/{'x' * 5000}",
        "/static//etc/passwd",
        "/built.txt",
        "/index.html",
        "/redoc/none.svg",
    ],
)
async def test_no_other_file_is_sent(service: Service, path: str) -> None:
    """A path that names no file of the pages is a 404 in the shape of all errors."""
    assert error_summary(await service.http.get(path)) == (404, "NOT_FOUND", None, None)


@pytest.mark.parametrize("path", ["/graphql", "/docs", "/redoc"])
async def test_page_that_is_not_built(
    service: Service, path: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without the build a page names the command to run, and the APIs work."""
    monkeypatch.setattr("api.pages._BUILD_STAMP", tmp_path / "none")
    page = await service.http.get(path, headers=BROWSER)
    assert page.status_code == 503
    assert "make pages" in _read(page).text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert (await service.http.get("/", headers=BROWSER)).status_code == 200
    assert "errors" not in await service.graphql("{health {status}}")


@pytest.mark.parametrize("prefix", ["", PREFIX])
async def test_prefix(service_with_prefix: Service, prefix: str) -> None:
    """Under a prefix all paths work, whether the proxy removes the prefix or not."""
    http = service_with_prefix.http
    for path in PAGES:
        page = await http.get(f"{prefix}{path}", headers=BROWSER)
        assert page.status_code == 200, path
        for address in _read(page).addresses:
            answer = await http.get(urljoin(f"{prefix}{path}", address), headers=BROWSER)
            assert answer.status_code == 200, (path, address)
    point = {"metric_name": "prefixed", "value": 1}
    assert (await service_with_prefix.post(f"{prefix}/metrics", point)).json()["success"] is True
    assert (await http.get(f"{prefix}/metrics/prefixed")).json()["count"] >= 1
    body = {"query": "{health {status}}"}
    answer = await service_with_prefix.post(f"{prefix}/graphql", body)
    assert answer.json()["data"] == {"health": {"status": "OK"}}
    openapi = (await http.get(f"{prefix}/openapi.json")).json()
    assert openapi["servers"] == [{"url": PREFIX}]
    assert "/metrics" in openapi["paths"]


async def test_prefix_without_a_slash(service_with_prefix: Service) -> None:
    """The prefix alone leads to the start page, whose relative addresses need the slash."""
    for path in (PREFIX, f"{PREFIX}?a=1"):
        answer = await service_with_prefix.http.get(path, headers=BROWSER)
        assert answer.status_code == 307
        assert answer.headers["location"] == path.replace(PREFIX, f"{PREFIX}/")
    assert (await service_with_prefix.http.get(f"{PREFIX}x", headers=BROWSER)).status_code == 404


@pytest.mark.parametrize("value", ["analytics", "/a b", '/"><script>', "//evil.example", "/a/../b"])
def test_refused_prefix(value: str) -> None:
    """A prefix that is no plain path is refused at the start, with the name of the setting."""
    with pytest.raises(InvalidSettingError, match="ROOT_PATH"):
        from_environment({"ROOT_PATH": value})


def test_prefix_may_end_in_a_slash() -> None:
    """`/analytics/` means `/analytics`, and `/` means none."""
    assert from_environment({"ROOT_PATH": f"{PREFIX}/"}).root_path == PREFIX
    assert from_environment({"ROOT_PATH": "/"}).root_path == ""


def test_scripts_type_check() -> None:
    """The scripts of the pages and of the explorer pass `tsc --strict`."""
    assert javascript.are_installed(), "the JavaScript clients are not installed: make clients"
    assert javascript.check_types("../../web") == []
