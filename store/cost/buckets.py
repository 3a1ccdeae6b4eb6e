"""Leaky buckets by name, in memory: what may be spent at once, and what comes back each second."""

import math
import time
from collections.abc import Callable, Hashable
from typing import Final, Generic, NamedTuple, TypeVar

Name = TypeVar("Name", bound=Hashable)

_SWEEP_SECONDS: Final = 1.0
"""Seconds between two sweeps of a table that stays more than half full."""


class BucketState(NamedTuple):
    """What may be spent: `available` now, `limit` at most, `per_second` comes back."""

    limit: float
    available: float
    per_second: float

    @property
    def full_after(self) -> int:
        """Seconds until the bucket is full again."""
        return math.ceil((self.limit - self.available) / self.per_second)

    def seconds_until(self, amount: float) -> int:
        """Return the seconds until an amount is available, at least 1."""
        return max(1, math.ceil((amount - self.available) / self.per_second))


class Buckets(Generic[Name]):
    """Buckets that begin full. A charge may exceed what is left: then the bucket is in debt.

    A bucket is one number: the moment at which it is full again. Full buckets need no entry.
    With a `capacity`, the table has at most so many entries. Further names then share one more
    bucket, so that no name escapes the limit. The debts of all entries come back at
    `capacity * per_second`: only names that together spend as much can fill the table.
    """

    def __init__(
        self,
        per_second: float,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
        capacity: float = math.inf,
    ) -> None:
        """Let an empty bucket be full again after some seconds; `per_second` 0 is no limit."""
        self.per_second: Final = per_second
        self._seconds = seconds
        self._debt_seconds = max(0.0, seconds - 1 / per_second) if per_second else 0.0
        self._clock = clock
        self._capacity = capacity
        self._full_at: dict[Name | None, float] = {}
        self._sweep_at = -math.inf

    def state(self, name: Name) -> BucketState | None:
        """Return what a bucket has; None without a limit."""
        if not self.per_second:
            return None
        limit = self.per_second * self._seconds
        debt = max(0.0, self._full_at_of(name) - self._clock()) * self.per_second
        return BucketState(limit, limit - debt, self.per_second)

    def has_one(self, name: Name) -> bool:
        """Say whether a bucket has 1, or all that it may hold. It costs a quarter of `state`."""
        if not self.per_second:
            return True
        return self._full_at_of(name) - self._clock() <= self._debt_seconds

    def charge(self, name: Name, amount: float) -> None:
        """Take an amount from a bucket; a negative amount is given back."""
        if not self.per_second:
            return
        now = self._clock()
        entry: Name | None = name
        full_at = self._full_at.get(name)
        if full_at is None:
            if len(self._full_at) >= self._capacity:
                self._sweep(now)
                entry = name if len(self._full_at) < self._capacity else None
            full_at = self._full_at.get(entry, now)
        full_at = max(now, full_at) + amount / self.per_second
        self._full_at[entry] = max(now, full_at)

    def _full_at_of(self, name: Name) -> float:
        """Return when a bucket is full: one without an entry now, or with all that have no room."""
        full_at = self._full_at.get(name)
        if full_at is None:
            is_crowded = len(self._full_at) >= self._capacity
            full_at = self._full_at.get(None, 0.0) if is_crowded else 0.0
        return full_at

    def _sweep(self, now: float) -> None:
        """Remove full buckets: at most once a second while that leaves more than half of them."""
        if now < self._sweep_at:
            return
        self._full_at = {name: moment for name, moment in self._full_at.items() if moment > now}
        is_crowded = len(self._full_at) > self._capacity / 2
        self._sweep_at = now + _SWEEP_SECONDS if is_crowded else now
