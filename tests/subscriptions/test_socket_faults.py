"""Messages of hostile and of odd clients: each is answered or closed as the protocols say."""

import socket
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from tests.harness.process import Process
from tests.harness.sockets import OVERVIEW, PING, PONG, Close, Pong, SocketClient, frame, handshake

QUERY: Final = "{health {status}}"


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Run one service for all cases."""
    with Process(tmp_path_factory.mktemp("faults") / "data") as service:
        service.await_ready()
        yield service


def subscribe(**members: object) -> dict[str, object]:
    """Return a valid `subscribe` message with other members."""
    return {"type": "subscribe", "id": "a", "payload": {"query": QUERY}} | members


def payload(**members: object) -> dict[str, object]:
    """Return a `subscribe` message whose payload has other members."""
    return subscribe(payload={"query": QUERY} | members)


BAD_MESSAGES: Final[dict[str, object]] = {
    "number": 1,
    "null": None,
    "list": [],
    "text": '"x"',
    "empty object": {},
    "no JSON": "{",
    "nothing": "",
    "unknown type": {"type": "start"},
    "message of a server": {"type": "connection_ack"},
    "next of a server": {"type": "next", "id": "a", "payload": {}},
    "type is a number": {"type": 1},
    "ping with a number": {"type": "ping", "payload": 1},
    "ping with a list": {"type": "ping", "payload": []},
    "pong with a text": {"type": "pong", "payload": "x"},
    "no id": {"type": "subscribe", "payload": {"query": QUERY}},
    "id is null": subscribe(id=None),
    "id is a number": subscribe(id=1),
    "id is a list": subscribe(id=["a"]),
    "id is empty": subscribe(id=""),
    "id is long": subscribe(id="a" * 257),
    "no payload": {"type": "subscribe", "id": "a"},
    "payload is null": subscribe(payload=None),
    "payload is a number": subscribe(payload=1),
    "payload is a text": subscribe(payload=QUERY),
    "payload is a list": subscribe(payload=[{"query": QUERY}]),
    "no query": subscribe(payload={}),
    "query is a number": payload(query=1),
    "query is empty": payload(query=""),
    "variables are a list": payload(variables=[]),
    "variables are a text": payload(variables="{}"),
    "operationName is a number": payload(operationName=1),
    "extensions are a list": payload(extensions=[]),
    "complete without id": {"type": "complete"},
    "complete with a list": {"type": "complete", "id": ["a"]},
    "5,000 digits": '{"type":"subscribe","id":"a","payload":{"query":"{a}","variables":{"n":'
    + "9" * 5000
    + "}}}",
    "20,000 levels": '{"type":"ping","payload":{"a":' + "[" * 20_000 + "]" * 20_000 + "}}",
    "bytes": b"{}",
}


@pytest.mark.parametrize("name", BAD_MESSAGES)
def test_a_bad_message_closes_the_socket(process: Process, name: str) -> None:
    """A message that the protocol does not know is a 4400, and nothing else is sent."""
    with SocketClient(process.port) as client:
        client.begin()
        client.send(BAD_MESSAGES[name])
        (close,) = client.receive_all()
        assert close.code == 4400
        assert close.reason


BAD_FRAMES: Final[dict[str, tuple[bytes, int]]] = {
    "text that is not UTF-8": (frame(1, b'{"type":"p\xffng"}'), 1007),
    "message above the limit": (frame(1, b" " * 131_073), 1009),
    "fragments above the limit": (
        frame(1, b" " * 100_000, fin=False) + frame(0, b" " * 100_000, fin=False),
        1009,
    ),
    "not masked": (frame(1, b'{"type":"ping"}', is_masked=False), 1002),
    "unknown opcode": (frame(3, b""), 1002),
    "reserved bit": (bytes((0xC1,)) + frame(1, b"{}")[1:], 1002),
    "continuation of nothing": (frame(0, b"{}"), 1002),
    "text within a text": (frame(1, b"{", fin=False) + frame(1, b"{}"), 1002),
    "ping in fragments": (frame(PING, b"", fin=False), 1002),
    "ping of 126 bytes": (frame(PING, b"x" * 126), 1002),
    "close with a code of nobody": (frame(8, b"\x00\x01"), 1002),
    "close with half a code": (frame(8, b"\x03"), 1002),
}


@pytest.mark.parametrize("name", BAD_FRAMES)
def test_a_bad_frame_closes_the_socket(process: Process, name: str) -> None:
    """A frame that RFC 6455 forbids is closed with its code."""
    data, code = BAD_FRAMES[name]
    with SocketClient(process.port) as client:
        client.begin()
        client.send_bytes(data)
        (close,) = client.receive_all()
        assert close.code == code


def _two_inits(client: SocketClient) -> None:
    client.begin()
    client.send({"type": "connection_init"})


def _duplicate(client: SocketClient) -> None:
    client.begin()
    client.subscribe("same", OVERVIEW)
    client.receive()
    client.subscribe("same", QUERY)


BAD_ORDERS: Final[dict[str, tuple[Callable[[SocketClient], None], int]]] = {
    "two inits": (_two_inits, 4429),
    "two inits in one packet": (
        lambda client: client.send_bytes(frame(1, b'{"type":"connection_init"}') * 2),
        4429,
    ),
    "no init": (lambda _: None, 4408),
    "subscribe before the init": (lambda client: client.send(subscribe()), 4401),
    "an id twice": (_duplicate, 4409),
    "init with a number": (
        lambda client: client.send({"type": "connection_init", "payload": 1}),
        4400,
    ),
    "init with a list": (
        lambda client: client.send({"type": "connection_init", "payload": []}),
        4400,
    ),
    "wrong key": (
        lambda client: client.send({"type": "connection_init", "payload": {"key": "sk_x"}}),
        4403,
    ),
    "key is a list": (
        lambda client: client.send({"type": "connection_init", "payload": {"key": ["sk_x"]}}),
        4403,
    ),
    "key is no token": (
        lambda client: client.send(
            {"type": "connection_init", "payload": {"authorization": "Bearer a.b.c"}}
        ),
        4403,
    ),
    "unknown scheme": (
        lambda client: client.send(
            {"type": "connection_init", "payload": {"Authorization": "Digest x"}}
        ),
        4403,
    ),
}


@pytest.mark.parametrize("name", BAD_ORDERS)
def test_a_message_at_the_wrong_time(process: Process, name: str) -> None:
    """A message before or after its time, or without rights, is closed with the code for it."""
    act, code = BAD_ORDERS[name]
    with SocketClient(process.port) as client:
        act(client)
        assert client.receive_all()[-1].code == code


@pytest.mark.parametrize("subprotocol", [None, "graphql-ws", "x, y"])
def test_another_subprotocol(process: Process, subprotocol: str | None) -> None:
    """A client of another protocol, or of none, is told so by a 4406."""
    with SocketClient(process.port, subprotocol=subprotocol) as client:
        assert "sec-websocket-protocol" not in client.answer.lower()
        assert client.receive_all() == [Close(4406, "Subprotocol not acceptable")]


FAILURES: Final[dict[str, tuple[dict[str, object], str]]] = {
    "syntax": ({"query": "{"}, "GRAPHQL_PARSE_FAILED"),
    "unknown field": ({"query": "{nope}"}, "GRAPHQL_VALIDATION_FAILED"),
    "unknown field of a subscription": (
        {"query": "subscription {nope}"},
        "GRAPHQL_VALIDATION_FAILED",
    ),
    "two subscriptions": (
        {"query": "subscription {a: overviewChanged {__typename} b: overviewChanged {__typename}}"},
        "GRAPHQL_VALIDATION_FAILED",
    ),
    "wrong argument": (
        {"query": 'subscription {overviewChanged(throttle: "PT0.01S") {__typename}}'},
        "BAD_USER_INPUT",
    ),
    "missing variable": (
        {"query": "subscription($t: Duration!) {overviewChanged(throttle: $t) {__typename}}"},
        "BAD_USER_INPUT",
    ),
    "no operationName": (
        {"query": "query A {health {status}} query B {__typename}"},
        "BAD_REQUEST",
    ),
    "unknown operationName": ({"query": QUERY, "operationName": "B"}, "BAD_REQUEST"),
    "unknown document": ({"documentId": "nope"}, "NOT_FOUND"),
    "unknown hash": (
        {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "a" * 64}}},
        "PERSISTED_QUERY_NOT_FOUND",
    ),
    "document above the limit": ({"query": QUERY + "#" * 100_001}, "PAYLOAD_TOO_LARGE"),
    "too many values": (
        {"query": QUERY, "variables": {"x": [0] * 20_000}},
        "BAD_USER_INPUT",
    ),
    "levels of a document": ({"query": "{" + "a{" * 1000}, "GRAPHQL_PARSE_FAILED"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_an_operation_that_fails(process: Process, name: str) -> None:
    """An operation that can't run is an `error` message of our shape; the socket stays open."""
    content, code = FAILURES[name]
    with SocketClient(process.port) as client:
        client.begin()
        client.send(subscribe(payload=content))
        answer = client.receive()
        assert (answer["type"], answer["id"]) == ("error", "a")
        assert answer["payload"][0]["message"]
        assert answer["payload"][0]["extensions"]["code"] == code
        client.subscribe("a", QUERY)  # the id may be used again
        assert [client.receive()["type"] for _ in range(2)] == ["next", "complete"]


def test_queries_and_mutations(process: Process) -> None:
    """Queries and mutations are answered with their cost, and completed."""
    with SocketClient(process.port) as client:
        client.begin()
        client.subscribe("q", '{eventTrend(range: {last: "P1D"}) {series {total {count}}}}')
        (answer, end) = client.receive(), client.receive()
        assert answer["payload"]["data"]["eventTrend"]["series"][0]["total"]["count"] >= 0
        assert answer["payload"]["extensions"]["cost"]["requested"] > 0
        assert end == {"type": "complete", "id": "q"}
        client.subscribe("m", "mutation {recordEvents(input: {events: [{name: 1}]}) {accepted}}")
        assert client.receive()["type"] == "error"
        client.subscribe("m", 'mutation {recordEvents(input: {events: [{name: "x"}]}) {accepted}}')
        assert client.receive()["payload"]["data"] == {"recordEvents": {"accepted": 1}}
        assert client.receive() == {"type": "complete", "id": "m"}


def test_a_field_that_fails(process: Process) -> None:
    """A result with data and errors is a `next` message."""
    with SocketClient(process.port) as client:
        client.begin()
        client.subscribe("q", '{metric(name: "nobody") {name} health {status}}')
        answer: Any = client.receive()
        assert answer["type"] == "next"
        assert answer["payload"]["errors"][0]["extensions"]["code"] == "NOT_FOUND"


def test_pings_and_fragments(process: Process) -> None:
    """Pings of both layers are answered, pongs are not; a message may come in fragments."""
    with SocketClient(process.port) as client:
        client.begin()
        client.send_bytes(frame(PONG, b"x"))
        client.send({"type": "pong", "payload": {"any": 1}})
        client.send({"type": "ping", "payload": {"any": 1}})
        assert client.receive() == {"type": "pong"}
        client.send_bytes(frame(1, b'{"type":', fin=False) + frame(PING, b"within"))
        assert client.receive() == Pong(b"within")
        client.send_bytes(frame(0, b"", fin=False) * 100 + frame(0, b'"ping"}'))
        assert client.receive() == {"type": "pong"}


def test_an_init_that_does_not_wait(process: Process) -> None:
    """Frames in the packet of the upgrade, which should have waited for the answer, count."""
    init = frame(1, b'{"type":"connection_init"}')
    with socket.create_connection(("127.0.0.1", process.port), timeout=10) as connection:
        connection.sendall(handshake() + init)
        answer = b""
        while b"connection_ack" not in answer:
            chunk = connection.recv(4096)
            assert chunk, answer
            answer += chunk


def test_complete_ends_an_operation(process: Process) -> None:
    """After `complete` nothing comes for its id, not even an echo; the id may be used again."""
    with SocketClient(process.port) as client:
        client.begin()
        client.send({"type": "complete", "id": "unknown"})
        client.subscribe("s", OVERVIEW)
        assert client.receive()["type"] == "next"
        client.send({"type": "complete", "id": "s"})
        process.post("/events", {"event_name": "x"})
        assert client.is_silent(0.6)
        client.subscribe("s", OVERVIEW)
        assert client.receive()["payload"]["data"]["overviewChanged"]["eventCount"] >= 1


def test_complete_before_the_first_result(process: Process) -> None:
    """An operation that is ended before its first result has none, and leaves no subscription."""
    with SocketClient(process.port) as client:
        client.begin()
        text = b'{"type":"subscribe","id":"s","payload":{"query":"subscription {overviewChanged'
        text += b'{eventCount}}"}}'
        client.send_bytes(frame(1, text) + frame(1, b'{"type":"complete","id":"s"}'))
        assert client.is_silent(1)


def test_the_client_closes(process: Process) -> None:
    """A close frame of the client is answered with its code."""
    with SocketClient(process.port) as client:
        client.begin()
        client.send_bytes(frame(8, b"\x03\xe8bye"))
        assert client.receive_all()[-1].code == 1000


def test_operations_of_a_connection_are_limited(process: Process) -> None:
    """Operation 101 is an error with the limit; the others go on."""
    with SocketClient(process.port) as client:
        client.begin()
        for number in range(100):
            client.subscribe(f"s{number}", OVERVIEW)
        ids = {client.receive()["id"] for _ in range(100)}
        assert len(ids) == 100
        client.subscribe("one more", OVERVIEW)
        answer = client.receive()
        assert (answer["type"], answer["id"]) == ("error", "one more")
        assert answer["payload"][0]["extensions"] == {"code": "RATE_LIMITED", "limit": 100}
        client.send({"type": "complete", "id": "s0"})
        client.subscribe("one more", OVERVIEW)
        assert client.receive()["type"] == "next"
