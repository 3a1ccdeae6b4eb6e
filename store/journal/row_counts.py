"""Counters of the outcomes of rows: received, stored, duplicate, rejected, unavailable."""

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec

_NO_NAMES: Final[frozenset[str]] = frozenset()


@dataclass(slots=True)
class RowCounts:
    """Counters of one stream's rows since the start. Each received row has exactly one outcome.

    `received = stored + duplicates + rejected + unavailable + pending`. Stored rows are durable.
    Rejected rows are invalid. The sender of unavailable rows got a 503, and may send them again.
    """

    received: int = 0
    stored: int = 0
    duplicates: int = 0
    rejected: int = 0
    unavailable: int = 0

    def receive(self, accepted: int, rejected: int) -> "PendingRows":
        """Count the rows of a request; return its accepted rows, which are pending."""
        self.received += accepted + rejected
        self.rejected += rejected
        return PendingRows(self, accepted)

    @property
    def pending(self) -> int:
        """Rows of requests without a response."""
        outcomes = self.stored + self.duplicates + self.rejected + self.unavailable
        return self.received - outcomes


class PendingRows(msgspec.Struct):  # a dataclass takes five times as long
    """The accepted rows of one request until their outcome is known. It is settled once.

    The journal settles it even if the caller goes away meanwhile. `on_settled` gets the names of
    the stored rows, None if they are unknown.
    """

    counts: RowCounts
    rows: int
    on_settled: Callable[[AbstractSet[str] | None], None] | None = None

    def settle(self, stored: int, names: AbstractSet[str] | None = _NO_NAMES) -> None:
        """Count the rows that became durable as stored, and the others as duplicates.

        `names` are the names of the stored rows.
        """
        self.counts.stored += stored
        self.counts.duplicates += self.rows - stored
        if self.on_settled:
            self.on_settled(names)

    def settle_unavailable(self) -> None:
        """Count all rows as unavailable."""
        self.counts.unavailable += self.rows
        if self.on_settled:
            self.on_settled(_NO_NAMES)


class StreamStats(NamedTuple):
    """A stream's counters, and the state of its journal.

    Since the start, `stored + recovered = loaded + waiting + set_aside`. Recovered rows were in the
    journal at the start. Loaded rows are in the table, waiting rows still in the journal.
    `set_aside_total` also counts the rows that earlier processes set aside.
    """

    stream: str
    counts: RowCounts
    recovered: int
    loaded: int
    waiting: int
    set_aside: int
    set_aside_total: int
    journal_bytes: int
    torn_bytes: int
