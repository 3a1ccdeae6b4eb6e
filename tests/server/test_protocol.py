"""The server's protocol: head and body of an answer leave together, and no head is lost."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

import pytest
import pytest_asyncio
import uvicorn
from starlette.types import Receive, Scope, Send

from api.edge.connections import Connections
from api.edge.limits import EdgeLimits
from api.edge.protocol import Protocol

START: Final = {"type": "http.response.start", "status": 200}


@dataclass(slots=True)
class Application:
    """An application whose path says how it answers."""

    has_started: asyncio.Event = field(default_factory=asyncio.Event)
    may_go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        match scope["path"]:
            case "/slow":
                await send({**START, "headers": [(b"content-length", b"4")]})
                self.has_started.set()
                await self.may_go_on.wait()
                await send({"type": "http.response.body", "body": b"late"})
            case "/after-slow":
                await self.has_started.wait()
                await send({**START, "headers": [(b"content-length", b"2")]})
                await send({"type": "http.response.body", "body": b"ok"})
            case "/chunks":
                await send(START)
                for chunk in (b"HTTP/1.1 200 OK", b"HTTP/1.1 ", b"end"):
                    message = {"type": "http.response.body", "body": chunk, "more_body": True}
                    await send(message)
                await send({"type": "http.response.body"})
            case "/fails":
                await send({**START, "headers": [(b"content-length", b"4")]})
                raise ZeroDivisionError
            case "/body":
                body = (await receive())["body"]
                headers = [(b"content-length", b"%d" % len(body))]
                await send({**START, "headers": headers})
                await send({"type": "http.response.body", "body": body})


@dataclass(slots=True)
class Server:
    """A server of the application, and the connections to it."""

    application: Application
    address: tuple[str, int]
    connections: contextlib.AsyncExitStack

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection."""
        reader, writer = await asyncio.open_connection(*self.address)
        self.connections.callback(writer.close)
        return reader, writer


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    """Serve the application with the protocol."""
    application = Application()
    config = uvicorn.Config(application, http=Protocol, log_config=None, access_log=False)
    config.load()
    state = Connections(EdgeLimits(), per_address=1000, capacity=1000)
    listener = await asyncio.get_running_loop().create_server(
        lambda: Protocol(config, state, {}), "127.0.0.1", 0
    )
    async with listener, contextlib.AsyncExitStack() as connections:
        host, port = listener.sockets[0].getsockname()
        yield Server(application, (host, port), connections)


def request(method: str, path: str, body: bytes = b"", *lines: str) -> bytes:
    """Return a request."""
    head = [f"{method} {path} HTTP/1.1", "Host: here", f"Content-Length: {len(body)}", *lines]
    return "\r\n".join([*head, "", ""]).encode() + body


async def test_a_head_waits_for_its_body(server: Server) -> None:
    """Nothing of an answer is sent before its first body, then all of it at once."""
    loop = asyncio.get_running_loop()
    with socket.socket() as connection:
        connection.setblocking(False)
        await loop.sock_connect(connection, server.address)
        await loop.sock_sendall(connection, request("GET", "/slow"))
        reader, writer = await server.connect()
        writer.write(request("GET", "/after-slow"))
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 OK\r\n")
        with pytest.raises(BlockingIOError):
            connection.recv(1)
        server.application.may_go_on.set()
        answer = await loop.sock_recv(connection, 65536)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\nlate")


async def test_an_answer_without_a_body(server: Server) -> None:
    """HEAD gets its head, and the connection serves the next requests."""
    reader, writer = await server.connect()
    for body in (b"first", b"second"):
        writer.write(request("HEAD", "/body", body))
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"content-length: %d\r\n" % len(body) in head
    writer.write(request("POST", "/body", b"third"))
    assert (await reader.readuntil(b"third")).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_pipelined_requests(server: Server) -> None:
    """Requests that arrive together are answered one by one, in order."""
    reader, writer = await server.connect()
    writer.write(b"".join(request("POST", "/body", b"body %d" % n) for n in range(5)))
    for n in range(5):
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert await reader.readexactly(6) == b"body %d" % n


async def test_100_continue_is_sent_at_once(server: Server) -> None:
    """A client that waits for 100 Continue gets it before it sends the body."""
    reader, writer = await server.connect()
    whole_request = request("POST", "/body", b"body", "Expect: 100-continue")
    writer.write(whole_request[:-4])
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(whole_request[-4:])
    assert (await reader.readuntil(b"body")).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_a_body_like_a_head(server: Server) -> None:
    """Parts of a body that look like heads arrive, in order."""
    reader, writer = await server.connect()
    writer.write(request("GET", "/chunks"))
    await reader.readuntil(b"\r\n\r\n")
    assert await reader.readuntil(b"0\r\n\r\n") == (
        b"f\r\nHTTP/1.1 200 OK\r\n9\r\nHTTP/1.1 \r\n3\r\nend\r\n0\r\n\r\n"
    )
    for body in (b"HTTP/1.1 200 OK", b"HTTP/1.1 "):
        writer.write(request("POST", "/body", body))
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert await reader.readexactly(len(body)) == body


async def test_an_application_that_fails(server: Server) -> None:
    """An application that fails after the head ends the connection, and the client has the head."""
    reader, writer = await server.connect()
    writer.write(request("GET", "/fails"))
    assert (await reader.read()).endswith(b"content-length: 4\r\n\r\n")
