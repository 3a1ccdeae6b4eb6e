"""Odd requests at the edge: sizes, hosts, upgrades, paths, pipelines, and the log about them."""

import re
import time
from collections.abc import Iterator
from typing import Any, Final

import pytest

from api.edge.limits import EdgeLimits
from api.logs import LINES_PER_SECOND
from tests.harness.edge import connect, exchange, head, read_all, status_of
from tests.harness.process import Process

MAX_HEAD: Final = EdgeLimits().head_bytes
MAX_HEADERS: Final = EdgeLimits().headers
MAX_PIPELINE: Final = EdgeLimits().pipelined_requests
CLOSE: Final = "Connection: close"
CHUNKED_HEAD: Final = head("POST /metrics", "Transfer-Encoding: chunked", CLOSE)
ROW: Final = b'{"metric_name": "m", "value": 1}'
CHUNK: Final = b"%x\r\n%b\r\n" % (len(ROW), ROW)


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Start a service in its own process."""
    with Process(tmp_path_factory.mktemp("edge") / "data") as service:
        service.await_ready()
        names = ("a/b", "internal/metrics", "%2f")
        for name in names:
            assert service.post("/metrics", {"metric_name": name, "value": 1}).status_code == 200
        yield service


def head_of_size(size: int) -> bytes:
    """Return a head of so many bytes."""
    filler = size - len(head("GET /livez", CLOSE, "x: "))
    return head("GET /livez", CLOSE, "x: " + "y" * filler)


def many_headers(count: int, name: str) -> bytes:
    """Return a head of so many headers."""
    return head("GET /livez", CLOSE, *(f"{name.format(n)}: x" for n in range(count - 2)))


def pieces(message: bytes, size: int) -> list[bytes]:
    """Cut a message into pieces."""
    return [message[start : start + size] for start in range(0, len(message), size)]


UPGRADE: Final = "Connection: upgrade"
WEBSOCKET: Final = (UPGRADE, "Upgrade: websocket", "Sec-WebSocket-Key: x")
HEADS: Final[dict[str, tuple[list[bytes], int, str | None]]] = {
    "largest": ([head_of_size(MAX_HEAD)], 200, None),
    "largest in pieces": (pieces(head_of_size(MAX_HEAD), 5000), 200, None),
    "too large": ([head_of_size(MAX_HEAD + 1)], 431, "HEADERS_TOO_LARGE"),
    "too large in pieces": (pieces(head_of_size(MAX_HEAD + 1), 5000), 431, "HEADERS_TOO_LARGE"),
    "one header of 1 MB": ([head_of_size(1_000_000)], 431, "HEADERS_TOO_LARGE"),
    "most headers": ([many_headers(MAX_HEADERS, "x")], 200, None),
    "most headers of other names": ([many_headers(MAX_HEADERS, "x{}")], 200, None),
    "too many headers": ([many_headers(MAX_HEADERS + 1, "x")], 431, "HEADERS_TOO_LARGE"),
    "too many of other names": ([many_headers(MAX_HEADERS + 1, "x{}")], 431, "HEADERS_TOO_LARGE"),
    "long address": ([head("GET /" + "y" * MAX_HEAD, CLOSE)], 414, "URI_TOO_LONG"),
    "no host": ([b"GET /livez HTTP/1.1\r\n\r\n"], 400, "BAD_REQUEST"),
    "no host in HTTP/1.0": ([b"GET /livez HTTP/1.0\r\n\r\n"], 200, None),
    "two hosts": ([head("GET /livez", "Host: there")], 400, "BAD_REQUEST"),
    "the same host twice": ([head("GET /livez", "hOST: here")], 400, "BAD_REQUEST"),
    "WebSocket": ([head("GET /graphql", *WEBSOCKET)], 400, "BAD_REQUEST"),
    "tunnel": ([head("CONNECT here:80")], 400, "BAD_REQUEST"),
    "HTTP/2": ([head("GET /livez", UPGRADE, "Upgrade: h2c")], 200, None),
    "upgrade with a body": (
        [head("POST /metrics", UPGRADE, "Upgrade: h2c", f"Content-Length: {len(ROW)}") + ROW],
        400,
        "BAD_REQUEST",
    ),
    "no HTTP": ([b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"], 400, "BAD_REQUEST"),
    "trailers": ([CHUNKED_HEAD + CHUNK + b"0\r\nHost: there\r\nx: y\r\n\r\n"], 200, None),
    "trailer of 1 MB": (
        [CHUNKED_HEAD + CHUNK + b"0\r\nx: " + b"y" * 1_000_000],
        431,
        "HEADERS_TOO_LARGE",
    ),
    "extension of a chunk of 1 MB": (
        [CHUNKED_HEAD + b"5;" + b"x" * 1_000_000],
        431,
        "HEADERS_TOO_LARGE",
    ),
    "no chunk": ([CHUNKED_HEAD + CHUNK + b"zz\r\n"], 400, "BAD_REQUEST"),
}


@pytest.mark.parametrize("name", HEADS)
def test_heads(process: Process, name: str) -> None:
    """A head at a limit is answered; above it is an error in the shape of all errors."""
    messages, status, code = HEADS[name]
    answer = exchange(process.port, *messages)
    assert status_of(answer) == status
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"\r\nconnection: close\r\n" in answer
    if code:
        assert f'"code":"{code}"'.encode() in answer
        assert b"content-type: application/json" in answer


@pytest.mark.parametrize(
    "flood",
    [
        head("GET /livez")[:-2] + b"x: " + b"y" * 20_000_000,
        head("GET /livez")[:-2] + b"x: y\r\n" * 4_000_000,
        CHUNKED_HEAD + CHUNK + b"0\r\n" + b"x: y\r\n" * 4_000_000,
    ],
    ids=["one header", "many headers", "trailers"],
)
def test_a_flood_of_headers_is_cut_off(process: Process, flood: bytes) -> None:
    """The service reads no more than a head, and closes the connection under the sender."""
    with connect(process.port) as connection, pytest.raises(ConnectionError):
        connection.sendall(flood)
    assert process.http.get("/livez").status_code == 200


PATHS: Final = {
    "/internal/metrics": 200,
    "/internal/metrics?x=%2f": 200,
    "/internal%2fmetrics": 404,
    "/internal%2Fmetrics": 404,
    "/internal%252fmetrics": 404,
    "/internal%5cmetrics": 404,
    "/internal\\metrics": 404,
    "/%69nternal/metrics": 404,
    "/internal/%6detrics": 404,
    "//internal/metrics": 404,
    "/internal//metrics": 404,
    "/./internal/metrics": 404,
    "/internal/./metrics": 404,
    "/x/../internal/metrics": 404,
    "/x/%2e%2e/internal/metrics": 404,
    "/internal/metrics;x": 404,
    "/internal;x/metrics": 404,
    "/internal/metrics%00": 404,
    "/internal/metrics%20": 404,
    "/liv%65z": 404,
    "/%67raphql?query={health{status}}": 404,
    "/static%2fpages.css": 404,
    "/static/..%2fpages.css": 404,
    "/metrics/a%2fb": 200,
    "/metrics/a%2Fb": 200,
    "/metrics/a/b": 200,
    "/metrics/internal%2fmetrics": 200,
    "/metrics/%252f": 200,
    "/metrics%2fa%2fb": 404,
    "/%6detrics/a%2fb": 404,
    "http://here/internal/metrics": 200,
    "http://here/internal%2fmetrics": 404,
}


@pytest.mark.parametrize(("path", "status"), PATHS.items())
def test_paths(process: Process, path: str, status: int) -> None:
    """Only the name of a metric may be encoded: a proxy's rule for a path sees each other path."""
    assert status_of(exchange(process.port, head(f"GET {path}", CLOSE))) == status


@pytest.mark.parametrize("path", ["/metrics%2fbatch", "/metrics/b%61tch", "/%6detrics/batch"])
def test_recording_paths(process: Process, path: str) -> None:
    """A path that records has one spelling."""
    assert process.post(path, [{"metric_name": "m", "value": 1}]).status_code == 404


@pytest.mark.parametrize("method", ["HEAD", "DELETE"])
def test_names_with_other_methods(process: Process, method: str) -> None:
    """The name of a metric may be encoded in each method of its route."""
    assert process.post("/metrics", {"metric_name": "x/y", "value": 1}).status_code == 200
    answer = exchange(process.port, head(f"{method} /metrics/x%2fy", CLOSE))
    assert status_of(answer) == 200


def test_prefixes_keep_encoded_names(tmp_path_factory: pytest.TempPathFactory) -> None:
    """With a prefix, kept or removed by the proxy, names may be encoded and other paths not."""
    data = tmp_path_factory.mktemp("prefix") / "data"
    with Process(data, settings={"ROOT_PATH": "/p"}) as service:
        service.await_ready()
        assert service.post("/p/metrics", {"metric_name": "a/b", "value": 1}).status_code == 200
        paths = {
            "/p/metrics/a%2fb": 200,
            "/metrics/a%2fb": 200,
            "/p/internal%2fmetrics": 404,
            "/p%2finternal/metrics": 404,
            "/%70/metrics/a%2fb": 404,
            "/p/internal/metrics": 200,
        }
        for path, status in paths.items():
            assert status_of(exchange(service.port, head(f"GET {path}", CLOSE))) == status, path


def test_trailers_are_no_headers(process: Process) -> None:
    """A trailer changes nothing of its request, and the connection goes on."""
    query = b'{"query": "{__schema{types{name description}}}"}'
    lines = ("Content-Type: application/json", "Transfer-Encoding: chunked")
    chunks = b"%x\r\n%b\r\n0\r\n" % (len(query), query)
    trailers = b"Accept-Encoding: gzip\r\nHost: there\r\n\r\n"
    message = head("POST /graphql", *lines) + chunks + trailers
    answer = exchange(process.port, message + head("GET /livez", CLOSE))
    assert re.findall(rb"HTTP/1.1 (\d+)", answer) == [b"200", b"200"]
    assert b"content-encoding" not in answer


@pytest.mark.parametrize(
    "end", [b"\x00\r\n\r\n", b"GET /livez HTTP/1.1\r\n\r\n", head_of_size(MAX_HEAD + 1)]
)
def test_earlier_requests_are_answered(process: Process, end: bytes) -> None:
    """A refused head that follows other requests takes nothing from their answers."""
    answer = exchange(process.port, head("GET /health") + head("GET /livez") + end)
    statuses = re.findall(rb"HTTP/1.1 (\d+)", answer)
    assert statuses[:2] == [b"200", b"200"]
    assert set(statuses[2:]) <= {b"400", b"431"}


def test_pipelines_are_bounded(process: Process) -> None:
    """A connection has so many waiting requests; the next one ends it after their answers."""
    answer = exchange(process.port, head("GET /livez") * (MAX_PIPELINE + 1), head("GET /", CLOSE))
    assert answer.count(b"HTTP/1.1 200") >= MAX_PIPELINE
    flood = head("GET /livez") * MAX_PIPELINE * 20
    assert exchange(process.port, flood).count(b"HTTP/1.1 200") == MAX_PIPELINE + 1


def request_lines(process: Process, start: int) -> list[dict[str, Any]]:
    """Return the lines of the log about requests, from the line `start` on."""
    return [
        line
        for line in process.log_records()[start:]
        if line["message"] == "request" or "count" in line
    ]


def await_request_line(process: Process, start: int) -> dict[str, Any]:
    """Return the only line about a request from the line `start` on, which follows its answer."""
    deadline = time.monotonic() + 5
    while not (lines := request_lines(process, start)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    (line,) = lines
    return line


def test_a_handshake_has_one_line(process: Process) -> None:
    """A wrong WebSocket handshake is one plain line of the log, without advice."""
    time.sleep(1.1)
    start = len(process.log_records())
    exchange(process.port, head("GET /graphql", *WEBSOCKET))
    line = await_request_line(process, start)
    assert len(process.log_records()) == start + 1
    assert (line["message"], line["status"], line["route"]) == ("request", 400, "/graphql")


def test_a_flood_of_failures_is_counted(process: Process) -> None:
    """Of failed requests, some lines a second are written; a line a second counts the others."""
    time.sleep(2.1)  # lines that earlier tests have left
    start = len(process.log_records())
    count = 0
    began = time.monotonic()
    while time.monotonic() < began + 2:
        process.http.get("/nope")
        exchange(process.port, b"\x00\r\n\r\n")
        count += 2
    time.sleep(2.1)
    lines = request_lines(process, start)
    reports = [line for line in lines if line["message"] != "request"]
    assert count > LINES_PER_SECOND * 4
    assert len(lines) - len(reports) <= LINES_PER_SECOND * 4
    assert len(lines) - len(reports) + sum(line["count"] for line in reports) == count
    assert reports[0]["message"] == f"suppressed {reports[0]['count']:,} request lines"
    assert len(reports) <= 4


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("GET", "/graphql?query={nope}", "/graphql"),
        ("PUT", "/", "/"),
        ("PUT", "/docs", "/docs"),
        ("GET", "/static/nope", "/static/{path:path}"),
        ("PUT", "/livez", "/livez"),
        ("GET", "/metrics/nope", "/metrics/{metric_name:text}"),
        ("GET", "/nope", None),
    ],
)
def test_the_log_names_routes(process: Process, method: str, path: str, route: str | None) -> None:
    """Each route is named in the log, those of pages and GraphQL too."""
    time.sleep(1.1)
    start = len(process.log_records())
    process.http.request(method, path)
    line = await_request_line(process, start)
    assert line["route"] == route


def test_a_silent_reader_of_a_refusal(process: Process) -> None:
    """A refusal reaches a client that reads only after it has sent everything."""
    with connect(process.port) as connection:
        connection.sendall(head_of_size(MAX_HEAD + 1))
        time.sleep(0.3)
        assert status_of(read_all(connection)) == 431
