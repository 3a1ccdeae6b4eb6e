"""Limits of subscriptions and of reserved streams; their table in docs/security.md."""

import re
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from schema.limits import SUBSCRIPTION_LIMITS
from tests.harness.process import ROOT, Process
from tests.harness.sockets import OVERVIEW, SocketClient, frame


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Run a service with small limits."""
    limits = "subscriptions=3,reservations=2,connectionOperations=2,socketMessageBytes=1000"
    settings = {"ANALYTICS_LIMITS": limits}
    with Process(tmp_path_factory.mktemp("limits") / "data", settings=settings) as service:
        service.await_ready()
        yield service


def test_limits_of_subscriptions_are_documented() -> None:
    """The section about subscriptions has the table of their limits."""
    text = (ROOT / "docs" / "security.md").read_text().partition("\n## Subscriptions\n")[2]
    section = text.partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| ([\d,]+) \| (.*) \|$", section, re.MULTILINE)
    assert rows == [
        (limit.name, f"{limit.value:,}", limit.description) for limit in SUBSCRIPTION_LIMITS
    ]


def test_subscriptions_of_all_clients(process: Process) -> None:
    """One subscription too many is refused on any connection; the end of one makes room."""
    with ExitStack() as stack:
        clients = [stack.enter_context(SocketClient(process.port)) for _ in range(4)]
        for client in clients:
            client.begin()
            client.subscribe("s", OVERVIEW)
        answers = [client.receive() for client in clients]
        assert [answer["type"] for answer in answers] == ["next", "next", "next", "error"]
        assert answers[3]["payload"][0]["extensions"] == {
            "code": "UNAVAILABLE",
            "limit": 3,
            "retryAfter": 5,
        }
        clients[0].send({"type": "complete", "id": "s"})
        clients[0].send({"type": "ping"})
        assert clients[0].receive() == {"type": "pong"}
        clients[3].subscribe("s", OVERVIEW)
        assert clients[3].receive()["type"] == "next"


def test_operations_and_messages(process: Process) -> None:
    """The limits of a connection can be set."""
    with SocketClient(process.port) as client:
        client.begin()
        for name in ("a", "b", "c"):
            client.subscribe(name, OVERVIEW)
        answers = [client.receive() for _ in range(3)]
        (error,) = [answer for answer in answers if answer["type"] == "error"]
        assert (error["id"], error["payload"][0]["extensions"]["limit"]) == ("c", 2)
        client.send_bytes(frame(1, b" " * 1001))
        assert client.receive_all()[-1].code == 1009


def test_reserved_streams(process: Process) -> None:
    """One reservation too many is a 503."""
    answers = [process.http.put("/graphql") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 503]
    assert answers[2].json()["errors"][0]["extensions"]["limit"] == 2
