"""The addresses of clients, for limits that are shared out among them."""

import functools
import ipaddress
from collections.abc import Iterable
from typing import Final, TypeAlias

from starlette.types import Scope

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_NETWORK_BITS: Final = 64
"""Bits of an IPv6 address that name a network: one machine may use all addresses in it."""

_FORWARDED_FOR: Final = b"x-forwarded-for"
_READ_BYTES: Final = 512
"""Bytes at the end of `X-Forwarded-For` that are read: ten addresses. A client can send 32 KiB."""

_CACHED_ADDRESSES: Final = 4_096
"""Pairs of a peer and a header whose network is cached, in 3 MB at most. Parsing takes 10 µs."""


class Clients:
    """The networks of clients, also of those behind a proxy that is trusted to name them."""

    def __init__(self, proxies: Iterable[Network] = ()) -> None:
        """Trust the proxies of some networks; without any, `X-Forwarded-For` is not read."""
        self._proxies = tuple(proxies)
        self._is_proxy = functools.lru_cache(_CACHED_ADDRESSES)(self._check_peer)
        self._network = functools.lru_cache(_CACHED_ADDRESSES)(self._find_network)

    def network_of(self, scope: Scope) -> str:
        """Return the network of the client of a request, as `client_network` does."""
        client = scope.get("client")
        peer = client[0] if client else ""
        if not (self._proxies and self._is_proxy(peer)):
            return self._network(peer, b"")
        lines = [value for name, value in scope["headers"] if name == _FORWARDED_FOR]
        return self._network(peer, _end_of(b",".join(lines)))

    def _check_peer(self, peer: str) -> bool:
        return is_proxy(peer, self._proxies)

    def _find_network(self, peer: str, header: bytes) -> str:
        """Return the network of the last address that no trusted proxy has.

        Each proxy adds the address of its client at the end. What is no address ends the search,
        because a stranger may have written all that is before it.
        """
        client = peer
        texts = map(str.strip, header.decode("latin-1").split(","))
        for text in reversed(list(filter(None, texts))):
            address = _parse_forwarded(text)
            if address is None:
                break
            client = str(address)
            if not _is_in(address, self._proxies):
                break
        return client_network(client)


def is_proxy(address: str | None, proxies: Iterable[Network]) -> bool:
    """Say whether an address is of one of the networks of proxies."""
    ip = _parse(address or "")
    return ip is not None and _is_in(ip, proxies)


def client_network(address: str | None) -> str:
    """Return the IPv4 address or the IPv6 network of a client; "" for an address of this machine.

    Our own machine has no share of its own, because a proxy on it speaks for all clients.
    """
    if address and address.startswith("127."):
        return ""  # parsing takes 4 µs of a connection's 12, and most connections come from a proxy
    ip = _parse(address or "")
    if ip is None or ip.is_loopback:  # a Unix socket has no address
        return ""
    if isinstance(ip, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((ip, _NETWORK_BITS), strict=False))
    return str(ip)


def _is_in(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


def _end_of(header: bytes) -> bytes:
    """Return the addresses at the end of a header; none that is cut."""
    return header if len(header) <= _READ_BYTES else header[-_READ_BYTES:].partition(b",")[2]


def _parse_forwarded(text: str) -> Address | None:
    """Return an address that may have quotes, brackets and a port; None for anything else."""
    text = text.strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    return _parse(text)


def _parse(text: str) -> Address | None:
    """Return an address without a zone, IPv4 also if it is mapped to IPv6; None for other texts."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address
