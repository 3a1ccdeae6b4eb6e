"""Who may subscribe, and until when: keys, tokens, sessions, origins, on both transports."""

import time
from collections.abc import Iterator
from typing import Any, Final

import httpx
import jwt
import pytest

from tests.harness.access import bearer, make_key
from tests.harness.edge import exchange, status_of
from tests.harness.process import Process
from tests.harness.sockets import OVERVIEW, TREND, Close, SocketClient, handshake

OUR_PAGE: Final = "http://127.0.0.1"
OUR_HEADERS: Final = {"sec-fetch-site": "same-origin"}
FOREIGN: Final = "https://evil.example"


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Run one service in production."""
    settings = {"ANALYTICS_ENV": "production", "ANALYTICS_CORS_ORIGINS": "https://app.example"}
    with Process(tmp_path_factory.mktemp("rights") / "data", settings=settings) as service:
        service.await_ready()
        yield service


@pytest.fixture(scope="module")
def admin(process: Process) -> str:
    """Make an admin key."""
    return make_key("admin", "--name", "ops", data=process.log.with_suffix(""))


def graphql(process: Process, key: str, query: str, **variables: object) -> Any:
    """Run an operation with a key; return its data."""
    body = {"query": query, "variables": variables}
    answer = process.http.post("/graphql", json=body, headers=bearer(key)).json()
    assert "errors" not in answer, answer
    return answer["data"]


def new_key(
    process: Process, admin: str, kind: str = "SECRET", **members: object
) -> dict[str, Any]:
    """Make a key; return it with its secret."""
    query = """mutation($i: CreateApiKeyInput!) {
        createApiKey(input: $i) {secret tokenSecret apiKey {id}}}"""
    answer = graphql(process, admin, query, i={"name": "k", "kind": kind} | members)
    return dict(answer["createApiKey"])


def first_result(client: SocketClient, payload: object = None) -> Any:
    """Begin, subscribe to a trend, and return the first message."""
    client.begin(payload)
    client.subscribe("s", TREND, name="visit")
    return client.receive()


def test_places_of_a_key(process: Process, admin: str) -> None:
    """A key may be in the init, as a header's value or alone, or in the header of the upgrade."""
    inits = [
        {"authorization": f"Bearer {admin}"},
        {"Authorization": f"bearer {admin}", "Analytics-Project": "default"},
        {"key": admin},
    ]
    for init in inits:
        with SocketClient(process.port) as client:
            assert first_result(client, init)["type"] == "next"
    with SocketClient(process.port, bearer(admin)) as client:
        assert first_result(client)["type"] == "next"


@pytest.mark.parametrize(
    "init",
    [
        None,
        {},
        {"key": ""},
        {"key": "sk_wrong"},
        {"authorization": "Bearer admin_wrong"},
        {"authorization": "Basic !"},
    ],
)
def test_without_a_valid_key(process: Process, init: object) -> None:
    """In production, an init without a valid key closes the socket with 4403."""
    with SocketClient(process.port) as client:
        client.send({"type": "connection_init", "payload": init})
        assert client.receive_all()[-1].code == 4403


def test_a_project_of_nobody(process: Process, admin: str) -> None:
    """An init that names an unknown project is closed with 4403."""
    with SocketClient(process.port) as client:
        init = {"key": admin, "analytics-project": "nope"}
        client.send({"type": "connection_init", "payload": init})
        assert client.receive_all()[-1].code == 4403


def test_a_wrong_key_of_the_upgrade(process: Process) -> None:
    """A wrong key in the header of the upgrade is a 401, as over HTTP."""
    answer = exchange(process.port, handshake(headers=bearer("sk_wrong")))
    assert status_of(answer) == 401
    assert b'"code":"UNAUTHENTICATED"' in answer


def test_a_key_that_only_records(process: Process, admin: str) -> None:
    """A key without the scope QUERY may record over a socket, and subscribe to nothing."""
    secret = new_key(process, admin, "PUBLIC")["secret"]
    with SocketClient(process.port) as client:
        answer = first_result(client, {"key": secret})
        assert answer["type"] == "error"
        assert answer["payload"][0]["extensions"]["code"] == "FORBIDDEN"
        client.subscribe("q", "{health {status}}")
        assert client.receive()["type"] == "error"
        client.subscribe("m", 'mutation {recordEvents(input: {events: [{name: "x"}]}) {accepted}}')
        assert client.receive()["payload"]["data"] == {"recordEvents": {"accepted": 1}}


def test_projects_and_row_filters(process: Process, admin: str) -> None:
    """A subscriber sees the rows of its project and of its filter, and is told of no other."""
    row_filter = {"events": {"userId": {"eq": "u1"}}}
    filter_key = new_key(process, admin, scopes=["QUERY"], rowFilter=row_filter)["secret"]
    graphql(process, admin, 'mutation {createProject(input: {name: "there"}) {project {name}}}')
    with (
        SocketClient(process.port) as all_rows,
        SocketClient(process.port) as some_rows,
        SocketClient(process.port) as elsewhere_client,
    ):
        clients = (all_rows, some_rows, elsewhere_client)
        inits = ({"key": admin}, {"key": filter_key}, {"key": admin, "analytics-project": "there"})
        for client, init in zip(clients, inits, strict=True):
            client.begin(init)
            client.subscribe("s", TREND, name="filtered")
            client.receive()
        for user in ("u1", "u2"):
            row = {"event_name": "filtered", "user_id": user}
            process.http.post("/events", json=row, headers=bearer(admin)).raise_for_status()
        counts = [_last_count(client) for client in clients]
    assert counts == [2, 1, 0]


def _last_count(client: SocketClient) -> int:
    """Return the count of the last message that comes."""
    count = 0
    while not client.is_silent(1):
        series = client.receive()["payload"]["data"]["eventTrendChanged"]["series"]
        count = series[0]["total"]["count"] if series else 0
    return count


def test_a_revoked_key(process: Process, admin: str) -> None:
    """A revoked key ends its operations with an error, then its sockets with 4403, in time."""
    key = new_key(process, admin)
    with SocketClient(process.port) as client, SocketClient(process.port) as bystander:
        first_result(client, {"key": key["secret"]})
        first_result(bystander, {"key": admin})
        revoke = "mutation($id: ID!) {revokeApiKey(input: {id: $id}) {apiKey {id}}}"
        graphql(process, admin, revoke, id=key["apiKey"]["id"])
        *_, error, close = client.receive_all()
        assert (error["type"], error["id"]) == ("error", "s")
        assert error["payload"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        assert close.code == 4403
        bystander.send({"type": "ping"})
        assert bystander.receive() == {"type": "pong"}


def test_a_token_that_expires(process: Process, admin: str) -> None:
    """A token shows its rows until it expires; then its socket is closed with 4403."""
    key = new_key(process, admin, signsTokens=True)
    claims = {"exp": int(time.time()) + 3, "rowFilter": {"events": {}}}
    headers = {"kid": key["apiKey"]["id"]}
    token = jwt.encode(claims, key["tokenSecret"], "HS256", headers=headers)
    with SocketClient(process.port) as client:
        assert first_result(client, {"authorization": f"Bearer {token}"})["type"] == "next"
        assert client.receive_all()[-1].code == 4403


def test_a_session(process: Process, admin: str) -> None:
    """The cookie of a session counts on our own pages only, and until the session ends."""
    with httpx.Client(base_url=process.http.base_url, trust_env=False) as http:
        answer = http.post("/session", json={"key": admin}, headers=OUR_HEADERS)
        assert answer.status_code == 204, answer.text
        cookie = "; ".join(f"{name}={text}" for name, text in http.cookies.items())
        own_page = {"Cookie": cookie, "Origin": OUR_PAGE}
        with SocketClient(process.port, {"Cookie": cookie, "Origin": FOREIGN}) as client:
            client.send({"type": "connection_init"})
            assert client.receive_all() == [Close(4403, "Forbidden")]
        with SocketClient(process.port, own_page | {"Sec-Fetch-Site": "cross-site"}) as client:
            client.send({"type": "connection_init"})
            assert client.receive_all() == [Close(4403, "Forbidden")]
        with SocketClient(process.port, own_page) as client:
            assert first_result(client)["type"] == "next"
            http.delete("/session", headers=OUR_HEADERS).raise_for_status()
            assert client.receive_all()[-1].code == 4403


def test_a_foreign_page_with_a_key(process: Process, admin: str) -> None:
    """A page of any origin may use a key that it has: nobody sent it without asking."""
    with SocketClient(process.port, {"Origin": FOREIGN}) as client:
        assert first_result(client, {"key": admin})["type"] == "next"


HANDSHAKES: Final[dict[str, tuple[bytes, int]]] = {
    "another version": (handshake(headers={"Sec-WebSocket-Version": "8"}), 400),
    "no version": (handshake(headers={"Sec-WebSocket-Version": ""}), 400),
    "no key": (handshake(headers={"Sec-WebSocket-Key": ""}), 400),
    "short key": (handshake(headers={"Sec-WebSocket-Key": "eA=="}), 400),
    "key that is no Base64": (handshake(headers={"Sec-WebSocket-Key": "é" * 22}), 400),
    "HTTP/1.0": (handshake(start="GET {path} HTTP/1.0"), 400),
    "POST": (handshake(start="POST {path} HTTP/1.1"), 400),
    "body": (handshake(headers={"Content-Length": "1"}) + b"x", 400),
    "two hosts": (handshake(headers={"host": "there"}), 400),
    "key in the address": (handshake("/graphql?key=sk_1"), 401),
    "another path": (handshake("/nope"), 404),
}


@pytest.mark.parametrize("name", HANDSHAKES)
def test_a_wrong_handshake(process: Process, name: str) -> None:
    """A wrong handshake is an answer of HTTP in the shape of all errors, and ends there."""
    head, status = HANDSHAKES[name]
    answer = exchange(process.port, head)
    assert status_of(answer) == status
    assert b'{"errors":[{"message":' in answer


def test_a_host_that_is_not_served(tmp_path: Any) -> None:
    """A page of another name than the service's can't subscribe: DNS rebinding."""
    with Process(tmp_path / "data") as service:
        service.await_ready()
        answer = exchange(service.port, handshake(headers={"Host": "evil.example"}))
        assert status_of(answer) == 400
        assert b"ANALYTICS_HOSTS" in answer


def test_the_stream_of_a_revoked_key(process: Process, admin: str) -> None:
    """The stream of a revoked key ends with an event of the error."""
    key = new_key(process, admin)
    headers = bearer(key["secret"]) | {"accept": "text/event-stream"}
    body = {"query": OVERVIEW}
    with process.http.stream("POST", "/graphql", json=body, headers=headers) as answer:
        assert answer.status_code == 200
        parts = answer.iter_text()
        text = next(parts)
        while "event: next" not in text:
            text += next(parts)
        revoke = "mutation($id: ID!) {revokeApiKey(input: {id: $id}) {apiKey {id}}}"
        graphql(process, admin, revoke, id=key["apiKey"]["id"])
        text = "".join(parts)
    assert '"code":"UNAUTHENTICATED"' in text
    assert text.endswith("event: complete\ndata: \n\n")


def test_a_stream_without_a_key(process: Process) -> None:
    """A stream without a key is a 401, before any event."""
    headers = {"accept": "text/event-stream"}
    answer = process.http.post("/graphql", json={"query": OVERVIEW}, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/json")
    assert process.http.put("/graphql").status_code == 401


def test_the_reserved_stream_of_another_caller(process: Process, admin: str) -> None:
    """The stream of a token is not found with another key, whatever the request."""
    stranger = bearer(new_key(process, admin)["secret"])
    token = {
        "X-GraphQL-Event-Stream-Token": process.http.put("/graphql", headers=bearer(admin)).text
    }
    begin = {"query": OVERVIEW, "extensions": {"operationId": "a"}}
    headers = stranger | token
    assert process.http.post("/graphql", headers=headers, json=begin).status_code == 404
    assert process.http.delete("/graphql?operationId=a", headers=headers).status_code == 404
    stream = headers | {"accept": "text/event-stream"}
    assert process.http.get("/graphql", headers=stream).status_code == 404
    own_answer = process.http.post("/graphql", headers=bearer(admin) | token, json=begin)
    assert own_answer.status_code == 202
