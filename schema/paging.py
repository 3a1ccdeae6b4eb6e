"""Arguments that select a page of a list."""

from dataclasses import dataclass
from typing import Final

from schema.errors import bad_input

MAX_PAGE: Final = 1000
DEFAULT_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class Paging:
    """The arguments of a Relay connection. `first` is 100 when neither number is given.

    The cursors bound the list. `first` takes entries from its start, `last` from its end.
    """

    first: int | None = None
    after: str | None = None
    last: int | None = None
    before: str | None = None

    def count(self) -> int:
        """Return the maximum number of entries of the page.

        Raises BAD_USER_INPUT for a number outside of 1 to 1000, and for both numbers.
        """
        if self.first is not None and self.last is not None:
            raise bad_input("last", "can't be given together with first")
        if self.last is not None:
            return checked_count("last", self.last)
        return checked_count("first", DEFAULT_PAGE if self.first is None else self.first)


def checked_count(field: str, count: int) -> int:
    """Return a number of entries. Raises BAD_USER_INPUT outside of 1 to 1000."""
    if not 1 <= count <= MAX_PAGE:
        raise bad_input(field, f"must be from 1 to {MAX_PAGE}", limit=MAX_PAGE)
    return count
