"""A WebSocket client that sends any bytes, for tests of graphql-transport-ws."""

import os
import socket
import struct
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Self

import msgspec

TREND: Final = (
    'subscription($name: String) {eventTrendChanged(range: {last: "PT1H"}, throttle: "PT0.1S",'
    " where: {name: {eq: $name}}) {meta {isSnapshot} series {total {count}}}}"
)
OVERVIEW: Final = 'subscription {overviewChanged(throttle: "PT0.1S") {eventCount}}'
SUBPROTOCOL: Final = "graphql-transport-ws"
_TEXT, _BINARY, _CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Close(NamedTuple):
    """The end of a socket: the code and the reason of its close frame; 1006 without one."""

    code: int
    reason: str = ""


class Pong(NamedTuple):
    """A pong frame."""

    data: bytes


def handshake(
    path: str = "/graphql",
    headers: Mapping[str, str] = MappingProxyType({}),
    *,
    subprotocol: str | None = SUBPROTOCOL,
    start: str = "GET {path} HTTP/1.1",
) -> bytes:
    """Return the head of an upgrade; a header "" is left out."""
    lines = {
        "Host": "127.0.0.1",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol": subprotocol or "",
        **headers,
    }
    text = [start.format(path=path), *(f"{name}: {line}" for name, line in lines.items() if line)]
    return "\r\n".join([*text, "", ""]).encode()


def frame(opcode: int, data: bytes, *, fin: bool = True, is_masked: bool = True) -> bytes:
    """Return a frame of a client."""
    size, mask_bit = len(data), 0x80 if is_masked else 0
    first = bytes((opcode | (0x80 if fin else 0),))
    if size < 126:
        head = first + bytes((size | mask_bit,))
    elif size < 65_536:
        head = first + struct.pack("!BH", 126 | mask_bit, size)
    else:
        head = first + struct.pack("!BQ", 127 | mask_bit, size)
    if not is_masked:
        return head + data
    mask = os.urandom(4)
    padding = mask * (size // 4 + 1)
    number = int.from_bytes(data) ^ int.from_bytes(padding[:size])
    return head + mask + number.to_bytes(size)


class SocketClient:
    """A connection to a service; `answer` is the head of the answer to its upgrade."""

    def __init__(
        self,
        port: int,
        headers: Mapping[str, str] = MappingProxyType({}),
        *,
        subprotocol: str | None = SUBPROTOCOL,
        receive_bytes: int = 0,
        path: str = "/graphql",
    ) -> None:
        """Connect, and ask for the upgrade; a read waits 15 s."""
        self._socket = socket.socket()
        if receive_bytes:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self._socket.settimeout(15)
        self._socket.connect(("127.0.0.1", port))
        self._socket.sendall(handshake(path, headers, subprotocol=subprotocol))
        self._bytes = b""
        while b"\r\n\r\n" not in self._bytes:
            chunk = self._socket.recv(65_536)
            assert chunk, self._bytes
            self._bytes += chunk
        head, _, self._bytes = self._bytes.partition(b"\r\n\r\n")
        self.answer = head.decode()

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection without a close frame."""
        self._socket.close()

    def send_bytes(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._socket.sendall(data)

    def send(self, message: object) -> None:
        """Send a message: a text as it is, bytes as a binary frame, anything else as JSON."""
        if isinstance(message, bytes):
            self.send_bytes(frame(_BINARY, message))
            return
        text = message if isinstance(message, str) else msgspec.json.encode(message).decode()
        self.send_bytes(frame(_TEXT, text.encode()))

    def begin(self, payload: object = None) -> None:
        """Send the init; fail without the acknowledgement."""
        self.send({"type": "connection_init", "payload": payload})
        answer = self.receive()
        assert answer == {"type": "connection_ack"}, answer

    def subscribe(self, operation_id: str, query: str, **variables: object) -> None:
        """Begin an operation."""
        payload = {"query": query, "variables": variables}
        self.send({"type": "subscribe", "id": operation_id, "payload": payload})

    def receive(self) -> Any:
        """Return the next message; a `Close` or a `Pong` for their frames. Pings are answered."""
        try:
            while (received := self._receive_frame())[0] == PING:
                self.send_bytes(frame(PONG, received[1]))
            opcode, data = received
        except (ConnectionError, EOFError):
            return Close(1006)
        if opcode == _CLOSE:
            return Close(int.from_bytes(data[:2]), data[2:].decode())
        return Pong(data) if opcode == PONG else msgspec.json.decode(data)

    def receive_all(self) -> list[Any]:
        """Return all messages until the socket is closed, with the close."""
        messages = [self.receive()]
        while not isinstance(messages[-1], Close):
            messages.append(self.receive())
        return messages

    def is_silent(self, seconds: float = 0.3) -> bool:
        """Say whether nothing comes for some time."""
        self._socket.settimeout(seconds)
        try:
            chunk = self._socket.recv(65_536)
        except TimeoutError:
            return True
        finally:
            self._socket.settimeout(15)
        self._bytes += chunk
        return False

    def _receive_frame(self) -> tuple[int, bytes]:
        first, second = self._read(2)
        assert first & 0x80, "the server sends whole messages"
        size = second & 0x7F
        if size == 126:
            size = int.from_bytes(self._read(2))
        elif size == 127:
            size = int.from_bytes(self._read(8))
        return first & 0x0F, self._read(size)

    def _read(self, size: int) -> bytes:
        deadline = time.monotonic() + 20
        while len(self._bytes) < size:
            assert time.monotonic() < deadline
            chunk = self._socket.recv(1_048_576)
            if not chunk:
                raise EOFError
            self._bytes += chunk
        data, self._bytes = self._bytes[:size], self._bytes[size:]
        return data
