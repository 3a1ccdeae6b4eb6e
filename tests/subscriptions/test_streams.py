"""GraphQL over server-sent events: streams of one operation, and reserved streams of many."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpx
import msgspec
import pytest

from tests.harness.process import Process
from tests.harness.sockets import OVERVIEW, TREND

STREAM: Final = {"accept": "text/event-stream"}
TOKEN: Final = "X-GraphQL-Event-Stream-Token"
END: Final = "event: complete\ndata: \n\n"


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Run one service for all cases."""
    with Process(tmp_path_factory.mktemp("streams") / "data") as service:
        service.await_ready()
        yield service


def events_in(answer: httpx.Response) -> Iterator[tuple[str, Any]]:
    """Give the events of a stream: their names and their data, without comments."""
    text = ""
    for part in answer.iter_text():
        text += part
        while "\n\n" in text:
            event, _, text = text.partition("\n\n")
            if event == ":":
                continue
            name, data = event.split("\n")
            content = data.removeprefix("data: ")
            yield name.removeprefix("event: "), msgspec.json.decode(content) if content else None


@contextmanager
def stream(
    process: Process, method: str = "POST", **options: Any
) -> Iterator[tuple[httpx.Response, Iterator[tuple[str, Any]]]]:
    """Open a stream; give its answer and its events."""
    options.setdefault("headers", STREAM)
    with process.http.stream(method, "/graphql", **options) as answer:
        yield answer, events_in(answer)


def test_a_subscription(process: Process) -> None:
    """A subscription has its snapshot, then a change after a row; no proxy may hold it back."""
    body = {"query": TREND, "variables": {"name": "streamed"}}
    headers = STREAM | {"accept-encoding": "gzip, zstd"}
    with stream(process, json=body, headers=headers) as (answer, events):
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-accel-buffering"] == "no"
        assert "content-encoding" not in answer.headers
        assert "content-length" not in answer.headers
        name, snapshot = next(events)
        assert name == "next"
        assert snapshot["data"]["eventTrendChanged"]["meta"] == {"isSnapshot": True}
        process.post("/events", {"event_name": "streamed"})
        _, change = next(events)
        series = change["data"]["eventTrendChanged"]["series"]
        assert series[0]["total"]["count"] == 1


def test_by_get(process: Process) -> None:
    """A browser's `EventSource` subscribes by GET."""
    with stream(process, "GET", params={"query": OVERVIEW}) as (answer, events):
        assert answer.status_code == 200
        assert next(events)[0] == "next"


def test_a_query(process: Process) -> None:
    """A query and a mutation have one result with its cost, and the end."""
    for query in ("{health {status}}", "mutation {recordEvents(input: {events: []}) {accepted}}"):
        answer = process.http.post("/graphql", json={"query": query}, headers=STREAM)
        assert answer.status_code == 200
        first, *_ = events_in(answer)
        assert first[0] == "next"
        assert answer.text.endswith(END)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"query": "{"}, "GRAPHQL_PARSE_FAILED"),
        ({"query": "{nope}"}, "GRAPHQL_VALIDATION_FAILED"),
        (
            {"query": 'subscription {overviewChanged(throttle: "P1D") {__typename}}'},
            "BAD_USER_INPUT",
        ),
    ],
)
def test_an_operation_that_fails(process: Process, body: object, code: str) -> None:
    """Errors of an operation are an event, and the end: `EventSource` shows no other answer."""
    answer = process.http.post("/graphql", json=body, headers=STREAM)
    assert answer.status_code == 200
    (name, content), _ = events_in(answer)
    assert (name, content["errors"][0]["extensions"]["code"]) == ("next", code)
    assert answer.text.endswith(END)


def test_a_request_that_fails(process: Process) -> None:
    """A request that is none is an answer of HTTP: its client is wrong."""
    answer = process.http.post("/graphql", content=b"[", headers=STREAM)
    assert answer.status_code == 415
    answer = process.http.post("/graphql", json={}, headers=STREAM)
    assert _error(answer) == (400, "BAD_REQUEST")
    query = "mutation {deleteEvents(input: {where: {}}) {deleted}}"
    answer = process.http.get("/graphql", params={"query": query}, headers=STREAM)
    assert answer.status_code in {400, 405}


def test_without_a_stream(process: Process) -> None:
    """A subscription without a stream is refused with a message about the transports."""
    for answer in (
        process.http.post("/graphql", json={"query": OVERVIEW}),
        process.http.get("/graphql", params={"query": OVERVIEW}),
    ):
        assert answer.status_code in {400, 405}
        assert "graphql-transport-ws" in answer.json()["errors"][0]["message"]


def test_clients_that_take_json_and_streams(process: Process) -> None:
    """A client that takes both, as urql does, has JSON for queries and a stream to subscribe."""
    headers = {"accept": "application/graphql-response+json, application/json, text/event-stream"}
    answer = process.http.post("/graphql", json={"query": "{__typename}"}, headers=headers)
    assert answer.json() == {"data": {"__typename": "Query"}}
    with stream(process, json={"query": OVERVIEW}, headers=headers) as (_, events):
        assert next(events)[0] == "next"


def test_head(process: Process) -> None:
    """HEAD has the headers of a stream, and ends."""
    answer = process.http.head("/graphql", params={"query": OVERVIEW}, headers=STREAM)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")


def reserve(process: Process) -> dict[str, str]:
    """Reserve a stream; return the header of its token."""
    answer = process.http.put("/graphql")
    assert answer.status_code == 201
    assert answer.headers["content-type"].startswith("text/plain")
    return {TOKEN: answer.text}


def operation(operation_id: str, query: str, **variables: object) -> dict[str, Any]:
    """Return a request of an operation with an id."""
    return {"query": query, "variables": variables, "extensions": {"operationId": operation_id}}


def test_a_reserved_stream(process: Process) -> None:
    """Operations of one reserved stream have their results on it, each with its id."""
    token = reserve(process)
    early = process.http.post("/graphql", json=operation("early", OVERVIEW), headers=token)
    assert (early.status_code, early.content) == (202, b"")
    with stream(process, "GET", headers=STREAM | token) as (answer, events):
        assert answer.status_code == 200
        name, data = next(events)
        assert (name, data["id"]) == ("next", "early")
        query = operation("q", "{health {status}}")
        assert process.http.post("/graphql", json=query, headers=token).status_code == 202
        name, data = next(events)
        assert (name, data["id"], data["payload"]["data"]["health"]["status"]) == (
            *("next", "q"),
            "OK",
        )
        assert next(events) == ("complete", {"id": "q"})
        second_answer = process.http.post(
            "/graphql", json=operation("early", OVERVIEW), headers=token
        )
        assert _error(second_answer) == (409, "CONFLICT")
        second = process.http.get("/graphql", headers=STREAM | token)
        assert _error(second) == (409, "CONFLICT")
        deletion = process.http.delete("/graphql?operationId=early", headers=token)
        assert deletion.status_code == 200
        second_answer = process.http.post(
            "/graphql", json=operation("early", OVERVIEW), headers=token
        )
        assert second_answer.status_code == 202
        assert next(events)[1]["id"] == "early"
    deadline = time.monotonic() + 5
    body = operation("late", OVERVIEW)
    while (answer := process.http.post("/graphql", json=body, headers=token)).status_code != 404:
        assert time.monotonic() < deadline
    assert _error(answer) == (404, "NOT_FOUND")


def _error(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["errors"][0]["extensions"]["code"]


def test_requests_of_a_reserved_stream_that_fail(process: Process) -> None:
    """A request of a reserved stream that is wrong is answered where it was sent."""
    token = reserve(process)
    for body, expected in (
        ({"query": OVERVIEW}, (400, "BAD_REQUEST")),
        (operation("", OVERVIEW), (400, "BAD_REQUEST")),
        ({"query": OVERVIEW, "extensions": {"operationId": 1}}, (400, "BAD_REQUEST")),
        (operation("a", "{"), (400, "GRAPHQL_PARSE_FAILED")),
        (operation("a", "{nope}"), (400, "GRAPHQL_VALIDATION_FAILED")),
    ):
        assert _error(process.http.post("/graphql", json=body, headers=token)) == expected
    assert _error(process.http.delete("/graphql", headers=token)) == (400, "BAD_REQUEST")
    wrong = {TOKEN: "x" * 32}
    assert _error(process.http.get("/graphql", headers=STREAM | wrong)) == (404, "NOT_FOUND")
    assert _error(process.http.delete("/graphql?operationId=a")) == (404, "NOT_FOUND")


def test_the_token_in_the_address(process: Process) -> None:
    """A browser's `EventSource` has the token in its address."""
    token = reserve(process)[TOKEN]
    with stream(process, "GET", params={"token": token}) as (answer, _):
        assert answer.status_code == 200


def test_the_stop_of_the_service(process: Process, tmp_path: Any) -> None:  # noqa: ARG001 - a path
    """Streams end at the stop of the service, in time and without `complete`: clients return."""
    with Process(tmp_path / "data") as service:
        service.await_ready()
        with stream(service, json={"query": OVERVIEW}) as (answer, events):
            assert next(events)[0] == "next"
            assert service.stop() == 0
            assert list(events) == []
            assert answer.is_stream_consumed
        assert "graceful shutdown exceeded" not in service.output()
