"""The ledger: what became of every row that was received."""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(slots=True)
class RowCounts:
    """One stream's rows since the start. Each received row is in exactly one of the others.

    `received = stored + duplicates + rejected + unavailable + pending`. `stored` are acknowledged
    and durable, `rejected` are invalid, `unavailable` were refused with the advice to come again.
    """

    received: int = 0
    stored: int = 0
    duplicates: int = 0
    rejected: int = 0
    unavailable: int = 0

    def receive(self, accepted: int, rejected: int) -> "PendingRows":
        """Count the rows of a request; return its accepted rows, whose outcome is to come."""
        self.received += accepted + rejected
        self.rejected += rejected
        return PendingRows(self, accepted)

    @property
    def pending(self) -> int:
        """Rows whose requests are not answered yet."""
        outcomes = self.stored + self.duplicates + self.rejected + self.unavailable
        return self.received - outcomes


@dataclass(slots=True)
class PendingRows:
    """The accepted rows of one request until their outcome is known, which is settled once.

    The outcome is settled even if the caller goes away meanwhile.
    """

    counts: RowCounts
    rows: int

    def settle(self, stored: int) -> None:
        """Count the rows that became durable; all others repeat stored rows."""
        self.counts.stored += stored
        self.counts.duplicates += self.rows - stored

    def settle_unavailable(self) -> None:
        """Count all rows as refused for now."""
        self.counts.unavailable += self.rows


class StreamStats(NamedTuple):
    """A stream's ledger, and where its stored rows are by now.

    Since the start, `stored + recovered = loaded + waiting + set_aside`: rows that were found in
    the journal, or acknowledged, are in the table, wait for it in the journal, or were set aside.
    `refused` rows are set aside in all, whenever that was.
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
