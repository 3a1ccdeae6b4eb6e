"""Checks of a request line and headers that the parser accepts and the service does not."""

from collections.abc import Sequence
from typing import Final

import httptools

from api.edge.limits import EdgeLimits
from schema.errors import AnalyticsError

_BODY_HEADERS: Final = frozenset({b"content-length", b"transfer-encoding"})
_NO_UPGRADE: Final = "Only a GET without a body may be upgraded, and only to a WebSocket."

Headers = Sequence[tuple[bytes, bytes]]


def check_head(
    parser: httptools.HttpRequestParser, url: bytes, headers: Headers, limits: EdgeLimits
) -> None:
    """Check the size, the Host and the upgrade of a head.

    Raises HEADERS_TOO_LARGE, URI_TOO_LONG or BAD_REQUEST.
    """
    if len(headers) > limits.headers:
        message = f"The request has more than {limits.headers} headers."
        raise AnalyticsError("HEADERS_TOO_LARGE", message, limit=limits.headers)
    if _head_bytes(parser, url, headers) > limits.head_bytes:
        raise head_too_large(url, limits.head_bytes)
    host_count = sum(name == b"host" for name, _ in headers)
    if host_count > 1 or (not host_count and parser.get_http_version() != "1.0"):
        message = f"A request has one Host header, not {host_count}."
        raise AnalyticsError("BAD_REQUEST", message, field="Host")
    if parser.should_upgrade() and _is_refused_upgrade(parser, headers):
        raise AnalyticsError("BAD_REQUEST", _NO_UPGRADE, field="Upgrade")


def _head_bytes(parser: httptools.HttpRequestParser, url: bytes, headers: Headers) -> int:
    line = len(parser.get_method()) + len(url) + len("  HTTP/1.1\r\n")
    return line + sum(len(name) + len(value) + 4 for name, value in headers) + 2


def _is_refused_upgrade(parser: httptools.HttpRequestParser, headers: Headers) -> bool:
    """Say whether an upgrade is refused: a tunnel, a request with a body, a WebSocket but by GET.

    The parser does not read the body of an upgrade, and would take it for the next request.
    """
    method = parser.get_method()
    if method == b"CONNECT":
        return True
    return any(
        name in _BODY_HEADERS
        or (name == b"upgrade" and b"websocket" in value.lower() and method != b"GET")
        for name, value in headers
    )


def head_too_large(url: bytes, limit: int) -> AnalyticsError:
    """Return the error for a head above a limit, in bytes: of its address, or of its headers."""
    if len(url) * 2 > limit:
        message = f"The request line is longer than {limit} bytes allow."
        return AnalyticsError("URI_TOO_LONG", message, limit=limit)
    message = f"The headers of the request have more than {limit} bytes."
    return AnalyticsError("HEADERS_TOO_LARGE", message, limit=limit)
