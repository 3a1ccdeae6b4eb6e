"""Identical queries in flight: a gate before the engine holds them, clients leave when told to."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

import msgspec
import pytest

from store.cost.lanes import STORE_LANE, Lane
from store.driver import Answer
from store.engine import Engine
from store.query.sql import Statement
from tests.harness.service import Service

TREND: Final = '{eventTrend(range: {last: "P1D"}) {series {total {count}}}}'
TWINS: Final = 20
"""Identical requests of a test, of which one arrives first."""


PATHS: Final = {
    "GraphQL": ("POST", "/graphql", msgspec.json.encode({"query": TREND})),
    "GraphQL by GET": ("GET", f"/graphql?query={quote(TREND)}", b""),
    "names": ("GET", "/metrics", b""),
    "metric": ("GET", "/metrics/flights?hours=5", b""),
}
"""Requests with one statement, by the name of their test."""


async def request(service: Service, kind: str) -> Any:
    """Send a request; return its status and its content without statistics."""
    method, path, body = PATHS[kind]
    headers = {"content-type": "application/json"}
    answer = await service.http.request(method, path, content=body, headers=headers)
    content = answer.json()
    for name in ("extensions", "timestamp", "period_start", "period_end"):
        content.pop(name, None)
    return answer.status_code, content


class Gate:
    """Statements of the engine, or their answers: counted, and held until the gate opens."""

    def __init__(self) -> None:
        """Begin open."""
        self.statement_count = 0
        self.cancelled_count = 0
        self._is_open = asyncio.Event()
        self._is_open.set()
        self.failure: Exception | None = None
        self.holds_answers = False

    def shut(self) -> None:
        """Hold the statements that follow."""
        self._is_open.clear()

    def open(self) -> None:
        """Let all statements pass."""
        self._is_open.set()

    async def pass_through(self) -> None:
        """Wait until the gate is open."""
        self.statement_count += 1
        try:
            await self._is_open.wait()
        except asyncio.CancelledError:
            self.cancelled_count += 1
            raise
        if self.failure:
            raise self.failure

    async def await_statements(self, count: int) -> None:
        """Return when so many statements have started, and no other one starts."""
        async with asyncio.timeout(10):
            while self.statement_count < count:  # noqa: ASYNC110 - tests look from outside
                await asyncio.sleep(0.001)
        for _ in range(200):
            await asyncio.sleep(0)
        assert self.statement_count == count


@contextlib.contextmanager
def engine_gate() -> Iterator[Gate]:
    """Put a gate before the engine, which answers as before."""
    new_gate, answer = Gate(), Engine._answer_in

    async def answer_behind_gate(
        self: Engine, lane: Lane, key: str, statement: Statement, output: str
    ) -> Answer:
        if lane is STORE_LANE:
            return await answer(self, lane, key, statement, output)
        if not new_gate.holds_answers:
            await new_gate.pass_through()
            return await answer(self, lane, key, statement, output)
        engine_answer = await answer(self, lane, key, statement, output)
        await new_gate.pass_through()
        return engine_answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "_answer_in", answer_behind_gate)
        yield new_gate


async def send_twins(service: Service, gate: Gate, kind: str) -> list[asyncio.Task[Any]]:
    """Send identical requests; return when the statement of the first one is held."""
    gate.shut()
    before = gate.statement_count
    tasks = [asyncio.create_task(request(service, kind)) for _ in range(TWINS)]
    await gate.await_statements(before + 1)
    return tasks


class Client:
    """A client of the application that leaves when it is told to."""

    def __init__(self, service: Service, kind: str) -> None:
        """Send a request."""
        self._departure = asyncio.Event()
        self._transport: Any = service.http._transport
        self.status = 0
        self._method, path, self._body = PATHS[kind]
        self._path, _, self._query = path.partition("?")
        self._is_sent = False
        self.task = asyncio.create_task(self._run())

    def leave(self) -> None:
        """Disconnect."""
        self._departure.set()

    async def _receive(self) -> dict[str, Any]:
        if not self._is_sent:
            self._is_sent = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        await self._departure.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]

    async def _run(self) -> int:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "scheme": "http",
            "method": self._method,
            "path": self._path,
            "raw_path": self._path.encode(),
            "query_string": self._query.encode(),
            "root_path": "",
            "headers": [(b"host", b"service"), (b"content-type", b"application/json")],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
        }
        await self._transport.app(scope, self._receive, self._send)
        return self.status


async def start_clients(service: Service, gate: Gate, kind: str) -> list[Client]:
    """Start three clients with one request: the first one's statement is held, others wait."""
    gate.shut()
    clients = [Client(service, kind) for _ in range(3)]
    await gate.await_statements(1)
    return clients


async def record_rows(service: Service) -> None:
    """Record an event and a metric, and let the engine load them."""
    await service.post("/events", {"event_name": "flight"})
    await service.post("/metrics", {"metric_name": "flights", "value": 1})
    assert (await service.http.get("/metrics/flights")).json()["count"] == 1
    assert (await service.http.get("/events")).json()["total"] == 1
