"""Budgets of keys: a leaky bucket of cost for each key, in memory."""

import math
import time
from collections.abc import Callable
from typing import NamedTuple

from schema.errors import AnalyticsError


class BudgetState(NamedTuple):
    """What a key may spend: `available` now, `limit` at most, `per_second` comes back."""

    limit: float
    available: float
    per_second: float

    @property
    def full_after(self) -> int:
        """Seconds until the budget is full again."""
        return math.ceil((self.limit - self.available) / self.per_second)


class Budgets:
    """The debts of keys. A request may cost more than its key has; then the key waits."""

    def __init__(
        self, per_second: float, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Give each key a budget that is full again after some seconds; 0 is without limit."""
        self._per_second = per_second
        self._limit = per_second * seconds
        self._clock = clock
        self._debts: dict[str, tuple[float, float]] = {}

    def state(self, key_id: str) -> BudgetState | None:
        """Return what a key may spend; None without a limit."""
        if not self._per_second:
            return None
        available = self._limit - self._debt_now(key_id)
        return BudgetState(self._limit, available, self._per_second)

    def spend(self, key_id: str, cost: float, *, has_begun: bool = False) -> None:
        """Take the cost of a statement from the budget of a key.

        Raises RATE_LIMITED if it does not fit. A statement that costs more than a full budget fits
        into a full one. A request that `has_begun` goes on, into debt: half an answer helps nobody.
        """
        state = self.state(key_id)
        if state is not None and not has_begun:
            missing = min(cost, state.limit) - state.available
            if missing > 0:
                raise _rate_limited(cost, state, missing)
        self.correct(key_id, cost)

    def correct(self, key_id: str, cost: float) -> None:
        """Take a further cost from the budget of a key; a negative cost is given back."""
        if self._per_second:
            self._debts[key_id] = max(0.0, self._debt_now(key_id) + cost), self._clock()

    def _debt_now(self, key_id: str) -> float:
        debt, moment = self._debts.get(key_id, (0.0, 0.0))
        return max(0.0, debt - (self._clock() - moment) * self._per_second)


def _rate_limited(cost: float, state: BudgetState, missing: float) -> AnalyticsError:
    available = max(0.0, state.available)
    message = (
        f"This query costs {cost:,.0f}; the key has {available:,.0f} of {state.limit:,.0f} left and"
        f" gets {state.per_second:,.0f} a second. A query of {available / max(cost, 1):.0%} of this"
        " would fit now: with a shorter range, fewer aggregates or groups."
    )
    seconds = max(1, math.ceil(missing / state.per_second))
    return AnalyticsError("RATE_LIMITED", message, limit=math.floor(available), retry_after=seconds)
