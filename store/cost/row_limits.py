"""Limits of recorded rows: leaky buckets of keys, and of the addresses that use a public key.

Browsers have public keys. So each address has a bucket of its own with each public key: a visitor
can't use up the rows of the others, and no project takes from another.
"""

import time
from collections.abc import Callable
from typing import Final, NamedTuple

from schema.errors import AnalyticsError
from store.cost.buckets import Buckets, BucketState
from store.limits import Limits

_MAX_ADDRESSES: Final = 10_000
"""Addresses in debt that are remembered, in 2 MB.

With 1,000 rows a second for each, only ten million rows a second keep so many in debt.
"""

_BYTES_OF_ROW: Final = 100
"""Bytes of a body that count as a row before it is decoded."""


class RowLimits:
    """What keys and addresses may record. An address "" has no bucket, nor has no key."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        """Set the rows a second; 0 is without limit."""
        seconds = limits.budget_seconds
        self.has_limit_of_keys: Final = limits.key_rows_per_second > 0
        self._keys = Buckets[str](limits.key_rows_per_second, seconds, clock)
        self._addresses = Buckets[tuple[str | None, str]](
            limits.address_rows_per_second, seconds, clock, _MAX_ADDRESSES
        )

    def check(self, key_id: str | None, address: str) -> None:
        """Raise RATE_LIMITED while the bucket of a key or of an address has less than a row.

        A bucket that can't hold a row has one while it is full.
        """
        if key_id is not None and not self._keys.has_one(key_id):
            raise _rate_limited(self._keys.state(key_id), "The key")
        if address and not self._addresses.has_one((key_id, address)):
            raise _rate_limited(self._addresses.state((key_id, address)), "Your address")

    def spend(self, key_id: str | None, address: str, rows: int) -> None:
        """Take rows from the buckets, into debt if they have fewer. Raises as `check` does."""
        self.check(key_id, address)
        self.charge(key_id, address, rows)

    def begin(self, key_id: str | None, address: str, size: int) -> "RowCharge":
        """Take rows for a body of so many bytes before it is decoded; the charge is to be settled.

        So bodies that wait for their turn count already. A body that can't be read stays so.
        """
        charge = RowCharge(self, key_id, address, size // _BYTES_OF_ROW + 1)
        self.charge(key_id, address, charge.rows)
        return charge

    def charge(self, key_id: str | None, address: str, rows: int) -> None:
        """Take rows from the buckets of a key and an address; a negative number is given back."""
        if key_id is not None:
            self._keys.charge(key_id, rows)
        if address:
            self._addresses.charge((key_id, address), rows)


class RowCharge(NamedTuple):
    """The rows that were taken for a body."""

    limits: RowLimits
    key_id: str | None
    address: str
    rows: int

    def settle(self, rows: int) -> None:
        """Take the rows of the decoded body instead."""
        self.limits.charge(self.key_id, self.address, rows - self.rows)


def _rate_limited(state: BucketState | None, owner: str) -> AnalyticsError:
    assert state is not None  # noqa: S101 - only a bucket with a limit is ever empty
    message = (
        f"{owner} has recorded too many rows; it may record {state.per_second:,.12g} a second,"
        f" and {state.limit:,.12g} at once."
    )
    seconds = state.seconds_until(min(1.0, state.limit))
    return AnalyticsError("RATE_LIMITED", message, limit=state.per_second, retry_after=seconds)
