"""A WebSocket: messages, close codes, and the clocks for a client that is slow or gone.

It has no task, no timer and no buffer of its own. uvicorn's `send` writes each message by itself;
one write of the messages of a tick takes a tenth of the time.
"""

import asyncio
import contextlib
import socket
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final

from websockets.exceptions import InvalidState
from websockets.frames import Frame, Opcode
from websockets.protocol import SERVER, Protocol, State

from api.edge.connections import Connections
from api.edge.pace import Pace

_SEND_BUFFER_BYTES: Final = 262_144
"""Bytes that the kernel may hold for a client. Without a bound it takes 4 MB before we notice."""

_CLOSE_SECONDS: Final = 2
"""Seconds that a client has to answer a close frame, and to read what is before it."""

_MAX_REASON_BYTES: Final = 123
"""Bytes of a reason that a close frame has room for."""

INVALID_TEXT: Final = 1007
RESTART: Final = 1012
TRY_AGAIN_LATER: Final = 1013

_DATA: Final = frozenset({Opcode.TEXT, Opcode.BINARY, Opcode.CONT})


class SocketHandler(ABC):
    """The protocol above a WebSocket."""

    @abstractmethod
    def on_text(self, text: str) -> None:
        """Take a message."""

    @abstractmethod
    def on_binary(self) -> None:
        """Take a message of bytes."""

    @abstractmethod
    def on_slow_reader(self) -> None:
        """Tell a client that it reads too slowly; the socket is closed then."""

    @abstractmethod
    def on_lost(self) -> None:
        """Forget the connection, which has ended."""


def limit_send_buffer(transport: asyncio.Transport) -> None:
    """Bound the bytes that the kernel holds for a client that does not read."""
    connection = transport.get_extra_info("socket")
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)


class WebSocket(asyncio.Protocol):
    """The connection of a client after its upgrade."""

    def __init__(
        self, server_state: Connections, transport: asyncio.Transport, network: str
    ) -> None:
        """Take over a connection that was admitted for a network; `handler` must be set then."""
        self.handler: SocketHandler
        self._server_state = server_state
        self._transport = transport
        self._network = network
        limits = server_state.limits
        self._protocol = Protocol(SERVER, max_size=limits.socket_message_bytes)
        self._message = bytearray()
        self._is_text = False
        self._silent_seconds = 0
        self._closing_seconds = 0
        self._pace = Pace(limits.reader_seconds, limits.slowest_rate, 0)
        limit_send_buffer(transport)
        server_state.connections.add(self)  # type: ignore[arg-type]  # uvicorn knows its own only

    # Sending

    @property
    def is_behind(self) -> bool:
        """Whether the client has not read what was sent to it."""
        return self._transport.get_write_buffer_size() > 0

    @property
    def is_open(self) -> bool:
        """Whether messages may be sent."""
        return self._protocol.state is State.OPEN and not self._transport.is_closing()

    def write(self, frames: Sequence[bytes]) -> None:
        """Send whole frames in one write."""
        if self.is_open:
            self._transport.write(b"".join(frames))

    def close(self, code: int, reason: str = "") -> None:
        """Send a close frame; the connection ends with the client's answer, or without it."""
        short_reason = reason.encode()[:_MAX_REASON_BYTES].decode(errors="ignore")
        with contextlib.suppress(InvalidState):
            self._protocol.send_close(code, short_reason)
            self._write_output()

    def _write_output(self) -> None:
        """Write what the protocol has to say: a pong, a ping, a close frame."""
        output = b"".join(self._protocol.data_to_send())
        if output and not self._transport.is_closing():
            self._transport.write(output)
        if self._protocol.eof_sent:
            self._transport.close()

    # Receiving

    def data_received(self, data: bytes) -> None:
        """Take bytes of frames."""
        self._silent_seconds = 0
        if self._protocol.eof_sent:
            return
        self._protocol.receive_data(data)
        self._write_output()
        for event in self._protocol.events_received():
            if isinstance(event, Frame) and event.opcode in _DATA:
                self._take(event)

    def _take(self, frame: Frame) -> None:
        """Take a part of a message, or a whole one."""
        if frame.opcode is not Opcode.CONT:
            self._is_text = frame.opcode is Opcode.TEXT
        self._message += frame.data
        if not frame.fin:
            return
        message, self._message = self._message, bytearray()
        if not self.is_open:
            return
        if not self._is_text:
            self.handler.on_binary()
            return
        try:
            text = message.decode()
        except UnicodeDecodeError:
            self.close(INVALID_TEXT, "text must be UTF-8")
            return
        self.handler.on_text(text)

    # The transport's calls

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        """Forget the connection."""
        self._server_state.connections.discard(self)
        self._server_state.release(self._network)
        self.handler.on_lost()

    def pause_writing(self) -> None:
        """Read nothing more: each answer would wait in memory."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Read again."""
        self._transport.resume_reading()

    # The server's calls

    def shutdown(self) -> None:
        """Say that the service restarts, and end the connection once the client read that."""
        self.close(RESTART, "The service stops.")
        self._transport.close()

    def tick(self) -> None:
        """Look at the client once a second: does it read, does it live, does it close?"""
        limits = self._server_state.limits
        if self._protocol.state is not State.OPEN:
            self._closing_seconds += 1
            if self._closing_seconds > _CLOSE_SECONDS:
                self._transport.abort()
            return
        unread_bytes = self._transport.get_write_buffer_size()
        if not unread_bytes:
            self._pace = Pace(limits.reader_seconds, limits.slowest_rate, 0)
        elif self._pace.is_late(-unread_bytes):
            self.handler.on_slow_reader()
            self.close(TRY_AGAIN_LATER, "The client reads too slowly.")
            return
        self._silent_seconds += 1
        if self._silent_seconds > 2 * limits.ping_seconds:
            self._transport.abort()
        elif self._silent_seconds == limits.ping_seconds and not unread_bytes:
            self._protocol.send_ping(b"")
            self._write_output()
