"""Leaky buckets and the limits of rows, against a plain model, with a clock that a test sets."""

from collections import defaultdict
from fractions import Fraction
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.errors import AnalyticsError
from store.cost.buckets import Buckets
from store.cost.row_limits import RowLimits
from store.limits import Limits

SECONDS: Final = 4
KEY_ROWS: Final = 8
ADDRESS_ROWS: Final = 2
LIMITS: Final = Limits.of_this_machine(
    {
        "keyRowsPerSecond": KEY_ROWS,
        "addressRowsPerSecond": ADDRESS_ROWS,
        "budgetSeconds": SECONDS,
    }
)
EIGHTHS: Final = st.integers(0, 60).map(lambda eighths: Fraction(eighths, 8))
"""Seconds that a float has exactly."""


class Model:
    """The limits of rows as debts, which every second makes smaller."""

    def __init__(self) -> None:
        """Begin without debts."""
        self.debts: defaultdict[object, Fraction] = defaultdict(Fraction)

    def buckets(self, key: str | None, address: str) -> list[tuple[object, int]]:
        """Return the names of the buckets of a caller, with their rows a second."""
        names: list[tuple[object, int]] = []
        if key is not None:
            names.append((key, KEY_ROWS))
        if address:
            names.append(((key, address), ADDRESS_ROWS))
        return names

    def wait(self, seconds: Fraction) -> None:
        """Let debts come back."""
        for name, debt in self.debts.items():
            per_second = ADDRESS_ROWS if isinstance(name, tuple) else KEY_ROWS
            self.debts[name] = max(Fraction(), debt - seconds * per_second)

    def refusal(self, key: str | None, address: str) -> tuple[float, int] | None:
        """Return the limit and the seconds of a refusal; None if one more row fits."""
        for name, per_second in self.buckets(key, address):
            missing = 1 - (per_second * SECONDS - self.debts[name])
            if missing > 0:
                return per_second, max(1, -(-missing // per_second))
        return None

    def take(self, key: str | None, address: str, rows: int) -> None:
        """Take rows; a negative number is given back."""
        for name, _ in self.buckets(key, address):
            self.debts[name] = max(Fraction(), self.debts[name] + rows)


CALLERS: Final = st.tuples(st.sampled_from(["a", "b", None]), st.sampled_from(["", "x", "y"]))


@given(st.lists(st.tuples(EIGHTHS, CALLERS, st.integers(0, 60), st.integers(0, 90)), max_size=40))
def test_row_limits_are_leaky_buckets(
    steps: list[tuple[Fraction, tuple[str | None, str], int, int]],
) -> None:
    """A caller is refused exactly while a bucket of the model is empty, with its seconds to wait.

    A body counts by its size until it is settled, single rows at once.
    """
    now = Fraction()
    row_limits, model = RowLimits(LIMITS, lambda: float(now)), Model()
    for pause, (key, address), hundreds, rows in steps:
        now += pause
        model.wait(pause)
        refusal = model.refusal(key, address)
        if refusal:
            with pytest.raises(AnalyticsError) as caught_error:
                row_limits.spend(key, address, 1)
            error = caught_error.value
            assert (error.code, error.status) == ("RATE_LIMITED", 429)
            assert (error.limit, error.retry_after) == refusal
            continue
        row_limits.spend(key, address, 1)
        model.take(key, address, 1)
        charge = row_limits.begin(key, address, hundreds * 100)
        model.take(key, address, hundreds + 1)
        if rows % 3:
            charge.settle(rows)
            model.take(key, address, rows - hundreds - 1)


def test_a_full_bucket_takes_one_batch_of_any_size() -> None:
    """A batch above the limit fits into a full bucket, and the next row waits until it is paid."""
    now = 0.0
    row_limits = RowLimits(LIMITS, lambda: now)
    row_limits.spend("key", "", 50_000)
    with pytest.raises(AnalyticsError) as refusal:
        row_limits.check("key", "")
    assert refusal.value.retry_after == (50_000 - KEY_ROWS * SECONDS + 1 + 7) // 8
    now += refusal.value.retry_after
    row_limits.spend("key", "", 1)


def test_a_limit_below_one_row_is_a_limit_of_one() -> None:
    """A bucket that holds less than a row takes one row whenever it is full."""
    now = 0.0
    limits = Limits.of_this_machine({"keyRowsPerSecond": 0.125, "budgetSeconds": 4})
    row_limits = RowLimits(limits, lambda: now)
    row_limits.spend("key", "", 1)
    for seconds, is_refused in ((7, True), (1, False)):
        now += seconds
        if is_refused:
            with pytest.raises(AnalyticsError):
                row_limits.spend("key", "", 1)
        else:
            row_limits.spend("key", "", 1)


def test_no_limit_counts_nothing() -> None:
    """With limits of 0, and for callers without key and address, nothing is counted."""
    limits = Limits.of_this_machine({"keyRowsPerSecond": 0, "addressRowsPerSecond": 0})
    row_limits = RowLimits(limits)
    for key, address in (("key", "x"), ("key", ""), (None, "")):
        row_limits.spend(key, address, 10**9)
        row_limits.spend(key, address, 1)
    row_limits = RowLimits(LIMITS)
    row_limits.spend(None, "", 10**9)
    row_limits.spend(None, "", 1)


def test_a_full_table_of_debtors_stays_bounded() -> None:
    """New names share one bucket while the table has no room; debtors keep their debts."""
    now, capacity = 0.0, 100
    buckets = Buckets[int](1, 10, lambda: now, capacity)
    for name in range(100 * capacity):
        buckets.charge(name, 5)
        assert len(buckets._full_at) <= capacity + 1
    assert _available(buckets, 0) == _available(buckets, capacity - 1) == 5
    assert _available(buckets, capacity) == _available(buckets, -1) == 10 - 5 * 99 * capacity
    now += 5
    buckets.charge(-1, 1)
    assert _available(buckets, -1) == 9, "the debtors have paid, so there is room"
    assert _available(buckets, 0) == 10
    assert len(buckets._full_at) <= 3


def test_names_that_spend_little_need_no_room() -> None:
    """Any number of names that are soon full again leaves each its own bucket."""
    now, capacity = 0.0, 100
    buckets = Buckets[int](1000, 60, lambda: now, capacity)
    for name in range(100 * capacity):
        now += 1 / 1024
        buckets.charge(name, 1)
        assert _available(buckets, name) == pytest.approx(59_999)
        assert len(buckets._full_at) <= capacity


def test_a_crowded_table_is_swept_once_a_second() -> None:
    """A sweep reads the whole table, so new names of a crowded one do not cause a sweep each."""
    now, capacity = 0.0, 100
    buckets = Buckets[int](1, 10, lambda: now, capacity)
    for name in range(capacity):
        buckets.charge(name, 9 if name > 1 else 0.25)
    buckets.charge(capacity, 1)
    now += 0.5
    buckets.charge(capacity + 1, 1)
    assert len(buckets._full_at) == capacity + 1
    now += 0.5
    buckets.charge(capacity + 2, 1)
    assert _available(buckets, capacity + 2) == 9
    assert 0 not in buckets._full_at


def _available(buckets: Buckets[int], name: int) -> float:
    state = buckets.state(name)
    assert state is not None
    return state.available
