"""Frames of a WebSocket that the server sends, and the answer to an upgrade."""

import struct
from typing import Final

from websockets.utils import accept_key

_TEXT: Final = 0x81
"""First byte of a frame with a whole text."""

_SHORT: Final = 126
_MEDIUM: Final = 65_536


def text_head(size: int) -> bytes:
    """Return the head of a frame with a whole text of `size` bytes."""
    if size < _SHORT:
        return bytes((_TEXT, size))
    if size < _MEDIUM:
        return struct.pack("!BBH", _TEXT, 126, size)
    return struct.pack("!BBQ", _TEXT, 127, size)


def switch_protocols(key: str, subprotocol: str | None) -> bytes:
    """Return the answer that turns a connection into a WebSocket; `key` is the client's."""
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept_key(key)}",
        *([f"Sec-WebSocket-Protocol: {subprotocol}"] if subprotocol else []),
    ]
    return "\r\n".join([*lines, "", ""]).encode()
