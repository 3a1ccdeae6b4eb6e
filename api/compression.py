"""Compresses answers over a few KB for clients that accept that."""

import asyncio
import re
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.negotiation import encoding

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SMALLEST: Final = 2048
"""Bytes from which an answer is compressed: a smaller one is a packet or two either way."""

_INLINE: Final = 64 * 1024
"""Bytes that are compressed in some 0.3 ms; more would stop the event loop, so a thread does it."""

_LEVEL: Final = 1  # the next levels take twice the time and more for a tenth less
_GZIP: Final = 31  # zlib's number for its gzip format
_WITHOUT_BODY: Final = {204, 205, 206, 304}
_COMPRESSIBLE: Final = re.compile(
    rb"text/|application/([^;]*\+)?json|application/javascript|image/svg"
)

_COMPRESS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "zstd": lambda body: zstd.compress(body, _LEVEL),
    "gzip": lambda body: zlib.compress(body, _LEVEL, _GZIP),
}
"""The encodings, in our order of preference."""


class Compression:
    """Middleware that compresses what is sent through it."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; compress its answer."""
        if scope["type"] == "http":
            send = compress(scope, send)
        await self._app(scope, receive, send)


def compress(scope: Scope, send: Send) -> Send:
    """Return a `send` that compresses the answer to a request if it is large and text."""
    return _Answer(scope, send).take


@dataclass(slots=True)
class _Answer:
    """An answer on its way; one that may be compressed is held until it is whole."""

    scope: Scope
    send: Send
    held: Message | None = None
    parts: list[bytes] = field(default_factory=list)

    async def take(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _may_be_compressed(message):
            self.held = message
        elif self.held is None:
            await self.send(message)
        else:
            self.parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                await self._finish(self.held, b"".join(self.parts))

    async def _finish(self, start: Message, body: bytes) -> None:
        headers = MutableHeaders(raw=list(start["headers"]))
        if "accept-encoding" not in headers.get("vary", "").lower():
            headers.add_vary_header("Accept-Encoding")
        chosen = encoding(Headers(scope=self.scope), tuple(_COMPRESS))
        if chosen:
            compress = _COMPRESS[chosen]
            few = len(body) <= _INLINE
            body = compress(body) if few else await asyncio.to_thread(compress, body)
            _describe(headers, chosen, len(body))
        await self.send({**start, "headers": headers.raw})
        await self.send({"type": "http.response.body", "body": body})


def _may_be_compressed(start: Message) -> bool:
    """Say so of an answer that is large, text, and whole; one of unknown length is a stream."""
    headers = dict(start["headers"])
    return (
        int(headers.get(b"content-length", b"0")) >= SMALLEST
        and start["status"] not in _WITHOUT_BODY
        and b"content-encoding" not in headers
        and b"no-transform" not in headers.get(b"cache-control", b"")
        and _COMPRESSIBLE.match(headers.get(b"content-type", b"")) is not None
    )


def _describe(headers: MutableHeaders, chosen: str, length: int) -> None:
    headers["Content-Encoding"] = chosen
    headers["Content-Length"] = str(length)
    del headers["Accept-Ranges"]  # its ranges were of what is not sent now
    tag = headers.get("etag")
    if tag and not tag.startswith("W/"):
        headers["ETag"] = f"W/{tag}"  # the same content, in other bytes
