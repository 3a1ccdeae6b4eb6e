"""Hostile requests of REST and of the edge, as raw HTTP: their bodies, and the answers to them."""

import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from api.bodies import MAX_BATCH_BODY
from api.edge.limits import EdgeLimits
from store.ingest.decoder import MAX_ROW_BYTES
from store.ingest.rows import MAX_ROWS

_LARGEST_BODY: Final = MAX_BATCH_BODY - 2**16
_METRICS: Final = "/metrics/batch"
_EVENTS: Final = "/events/batch"
_HEAD: Final = EdgeLimits()


@dataclass(frozen=True, slots=True)
class Attack:
    """A request, and its answer: the status, and of a refusal the code and the limit.

    Status 0 is a connection that ends without an answer. A refused row is an error of the answer.
    """

    name: str
    build_request: Callable[[], bytes]
    status: int
    code: str | None = None
    limit: int | None = None
    max_answer_bytes: int = 20_000


def gzip_post(path: str, body: bytes) -> bytes:
    """Return a POST request with a body compressed by gzip."""
    return post(path, gzip.compress(body, 6), "gzip")


def post(path: str, body: bytes, encoding: str = "identity") -> bytes:
    """Return a POST request."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"
        "Accept: application/graphql-response+json\r\n"
        f"Content-Encoding: {encoding}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def chunked_post(path: str, body: bytes) -> bytes:
    """Return a POST request with a compressed body in chunks of 1,000 bytes."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"
        "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    content = gzip.compress(body, 6)
    parts = (content[start : start + 1000] for start in range(0, len(content), 1000))
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    return head.encode() + chunks + b"0\r\n\r\n"


def get(path: str, *headers: str) -> bytes:
    """Return a GET request."""
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: here", *headers, "", ""]).encode()


def _array(item: bytes) -> bytes:
    count = _LARGEST_BODY // (len(item) + 1)
    return b"[" + b",".join([item] * count) + b"]"


def _members(count: int) -> bytes:
    return b",".join(b'"k%d":1' % number for number in range(count))


def _event(properties: bytes) -> bytes:
    return b'{"event_name":"a","properties":{%b}}' % properties


BATCHES: Final = (
    Attack(
        "8,300,000 numbers",
        lambda: gzip_post(_METRICS, _array(b"1")),
        413,
        "PAYLOAD_TOO_LARGE",
        MAX_ROWS,
    ),
    Attack(
        "5,500,000 empty objects",
        lambda: gzip_post(_EVENTS, _array(b"{}")),
        413,
        "PAYLOAD_TOO_LARGE",
        MAX_ROWS,
    ),
    Attack(
        "5,500,000 lines of empty objects",
        lambda: gzip_post(_METRICS, b"{}\n" * (_LARGEST_BODY // 3)),
        413,
        "PAYLOAD_TOO_LARGE",
        MAX_ROWS,
    ),
    Attack(
        "16,700,000 empty lines",
        lambda: gzip_post(_METRICS, b"\n" * _LARGEST_BODY),
        422,
        "BAD_USER_INPUT",
    ),
    Attack(
        "16,700,000 brackets",
        lambda: gzip_post(_METRICS, b"[" * _LARGEST_BODY),
        422,
        "BAD_USER_INPUT",
        64,
    ),
    Attack(
        "49,999 rows 1 and a good one",
        lambda: gzip_post(_METRICS, b"1\n" * 49_999 + b'{"metric_name":"m","value":1}'),
        200,
        max_answer_bytes=6_000_000,
    ),
    Attack(
        "50,000 events",
        lambda: gzip_post(_EVENTS, b'{"event_name":"a","properties":{"b":"c"}}\n' * 50_000),
        200,
    ),
    Attack(
        "a row of 1,000,000 members",
        lambda: gzip_post(_EVENTS, _event(_members(1_000_000))),
        422,
        "BAD_USER_INPUT",
    ),
    Attack(
        "a row of 15 MiB of backslashes",
        lambda: gzip_post(_METRICS, b'{"metric_name":"' + b"\\\\" * (_LARGEST_BODY // 2) + b'"}'),
        422,
        "BAD_USER_INPUT",
    ),
    Attack(
        "integers of 4,000 digits",
        lambda: gzip_post(_EVENTS, (_event(b'"a":' + b"1" * 4_000) + b"\n") * 3_800),
        200,
    ),
)
BODIES: Final = (
    Attack(
        "700,000 empty gzip members",
        lambda: post(_METRICS, gzip.compress(b"") * 700_000, "gzip"),
        422,
        "BAD_USER_INPUT",
    ),
    Attack(
        "a bomb of 1 GB in gzip",
        lambda: post(_METRICS, gzip.compress(bytes(10**9), 1), "gzip"),
        413,
        "PAYLOAD_TOO_LARGE",
        MAX_BATCH_BODY,
    ),
    Attack(
        "a bomb in deflate",
        lambda: post(_METRICS, zlib.compress(bytes(10**7)), "deflate"),
        415,
        "UNSUPPORTED_MEDIA_TYPE",
    ),
    Attack("a bomb in zstd", lambda: post(_METRICS, bytes(10**4), "zstd"), 415),
    Attack(
        "15 MiB in chunks",
        lambda: chunked_post(_METRICS, b"1\n" * (_LARGEST_BODY // 2)),
        413,
        "PAYLOAD_TOO_LARGE",
        MAX_ROWS,
    ),
    Attack(
        "a row of 2 MiB alone",
        lambda: post("/events", _event(_members(200_000))),
        413,
        "PAYLOAD_TOO_LARGE",
        MAX_ROW_BYTES,
    ),
    Attack(
        "GraphQL: 15 MiB of brackets",
        lambda: gzip_post("/graphql", b'{"query":"{a}","variables":{"v":' + b"[" * _LARGEST_BODY),
        400,
        "BAD_REQUEST",
    ),
    Attack(
        "GraphQL: an id of 15 MiB",
        lambda: gzip_post("/graphql", b'{"documentId":"%b"}' % (b"a" * _LARGEST_BODY)),
        404,
        "NOT_FOUND",
    ),
    Attack(
        "GraphQL: 5,000,000 objects in extensions",
        lambda: gzip_post("/graphql", b'{"extensions":{"persistedQuery":%b}}' % _array(b"{}")),
        400,
        "BAD_REQUEST",
    ),
)
HEADS: Final = (
    Attack(
        "a header of 1 MB",
        lambda: get("/livez", "x: " + "y" * 10**6),
        431,
        "HEADERS_TOO_LARGE",
        _HEAD.head_bytes,
    ),
    Attack(
        "100,000 headers",
        lambda: get("/livez", *["x: y"] * 100_000),
        431,
        "HEADERS_TOO_LARGE",
    ),
    Attack("an address of 1 MB", lambda: get("/" + "y" * 10**6), 414, "URI_TOO_LONG"),
    Attack("a metric of 30 KB", lambda: get("/metrics/" + "y" * 30_000), 404, "NOT_FOUND"),
    Attack(
        "4,000 parameters",
        lambda: get("/events?" + "&".join(f"a{number}=1" for number in range(4_000))),
        422,
        "BAD_USER_INPUT",
    ),
)
