"""Questions about series as values, and the lines that answer them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from schema.aggregates import Aggregate, Order
from schema.trends import EventField
from store.buckets import Buckets
from store.sql import Statement

OTHER: Final = 0
"""The number of the series of all that has no series of its own."""

EVENT_FIELDS: Final = {
    EventField.NAME: "name",
    EventField.USER_ID: "user_id",
    EventField.SESSION_ID: "session_id",
}
"""The columns of an event's fields, in which '' stands for none."""


class Key(NamedTuple):
    """A group key: its name, and its expression, which is JSON or a text; '' stands for none."""

    name: str
    sql: str
    is_json: bool


@dataclass(frozen=True, slots=True)
class Rank:
    """Which groups become series: the first `limit`. `others`: whether the rest is one, too."""

    order: Order
    limit: int
    others: bool


@dataclass(frozen=True, slots=True)
class Places:
    """Groups whose series are numbered already, 1, 2, …: each as part and keys."""

    groups: tuple[tuple[str, ...], ...]
    others: bool


@dataclass(frozen=True, slots=True)
class Shape:
    """Everything that questions must share to be one branch, except what they ask about.

    `condition` is text in the slots of the statement. With `by_name` the rows are those of some
    metrics, and each metric is a part of the answer; else all is one part. `listed` is SQL that
    selects the metrics' names, when they are not known yet.
    """

    table: str
    condition: str
    span: tuple[int, int]
    by_name: bool
    keys: tuple[Key, ...] = ()
    buckets: Buckets | None = None
    ranked: Rank | None = None
    placed: Places | None = None
    listed: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """Aggregates of some rows as series: over the range, and (`columns`) for each bucket."""

    shape: Shape
    part: str
    totals: frozenset[Aggregate]
    columns: frozenset[Aggregate]

    def asks_no_more_than(self, other: "Question") -> bool:
        """Say whether another question of the same shape asks for all of this, too."""
        return self.totals <= other.totals and self.columns <= other.columns

    def of_those_on(self, page: Statement) -> "Question":
        """Return this question about the metrics that a statement names, as `name`."""
        names = f"SELECT name FROM (\n{page.text}\n)"
        return replace(self, shape=replace(self.shape, listed=names))

    def of_all(self, others: "Iterable[Question]") -> "Question":
        """Return the question that asks for all that some of the same shape ask for."""
        totals = frozenset().union(*(each.totals for each in others))
        columns = frozenset().union(*(each.columns for each in others))
        return Question(self.shape, self.part, totals, columns)


class Line(NamedTuple):
    """One series of an answer. `columns` are arrays aligned with `buckets`, still as text."""

    part: str
    series: int
    keys: list[str]
    groups: int
    totals: dict[Aggregate, int | float | None]
    buckets: bytes | None
    columns: dict[Aggregate, bytes]


class Branch(NamedTuple):
    """Questions of one shape about one set of aggregates, as a part of a statement."""

    number: int
    text: str
    totals: tuple[Aggregate, ...]
    columns: tuple[Aggregate, ...]
