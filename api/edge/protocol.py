"""The HTTP protocol of the server: uvicorn's, with limits and clocks for its clients.

No connection has a timer. The server calls `tick` of each connection once a second, and `tick`
compares what it sees with what it saw last. So a request pays for counting its bytes, and saves
the timer that uvicorn starts and stops for it. A second in which the event loop was busy with
something else counts once, however long it took: no client pays for our own pauses.
"""

import asyncio
import enum
from collections.abc import Callable
from typing import Final

import httptools
from starlette.responses import Response
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from api.bodies import REFUSAL_KEY
from api.edge.connections import Connections
from api.edge.frames import switch_protocols
from api.edge.heads import check_head, head_too_large
from api.edge.pace import Pace
from api.edge.transport import HeadWithBody
from api.edge.web_socket import WebSocket, limit_send_buffer
from api.headers import CONNECTION_KEY, HEADERS_KEY
from api.logs import log_refusal
from api.responses import error_answer
from schema.errors import AnalyticsError

_NO_HTTP: Final = "Invalid HTTP request received."
_HEAD_LATE: Final = "The headers of the request did not arrive within {} seconds."
_BODY_LATE: Final = "The body of the request stopped, or came at less than {} bytes a second."


class Phase(enum.Enum):
    """What a connection does at a moment."""

    HEAD = "the client sends a request line and headers, or has sent nothing yet"
    BODY = "the client sends a body, and the application reads it"
    WORK = "the application works, or has not asked for the body"
    LEFTOVER = "the client sends the rest of a body after its answer"
    IDLE = "the answer is with the kernel, and no new request has begun"
    ANSWER = "an answer waits for its reader"


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol with a transport that sends head and body together."""

    server_state: Connections

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Make the protocol of one connection; `server_state` must be `Connections`."""
        assert isinstance(server_state, Connections)  # noqa: S101 - uvicorn passes what it was given
        super().__init__(config, server_state, app_state, _loop)
        self.server_state = server_state
        self._limits = server_state.limits
        self._network = ""
        self._received_bytes = 0
        self._early_bytes = b""  # of frames that did not wait for the upgrade
        self._head_bytes = 0  # of a head, or of framing without a body, that is not complete
        self._has_body_bytes = False
        self._phase = Phase.HEAD
        self._phase_cycle: object = None
        self._phase_seconds = 0
        self._pace = Pace(1, 1, 0)
        self.on_stop: Callable[[], None] | None = None
        """Call at the stop of the service, of an answer that would not end by itself."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Take a new connection, or refuse it if there are too many."""
        self._answers = HeadWithBody(transport)
        try:
            address = transport.get_extra_info("peername")
            self._network = self.server_state.admit(address[0] if address else None)
        except AnalyticsError as error:
            self.transport = self._answers
            self._end_with(error)
            return
        super().connection_made(transport)
        self.transport = self._answers

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        self.server_state.release(self._network)
        super().connection_lost(exc)

    # Reading

    def data_received(self, data: bytes) -> None:
        """Parse bytes of a request, in pieces that no head may exceed."""
        self._received_bytes += len(data)
        size = self._limits.head_bytes
        if len(data) <= size:
            self._parse(data)
            return
        rest = memoryview(data)
        while rest and not self.transport.is_closing():
            self._parse(rest[:size])
            rest = rest[size:]

    def _parse(self, piece: bytes | memoryview) -> None:
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as upgrade:
            # The request is answered like any other. What follows it is of a WebSocket, if of any.
            self._early_bytes = bytes(piece[upgrade.args[0] :])
            self.cycle.keep_alive = False
            self.flow.pause_reading()
        except httptools.HttpParserError as error:
            cause = error.__context__
            if not isinstance(cause, AnalyticsError):
                cause = AnalyticsError("BAD_REQUEST", _NO_HTTP)
            self._refuse(cause)
        else:
            if self._is_reading():
                self._bound_head(len(piece))

    def _bound_head(self, size: int) -> None:
        """Refuse a head, or framing without any body, that is larger than a head may be."""
        if self._has_body_bytes:
            self._has_body_bytes = False
            self._head_bytes = 0
        else:
            self._head_bytes += size
            if self._head_bytes > self._limits.head_bytes:
                self._refuse(head_too_large(self.url, self._limits.head_bytes))

    def _is_reading_head(self) -> bool:
        return self.scope is None or "method" not in self.scope

    def _is_reading(self) -> bool:
        return self._is_reading_head() or self.cycle.more_body

    def on_headers_complete(self) -> None:
        """Check a head, and start its request."""
        if len(self.pipeline) >= self._limits.pipelined_requests:
            limit = self._limits.pipelined_requests
            message = f"Too many requests wait for an earlier answer (limit {limit})."
            raise AnalyticsError("BAD_REQUEST", message, limit=limit)
        headers = self.headers
        self.scope[CONNECTION_KEY] = self  # type: ignore[typeddict-unknown-key]  # for upgrades and streams
        self.scope[HEADERS_KEY] = by_name = dict(reversed(headers))  # type: ignore[typeddict-unknown-key]  # for `headers_of`
        if (
            self._head_bytes
            or len(headers) > self._limits.headers
            or len(by_name) != len(headers)
            or b"host" not in by_name
            or self.parser.should_upgrade()
        ):
            check_head(self.parser, self.url, headers, self._limits)
        self._head_bytes = 0
        super().on_headers_complete()
        self.headers = []  # trailers go nowhere: the application may have read the headers

    def on_body(self, body: bytes) -> None:
        """Take bytes of a body."""
        self._has_body_bytes = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Take the end of a body."""
        self._head_bytes = 0
        self._has_body_bytes = False
        self.cycle.more_body = False
        self.cycle.message_event.set()

    # Answering

    def on_response_complete(self) -> None:
        """Write the head of an answer without a body, then take the next request.

        It is uvicorn's method without the timer: `tick` closes idle connections.
        """
        self._answers.flush()
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)

    def _refuse(self, error: AnalyticsError) -> None:
        """Answer a request in the place of the application, and end the connection.

        Answers to earlier requests come first, and then it ends without this one.
        """
        cycle = self.cycle
        if cycle is None or (cycle.response_complete and not cycle.more_body):
            self._end_with(error)
        elif cycle.response_complete:
            self.transport.close()
        elif self._is_reading_head() or self.pipeline or not cycle.more_body:
            cycle.keep_alive = False
        elif cycle.response_started:
            self._answers.abort()
        else:
            cycle.scope[REFUSAL_KEY] = error  # type: ignore[typeddict-unknown-key]  # `read_body` raises it
            self._write(error_answer(error))  # `connection_lost` tells the application

    def _end_with(self, error: AnalyticsError) -> None:
        log_refusal(error)
        self._write(error_answer(error))

    def _write(self, response: Response) -> None:
        headers = [
            *self.server_state.default_headers,
            *response.raw_headers,
            (b"connection", b"close"),
        ]
        lines = [b"%b: %b\r\n" % header for header in headers]
        head = b"".join([STATUS_LINE[response.status_code], *lines, b"\r\n"])
        self.transport.write(head)
        self.transport.write(response.body)
        self.transport.close()

    # WebSockets and streams

    def _should_upgrade(self) -> bool:
        """Leave upgrades to the application, which answers them like any other request."""
        return False

    def upgrade(self, key: str, subprotocol: str | None) -> WebSocket:
        """Turn the connection into a WebSocket, in place of an answer to its request."""
        transport = self._answers.inner
        transport.write(switch_protocols(key, subprotocol))
        web_socket = WebSocket(self.server_state, transport, self._network)
        transport.set_protocol(web_socket)
        if self._early_bytes:
            self.loop.call_soon(web_socket.data_received, self._early_bytes)
        self.flow.resume_reading()
        # uvicorn forgets the request; without an error it would close the connection, too.
        super().connection_lost(ConnectionAbortedError())
        return web_socket

    def begin_stream(self, on_stop: Callable[[], None]) -> None:
        """Begin an answer that lasts; `on_stop` ends it when the service stops."""
        self.on_stop = on_stop
        limit_send_buffer(self._answers.inner)

    @property
    def is_behind(self) -> bool:
        """Whether the client has not read what was sent to it."""
        return self._answers.inner.get_write_buffer_size() > 0

    def abort(self) -> None:
        """End the connection at once."""
        self._answers.abort()

    def shutdown(self) -> None:
        """End the connection after the answer that is being sent."""
        if self.on_stop:
            self.on_stop()
        super().shutdown()

    # Clocks

    def tick(self) -> None:
        """End the connection if its client is too slow; to be called once a second."""
        unread = self._answers.unsent_bytes()
        phase = Phase.ANSWER if unread else self._find_phase()
        # An answer may wait longer than the requests that its reader goes on to send.
        cycle = None if phase is Phase.ANSWER else self.cycle
        if phase is not self._phase or cycle is not self._phase_cycle:
            self._phase, self._phase_cycle, self._phase_seconds = phase, cycle, 0
            self._begin_pace(unread)
            return
        self._phase_seconds += 1
        if self._is_late(unread):
            self._end_phase()

    def _is_late(self, unread: int) -> bool:
        limits = self._limits
        match self._phase:
            case Phase.HEAD:
                return self._phase_seconds >= limits.head_seconds
            case Phase.BODY:
                return self._pace.is_late(self._received_bytes)
            case Phase.ANSWER:
                return self._pace.is_late(-unread)
            case Phase.LEFTOVER:
                return self._phase_seconds >= limits.leftover_seconds
            case Phase.IDLE:
                return self._phase_seconds >= self.timeout_keep_alive
            case Phase.WORK:
                return False

    def _end_phase(self) -> None:
        limits = self._limits
        match self._phase:
            case Phase.HEAD:
                message = _HEAD_LATE.format(limits.head_seconds)
                self._refuse(AnalyticsError("REQUEST_TIMEOUT", message, limit=limits.head_seconds))
            case Phase.BODY:
                message = _BODY_LATE.format(limits.slowest_rate)
                self._refuse(AnalyticsError("REQUEST_TIMEOUT", message, limit=limits.slowest_rate))
            case Phase.ANSWER:
                self._answers.abort()
            case _:
                self.transport.close()

    def _find_phase(self) -> Phase:
        cycle = self.cycle
        if cycle is None:
            return Phase.HEAD
        if cycle.response_complete:
            if self._is_reading_head():
                return Phase.HEAD
            return Phase.LEFTOVER if cycle.more_body else Phase.IDLE
        is_awaited = not (self.flow.read_paused or self.pipeline or cycle.waiting_for_100_continue)
        return Phase.BODY if cycle.more_body and is_awaited else Phase.WORK

    def _begin_pace(self, unread: int) -> None:
        limits = self._limits
        if self._phase is Phase.BODY:
            self._pace = Pace(limits.body_seconds, limits.slowest_rate, self._received_bytes)
        elif self._phase is Phase.ANSWER:
            self._pace = Pace(limits.answer_seconds, limits.slowest_rate, -unread)
