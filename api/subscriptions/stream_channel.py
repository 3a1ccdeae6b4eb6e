"""A stream of events (Server-Sent Events), as the protocol of the library graphql-sse has it.

In distinct mode a stream has the results of one operation. In single mode it is reserved first,
and has the results of many operations with their ids.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.bodies import release_body
from api.edge.protocol import Protocol
from api.graphql.requests import GraphQLRequest
from api.headers import CONNECTION_KEY, HEAD_KEY, STREAM_KEY
from api.subscriptions.channel import Channel, Operation
from api.subscriptions.channels import Channels
from resolvers.context import Context
from schema.errors import AnalyticsError

_HEARTBEAT: Final = b":\n\n"
_HEARTBEAT_SECONDS: Final = 12
"""Seconds of silence after which a comment is sent. Proxies often wait 30 s or 60 s."""

_ABORT_SECONDS: Final = 2
"""Seconds that a slow reader has to read why its stream ends."""

_HEADERS: Final = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would hold events back
    "X-Content-Type-Options": "nosniff",
}


class StreamChannel(Channel):
    """The operations of a stream. It ends when its client leaves."""

    def __init__(self, channels: Channels, ctx: Context, *, has_ids: bool) -> None:
        """Have no operations; with `has_ids`, messages have the ids of their operations."""
        super().__init__(channels, ctx)
        self._has_ids = has_ids
        self._parts: list[bytes] = [_HEARTBEAT]  # browsers wait for the first bytes
        self._wake = asyncio.Event()
        self._connection: Protocol | None = None
        self._is_sending = False
        self._is_ended = False
        self._silent_seconds = self._unread_seconds = 0
        self.is_open = False

    # Messages

    @property
    def is_behind(self) -> bool:
        """Whether the client has not read what was sent to it before, or has not come."""
        if self._connection:
            return self._connection.is_behind
        return self._is_sending or not self.is_open

    def flush(self) -> None:
        """Let the stream send all messages that wait."""
        self._wake.set()

    def message_start(self, operation_id: str) -> bytes:
        """Return the begin of an event with a result."""
        if not self._has_ids:
            return b"event: next\ndata: "
        encoded_id = msgspec.json.encode(operation_id)
        return b'event: next\ndata: {"id":' + encoded_id + b',"payload":'

    def add_result(self, operation: Operation, payload: bytes) -> None:
        """Let an event with a result wait. A line break would end its data."""
        if b"\n" in payload or b"\r" in payload:
            payload = payload.replace(b"\n", b" ").replace(b"\r", b" ")
        self._parts += (operation.message_start, payload, b"}\n\n" if self._has_ids else b"\n\n")

    def add_errors(self, operation: Operation, errors: bytes) -> None:
        """Let an event with errors wait, and the end of the operation."""
        self.add_result(operation, b'{"errors":' + errors + b"}")
        self.add_end(operation)

    def add_end(self, operation: Operation) -> None:
        """Let the event of the end of an operation wait. Without ids, the stream ends with it."""
        data = b""
        if self._has_ids:
            data = b'{"id":' + msgspec.json.encode(operation.id) + b"}"
        self._parts.append(b"event: complete\ndata: " + data + b"\n\n")
        if not self._has_ids:
            self.close()

    def end(self, error: AnalyticsError) -> None:
        """Tell the client an error that ends all of its operations, and end the stream."""
        self.fail_all(error)
        self.close()

    def close(self) -> None:
        """End the stream after the events that wait."""
        self._is_ended = True
        self._wake.set()

    # The answer

    async def send_events(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request with events until the operations end, or the client leaves."""
        scope[STREAM_KEY] = True
        release_body(scope)
        connection = scope.get(CONNECTION_KEY)
        if isinstance(connection, Protocol):
            self._connection = connection
            connection.begin_stream(self.close)
        watch = asyncio.create_task(self._await_disconnect(receive))
        self._channels.add(self)
        try:
            while not (self._is_ended and not self._parts):
                await self._wake.wait()
                self._wake.clear()
                await self._send_parts(send)
            await send({"type": "http.response.body", "body": b""})
        finally:
            watch.cancel()
            if self._connection:
                self._connection.on_stop = None
            self._channels.discard(self)
            self.stop_all()

    async def _send_parts(self, send: Send) -> None:
        parts, self._parts = self._parts, []
        if parts:
            self._silent_seconds = 0
            self._is_sending = True
            body = b"".join(parts)
            await send({"type": "http.response.body", "body": body, "more_body": True})
            self._is_sending = False

    async def _await_disconnect(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._parts.clear()
        self.close()

    def tick(self) -> None:
        """Send a heartbeat; end the stream of a slow reader, or of a caller without rights."""
        super().tick()
        self._silent_seconds += 1
        if self._silent_seconds >= _HEARTBEAT_SECONDS and not self.is_behind:
            self._parts.append(_HEARTBEAT)
            self.flush()
        if self._connection:
            self._check_reader(self._connection)

    def _check_reader(self, connection: Protocol) -> None:
        """Tell a client that it reads too slowly, then abort its connection."""
        self._unread_seconds = self._unread_seconds + 1 if self.is_behind else 0
        late_seconds = self._unread_seconds - connection.server_state.limits.reader_seconds
        if not late_seconds:
            message = "The client reads too slowly; the service does not keep messages for it."
            self.end(AnalyticsError("UNAVAILABLE", message, retry_after=1))
        elif late_seconds >= _ABORT_SECONDS:
            connection.abort()


class EventStream(Response):
    """The response of a stream."""

    def __init__(self, channel: StreamChannel, headers: Mapping[str, str] = _HEADERS) -> None:
        """Answer with the events of a channel, which must not be open."""
        super().__init__(headers=headers)
        del self.headers["content-length"]
        self._channel = channel
        channel.is_open = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        head: dict[str, Any] = {"type": "http.response.start", "status": 200}
        await send({**head, "headers": self.raw_headers})
        if HEAD_KEY in scope:
            self._channel.close()
        self._channel.flush()
        await self._channel.send_events(scope, receive, send)


def stream_of_operation(channels: Channels, ctx: Context, request: GraphQLRequest) -> EventStream:
    """Return the stream of one operation: the distinct mode."""
    channel = StreamChannel(channels, ctx, has_ids=False)
    response = EventStream(channel)
    channel.start("", request)
    return response
