"""The protocol graphql-transport-ws on a WebSocket."""

from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from api.access.credentials import context_of_secret, secret_of_header
from api.edge.frames import text_head
from api.edge.web_socket import SocketHandler, WebSocket
from api.graphql.requests import request_of_body
from api.subscriptions.channel import Channel, Operation
from api.subscriptions.channels import Channels
from api.subscriptions.messages import (
    Complete,
    ConnectionInit,
    Message,
    Ping,
    Subscribe,
    decode_message,
)
from resolvers.context import Context
from schema.errors import AnalyticsError

SUBPROTOCOL: Final = "graphql-transport-ws"

INVALID_MESSAGE: Final = 4400
NO_INIT: Final = 4401
FORBIDDEN: Final = 4403
SUBPROTOCOL_NOT_ACCEPTABLE: Final = 4406
INIT_TIMEOUT: Final = 4408
DUPLICATE_OPERATION: Final = 4409
TOO_MANY_INITS: Final = 4429

_MAX_ID_CHARACTERS: Final = 256
_ACKNOWLEDGEMENT: Final = b'{"type":"connection_ack"}'
_PONG: Final = b'{"type":"pong"}'
_KEY_MEMBERS: Final = ("authorization", "key")
_PROJECT_MEMBER: Final = "analytics-project"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Facts of an upgrade that an init needs: the page, the client's network, the clock of inits.

    `network` limits the rows of public keys.
    """

    origin: bytes | None
    network: str
    init_seconds: int


class SocketChannel(Channel, SocketHandler):
    """The operations of a WebSocket. The caller may be known by the upgrade, or by the init."""

    def __init__(
        self, channels: Channels, ctx: Context, web_socket: WebSocket, visitor: Visitor
    ) -> None:
        """Wait for the init; `ctx` has the rights that the upgrade has proved."""
        super().__init__(channels, ctx)
        self._socket = web_socket
        self._visitor = visitor
        self._is_acknowledged = False
        self._waiting_seconds = 0
        self._frames: list[bytes] = []
        channels.add(self)

    # Sending

    @property
    def is_behind(self) -> bool:
        """Whether the client has not read what was sent to it before."""
        return self._socket.is_behind

    def flush(self) -> None:
        """Send all messages that wait, in one write."""
        if self._frames:
            frames, self._frames = self._frames, []
            self._socket.write(frames)

    def message_start(self, operation_id: str) -> bytes:
        """Return the begin of a `next` message."""
        return b'{"type":"next","id":' + msgspec.json.encode(operation_id) + b',"payload":'

    def add_result(self, operation: Operation, payload: bytes) -> None:
        """Let a `next` message wait. The payload is not copied: viewers share its bytes."""
        start = operation.message_start
        self._frames += (text_head(len(start) + len(payload) + 1), start, payload, b"}")

    def add_errors(self, operation: Operation, errors: bytes) -> None:
        """Let an `error` message wait."""
        operation_id = msgspec.json.encode(operation.id)
        self._add(b'{"type":"error","id":' + operation_id + b',"payload":' + errors + b"}")

    def add_end(self, operation: Operation) -> None:
        """Let a `complete` message wait."""
        self._add(b'{"type":"complete","id":' + msgspec.json.encode(operation.id) + b"}")

    def _add(self, text: bytes) -> None:
        self._frames += (text_head(len(text)), text)

    def _close(self, code: int, reason: str) -> None:
        """Send what waits, then a close frame; end all operations."""
        self.flush()
        self._socket.close(code, reason)
        self.stop_all()

    def end(self, error: AnalyticsError) -> None:
        """Tell a caller whose rights have ended, and close the socket."""
        self.fail_all(error)
        self._close(FORBIDDEN, error.message)

    # Receiving

    def on_binary(self) -> None:
        """Refuse bytes: messages are texts."""
        self._close(INVALID_MESSAGE, "Messages are texts.")

    def on_text(self, text: str) -> None:
        """Take a message of the client."""
        message = decode_message(text)
        if message is None:
            self._close(INVALID_MESSAGE, "Invalid message received")
            return
        self._take(message)
        self.flush()

    def _take(self, message: Message) -> None:
        match message:
            case ConnectionInit():
                self._take_init(message.payload or {})
            case Ping():
                self._add(_PONG)
            case Subscribe():
                self._take_subscribe(message)
            case Complete():
                self.stop(message.id)

    def _take_init(self, payload: dict[str, Any]) -> None:
        if self._is_acknowledged:
            self._close(TOO_MANY_INITS, "Too many initialisation requests")
            return
        try:
            self.ctx = self._authenticate(payload)
        except AnalyticsError as error:
            self._close(FORBIDDEN, error.message)
            return
        if not self.ctx.grant.scopes:
            self._close(FORBIDDEN, "Forbidden")
            return
        self._is_acknowledged = True
        self._add(_ACKNOWLEDGEMENT)

    def _authenticate(self, payload: dict[str, Any]) -> Context:
        """Return the context of the key in an init; without one, that of the upgrade."""
        members = {name.lower(): value for name, value in payload.items()}
        key = next((members[name] for name in _KEY_MEMBERS if members.get(name)), None)
        if key is None:
            return self.ctx
        project = members.get(_PROJECT_MEMBER)
        if not isinstance(key, str) or not isinstance(project, str | None):
            raise AnalyticsError("UNAUTHENTICATED", "The key must be a text.")
        secret = key.encode()
        if b" " in secret.strip():
            secret = secret_of_header(secret)
        project_name = project.encode() if project else None
        ctx = context_of_secret(self.ctx, secret.strip(), self._visitor.origin, project_name)
        return replace(ctx, address=self._visitor.network) if ctx.grant.is_public else ctx

    def _take_subscribe(self, message: Subscribe) -> None:
        if not self._is_acknowledged:
            self._close(NO_INIT, "Unauthorized")
        elif not message.id or len(message.id) > _MAX_ID_CHARACTERS:
            self._close(INVALID_MESSAGE, f"An id has 1 to {_MAX_ID_CHARACTERS} characters.")
        elif self.has_operation(message.id):
            self._close(DUPLICATE_OPERATION, f"Subscriber for {message.id} already exists")
        else:
            try:
                request = request_of_body(bytes(message.payload), self.ctx.limits)
            except AnalyticsError as error:
                self._close(INVALID_MESSAGE, error.message)
                return
            self.start(message.id, request)

    # Clocks, and the end

    def tick(self) -> None:
        """Close the socket if its init does not come, or its caller's key is no longer valid."""
        if self._is_acknowledged:
            super().tick()
            return
        self._waiting_seconds += 1
        if self._waiting_seconds > self._visitor.init_seconds:
            self._close(INIT_TIMEOUT, "Connection initialisation timeout")

    def on_slow_reader(self) -> None:
        """Tell a client that it reads too slowly."""
        message = "The client reads too slowly; the service does not keep messages for it."
        self.fail_all(AnalyticsError("UNAVAILABLE", message, retry_after=1))
        self.flush()

    def on_lost(self) -> None:
        """End all operations of a connection that has ended."""
        self._channels.discard(self)
        self.stop_all()
