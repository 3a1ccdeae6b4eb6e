"""Upgrades of requests to WebSockets: who may have one, and with which rights it begins."""

import base64
import binascii
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.access.credentials import open_context_of
from api.addresses import Clients
from api.edge.protocol import Protocol
from api.headers import CONNECTION_KEY, headers_of
from api.subscriptions.channels import Channels
from api.subscriptions.socket_channel import (
    SUBPROTOCOL,
    SUBPROTOCOL_NOT_ACCEPTABLE,
    SocketChannel,
    Visitor,
)
from schema.errors import AnalyticsError

_VERSION: Final = b"13"
_KEY_BYTES: Final = 16


class _NoAnswer(Response):
    """The end of a request whose connection is a WebSocket now: nothing is sent."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send nothing."""


def is_upgrade(request: Request) -> bool:
    """Say whether a request asks for a WebSocket."""
    headers = headers_of(request.scope)
    tokens = headers.get(b"connection", b"").lower().split(b",")
    is_named = headers.get(b"upgrade", b"").strip().lower() == b"websocket"
    return is_named and b"upgrade" in map(bytes.strip, tokens)


async def upgrade(request: Request) -> Response:
    """Turn the connection of a request into a WebSocket.

    CORS does not bind WebSockets, and needs not: a cookie counts on our own pages only, and in
    development, where no key is needed, CORS allows any page.

    Raises BAD_REQUEST for a wrong handshake, and the errors of credentials. A wrong subprotocol is
    answered after the handshake, because browsers show no answer to a refused one.
    """
    connection = request.scope.get(CONNECTION_KEY)
    key = _handshake_key(request)
    if not isinstance(connection, Protocol):
        raise AnalyticsError("BAD_REQUEST", "This server has no WebSockets.", field="Upgrade")
    ctx = open_context_of(request)
    is_ours = SUBPROTOCOL in _subprotocols(request)
    web_socket = connection.upgrade(key, SUBPROTOCOL if is_ours else None)
    clients: Clients = request.app.state.clients
    visitor = Visitor(
        headers_of(request.scope).get(b"origin"),
        clients.network_of(request.scope),
        connection.server_state.limits.init_seconds,
    )
    channels: Channels = request.app.state.channels
    web_socket.handler = SocketChannel(channels, ctx, web_socket, visitor)
    if not is_ours:
        web_socket.close(SUBPROTOCOL_NOT_ACCEPTABLE, "Subprotocol not acceptable")
    return _NoAnswer()


def _handshake_key(request: Request) -> str:
    """Return the key of a handshake. Raises BAD_REQUEST for a wrong one."""
    headers = headers_of(request.scope)
    if request.method != "GET" or request.scope["http_version"] != "1.1":
        raise AnalyticsError("BAD_REQUEST", "An upgrade is a GET of HTTP/1.1.", field="Upgrade")
    if headers.get(b"sec-websocket-version", b"").strip() != _VERSION:
        message = "Sec-WebSocket-Version must be 13."
        raise AnalyticsError("BAD_REQUEST", message, field="Sec-WebSocket-Version")
    key = headers.get(b"sec-websocket-key", b"").strip()
    try:
        is_valid = len(base64.b64decode(key, validate=True)) == _KEY_BYTES
    except (binascii.Error, ValueError):
        is_valid = False
    if not is_valid:
        message = f"Sec-WebSocket-Key must be {_KEY_BYTES} bytes in Base64."
        raise AnalyticsError("BAD_REQUEST", message, field="Sec-WebSocket-Key")
    return key.decode()


def _subprotocols(request: Request) -> list[str]:
    lines = request.headers.getlist("sec-websocket-protocol")
    return [name.strip() for line in lines for name in line.split(",")]
