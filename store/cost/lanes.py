"""Lanes of readers: statements wait for a connection among those of a similar cost.

A long statement never holds the connection of a short one, and the engine reads for it only while
no short one runs. In a lane keys take turns.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final, Generic, NamedTuple, TypeVar

from store.limits import Limits

T = TypeVar("T")


class Lane(NamedTuple):
    """Connections for statements up to a cost.

    `priority` is the engine's: while a statement of a lower number runs, others pause at each block
    of rows that they read. After `seconds` a statement goes on in the next lane, from its start.
    """

    name: str
    max_cost: float
    connections: Callable[[Limits], int]
    priority: int
    seconds: float | None = None


STORE_LANE: Final = Lane("store", 0.0, lambda limits: limits.store_readers, 1)
"""The lane of the store's own statements, which no query delays."""

LANES: Final = (
    Lane("fast", 100.0, lambda limits: limits.readers, 1, 2.0),
    Lane("medium", 2_000.0, lambda limits: limits.long_readers, 2, 8.0),
    Lane("slow", float("inf"), lambda limits: limits.long_readers, 3),
)
"""The lanes by cost. One statement takes all cores, so two long ones at once are no faster."""


class FairQueue(Generic[T]):
    """Free entries, and the keys that wait for one: the key that waits longest is next.

    After its turn a key goes to the end of the queue, however many of its callers wait.
    """

    def __init__(self) -> None:
        """Begin without entries."""
        self._free: list[T] = []
        self._waiting: OrderedDict[str, deque[asyncio.Future[T]]] = OrderedDict()

    def add(self, entry: T) -> None:
        """Give an entry to the next caller, or keep it."""
        while self._waiting:
            key, futures = self._waiting.popitem(last=False)
            while futures:
                future = futures.popleft()
                if future.done():  # its caller gave up: the key keeps its turn
                    continue
                future.set_result(entry)
                if futures:
                    self._waiting[key] = futures
                return
        self._free.append(entry)

    async def get(self, key: str = "") -> T:
        """Return a free entry; wait for one in the turn of a key."""
        if self._free:
            return self._free.pop()
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, deque()).append(future)
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.add(future.result())
            raise

    @property
    def free_count(self) -> int:
        """The number of free entries."""
        return len(self._free)
