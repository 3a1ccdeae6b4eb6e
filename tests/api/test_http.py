"""HTTP for proxies, browsers and tools: HEAD, slashes, encodings, sizes, connections."""

import gzip
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final

import httpx
import pytest
import pytest_asyncio
from backports import zstd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.datastructures import Headers

from api.compression import SMALLEST
from api.negotiation import best_encoding, media_type_weight, weights
from settings import InvalidSettingError, from_environment
from tests.harness.apis import error_summary, first_error, get, metric_path, record, stored_totals
from tests.harness.process import Process
from tests.harness.service import Service, prefixed_service

PREFIX: Final = "/analytics"
JSON_QUERY: Final = {"query": "{health {status}}"}
UNPACK: Final[dict[str | None, Callable[[bytes], bytes]]] = {
    "gzip": gzip.decompress,
    "zstd": zstd.decompress,
    None: bytes,
}


@pytest_asyncio.fixture(scope="module")
async def names(service: Service) -> list[str]:
    """Record enough metrics and events for answers of tens of kilobytes."""
    metric_names = [f"metric number {n} of many" for n in range(1000)]
    await record(service, "/metrics", *({"metric_name": name, "value": 1} for name in metric_names))
    await record(
        service, "/events", *({"event_name": "e", "user_id": name} for name in metric_names)
    )
    return metric_names


@pytest_asyncio.fixture
async def service_with_prefix(service: Service) -> AsyncIterator[Service]:
    """Serve the store a second time, under paths with a prefix."""
    async with prefixed_service(service, PREFIX) as api:
        yield api


async def fetch_raw(
    service: Service, method: str, path: str, accepted: str | None
) -> tuple[httpx.Response, bytes]:
    """Send a request with an Accept-Encoding or none; return the answer and its raw bytes."""
    request = service.http.build_request(method, path)
    del request.headers["accept-encoding"]
    if accepted is not None:
        request.headers["accept-encoding"] = accepted
    answer = await service.http.send(request, stream=True)
    return answer, b"".join([chunk async for chunk in answer.aiter_raw()])


def vary_headers(answer: httpx.Response) -> set[str]:
    """Return the headers in the Vary of an answer."""
    return set(answer.headers["vary"].split(", "))


GETS: Final = [
    *("/health", "/health-check", "/livez", "/readyz", "/internal/metrics"),
    *("/metrics", "/metrics/metric%20number%200%20of%20many", "/metrics/nobody", "/events?limit=3"),
    *("/events?limit=0", "/dashboard", "/", "/docs", "/redoc", "/openapi.json", "/nope"),
    *("/static/pages.css", "/graphql?query={health{status}}", "/graphql?query={nope}", "/graphql"),
]


@pytest.mark.usefixtures("frozen", "names")
@pytest.mark.parametrize("accepted", [None, "gzip", "zstd"])
@pytest.mark.parametrize("path", GETS)
async def test_head(service: Service, path: str, accepted: str | None) -> None:
    """HEAD has the status and all headers of GET, and no body."""
    answer, body = await fetch_raw(service, "GET", path, accepted)
    head, head_body = await fetch_raw(service, "HEAD", path, accepted)
    assert head.status_code == answer.status_code
    varying_paths = {"/dashboard", "/internal/metrics"}
    if path not in varying_paths and "extensions" not in body.decode("latin-1"):
        assert head.headers == answer.headers
        assert int(head.headers["content-length"]) == len(body)
    assert head_body == b""


async def test_head_of_a_recording_path(service: Service) -> None:
    """HEAD of a path without GET is a 404, and stores nothing."""
    before = await stored_totals(service)
    assert (await service.http.head("/metrics/batch")).status_code == 404  # a metric's name
    assert (await service.http.head("/nope")).status_code == 404
    assert await stored_totals(service) == before


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/metrics/", "/metrics"),
        ("/events/?limit=2&event_name=a%20b", "/events?limit=2&event_name=a%20b"),
        ("/dashboard/", "/dashboard"),
        ("/health/", "/health"),
        ("/readyz/", "/readyz"),
        ("/docs/", "/docs"),
        ("/redoc/", "/redoc"),
        ("/graphql/", "/graphql"),
        ("/graphql/?query=%7Bhealth%7D", "/graphql?query=%7Bhealth%7D"),
        ("/openapi.json/", "/openapi.json"),
        ("/internal/metrics/", "/internal/metrics"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_slash_at_the_end_is_redirected(
    service_with_prefix: Service, service: Service, method: str, path: str, target: str
) -> None:
    """A reading request is redirected to the path without the slash by 308, with any prefix."""
    for api, prefix in ((service, ""), (service_with_prefix, ""), (service_with_prefix, PREFIX)):
        answer = await api.http.request(method, prefix + path)
        assert answer.status_code == 308
        assert answer.next_request is not None
        assert answer.next_request.method == method
        expected = httpx.URL(f"http://service{prefix}{target}")
        assert answer.next_request.url == expected
        assert (await api.http.send(answer.next_request)).status_code in {200, 400}


async def test_a_slash_at_the_end_of_a_post(service: Service) -> None:
    """A POST with a slash is executed at once: few clients repeat a POST elsewhere."""
    await record(service, "/metrics", {"metric_name": "kept", "value": 1})
    before = await stored_totals(service)
    metric, event = {"metric_name": "slash", "value": 1}, {"event_name": "slash"}
    for path, body in (
        ("/metrics/", metric),
        ("/metrics/batch/", [metric]),
        ("/events/", event),
        ("/events/batch/", [event]),
        ("/graphql/", JSON_QUERY),
    ):
        assert (await service.post(path, body)).status_code == 200, path
    after = await stored_totals(service)
    assert (after["metrics"], after["events"]) == (before["metrics"] + 2, before["events"] + 2)
    assert error_summary(await service.http.put("/events/"))[0] == 404


async def test_a_name_that_ends_in_a_slash(service: Service) -> None:
    """The name of a metric may end in a slash, or be `batch/`; the slash is part of it."""
    await record(service, "/metrics", {"metric_name": "a/b/", "value": 7})
    await record(service, "/metrics", {"metric_name": "batch/", "value": 8})
    for path in (metric_path("a/b/"), "/metrics/a/b/"):
        assert (await get(service, path))["sum"] == 7
    assert (await get(service, "/metrics/batch/"))["sum"] == 8
    assert error_summary(await service.http.get("/metrics/a/b"))[0] == 404
    assert (await service.http.delete("/metrics/a/b/")).json()["deleted"] == 1


ENCODINGS: Final = [
    (None, None),
    ("", None),
    ("identity", None),
    ("br", None),
    ("gzip", "gzip"),
    ("x-gzip", "gzip"),
    ("GZIP", "gzip"),
    ("zstd", "zstd"),
    ("gzip, deflate, br, zstd", "zstd"),
    ("gzip, deflate", "gzip"),
    ("zstd;q=0.5, gzip;q=0.9", "gzip"),
    ("zstd;q=0, gzip", "gzip"),
    ("gzip;q=0", None),
    ("gzip;q=0.0, *", None),
    ("*", "gzip"),
    ("*;q=0", None),
    ("identity;q=1, gzip;q=0.5", None),
    ("identity;q=0.5, gzip", "gzip"),
    ("gzip;q=x", "gzip"),
    ("gzip ; Q=0.3 , zstd ; q=0.2", "gzip"),
    ("gzip;q=0.001", "gzip"),
    ("gzip;" * 1000, "gzip"),
    (",,;q=1,", None),
]


@pytest.mark.usefixtures("names")
@pytest.mark.parametrize(("accepted", "expected"), ENCODINGS)
async def test_large_answers_are_compressed(
    service: Service, accepted: str | None, expected: str | None
) -> None:
    """An answer of some KB has the encoding that the client prefers, and a Vary for caches."""
    plain, content = await fetch_raw(service, "GET", "/metrics", None)
    assert vary_headers(plain) == {"Accept-Encoding", "Origin"}
    answer, raw_body = await fetch_raw(service, "GET", "/metrics", accepted)
    assert answer.headers.get("content-encoding") == expected
    assert vary_headers(answer) == {"Accept-Encoding", "Origin"}
    assert int(answer.headers["content-length"]) == len(raw_body)
    assert UNPACK[expected](raw_body) == content
    assert expected is None or len(raw_body) < len(content) / 4


@pytest.mark.usefixtures("names")
async def test_every_api_compresses(service: Service) -> None:
    """REST, GraphQL, OpenAPI, refusals and the answers to batches are compressed."""
    text = '{"query": "{metrics(first: 1000) {nodes {name}}}"}'
    good = {"metric_name": "one of many", "value": 1}
    wrong = {"metric_name": "", "value": 1}
    answers = [
        await service.http.get("/events?limit=1000"),
        await service.http.get("/openapi.json"),
        await service.post("/graphql", text.encode()),
        await service.post(
            "/graphql", {"query": "{" + " ".join(letter * 400 for letter in "abcde") + "}"}
        ),
        await service.post("/metrics/batch", [good, *[wrong] * 100]),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 400, 200]
    for answer in answers:
        assert answer.headers["content-encoding"] in {"gzip", "zstd"}
        assert "Accept-Encoding" in vary_headers(answer)
        assert answer.json()
    assert "Accept" in vary_headers(answers[2])


async def test_small_answers_are_not_compressed(service: Service) -> None:
    """An answer of one or two packets is not compressed, and does not vary by encoding."""
    for path in ("/health", "/metrics/nobody", "/livez"):
        answer = await service.http.get(path, headers={"accept-encoding": "gzip, zstd"})
        assert len(answer.content) < SMALLEST
        assert "content-encoding" not in answer.headers
        assert vary_headers(answer) == {"Origin"}


async def test_a_very_large_answer(service: Service) -> None:
    """An answer that is compressed outside the event loop unpacks to the same bytes."""
    rows = [{"event_name": "large", "properties": {"n": n, "é": "x" * 500}} for n in range(1000)]
    await record(service, "/events", *rows)
    path = "/events?event_name=large&limit=1000"
    _, content = await fetch_raw(service, "GET", path, None)
    assert len(content) > 500_000
    for accepted in ("gzip", "zstd"):
        _, raw_body = await fetch_raw(service, "GET", path, accepted)
        assert UNPACK[accepted](raw_body) == content


@pytest.mark.parametrize("accepted", ["gzip", "zstd", "gzip;q=0", "identity;q=1, gzip;q=0.5"])
async def test_files_are_compressed_once(service: Service, accepted: str) -> None:
    """A file unpacks to the same bytes with each encoding; a browser that has it gets 304."""
    path = "/static/swagger/swagger-ui.css"
    _, content = await fetch_raw(service, "GET", path, None)
    answer, raw_body = await fetch_raw(service, "GET", path, accepted)
    assert UNPACK[answer.headers.get("content-encoding")](raw_body) == content
    assert answer.headers["vary"].count("Accept-Encoding") == 1
    headers = {"if-none-match": answer.headers["etag"], "accept-encoding": accepted}
    second_answer = await service.http.get(path, headers=headers)
    assert (second_answer.status_code, second_answer.content) == (304, b"")


@given(st.text(st.sampled_from("gzipstdbr*;q=,.01 -x/\t\"'"), max_size=60))
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_any_header_is_read(text: str) -> None:
    """Any Accept-Encoding and Accept reads as weights from 0 to 1, without an error."""
    headers = Headers({"accept-encoding": text, "accept": text})
    assert best_encoding(headers, ("zstd", "gzip")) in {None, "zstd", "gzip"}
    accept_weights = weights(headers, "accept")
    assert all(0 <= weight <= 1 for weight in accept_weights.values())
    assert 0 <= media_type_weight(accept_weights, "application/json") <= 1


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Start a service in its own process, for tests with sockets."""
    settings = {"ANALYTICS_KEEP_ALIVE": "2"}
    with Process(tmp_path_factory.mktemp("http") / "data", settings=settings) as service:
        service.await_ready()
        yield service


def exchange(process: Process, *messages: bytes) -> bytes:
    """Send messages over one connection, each after an answer; return all answers."""
    with socket.create_connection(("127.0.0.1", process.port), timeout=5) as connection:
        received = b""
        for message in messages:
            connection.sendall(message)
            received += connection.recv(65536)
        connection.settimeout(1)
        try:
            while chunk := connection.recv(65536):
                received += chunk
        except TimeoutError:
            pass
        return received


def post_head(path: str, *lines: str) -> bytes:
    """Return the head of a POST."""
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: here", *lines, "", ""]).encode()


@pytest.mark.parametrize("path", ["/metrics", "/events/batch", "/graphql"])
def test_too_large_before_the_body(process: Process, path: str) -> None:
    """`Expect: 100-continue` with 17 MB is answered with 413, and the connection ends."""
    lines = ("Content-Type: application/json", "Content-Length: 17825792", "Expect: 100-continue")
    received = exchange(process, post_head(path, *lines))
    assert received.startswith(b"HTTP/1.1 413 ")
    assert b"100 Continue" not in received
    assert b"\r\nconnection: close\r\n" in received
    assert b"PAYLOAD_TOO_LARGE" in received


def test_body_after_100_continue(process: Process) -> None:
    """`Expect: 100-continue` with a small body is answered with 100, then with 200."""
    body = b'{"metric_name": "expect", "value": 1}'
    lines = (f"Content-Length: {len(body)}", "Expect: 100-continue")
    received = exchange(process, post_head("/metrics", *lines), body)
    assert received.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ")
    assert b"connection: close" not in received


def test_answer_without_a_body_ends_the_connection(process: Process) -> None:
    """`Expect: 100-continue` on an unknown path is a 404, and the connection ends."""
    lines = ("Content-Length: 100", "Expect: 100-continue")
    received = exchange(process, post_head("/nope", *lines))
    assert received.startswith(b"HTTP/1.1 404 ")
    assert b"\r\nconnection: close\r\n" in received


def test_too_large_with_the_body(process: Process) -> None:
    """A client that sends 17 MB at once gets a readable 413, and the service goes on."""
    answer = process.http.post("/metrics", content=b" " * 17_000_000)
    assert answer.status_code == 413
    assert process.http.get("/livez").status_code == 200


@pytest.mark.parametrize("length", ["x", "-1", "1.5", "", "0x10", "9" * 30, "1 2", "+5"])
def test_malformed_length(process: Process, length: str) -> None:
    """A malformed length is a 4xx, and the service goes on."""
    received = exchange(process, post_head("/metrics", f"Content-Length: {length}"))
    assert received.startswith(b"HTTP/1.1 4")
    assert process.http.get("/livez").status_code == 200


@pytest.mark.parametrize("length", ["x", "-1", "", "²", "1.5"])
async def test_malformed_length_from_a_server(service: Service, length: str) -> None:
    """A malformed length is a 400 if another server passes it on."""
    headers = [(b"content-length", length.encode("latin-1"))]
    answer = await service.http.post("/metrics", content=b"{}", headers=headers)
    assert first_error(answer)["extensions"]["code"] == "BAD_REQUEST"


def test_idle_connections_are_kept(process: Process) -> None:
    """The service closes an idle connection after the seconds of the setting."""
    with socket.create_connection(("127.0.0.1", process.port), timeout=10) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: here\r\n\r\n")
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
        assert received.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("text", ["0", "-1", "x", "1.5", "86401", "9" * 5000, "²"])
def test_keep_alive_must_be_seconds(text: str) -> None:
    """A wrong setting is refused with its name."""
    with pytest.raises(InvalidSettingError, match="ANALYTICS_KEEP_ALIVE"):
        from_environment({"ANALYTICS_KEEP_ALIVE": text})


def test_keep_alive_outlives_a_pool() -> None:
    """Connections are kept for 75 seconds: pools of proxies end theirs after 60 at most."""
    assert from_environment({}).keep_alive == 75
