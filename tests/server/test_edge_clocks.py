"""Clients that are slow or silent: each clock ends them, and nobody else."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Iterator
from typing import Final

import pytest
import pytest_asyncio

from tests.harness.edge import (
    CLOCK_SECONDS,
    SHORT_CLOCKS,
    connect,
    exchange,
    head,
    read_all,
    send_slowly,
    status_of,
)
from tests.harness.process import Process

pytestmark = pytest.mark.slow

ROW: Final = b'{"metric_name": "m", "value": 1}'
LONG: Final = head("POST /metrics", "Content-Length: 30000")
EVENT_COUNT: Final = 700
EVENT: Final = b'{"event_name":"large","properties":{"t":"%b"}}\n' % (b"x" * 20_000)
LARGE_ANSWER: Final = head("GET /events?limit=1000")


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Start a service with short clocks and an answer of 14 MB."""
    settings = {"ANALYTICS_KEEP_ALIVE": str(CLOCK_SECONDS)}
    data = tmp_path_factory.mktemp("clocks") / "data"
    with Process(data, SHORT_CLOCKS, settings=settings) as service:
        service.await_ready()
        assert service.post("/events/batch", EVENT * EVENT_COUNT).status_code == 200
        yield service


def read_answer(port: int, pause: float, pauses: int) -> bytes:
    """Ask for the large answer, and read it slowly: 64 KiB, a pause, 64 KiB; then the rest."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        connection.settimeout(20)
        connection.connect(("127.0.0.1", port))
        connection.sendall(LARGE_ANSWER.replace(b"Host", b"Connection: close\r\nHost"))
        received = b""
        for _ in range(pauses):
            time.sleep(pause)
            received += connection.recv(65536)
        return received + read_all(connection)


@pytest_asyncio.fixture(scope="module")
async def outcomes(process: Process) -> dict[str, tuple[bytes, float]]:
    """Run all slow clients at the same time; return what each got, and the seconds it took."""
    port = process.port
    idle = head("GET /livez")
    large = b" " * 1_100_000
    clients: dict[str, Awaitable[bytes]] = {
        "silent from the start": send_slowly(port, b"", [], 0),
        "line breaks only": send_slowly(port, b"\r\n", [b"\r\n"] * 40, 0.2),
        "head byte by byte": send_slowly(port, b"GET /livez HTTP/1.1\r\nx: ", [b"y"] * 40, 0.2),
        "head in time": send_slowly(port, b"", [idle[:9], idle[9:]], 0.7),
        "second head never ends": send_slowly(port, idle + b"GET", [], 0),
        "idle after an answer": send_slowly(port, idle, [], 0),
        "silent body": send_slowly(port, LONG + ROW, [], 0),
        "body at half of the rate": send_slowly(port, LONG, [b" " * 100] * 75, 0.2),
        "burst, then single bytes": send_slowly(port, LONG + b" " * 20_000, [b" "] * 40, 0.2),
        "body at twice the rate": send_slowly(
            port,
            head("POST /metrics", "Content-Length: 12032", "Connection: close"),
            [b" " * 400] * 30 + [ROW],
            0.2,
        ),
        "rest of a body after its answer": send_slowly(
            port, head("POST /metrics", "Content-Length: 9999999") + large, [b" "] * 40, 0.2
        ),
        "answer that is not read": asyncio.to_thread(read_answer, port, CLOCK_SECONDS * 4, 1),
        "answer that is read slowly": asyncio.to_thread(read_answer, port, 0.1, CLOCK_SECONDS * 40),
    }
    results: dict[str, tuple[bytes, float]] = {}

    async def watch(name: str, client: Awaitable[bytes]) -> None:
        start = time.monotonic()
        results[name] = (await client, time.monotonic() - start)

    await asyncio.gather(*(watch(name, client) for name, client in clients.items()))
    return results


TIMEOUTS: Final = (
    "silent from the start",
    "line breaks only",
    "head byte by byte",
    "silent body",
    "body at half of the rate",
    "burst, then single bytes",
)


@pytest.mark.parametrize("client", TIMEOUTS)
async def test_a_late_request_is_a_408(
    outcomes: dict[str, tuple[bytes, float]], client: str
) -> None:
    """A request that does not arrive in time is a 408 in the shape of all errors; it closes."""
    answer, seconds = outcomes[client]
    assert status_of(answer) == 408
    assert b'"code":"REQUEST_TIMEOUT"' in answer
    assert b"\r\nconnection: close\r\n" in answer
    assert seconds >= CLOCK_SECONDS - 1


@pytest.mark.parametrize("client", ["head in time", "body at twice the rate"])
async def test_a_request_in_time_is_answered(
    outcomes: dict[str, tuple[bytes, float]], client: str
) -> None:
    """A slow request within the clocks gets its answer."""
    assert status_of(outcomes[client][0]) == 200


async def test_an_idle_connection_is_closed(outcomes: dict[str, tuple[bytes, float]]) -> None:
    """An idle connection is closed without a word after the seconds of the setting."""
    answer, seconds = outcomes["idle after an answer"]
    assert answer.count(b"HTTP/1.1 ") == 1
    assert seconds >= CLOCK_SECONDS - 1


async def test_a_second_head_has_a_clock(outcomes: dict[str, tuple[bytes, float]]) -> None:
    """The head of a later request has the clock of the first."""
    answer, _ = outcomes["second head never ends"]
    assert status_of(answer) == 200
    assert b'"code":"REQUEST_TIMEOUT"' in answer


async def test_the_rest_of_a_body_has_a_clock(outcomes: dict[str, tuple[bytes, float]]) -> None:
    """A client that goes on with a refused body is closed after its answer."""
    answer, _ = outcomes["rest of a body after its answer"]
    assert status_of(answer) == 413
    assert answer.count(b"HTTP/1.1 ") == 1


async def test_an_answer_without_a_reader_ends(outcomes: dict[str, tuple[bytes, float]]) -> None:
    """A client that does not read is disconnected, and the answer is dropped."""
    answer, _ = outcomes["answer that is not read"]
    assert len(answer) < len(EVENT) * EVENT_COUNT


async def test_a_slow_reader_gets_all(outcomes: dict[str, tuple[bytes, float]]) -> None:
    """A client that reads slowly gets the whole answer."""
    answer, _ = outcomes["answer that is read slowly"]
    assert status_of(answer) == 200
    length = int(answer.partition(b"content-length: ")[2].split()[0])
    assert len(answer.partition(b"\r\n\r\n")[2]) == length > len(EVENT) * EVENT_COUNT


@pytest.mark.usefixtures("outcomes")
async def test_a_late_body_is_logged(process: Process) -> None:
    """The log has the status that the client got, with the route."""
    lines = [line for line in process.log_records() if line.get("status") == 408]
    assert {line["route"] for line in lines} == {None, "/metrics"}


def test_two_silent_large_bodies(process: Process) -> None:
    """Two bodies of 16 MiB - 1 byte fall silent in 32 MiB of memory: small bodies pass.

    Another large body is unavailable, until the clock ends the silent ones.
    """
    small = [ROW + b" " * size for size in (0, 1000, 65_536 - len(ROW))]
    large = ROW + b" " * 1_000_000
    message = head("POST /metrics/batch", f"Content-Length: {2**24}") + b" " * (2**24 - 1)
    with connect(process.port) as first, connect(process.port) as second:
        for connection in (first, second):
            connection.sendall(message)
        statuses = [process.post("/metrics", body).status_code for body in small * 5]
        statuses.append(process.post("/graphql", {"query": "{health{status}}"}).status_code)
        assert set(statuses) == {200}
        refusal = process.post("/metrics", large)
        assert (refusal.status_code, refusal.headers["retry-after"]) == (503, "1")
        assert [status_of(read_all(connection)) for connection in (first, second)] == [408, 408]
    # The refusal closes its connection, perhaps while the next request is on its way.
    message = head("POST /metrics", f"Content-Length: {len(large)}", "Connection: close") + large
    assert status_of(exchange(process.port, message)) == 200
