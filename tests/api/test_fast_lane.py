"""Fast lanes: the answers and the logs of the recording routes are those of the middleware."""

import gzip
from collections.abc import AsyncIterator
from typing import Any, Final, NamedTuple

import httpx
import pytest
import pytest_asyncio

from api.bodies import MAX_BODY
from api.logs import SLOW_SECONDS
from app import create_app
from resolvers.context import Context
from settings import Settings
from store import Store
from tests.harness.apis import first_error, stored_totals
from tests.harness.service import Service

PAGE: Final = "http://page.example"
OTHER_PAGE: Final = "http://other.example"
PREFIX: Final = "/analytics"


class Services(NamedTuple):
    """Two services of one store: with the fast lanes, and with the middleware alone."""

    lanes: Service
    middleware: Service


def serve(context: Context, origins: tuple[str, ...], *, has_lanes: bool) -> Service:
    """Serve a store a second time, for pages of these origins; of any origin if there are none."""
    settings = Settings(production=bool(origins), cors_origins=origins, root_path=PREFIX)
    app: Any = create_app(settings)
    app.state.context = context
    if not has_lanes:
        app.fast_lanes = {}
    http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service")
    return Service(http, context)


@pytest_asyncio.fixture(params=[(), (PAGE,)], ids=["any origin", "one origin"])
async def services(service: Service, request: pytest.FixtureRequest) -> AsyncIterator[Services]:
    """Serve the store with and without fast lanes, for pages of any origin or of one."""
    lanes = serve(service.context, request.param, has_lanes=True)
    middleware = serve(service.context, request.param, has_lanes=False)
    async with lanes.http, middleware.http:
        yield Services(lanes, middleware)


METRIC: Final = b'{"metric_name": "lane", "value": 1, "id": "lane 1"}'
EVENT: Final = b'{"event_name": "lane", "id": "lane 1"}'
WRONG_ROWS: Final = b"[" + b",".join([b'{"metric_name": "", "value": 1}'] * 100) + b"]"

HEADERS: Final[list[dict[str, str]]] = [
    {},
    {"origin": PAGE},
    {"origin": OTHER_PAGE},
    {"expect": "100-continue"},
    {"accept-encoding": "zstd"},
    {"accept-encoding": "gzip", "origin": PAGE},
    {"content-encoding": "gzip"},
    {"content-encoding": "br"},
    {"content-encoding": " GZIP "},
    {"content-type": "application/json; charset=latin-1"},
    {"content-type": 'text/plain; CHARSET="utf-8"'},
    {"x-timestamp-precision": "s"},
    {"x-timestamp-precision": "h"},
]
REQUESTS: Final = [
    ("/metrics", METRIC),
    ("/events", EVENT),
    (f"{PREFIX}/metrics", METRIC),
    ("/metrics/batch", b"[" + METRIC + b"]"),
    ("/events/batch", EVENT),
    ("/metrics/series", b'{"metric_name": "lane", "timestamps": [], "values": []}'),
    ("/metrics?precision=ms", METRIC),
    ("/metrics?precision=h", METRIC),
    ("/metrics?nope=1", METRIC),
    ("/events/batch?precision=s&precision=s", EVENT),
    ("/metrics", b""),
    ("/metrics", b"\xef\xbb\xbf" + METRIC),
    ("/metrics", METRIC.decode().encode("utf-16")),
    ("/metrics", METRIC.decode().encode("utf-32-be")),
    ("/metrics", b'{"metric_name": "lane"}'),
    ("/metrics", b" " * (MAX_BODY + 1)),
    ("/metrics/batch", WRONG_ROWS),
]


async def answer_of(
    service: Service, path: str, body: bytes, headers: dict[str, str]
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Post a body with these headers only; return status, headers and undecoded body."""
    if headers.get("content-encoding", "").strip().lower() == "gzip":
        body = gzip.compress(body)
    request = service.http.build_request("POST", path, content=body)
    for name in ("accept-encoding", "user-agent"):
        del request.headers[name]
    request.headers.update(headers)
    answer = await service.http.send(request, stream=True)
    content = b"".join([chunk async for chunk in answer.aiter_raw()])
    raw_headers = sorted(answer.headers.raw, key=lambda header: header[0] == b"connection")
    return answer.status_code, raw_headers, content


@pytest.mark.parametrize(("path", "body"), REQUESTS)
async def test_answers_are_those_of_the_middleware(
    services: Services, path: str, body: bytes
) -> None:
    """Status, headers and body are the same, byte for byte.

    So is the order of the headers, except of `Connection: close` after an unread body.
    """
    await answer_of(services.lanes, path, body, {})  # stores the row, so that the others repeat it
    for headers in HEADERS:
        answer = await answer_of(services.lanes, path, body, headers)
        assert answer == await answer_of(services.middleware, path, body, headers), headers


@pytest.mark.parametrize("path", ["/metrics", "/events"])
async def test_failures_are_logged(
    service: Service, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    """A refused request is one line with route and status; a stored row is none."""
    caplog.set_level("INFO", "analytics.request")
    body: dict[str, Any] = {"metric_name": "lane", "value": 1, "event_name": "lane"}
    del body["event_name" if path == "/metrics" else "metric_name"]
    body.pop("value" if path == "/events" else "", None)
    assert (await service.post(path, body)).status_code == 200
    assert (await service.post(path, b"{}")).status_code == 422
    (line,) = [vars(entry) for entry in caplog.records if entry.name == "analytics.request"]
    assert (line["method"], line["route"], line["status"]) == ("POST", path, 422)
    assert line["ms"] >= 0
    assert line["levelname"] == "INFO"


async def test_slow_requests_are_logged(
    service: Service, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that takes longer than the limit is a warning, although it succeeds."""
    caplog.set_level("INFO", "analytics.request")
    monkeypatch.setattr("api.logs.SLOW_SECONDS", SLOW_SECONDS / 10**9)
    assert (await service.post("/metrics", METRIC)).status_code == 200
    (line,) = [vars(entry) for entry in caplog.records if entry.name == "analytics.request"]
    assert (line["route"], line["status"], line["levelname"]) == ("/metrics", 200, "WARNING")


async def test_an_unexpected_error(
    service: Service, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unexpected error is a 500 whose id is in the log, and nothing of the error."""

    async def fail(*_: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(Store, "ingest_one", fail)
    answer = await service.post("/metrics", METRIC)
    error = first_error(answer)
    assert error["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert "secret" not in answer.text
    error_id = error["message"].rpartition(" ")[2].rstrip(".")
    lines = [vars(entry) for entry in caplog.records]
    assert [line["name"] for line in lines] == ["analytics.http", "analytics.request"]
    assert error_id in lines[0]["message"]
    assert (lines[1]["route"], lines[1]["status"]) == ("/metrics", 500)


async def test_a_route_without_its_lane(services: Services) -> None:
    """A path with a slash at its end has no lane; the router refuses and stores the same."""
    before = await stored_totals(services.lanes)
    for service in services:
        assert (await service.post("/events/?nope=1", EVENT)).status_code == 422
        assert (await service.post("/events/", b'{"event_name": "slash"}')).status_code == 200
    after = await stored_totals(services.lanes)
    assert after["events"] == before["events"] + 2
