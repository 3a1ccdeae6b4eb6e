"""The host names that the service answers to, against DNS rebinding.

A page of evil.example can let that name point to 127.0.0.1. Its requests are then of its own
origin, and CORS does not apply. They still name evil.example as their host.
"""

import functools
import ipaddress
import re
from collections.abc import Iterable
from typing import Final

from starlette.types import Scope

from api.headers import headers_of
from schema.errors import AnalyticsError

_MAX_SHOWN: Final = 100
_HOST: Final = re.compile(r"(?:(?P<name>[a-z0-9._-]+)|\[(?P<address>[0-9a-f:.]+)\])(?::\d*)?")
_PRIVATE_ENDINGS: Final = frozenset({"localhost", "local", "internal", "test", "lan"})
"""Endings of names that no public name server resolves, so that no stranger owns one."""


class Hosts:
    """The names in the header `Host` that are answered.

    With names from the settings, they and loopback names. Without, any host in production, where
    each request has a key; in development any host but public names.
    """

    def __init__(self, names: Iterable[str], *, is_open: bool) -> None:
        """Answer to these names; `is_open` if requests need no key."""
        self._names = frozenset(names)
        self._is_open = is_open
        self._is_allowed = functools.lru_cache(maxsize=1024)(self._check)

    def check(self, scope: Scope) -> None:
        """Raise BAD_REQUEST for a host that is not answered."""
        host = headers_of(scope).get(b"host", b"")
        if not self._is_allowed(host):
            name = host.decode("latin-1")[:_MAX_SHOWN]
            message = f"The host {name!r} is not served here; ANALYTICS_HOSTS can allow it."
            raise AnalyticsError("BAD_REQUEST", message, field="Host")

    def _check(self, host: bytes) -> bool:
        if not host:
            return True  # no browser
        match = _HOST.fullmatch(host.decode("latin-1").lower())
        if match is None:
            return False
        name = match["address"] or match["name"].removesuffix(".")
        if name in self._names or _is_local(name):
            return True
        if self._names:
            return False
        return not self._is_open or not _is_public(name)


def _is_local(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = _address(name)
    return address is not None and address.is_loopback


def _is_public(name: str) -> bool:
    labels = name.split(".")
    return _address(name) is None and len(labels) > 1 and labels[-1] not in _PRIVATE_ENDINGS


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
