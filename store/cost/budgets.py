"""Budgets of keys: a leaky bucket of cost for each key."""

import math
import time
from collections.abc import Callable

from schema.errors import AnalyticsError
from store.cost.buckets import Buckets, BucketState


class Budgets:
    """What keys may spend. A request may cost more than its key has; then the key waits."""

    def __init__(
        self, per_second: float, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Give each key a budget that is full again after some seconds; 0 is without limit."""
        self._buckets = Buckets[str](per_second, seconds, clock)

    def state(self, key_id: str) -> BucketState | None:
        """Return what a key may spend; None without a limit."""
        return self._buckets.state(key_id)

    def spend(self, key_id: str, cost: float, *, has_begun: bool = False) -> None:
        """Take the cost of a statement from the budget of a key.

        Raises RATE_LIMITED if it does not fit. A statement that costs more than a full budget fits
        into a full one. A request that `has_begun` goes on, into debt: half an answer helps nobody.
        """
        state = self.state(key_id)
        if state is not None and not has_begun and min(cost, state.limit) > state.available:
            raise _rate_limited(cost, state)
        self.correct(key_id, cost)

    def correct(self, key_id: str, cost: float) -> None:
        """Take a further cost from the budget of a key; a negative cost is given back."""
        self._buckets.charge(key_id, cost)


def _rate_limited(cost: float, state: BucketState) -> AnalyticsError:
    available = max(0.0, state.available)
    message = (
        f"This query costs {cost:,.0f}; the key has {available:,.0f} of {state.limit:,.0f} left and"
        f" gets {state.per_second:,.0f} a second. A query of {available / max(cost, 1):.0%} of this"
        " would fit now: with a shorter range, fewer aggregates or groups."
    )
    seconds = state.seconds_until(min(cost, state.limit))
    return AnalyticsError("RATE_LIMITED", message, limit=math.floor(available), retry_after=seconds)
