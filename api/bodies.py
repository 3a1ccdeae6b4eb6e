"""Request bodies of both APIs: read within limits of size and memory, unzipped, checked as UTF-8.

`read_body` is the only reader. `BodyMemory` bounds the bodies of all requests together.
"""

import asyncio
import codecs
import re
import zlib
from collections import Counter
from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.addresses import Clients
from api.headers import CONTEXT_KEY, headers_of
from schema.errors import AnalyticsError

MAX_BODY: Final = 2**20
MAX_BATCH_BODY: Final = 16 * 2**20

SMALL_BODY: Final = 2**16
"""Bytes up to which a body needs no memory of the common limit while it arrives.

The number of connections bounds the memory of small bodies: `api/edge/connections.py`.
"""

REFUSAL_KEY: Final = "analytics.refusal"
"""Key of a scope with the error that the server answered to a request whose body was late."""

_CHUNK_BYTES: Final = 4096
_UNZIPPED_AT_ONCE: Final = 2**18
"""Bytes of a small body that are unzipped without a thread, in 1 ms."""

_DIGITS: Final = 18
"""Digits of Content-Length that are read: more than a body can have."""

_MEMORY_KEY: Final = "analytics.bodies"
_HELD_BYTES_KEY: Final = "analytics.held"

_CHARSET: Final = re.compile(r"""charset\s*=\s*["']?([^\s"';]*)""", re.IGNORECASE)
_WIDE_MARKS: Final = (  # UTF-32 first: its mark begins with the mark of UTF-16
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
"""Encoding of JSON without a mark, by the zeros among its first four bytes (1: not zero)."""


class BodyMemory:
    """The bytes of all request bodies in memory at one time, and their limit.

    `read_body` finds it by its `entry` in a request's scope. Whole bodies and bodies that still
    arrive are counted apart, each up to the limit. So a sender that falls silent takes no room
    from whole bodies, and none from bodies that fit into `SMALL_BODY`.

    A whole body counts until its request is answered. So long live also the rows that are decoded
    from it, and they take several times its size.
    """

    def __init__(self, limit: int, clients: Clients | None = None) -> None:
        """Set the limit, in bytes; `clients` finds the address of a request."""
        self._limit = limit
        self._clients = clients or Clients()
        self._held_bytes = 0
        self._arriving_bytes = 0
        self._arriving_by_address: Counter[str] = Counter()
        self.entry: Final = {_MEMORY_KEY: self}

    def release(self, scope: Scope) -> None:
        """Release the bytes that an answered request held."""
        self._held_bytes -= scope.get(_HELD_BYTES_KEY, 0)

    def hold(self, scope: Scope, size: int) -> None:
        """Count bytes of a whole body as held by a request until it is answered.

        Raises UNAVAILABLE when all requests together hold more than the limit.
        """
        scope[_HELD_BYTES_KEY] = scope.get(_HELD_BYTES_KEY, 0) + size
        self._held_bytes += size
        if self._held_bytes > self._limit:
            raise self._full("Too much is being sent at once")

    def begin(self, scope: Scope) -> "ArrivingBody":
        """Return the count of a body that arrives in parts."""
        return ArrivingBody(self, self._clients.network_of(scope))

    def count_arriving(self, address: str, size: int) -> None:
        """Count bytes of bodies that arrive from an address; `size` is negative at their end.

        Raises UNAVAILABLE when all of them exceed the limit, or those of one address half of it.
        The address "" has no share: a proxy on this machine speaks for all clients.
        """
        self._arriving_bytes += size
        if address:
            self._arriving_by_address[address] += size
            if not self._arriving_by_address[address]:
                del self._arriving_by_address[address]
        if size > 0:
            if self._arriving_bytes > self._limit:
                raise self._full("Too much is being sent at once")
            if self._arriving_by_address[address] > max(self._limit // 2, MAX_BATCH_BODY):
                raise self._full("Your address sends too much at once")

    def _full(self, reason: str) -> AnalyticsError:
        message = f"{reason} (limit {self._limit} bytes)."
        return AnalyticsError("UNAVAILABLE", message, limit=self._limit, retry_after=1)


class ArrivingBody:
    """The bytes of one body that has not arrived whole."""

    def __init__(self, memory: BodyMemory, address: str) -> None:
        """Begin to count; the address "" has no share of its own."""
        self._memory = memory
        self._address = address
        self._size = 0

    def grow(self, size: int) -> None:
        """Count the body at its new size. Raises UNAVAILABLE if there is no memory for it."""
        if size > SMALL_BODY:
            growth, self._size = size - self._size, size
            self._memory.count_arriving(self._address, growth)

    def end(self) -> None:
        """Count the body no longer."""
        if self._size:
            self._memory.count_arriving(self._address, -self._size)


class BodyMemoryLimit:
    """Middleware that holds the body of each request in the memory of all bodies."""

    def __init__(self, app: ASGIApp, memory: BodyMemory) -> None:
        """Wrap an application."""
        self._app = app
        self._memory = memory

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; release the bytes of its body and of its answer when it is sent."""
        scope.update(self._memory.entry)
        if scope["type"] == "http" and b"expect" in headers_of(scope):
            receive, send = close_if_unread(receive, send)
        try:
            await self._app(scope, receive, send)
        finally:
            self._memory.release(scope)
            if ctx := scope.get(CONTEXT_KEY):
                ctx.answer.release()


def release_body(scope: Scope) -> None:
    """Release the bytes of a body before the answer ends: a stream may last for hours."""
    memory: BodyMemory | None = scope.get(_MEMORY_KEY)
    if memory:
        memory.release(scope)
        scope.pop(_HELD_BYTES_KEY, None)


def close_if_unread(receive: Receive, send: Send) -> tuple[Receive, Send]:
    """Wrap `receive` and `send`: an answer before the body was read closes the connection.

    A client with `Expect: 100-continue` may send the body after such an answer or leave it out,
    so the next bytes on the connection are ambiguous.
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
    """Return the body of a request as UTF-8, unzipped and without a byte order mark.

    `limit` is in bytes, for the body as sent and for the body unzipped. Raises PAYLOAD_TOO_LARGE
    above it, UNSUPPORTED_MEDIA_TYPE for another charset or compression, UNAVAILABLE above the
    memory limit of all bodies, BAD_REQUEST for a broken body, and what the server answered to a
    body that was late.
    """
    scope, receive = request.scope, request.receive
    headers = headers_of(scope)
    _check_charset(headers.get(b"content-type", b""))
    length = headers.get(b"content-length", b"0")
    if not length.isdigit():
        raise AnalyticsError("BAD_REQUEST", "Content-Length is not a number.")
    if b"expect" in headers and int(length.lstrip(b"0")[:_DIGITS] or 0) > limit:
        raise _too_large(limit)  # before the client sends it
    memory: BodyMemory = scope[_MEMORY_KEY]
    message = await receive()
    body = _part(message, scope)
    if message.get("more_body", False):
        body = await _receive_rest(request, body, limit)
    elif len(body) > limit:
        raise _too_large(limit)
    memory.hold(scope, len(body))
    if b"content-encoding" in headers and _is_gzip(headers[b"content-encoding"]):
        body = await _unzip_beside(body, limit)
        memory.hold(scope, len(body))
    return _without_byte_order_mark(body)


async def _receive_rest(request: Request, part: bytes, limit: int) -> bytes:
    """Return a body that arrives in parts, after its first part.

    Starlette's `stream()` adds a generator to each part.
    """
    arriving = request.scope[_MEMORY_KEY].begin(request.scope)
    body = bytearray(part)  # a list of parts of one byte would take 40 times their size
    is_complete = False
    try:
        while True:
            if len(body) > limit:
                raise _too_large(limit)
            arriving.grow(len(body))
            if is_complete:
                return bytes(body)
            message = await request.receive()
            body += _part(message, request.scope)
            is_complete = not message.get("more_body", False)
    finally:
        arriving.end()


def _part(message: Message, scope: Scope) -> bytes:
    if message["type"] == "http.disconnect":
        reason = "The request ended in its middle."
        raise scope.get(REFUSAL_KEY) or AnalyticsError("BAD_REQUEST", reason)
    part: bytes = message.get("body", b"")
    return part


def _is_gzip(content_encoding: bytes) -> bool:
    match content_encoding.strip().lower():
        case b"" | b"identity":
            return False
        case b"gzip" | b"x-gzip":
            return True
        case encoding:
            name = encoding.decode("latin-1")[:40]
            reason = f"Content-Encoding {name!r} is not supported; use gzip or none."
            raise AnalyticsError("UNSUPPORTED_MEDIA_TYPE", reason)


def _check_charset(content_type: bytes) -> None:
    if b"charset" not in content_type.lower():
        return
    charset = _CHARSET.search(content_type.decode("latin-1"))
    if charset and charset[1].lower() not in {"utf-8", "utf8"}:
        message = f"The charset {charset[1][:40]!r} is not supported; send UTF-8."
        raise AnalyticsError("UNSUPPORTED_MEDIA_TYPE", message)


def _without_byte_order_mark(body: bytes) -> bytes:
    head = body[:4]
    if head.isascii() and b"\0" not in head:
        return body
    if body.startswith(codecs.BOM_UTF8):
        return body[len(codecs.BOM_UTF8) :]
    encoding = next((name for mark, name in _WIDE_MARKS if head.startswith(mark)), None)
    if encoding is None and b"\0" in head:  # JSON begins with ASCII, whatever its encoding
        encoding = _WIDE_ZEROS.get(bytes(map(bool, head)))
    if encoding:
        raise AnalyticsError("BAD_REQUEST", f"The body is {encoding}; send UTF-8.")
    return body


async def _unzip_beside(body: bytes, limit: int) -> bytes:
    """Unzip a body; if it is large, in a thread beside the other requests: 16 MiB take 40 ms.

    A few bytes can become many, so a small body is tried at once.
    """
    if len(body) <= SMALL_BODY:
        try:
            return _unzip(body, min(limit, _UNZIPPED_AT_ONCE))
        except AnalyticsError as error:
            if error.code != "PAYLOAD_TOO_LARGE":
                raise
    return await asyncio.to_thread(_unzip, body, limit)


def _unzip(body: bytes, limit: int) -> bytes:
    content = bytearray()
    member = None
    try:
        # In chunks: zlib copies all bytes after a member, and a body can have 800,000 members.
        for start in range(0, len(body), _CHUNK_BYTES):
            rest = body[start : start + _CHUNK_BYTES]
            while rest:
                member = member or zlib.decompressobj(wbits=31)
                content += member.decompress(rest, limit + 1 - len(content))
                if len(content) > limit:
                    raise _too_large(limit)
                rest = member.unused_data
                if member.eof:
                    member = None
    except zlib.error as error:
        raise AnalyticsError("BAD_REQUEST", f"The body is not valid gzip: {error}") from None
    if member:
        raise AnalyticsError("BAD_REQUEST", "The gzip body is not whole.")
    return bytes(content)


def _too_large(limit: int) -> AnalyticsError:
    message = f"The body is larger than {limit} bytes."
    return AnalyticsError("PAYLOAD_TOO_LARGE", message, limit=limit)
