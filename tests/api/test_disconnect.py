"""Clients that disconnect: the service stops to work on their requests."""

import asyncio
import contextlib
import socket
import time
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec
import pytest
import pytest_asyncio

from schema.errors import AnalyticsError
from store.query.sql import Statement
from tests.harness.apis import record
from tests.harness.process import Process
from tests.harness.sample_operations import EVENTS, METRICS, samples
from tests.harness.service import Service
from tests.harness.stores import Rows

POINTS: Final = 10_000
SERIES: Final = 100

_BRANCH: Final = """
  a%d: query(range: {last: "1d"}, where: {tag: {key: "host", string: {neq: "%d"}}}) {
    series { total { quantile(q: 0.5, exact: true) stddev } }
  }
"""
HEAVY: Final = f'{{ metric(name: "large") {{ {"".join(_BRANCH % (n, n) for n in range(10))} }} }}'

REQUESTS: Final = {
    "GraphQL": ("POST", "/graphql", msgspec.json.encode({"query": HEAVY})),
    "GraphQL by GET": ("GET", f"/graphql?query={quote(HEAVY)}", b""),
    "REST": ("GET", "/metrics/large", b""),
}
"""Each request takes the engine at least 0.02 s for `POINTS * SERIES` points."""

JSON: Final = {"content-type": "application/json"}
PATHS: Final = ("/metrics", "/metrics/cpu", "/events", "/dashboard", "/health")
"""Paths of REST that a client may leave."""


def record_large_metric(service: Process) -> None:
    """Record a metric of `POINTS * SERIES` points."""
    now = time.time_ns() // 1_000_000
    times = list(range(now - POINTS, now))
    for first in range(0, SERIES, 10):
        series = [
            {
                "metric_name": "large",
                "tags": {"host": str(number)},
                "timestamps": times,
                "values": list(range(POINTS)),
            }
            for number in range(first, first + 10)
        ]
        body = b"\n".join(map(msgspec.json.encode, series))
        assert service.post("/metrics/series", body).status_code == 200


def raw_request(method: str, path: str, body: bytes) -> bytes:
    """Return the bytes of a request."""
    head = f"{method} {path} HTTP/1.1\r\nhost: service\r\ncontent-length: {len(body)}\r\n"
    return f"{head}content-type: application/json\r\n\r\n".encode() + body


def test_disconnected_clients_delay_nobody(tmp_path: Path) -> None:
    """After hundreds of clients leave slow requests, the next request is answered, on each API."""
    with Process(tmp_path / "data") as service:
        service.await_ready()
        record_large_metric(service)
        for api, count in {"GraphQL": 100, "GraphQL by GET": 100, "REST": 400}.items():
            method, path, body = REQUESTS[api]
            answer = service.http.request(method, path, content=body, headers=JSON)
            assert (answer.status_code, "errors" in answer.text) == (200, False), answer.text
            message = raw_request(method, path, body)
            with contextlib.ExitStack() as clients:
                for _ in range(count):
                    address = "127.0.0.1", service.port
                    client = clients.enter_context(socket.create_connection(address))
                    client.sendall(message)
            answer = service.http.get("/events")
            assert answer.status_code == 200, f"{api}: {answer.text}"


async def send_and_leave(service: Service, path: str, body: bytes = b"", *, turns: int) -> int:
    """Send a request, disconnect after some turns of the event loop; return the status."""
    transport: Any = service.http._transport
    statuses: list[int] = []
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop()
        for _ in range(turns):
            await asyncio.sleep(0)
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "method": "POST" if body else "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"service"), (b"content-type", b"application/json")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    await transport.app(scope, receive, send)
    return statuses[0]


@pytest_asyncio.fixture(scope="module")
async def sample_service(service: Service) -> Service:
    """Record the rows of the sample operations."""
    await record(service, "/metrics", *METRICS)
    await record(service, "/events", *EVENTS)
    return service


@pytest.mark.parametrize("turns", [0, 3, 10, 30, 100, 1000])
async def test_disconnect_at_any_moment(sample_service: Service, turns: int) -> None:
    """A client may leave at any moment: its request ends, and the next answer is right."""
    engine = sample_service.context.store.engine
    before = (await sample_service.http.get("/metrics/cpu")).json()["count"]
    for path in PATHS:
        assert await send_and_leave(sample_service, path, turns=turns) in {200, 499}, path
    for name, sample in samples().items():
        if sample.text.startswith("mutation"):
            continue
        body = msgspec.json.encode({"query": sample.text, "variables": sample.variables})
        status = await send_and_leave(sample_service, "/graphql", body, turns=turns)
        assert status in {200, 499}, name
    # A statement may end shortly after its request.
    async with asyncio.timeout(5):
        async with engine._no_statements():
            pass
    assert (await sample_service.http.get("/metrics/cpu")).json()["count"] == before


async def test_a_statement_that_runs_is_stopped(sample_service: Service) -> None:
    """A statement of minutes ends when its client leaves, and frees its connection."""
    heavy = Statement("SELECT max(cityHash64(number)) AS rows FROM numbers(9000000000)")
    query_batch = sample_service.context.for_request().batch
    tasks = [asyncio.create_task(query_batch.select(heavy, Rows)) for _ in range(2)]
    await asyncio.sleep(0.1)
    query_batch.stop()
    async with asyncio.timeout(10):
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(result, AnalyticsError)
            assert result.code == "CLIENT_CLOSED_REQUEST"
    with pytest.raises(AnalyticsError, match="did not wait"):
        await query_batch.select(heavy, Rows)
    assert (await sample_service.http.get("/metrics/cpu")).json()["count"]


async def test_status_of_a_disconnect(
    sample_service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """A disconnect has status 499 in the log, which is no failure of the service."""
    caplog.set_level("INFO")
    assert await send_and_leave(sample_service, "/metrics/cpu", turns=0) == 499
    (request_entry,) = [entry for entry in caplog.records if entry.message == "request"]
    assert (request_entry.levelname, request_entry.__dict__["status"]) == ("INFO", 499)


@pytest.mark.parametrize("turns", [0, 3, 30])
async def test_mutation_of_a_disconnected_client(sample_service: Service, turns: int) -> None:
    """The rows of a disconnected client are recorded: a mutation is not stopped."""
    document = 'mutation { recordMetrics(input: {metrics: [{name: "g%d", value: 1}]}) {accepted} }'
    body = msgspec.json.encode({"query": document % turns})
    assert await send_and_leave(sample_service, "/graphql", body, turns=turns) == 200
    assert (await sample_service.http.get(f"/metrics/g{turns}")).json()["count"] == 1
