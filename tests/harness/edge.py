"""Raw connections to a service, and services whose clocks are short."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import Sequence
from typing import Final

CLOCK_SECONDS: Final = 2

_SMALL_MACHINE: Final = """
import sys
import store.limits
store.limits.available_memory = lambda: 2**30
import app
import server
sys.exit(server.main(sys.argv[1:], app.create_app))
"""
SMALL_MACHINE: Final = (sys.executable, "-c", _SMALL_MACHINE)
"""Command of a service on a machine of 1 GiB."""

_CLOCKS: Final = ("headSeconds", "bodySeconds", "answerSeconds", "leftoverSeconds")
SHORT_CLOCKS: Final = (
    *SMALL_MACHINE,
    "--limits",
    ",".join(f"{name}={CLOCK_SECONDS}" for name in _CLOCKS),
)
"""Command of a service that gives its clients `CLOCK_SECONDS`, on such a machine."""

FEW_FILES: Final = ("sh", "-c", 'ulimit -n 1024; exec "$0" "$@"')
"""Beginning of a command that may open 1,024 files."""


def head(start: str, *lines: str) -> bytes:
    """Return the head of a request to the host `here`."""
    return "\r\n".join([f"{start} HTTP/1.1", "Host: here", *lines, "", ""]).encode("latin-1")


def connect(port: int, host: str = "127.0.0.1") -> socket.socket:
    """Open a connection whose reads end after 10 s."""
    return socket.create_connection((host, port), timeout=10)


def exchange(port: int, *messages: bytes) -> bytes:
    """Send messages over one connection; return all that comes until it ends."""
    with connect(port) as connection:
        for message in messages:
            with contextlib.suppress(ConnectionError):
                connection.sendall(message)
        return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    """Return all that comes until a connection ends, in order or not."""
    received = bytearray()
    with contextlib.suppress(ConnectionError):
        while chunk := connection.recv(65536):
            received += chunk
    return bytes(received)


def status_of(answer: bytes) -> int:
    """Return the status of an answer, 0 if there is none."""
    return int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0


async def send_slowly(port: int, first: bytes, parts: Sequence[bytes], pause: float) -> bytes:
    """Send parts with pauses; return all that comes until the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(first)
    answer = asyncio.create_task(_read_all(reader))
    for part in parts:
        await asyncio.sleep(pause)
        if answer.done():
            break
        writer.write(part)
    async with asyncio.timeout(20):
        received = await answer
    writer.close()
    return received


async def _read_all(reader: asyncio.StreamReader) -> bytes:
    received = bytearray()
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(65536):
            received += chunk
    return bytes(received)
