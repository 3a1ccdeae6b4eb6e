"""The service with two more routes, which measure its parts in its own process.

``/bench/statements`` runs only the statements of a GraphQL request. ``/bench/without-engine`` runs
a request with recorded results instead of statements. Both use the engine and the settings of the
service. The router tries them last, so that they do not slow down the other routes.
"""

import asyncio
import statistics
import time
from dataclasses import dataclass, field, replace
from typing import Any, cast

import msgspec
import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Message, Scope

from app import app
from resolvers.context import Context
from store import Store
from store.driver import Answer
from store.query.sql import Statement

_StatementOutput = tuple[Statement, str]


@dataclass(slots=True)
class _ReplayStore:
    """A store that records the results of the engine, and returns them if ``replays`` is set."""

    store: Store
    replays: bool = False
    statements: list[_StatementOutput] = field(default_factory=list)
    _answers: dict[str, Answer] = field(default_factory=dict)

    async def select(self, statement: Statement, row: type[Any]) -> list[Any]:
        answer = await self.answer(statement, "JSONEachRow")
        return msgspec.json.Decoder(row).decode_lines(answer.data)

    async def answer(
        self, statement: Statement, output: str, cost: float = 0.0, key: str = ""
    ) -> Answer:
        if self.replays:
            return self._answers[statement.text]
        answer = await self.store.answer(statement, output, cost, key)
        self.statements.append((statement, output))
        self._answers[statement.text] = answer
        return answer

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any attribute of the store
        return getattr(self.store, name)


async def time_statements(request: Request) -> JSONResponse:
    """Run the statements of a request ``rounds`` times; return the time of each round in ms."""
    arguments = await request.json()
    replay_store = _ReplayStore(app.state.context.store)
    await _run_request(replay_store, arguments["body"])
    times = []
    for _ in range(arguments["rounds"]):
        began = time.perf_counter()
        for statement, output in replay_store.statements:
            await replay_store.store.engine.answer(statement, output)
        times.append((time.perf_counter() - began) * 1000)
    return JSONResponse({"ms": times, "statements": len(replay_store.statements)})


async def time_without_engine(request: Request) -> JSONResponse:
    """Time a request ``rounds`` times with recorded results; return the medians in ms.

    ``service`` is the request without the engine and the socket. It includes the middleware, the
    router, the resolvers, the decoding of the results and the encoding of the response. ``dump``
    is orjson encoding the data of the response, and ``parse`` is orjson decoding it.
    """
    arguments = await request.json()
    replay_store = _ReplayStore(app.state.context.store)
    content = await _run_request(replay_store, arguments["body"])
    data = orjson.loads(content)["data"]
    encoded_data = orjson.dumps(data)
    times: dict[str, list[float]] = {"service": [], "dump": [], "parse": []}
    replay_store.replays = True
    for _ in range(arguments["rounds"]):
        began = time.perf_counter()
        second_content = await _run_request(replay_store, arguments["body"])
        served_at = time.perf_counter()
        orjson.dumps(data)
        dumped_at = time.perf_counter()
        times["service"].append((served_at - began) * 1000)
        times["dump"].append((dumped_at - served_at) * 1000)
    for _ in range(
        arguments["rounds"]
    ):  # a loop of its own: parsing evicts the data from the caches
        began = time.perf_counter()
        orjson.loads(encoded_data)
        times["parse"].append((time.perf_counter() - began) * 1000)
    assert orjson.loads(second_content)["data"] == data
    medians = {name: statistics.median(durations) for name, durations in times.items()}
    return JSONResponse(medians | {"bytes": len(encoded_data)})


async def _run_request(replay_store: _ReplayStore, body: str) -> bytes:
    """Send a request through the whole application, as a server does, with a fixed clock.

    No other request may run meanwhile: it would get the recorded results.
    """
    context: Context = app.state.context
    now = app.state.bench_now = getattr(app.state, "bench_now", context.now())
    app.state.context = replace(context, store=cast("Store", replay_store), now=lambda: now)
    messages: list[Message] = []

    async def receive() -> Message:
        await asyncio.sleep(0)
        return {"type": "http.request", "body": body.encode(), "more_body": False}

    async def send(message: Message) -> None:
        await asyncio.sleep(0)
        messages.append(message)

    try:
        await app({**_SCOPE, "state": {}}, receive, send)
    finally:
        app.state.context = context
    content = b"".join(message.get("body", b"") for message in messages)
    if messages[0]["status"] != 200 or b'"errors"' in content[:20]:
        raise RuntimeError(content[:500].decode(errors="replace"))
    return content


_SCOPE: Scope = {
    "type": "http",
    "asgi": {"version": "3.0", "spec_version": "2.3"},
    "http_version": "1.1",
    "method": "POST",
    "scheme": "http",
    "path": "/graphql",
    "raw_path": b"/graphql",
    "query_string": b"",
    "root_path": "",
    "headers": [
        (b"host", b"127.0.0.1"),
        (b"content-type", b"application/json"),
        (b"accept", b"application/json"),
    ],
    "client": ("127.0.0.1", 1),
    "server": ("127.0.0.1", 2),
}

app.add_route("/bench/statements", time_statements, methods=["POST"])
app.add_route("/bench/without-engine", time_without_engine, methods=["POST"])
