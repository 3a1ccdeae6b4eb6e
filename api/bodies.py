"""What both doors do with HTTP: read bodies within their limits, answer, render errors."""

import codecs
import re
import zlib
from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from schema.errors import AnalyticsError

MAX_BODY: Final = 2**20
MAX_BATCH_BODY: Final = 16 * 2**20

_PIECE: Final = 4096
_DIGITS: Final = 18
_BODIES: Final = "analytics.bodies"
_HELD: Final = "analytics.held"

_CHARSET: Final = re.compile(r"""charset\s*=\s*["']?([^\s"';]*)""", re.IGNORECASE)
_WIDE_MARKS: Final = (  # UTF-32's begins like UTF-16's
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_WIDE_ZEROS: Final = {
    b"\0\0\0\1": "UTF-32",
    b"\1\0\0\0": "UTF-32",
    b"\0\1\0\1": "UTF-16",
    b"\1\0\1\0": "UTF-16",
}
"""Encodings of a body by which of its first four bytes are zero."""


class BodyMemoryLimit:
    """Middleware that bounds the bytes of request bodies that are in memory at one time.

    A body is held until its request is answered, as are the rows that are read from it, which
    take several times its size.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        """Wrap an application; `limit` is in bytes."""
        self._app = app
        self._limit = limit
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forget what a request held when it is answered."""
        scope[_BODIES] = self
        if any(name == b"expect" for name, _ in scope.get("headers", ())):
            receive, send = _closing_unread(receive, send)
        try:
            await self._app(scope, receive, send)
        finally:
            self._held -= scope.get(_HELD, 0)

    def hold(self, scope: Scope, size: int) -> None:
        """Count bytes that a request holds from now on; refuse it when it is too much."""
        scope[_HELD] = scope.get(_HELD, 0) + size
        self._held += size
        if self._held > self._limit:
            message = f"Too much is being sent at once (limit {self._limit} bytes)."
            raise AnalyticsError("UNAVAILABLE", message, limit=self._limit, retry_after=1)


def _closing_unread(receive: Receive, send: Send) -> tuple[Receive, Send]:
    """Close the connection behind an answer that does not wait for the body.

    The client asked whether to send it; after the answer nobody knows whether it will.
    """
    is_read = False

    async def read() -> Message:
        nonlocal is_read
        is_read = True
        return await receive()

    async def send_and_close(message: Message) -> None:
        if message["type"] == "http.response.start" and not is_read:
            headers = [*message.get("headers", ()), (b"connection", b"close")]
            message = {**message, "headers": headers}
        await send(message)

    return read, send_and_close


async def read_body(request: Request, limit: int) -> bytes:
    """Return the body as UTF-8 without a byte order mark, unzipped if it was sent so.

    Refuses more than `limit` bytes either way, and other encodings.
    """
    _check_charset(request.headers.get("content-type", ""))
    bodies: BodyMemoryLimit = request.scope[_BODIES]
    if _announced_size(request) > limit and "expect" in request.headers:
        raise _too_large(limit)  # before the client is told to send it
    chunks = []
    size = 0
    more = True
    while more:  # Starlette's stream() is a generator on top, at a tenth of the cost of one row
        part = await request.receive()
        if part["type"] == "http.disconnect":
            raise AnalyticsError("BAD_REQUEST", "The request ended in its middle.")
        chunk = part.get("body", b"")
        more = part.get("more_body", False)
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        bodies.hold(request.scope, len(chunk))
        chunks.append(chunk)
    body = b"".join(chunks)
    match request.headers.get("content-encoding", "identity").strip().lower():
        case "identity" | "":
            pass
        case "gzip" | "x-gzip":
            body = _unzip(body, limit)
            bodies.hold(request.scope, len(body))
        case other:
            message = f"Content-Encoding {other[:40]!r} is not supported; use gzip or none."
            raise AnalyticsError("UNSUPPORTED_MEDIA_TYPE", message)
    return _without_byte_order_mark(body)


def _check_charset(content_type: str) -> None:
    charset = _CHARSET.search(content_type)
    if charset and charset[1].lower() not in {"utf-8", "utf8"}:
        message = f"The charset {charset[1][:40]!r} is not supported; send UTF-8."
        raise AnalyticsError("UNSUPPORTED_MEDIA_TYPE", message)


def _without_byte_order_mark(body: bytes) -> bytes:
    if body.startswith(codecs.BOM_UTF8):
        return body[len(codecs.BOM_UTF8) :]
    head = body[:4]
    encoding = next((name for mark, name in _WIDE_MARKS if head.startswith(mark)), None)
    if encoding is None and b"\0" in head:  # JSON begins with ASCII, whatever its encoding
        encoding = _WIDE_ZEROS.get(bytes(map(bool, head)))
    if encoding:
        raise AnalyticsError("BAD_REQUEST", f"The body is {encoding}; send UTF-8.")
    return body


def _announced_size(request: Request) -> int:
    announced = request.headers.get("content-length", "0")
    if not (announced.isascii() and announced.isdigit()):
        raise AnalyticsError("BAD_REQUEST", "Content-Length is not a number.")
    digits = announced.lstrip("0")
    return int(digits[:_DIGITS] or 0)


def _unzip(body: bytes, limit: int) -> bytes:
    unzipped = bytearray()
    member = None
    try:
        # In pieces: zlib copies all that is behind a member, and there may be 800,000 of them.
        for start in range(0, len(body), _PIECE):
            rest = body[start : start + _PIECE]
            while rest:
                member = member or zlib.decompressobj(wbits=31)
                unzipped += member.decompress(rest, limit + 1 - len(unzipped))
                if len(unzipped) > limit:
                    raise _too_large(limit)
                rest = member.unused_data
                if member.eof:
                    member = None
    except zlib.error as error:
        raise AnalyticsError("BAD_REQUEST", f"The body is not valid gzip: {error}") from None
    if member:
        raise AnalyticsError("BAD_REQUEST", "The gzip body is not whole.")
    return bytes(unzipped)


def _too_large(limit: int) -> AnalyticsError:
    message = f"The body is larger than {limit} bytes."
    return AnalyticsError("PAYLOAD_TOO_LARGE", message, limit=limit)
