"""The tables and counts of the edge, without a service."""

import re
from typing import Final

import pytest

from api.addresses import client_network
from api.bodies import MAX_BATCH_BODY, SMALL_BODY, BodyMemory
from api.edge.connections import Connections
from api.edge.limits import EdgeLimits
from api.edge.pace import Pace
from api.logs import LINES_PER_SECOND
from schema.errors import AnalyticsError
from settings import InvalidSettingError, from_environment
from tests.harness.process import ROOT

SECURITY: Final = (ROOT / "docs" / "security.md").read_text()
STRANGER: Final = {"client": ("203.0.113.1", 1)}
NEIGHBOUR: Final = {"client": ("203.0.113.2", 1)}
LOOPBACK: Final = {"client": ("127.0.0.1", 1)}


def test_the_limits_of_production() -> None:
    """Production has these values; another one is a decision."""
    assert {limit.name: limit.value for limit in EdgeLimits().table()} == {
        "headBytes": 32_768,
        "headers": 100,
        "headSeconds": 10,
        "bodySeconds": 15,
        "answerSeconds": 30,
        "slowestRate": 1024,
        "leftoverSeconds": 10,
        "pipelinedRequests": 100,
        "socketMessageBytes": 131_072,
        "initSeconds": 3,
        "readerSeconds": 5,
        "pingSeconds": 20,
        "spareFiles": 384,
    }
    assert LINES_PER_SECOND == 20
    assert SMALL_BODY == 65_536


def test_the_documentation_has_the_limits() -> None:
    """`docs/security.md` has each limit with its value and unit."""
    rows = re.findall(r"^\| `(\w+)` \| ([\d,]+) ([a-z ]+) \|", SECURITY, re.MULTILINE)
    documented_limits = {(name, int(value.replace(",", "")), unit) for name, value, unit in rows}
    assert documented_limits >= {
        (limit.name, limit.value, limit.unit) for limit in EdgeLimits().table()
    }


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.1", "203.0.113.1"),
        ("::ffff:203.0.113.1", "203.0.113.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("127.0.0.1", ""),
        ("127.9.9.9", ""),
        ("::ffff:127.0.0.1", ""),
        ("::1", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_addresses_are_counted_by_network(address: str | None, network: str) -> None:
    """A client is an IPv4 address or an IPv6 /64 network; this machine is nobody."""
    assert client_network(address) == network


def test_connections_of_an_address() -> None:
    """An address has so many connections, and again as many when they end; our own has any."""
    connections = Connections(EdgeLimits(), per_address=2, capacity=100)
    networks = [connections.admit("203.0.113.1") for _ in range(2)]
    for _ in range(2):
        with pytest.raises(AnalyticsError, match=re.escape("(limit 2)")) as refusal:
            connections.admit("203.0.113.1")
        assert (refusal.value.status, refusal.value.limit) == (503, 2)
    connections.admit("203.0.113.2")
    for _ in range(5):
        connections.admit("127.0.0.1")
    connections.release(networks[0])
    connections.admit("203.0.113.1")


def test_a_pace_counts_seconds_behind_the_rate() -> None:
    """A silent client has all seconds, one at half of the rate twice as many, a burst no more."""

    def seconds_of(*sizes: int) -> int:
        pace = Pace(10, 1000, 0)
        total = 0
        for second, size in enumerate(sizes, 1):
            total += size
            if pace.is_late(total):
                return second
        return 0

    assert seconds_of(*[0] * 30) == 10
    assert seconds_of(*[500] * 30) == 20
    assert seconds_of(1_000_000, *[0] * 30) == 11
    assert seconds_of(*[1000] * 1000) == 0
    assert seconds_of(*[0, 0, 0, 0, 5000] * 200) == 0


def test_whole_and_arriving_bodies_are_counted_apart() -> None:
    """Bodies that arrive fill their own memory only, and leave it when they end."""
    memory = BodyMemory(1_000_000)
    bodies = [memory.begin(LOOPBACK) for _ in range(3)]
    for body in bodies[:2]:
        body.grow(400_000)
        body.grow(500_000)
    with pytest.raises(AnalyticsError, match="Too much is being sent"):
        bodies[2].grow(SMALL_BODY + 1)
    bodies[2].end()
    memory.begin(LOOPBACK).grow(SMALL_BODY)
    scope: dict[str, object] = {}
    memory.hold(scope, 1_000_000)
    with pytest.raises(AnalyticsError, match="Too much is being sent"):
        memory.hold({}, 1)
    bodies[0].end()
    memory.begin(LOOPBACK).grow(500_000)


def test_an_address_has_half_of_the_memory() -> None:
    """Bodies that arrive from one address leave half of the memory to others."""
    memory = BodyMemory(4 * MAX_BATCH_BODY)
    first = memory.begin(STRANGER)
    for body in (first, memory.begin(STRANGER)):
        body.grow(MAX_BATCH_BODY)
    late = memory.begin(STRANGER)
    with pytest.raises(AnalyticsError, match="Your address"):
        late.grow(SMALL_BODY + 1)
    late.end()
    memory.begin(NEIGHBOUR).grow(MAX_BATCH_BODY)
    first.end()
    memory.begin(STRANGER).grow(MAX_BATCH_BODY)


def test_one_body_always_fits() -> None:
    """The half of a small memory has room for one largest body."""
    memory = BodyMemory(MAX_BATCH_BODY)
    memory.begin(STRANGER).grow(MAX_BATCH_BODY)


@pytest.mark.parametrize("text", ["0", "-1", "x", "1.5", "1000001", "9" * 5000, "²"])
def test_connections_per_address_must_be_a_number(text: str) -> None:
    """A wrong setting is refused with its name."""
    with pytest.raises(InvalidSettingError, match="ANALYTICS_CONNECTIONS_PER_ADDRESS"):
        from_environment({"ANALYTICS_CONNECTIONS_PER_ADDRESS": text})
