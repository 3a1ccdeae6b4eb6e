"""Compression of responses: text of 2 KiB and more, in zstd or gzip, if the client accepts it."""

import asyncio
import re
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.negotiation import best_encoding

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SMALLEST: Final = 2048
"""Bytes from which a response is compressed: a smaller one takes one or two packets anyway."""

_INLINE: Final = 64 * 1024
"""Bytes that compress in about 0.3 ms. A thread compresses more, so that the loop goes on."""

_LEVEL: Final = 1  # level 2 and above take twice the time for 10 % fewer bytes
_GZIP: Final = 31  # zlib: gzip format, window of 32 KiB
_WITHOUT_BODY: Final = {204, 205, 206, 304}
_COMPRESSIBLE: Final = re.compile(
    rb"text/|application/([^;]*\+)?json|application/javascript|image/svg"
)

_COMPRESS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "zstd": lambda body: zstd.compress(body, _LEVEL),
    "gzip": lambda body: zlib.compress(body, _LEVEL, _GZIP),
}
"""Encoders by encoding, the preferred encoding first."""


class Compression:
    """Middleware that compresses responses."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and compress its response."""
        if scope["type"] == "http":
            send = compress(scope, send)
        await self._app(scope, receive, send)


def compress(scope: Scope, send: Send) -> Send:
    """Return a `send` that compresses the response to a request if it is large and text."""
    return _Response(scope, send).take


@dataclass(slots=True)
class _Response:
    """A response on its way. If it may be compressed, it waits until its body is complete."""

    scope: Scope
    send: Send
    start: Message | None = None
    chunks: list[bytes] = field(default_factory=list)

    async def take(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _may_be_compressed(message):
            self.start = message
        elif self.start is None:
            await self.send(message)
        else:
            self.chunks.append(message.get("body", b""))
            if not message.get("more_body", False):
                await self._finish(self.start, b"".join(self.chunks))

    async def _finish(self, start: Message, body: bytes) -> None:
        headers = MutableHeaders(raw=list(start["headers"]))
        if "accept-encoding" not in headers.get("vary", "").lower():
            headers.add_vary_header("Accept-Encoding")
        encoding = best_encoding(Headers(scope=self.scope), tuple(_COMPRESS))
        if encoding:
            compress = _COMPRESS[encoding]
            is_small = len(body) <= _INLINE
            body = compress(body) if is_small else await asyncio.to_thread(compress, body)
            _describe(headers, encoding, len(body))
        await self.send({**start, "headers": headers.raw})
        await self.send({"type": "http.response.body", "body": body})


def _may_be_compressed(start: Message) -> bool:
    """Say whether a response is large, text, and of known length (else it is a stream)."""
    headers = dict(start["headers"])
    return (
        int(headers.get(b"content-length", b"0")) >= SMALLEST
        and start["status"] not in _WITHOUT_BODY
        and b"content-encoding" not in headers
        and b"no-transform" not in headers.get(b"cache-control", b"")
        and _COMPRESSIBLE.match(headers.get(b"content-type", b"")) is not None
    )


def _describe(headers: MutableHeaders, encoding: str, length: int) -> None:
    headers["Content-Encoding"] = encoding
    headers["Content-Length"] = str(length)
    del headers["Accept-Ranges"]  # ranges count bytes of the plain body
    tag = headers.get("etag")
    if tag and not tag.startswith("W/"):
        headers["ETag"] = f"W/{tag}"  # a strong tag promises the same bytes
