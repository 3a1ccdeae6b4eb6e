"""The connections of a server: how many there may be, and a look at each of them every second."""

import contextlib
import resource
from collections import Counter
from collections.abc import Sequence
from typing import Final, Protocol, cast

from uvicorn.server import ServerState

from api.addresses import Network, client_network, is_proxy
from api.bodies import SMALL_BODY
from api.edge.limits import EdgeLimits
from schema.errors import AnalyticsError
from store.limits import available_memory

_MEMORY_SHARE: Final = 4
"""Bodies of `SMALL_BODY` on all connections take at most this part of the memory."""


class ClockedConnection(Protocol):
    """A connection that is looked at once a second."""

    def tick(self) -> None:
        """End the connection if its client is too slow."""


class Connections(ServerState):
    """The connections of a server, and their limits.

    Addresses of this machine and of trusted proxies may have any number: a proxy speaks for all of
    its clients.
    """

    def __init__(
        self,
        limits: EdgeLimits,
        per_address: int,
        capacity: int,
        proxies: Sequence[Network] = (),
    ) -> None:
        """Set the limits; `capacity` bounds all connections, `per_address` those of an address."""
        super().__init__()
        self.limits: Final = limits
        self._proxies = proxies
        self._per_address = per_address
        self._capacity = capacity
        self._counts: Counter[str] = Counter()

    def admit(self, address: str | None) -> str:
        """Count a new connection, and return the network of its address, or "" if it has no limit.

        Raises UNAVAILABLE, and counts nothing, if there are too many.
        """
        if len(self.connections) >= self._capacity:
            message = f"There are too many connections (limit {self._capacity})."
            raise AnalyticsError("UNAVAILABLE", message, limit=self._capacity, retry_after=1)
        is_limited = not (self._proxies and is_proxy(address, self._proxies))
        network = client_network(address) if is_limited else ""
        if network:
            if self._counts[network] >= self._per_address:
                message = f"Your address has too many connections (limit {self._per_address})."
                raise AnalyticsError("UNAVAILABLE", message, limit=self._per_address, retry_after=1)
            self._counts[network] += 1
        return network

    def release(self, network: str) -> None:
        """Count the end of a connection that was admitted."""
        if network:
            self._counts[network] -= 1
            if not self._counts[network]:
                del self._counts[network]

    def tick(self) -> None:
        """Look at each connection; to be called once a second."""
        for connection in cast("tuple[ClockedConnection, ...]", tuple(self.connections)):
            connection.tick()


def raise_file_limit() -> None:
    """Raise the limit of open files to the most that this process may set."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # macOS refuses the limit that it reports
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def connection_capacity(limits: EdgeLimits) -> int:
    """Return how many connections the limit of open files and the memory allow.

    The engine and the journal keep `spare_files`, or half of the files if there are few.
    """
    by_memory = available_memory() // _MEMORY_SHARE // SMALL_BODY
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return by_memory
    return min(by_memory, max(files - limits.spare_files, files // 2))
