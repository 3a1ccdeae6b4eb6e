"""Clients that go away: what they asked is not worked on any longer."""

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
SERIES: Final = 300

_BRANCH: Final = """
  a%d: query(range: {last: "1d"}, where: {tag: {key: "host", string: {neq: "%d"}}}) {
    series { total { quantile(q: 0.5, exact: true) stddev } }
  }
"""
HEAVY: Final = f'{{ metric(name: "large") {{ {"".join(_BRANCH % (n, n) for n in range(10))} }} }}'

DOORS: Final = {
    "GraphQL": ("POST", "/graphql", msgspec.json.encode({"query": HEAVY})),
    "GraphQL by GET": ("GET", f"/graphql?query={quote(HEAVY)}", b""),
    "REST": ("GET", "/metrics/large", b""),
}
"""Each takes the engine at least 0.05 s for `POINTS * SERIES` points."""

JSON: Final = {"content-type": "application/json"}
PATHS: Final = ("/metrics", "/metrics/cpu", "/events", "/dashboard", "/health")
"""What REST can be asked."""


def load(service: Process) -> None:
    """Record a metric that takes the engine a while."""
    now = time.time_ns() // 1_000_000
    times = list(range(now - POINTS, now))
    for first in range(0, SERIES, 10):
        lines = [
            {
                "metric_name": "large",
                "tags": {"host": str(number)},
                "timestamps": times,
                "values": list(range(POINTS)),
            }
            for number in range(first, first + 10)
        ]
        body = b"\n".join(map(msgspec.json.encode, lines))
        assert service.post("/metrics/series", body).status_code == 200


def request(method: str, path: str, body: bytes) -> bytes:
    """Return a request as its bytes."""
    head = f"{method} {path} HTTP/1.1\r\nhost: service\r\ncontent-length: {len(body)}\r\n"
    return f"{head}content-type: application/json\r\n\r\n".encode() + body


def test_who_is_gone_holds_nobody_up(tmp_path: Path) -> None:
    """Hundreds ask for what takes long and leave; the next caller is answered, through any door."""
    with Process(tmp_path / "data") as service:
        service.await_ready()
        load(service)
        for door, number in {"GraphQL": 100, "GraphQL by GET": 100, "REST": 400}.items():
            method, path, body = DOORS[door]
            answer = service.http.request(method, path, content=body, headers=JSON)
            assert (answer.status_code, "errors" in answer.text) == (200, False), answer.text
            asked = request(method, path, body)
            with contextlib.ExitStack() as clients:
                for _ in range(number):
                    address = "127.0.0.1", service.port
                    client = clients.enter_context(socket.create_connection(address))
                    client.sendall(asked)
            answer = service.http.get("/events")
            assert answer.status_code == 200, f"{door}: {answer.text}"


async def abandoned(service: Service, path: str, body: bytes = b"", *, turns: int) -> int:
    """Ask, and go away after so many turns of the event loop; return the status nobody sees."""
    transport: Any = service.http._transport
    statuses: list[int] = []
    left = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if left:
            return left.pop()
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
async def filled(service: Service) -> Service:
    """Store what the sample operations find."""
    await record(service, "/metrics", *METRICS)
    await record(service, "/events", *EVENTS)
    return service


@pytest.mark.parametrize("turns", [0, 3, 10, 30, 100, 1000])
async def test_gone_at_any_moment(filled: Service, turns: int) -> None:
    """Whenever a caller leaves, its request ends in order, and the next one is answered right."""
    engine = filled.context.store.engine
    before = (await filled.http.get("/metrics/cpu")).json()["count"]
    for path in PATHS:
        assert await abandoned(filled, path, turns=turns) in {200, 499}, path
    for name, sample in samples().items():
        if sample.text.startswith("mutation"):
            continue
        body = msgspec.json.encode({"query": sample.text, "variables": sample.variables})
        assert await abandoned(filled, "/graphql", body, turns=turns) in {200, 499}, name
    # A statement may be on its way out when its request has ended.
    async with asyncio.timeout(5):
        all_of_them = [await engine._readers.get() for _ in range(engine.limits.readers)]
    for connection in all_of_them:
        engine._readers.put_nowait(connection)
    assert (await filled.http.get("/metrics/cpu")).json()["count"] == before


async def test_a_statement_that_runs_is_stopped(filled: Service) -> None:
    """One that computes for minutes ends when its caller leaves, and its connection is free."""
    heavy = Statement("SELECT max(cityHash64(number)) AS rows FROM numbers(9000000000)")
    questions = filled.context.for_request().batch
    asking = [asyncio.create_task(questions.select(heavy, Rows)) for _ in range(2)]
    await asyncio.sleep(0.1)
    questions.stop()
    async with asyncio.timeout(10):
        for result in await asyncio.gather(*asking, return_exceptions=True):
            assert isinstance(result, AnalyticsError)
            assert result.code == "CLIENT_CLOSED_REQUEST"
    with pytest.raises(AnalyticsError, match="did not wait"):
        await questions.select(heavy, Rows)
    assert (await filled.http.get("/metrics/cpu")).json()["count"]


async def test_gone_at_once_is_told_in_the_log(
    filled: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """It has a status of its own, 499, which is no failure of the service."""
    caplog.set_level("INFO")
    assert await abandoned(filled, "/metrics/cpu", turns=0) == 499
    (line,) = [each for each in caplog.records if each.message == "request"]
    assert (line.levelname, line.__dict__["status"]) == ("INFO", 499)


@pytest.mark.parametrize("turns", [0, 3, 30])
async def test_what_was_sent_is_recorded_all_the_same(filled: Service, turns: int) -> None:
    """Nobody waits for the answer, but the rows were there: a mutation is not stopped."""
    document = 'mutation { recordMetrics(input: {metrics: [{name: "g%d", value: 1}]}) {accepted} }'
    body = msgspec.json.encode({"query": document % turns})
    assert await abandoned(filled, "/graphql", body, turns=turns) == 200
    assert (await filled.http.get(f"/metrics/g{turns}")).json()["count"] == 1
