"""The ledger: what became of every row that was received."""

from dataclasses import dataclass


@dataclass(slots=True)
class Ledger:
    """One stream's rows since the start. Each received row is in exactly one of the others.

    `received = stored + duplicates + rejected + unavailable + pending`. `stored` are acknowledged
    and durable, `rejected` are invalid, `unavailable` were refused with the advice to come again.
    """

    received: int = 0
    stored: int = 0
    duplicates: int = 0
    rejected: int = 0
    unavailable: int = 0

    @property
    def pending(self) -> int:
        """Rows whose requests are not answered yet."""
        settled = self.stored + self.duplicates + self.rejected + self.unavailable
        return self.received - settled
