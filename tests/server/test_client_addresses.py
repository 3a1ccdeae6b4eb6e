"""The addresses of clients behind proxies."""

from typing import Final

import pytest
from starlette.types import Scope

from api.addresses import Clients
from api.bodies import MAX_BATCH_BODY, SMALL_BODY, BodyMemory
from api.edge.connections import Connections
from api.edge.limits import EdgeLimits
from schema.errors import AnalyticsError
from settings import InvalidSettingError, from_environment

PROXIES: Final = "127.0.0.1, 10.0.0.0/8, 2001:db8:ffff::/48,::1"
NETWORKS: Final = from_environment({"ANALYTICS_PROXIES": PROXIES}).proxies
CLIENTS: Final = Clients(NETWORKS)


def request(peer: str | None, *lines: str) -> Scope:
    """Return the scope of a request from a peer, with lines of `X-Forwarded-For`."""
    headers = [(b"x-forwarded-for", line.encode("latin-1")) for line in lines]
    return {"client": (peer, 1) if peer else None, "headers": [(b"host", b"here"), *headers]}


@pytest.mark.parametrize(
    ("peer", "lines", "network"),
    [
        ("203.0.113.1", [], "203.0.113.1"),
        ("203.0.113.1", ["192.0.2.1"], "203.0.113.1"),
        ("172.16.0.1", ["192.0.2.1"], "172.16.0.1"),
        ("127.0.0.2", ["192.0.2.1"], ""),
        (None, ["192.0.2.1"], ""),
        ("10.1.2.3", ["192.0.2.1"], "192.0.2.1"),
        ("127.0.0.1", ["192.0.2.1"], "192.0.2.1"),
        ("::1", ["192.0.2.1"], "192.0.2.1"),
        ("::ffff:10.0.0.1", ["192.0.2.1"], "192.0.2.1"),
        ("2001:db8:ffff::9", ["192.0.2.1"], "192.0.2.1"),
        ("10.1.2.3", ["198.51.100.7, 192.0.2.1"], "192.0.2.1"),
        ("10.1.2.3", ["198.51.100.7,192.0.2.1 , 10.0.0.1,127.0.0.1"], "192.0.2.1"),
        ("10.1.2.3", ["198.51.100.7", "192.0.2.1", "10.0.0.1"], "192.0.2.1"),
        ("10.1.2.3", ["198.51.100.7", "", ",192.0.2.1,,", " "], "192.0.2.1"),
        ("10.1.2.3", ["10.9.9.9, 10.0.0.1"], "10.9.9.9"),
        ("10.1.2.3", [], "10.1.2.3"),
        ("127.0.0.1", [], ""),
        ("10.1.2.3", [""], "10.1.2.3"),
        ("10.1.2.3", ["192.0.2.1, unknown"], "10.1.2.3"),
        ("10.1.2.3", ["192.0.2.1, _hidden, 10.0.0.1"], "10.0.0.1"),
        ("10.1.2.3", ["192.0.2.1; DROP"], "10.1.2.3"),
        ("10.1.2.3", ["192.0.2.1, 999.1.1.1"], "10.1.2.3"),
        ("10.1.2.3", ["\xe4\xff, 192.0.2.1"], "192.0.2.1"),
        ("10.1.2.3", ["192.0.2.1:8080"], "192.0.2.1"),
        ("10.1.2.3", ["2001:db8::1"], "2001:db8::/64"),
        ("10.1.2.3", ["[2001:db8::1]"], "2001:db8::/64"),
        ("10.1.2.3", ['"[2001:db8::1]:8080"'], "2001:db8::/64"),
        ("10.1.2.3", ["fe80::1%eth0"], "fe80::/64"),
        ("10.1.2.3", ["::ffff:192.0.2.1"], "192.0.2.1"),
        ("10.1.2.3", ["192.0.2.1, ::ffff:10.0.0.1"], "192.0.2.1"),
        ("10.1.2.3", [f"{'9' * 30_000}, 192.0.2.1"], "192.0.2.1"),
        ("10.1.2.3", ["9" * 30_000], "10.1.2.3"),
        ("10.1.2.3", ["198.51.100.7," + "10.0.0.1," * 3_000], "10.0.0.1"),
    ],
)
def test_the_client_is_the_last_address_of_no_proxy(
    peer: str | None, lines: list[str], network: str
) -> None:
    """A trusted proxy names its client at the end of the header; nobody else is believed.

    What is no address ends the search at the proxy that has added it.
    """
    assert CLIENTS.network_of(request(peer, *lines)) == network


def test_without_proxies_no_header_is_believed() -> None:
    """By default a client is its peer, on this machine too."""
    clients = Clients(from_environment({}).proxies)
    assert clients.network_of(request("127.0.0.1", "192.0.2.1")) == ""
    assert clients.network_of(request("203.0.113.1", "192.0.2.1")) == "203.0.113.1"


def test_an_address_that_is_cut_is_not_read() -> None:
    """The read end of a long header begins with a whole address."""
    proxies = "," + ",".join(["10.0.0.1"] * 55)  # 495 bytes
    assert CLIENTS.network_of(request("10.1.2.3", f"198.51.100.7{proxies}")) == "198.51.100.7"
    assert CLIENTS.network_of(request("10.1.2.3", f"1.1.1.1, 198.51.100.117,{proxies}")) == (
        "198.51.100.117"
    )
    cut_header = f"198.51.100.117{proxies},10.0.0.1"
    assert CLIENTS.network_of(request("10.1.2.3", cut_header)) == "10.0.0.1"


def test_bodies_of_the_clients_of_a_proxy_are_counted_apart() -> None:
    """One client of a trusted proxy can't take the memory of another's bodies."""
    memory = BodyMemory(2 * MAX_BATCH_BODY, CLIENTS)
    memory.begin(request("127.0.0.1", "192.0.2.1")).grow(MAX_BATCH_BODY)
    with pytest.raises(AnalyticsError, match="Your address"):
        memory.begin(request("127.0.0.1", "192.0.2.1")).grow(SMALL_BODY + 1)
    memory = BodyMemory(2 * MAX_BATCH_BODY, CLIENTS)
    for address in ("192.0.2.1", "192.0.2.2"):
        memory.begin(request("127.0.0.1", address)).grow(MAX_BATCH_BODY)


def test_a_trusted_proxy_may_have_any_number_of_connections() -> None:
    """The connections of a proxy are those of all its clients."""
    connections = Connections(EdgeLimits(), per_address=1, capacity=10, proxies=NETWORKS)
    for _ in range(3):
        connections.admit("10.0.0.1")
    connections.admit("203.0.113.1")
    with pytest.raises(AnalyticsError, match="Your address"):
        connections.admit("203.0.113.1")


@pytest.mark.parametrize(
    "text", ["proxy.example", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0-10.0.0.9", "127.0.0.1:80", "*"]
)
def test_proxies_must_be_networks(text: str) -> None:
    """A wrong setting is refused with its name, a network with bits of a host too."""
    with pytest.raises(InvalidSettingError, match="ANALYTICS_PROXIES must be addresses and"):
        from_environment({"ANALYTICS_PROXIES": f"127.0.0.1,{text}"})
