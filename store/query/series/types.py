"""Questions about series as values, and the lines that answer them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from schema.aggregates import Aggregate
from schema.event_series import EventField
from schema.series_order import SeriesOrder
from store.query.series.formulas import Formula
from store.query.series.plan import Results
from store.query.sql import Statement
from store.query.time.buckets import Buckets

OTHER_SERIES: Final = 0
"""The number of the series of all that has no series of its own."""

OVERALL_SERIES: Final = -1
"""The number of the series of all rows, whatever their groups."""

NO_VALUE: Final = "(none)"
"""What the label of a group says where the value of a key is missing."""

EVENT_FIELDS: Final = {
    EventField.NAME: "name",
    EventField.USER_ID: "user_id",
    EventField.SESSION_ID: "session_id",
}
"""The columns of an event's fields, in which '' stands for none."""


class GroupColumn(NamedTuple):
    """A group key: its name, and its expression, which is JSON or a text; '' stands for none.

    `part` is what it is of, as filters have it: `tag`, `field`, `property` or `band`, which is one
    of those with `labels` that `bounds` part. With `is_array` the expression is an array of texts,
    and a row is in the group of each. `narrow` is the expression for a shape that is not `wide`, if
    that is another one.
    """

    name: str
    sql: str
    is_json: bool
    kind: str
    bounds: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()
    cast: bool = False
    is_array: bool = False
    narrow: str = ""

    def for_width(self, *, wide: bool) -> "GroupColumn":
        """Return the key with the expression for a shape that is `wide`, or not."""
        return self if wide or not self.narrow else self._replace(sql=self.narrow)

    @property
    def items(self) -> str:
        """The texts of an array; an empty one, if it has none."""
        return f"if(empty({self.sql}), [''], {self.sql})"

    @property
    def row_text(self) -> str:
        """Its text, for a row that there is once for each group that the row is in."""
        return f"arrayJoin({self.items})" if self.is_array else self.sql


@dataclass(frozen=True, slots=True)
class Ranking:
    """Which groups become series: `limit` of them, after the first `offset`.

    With `search` only groups whose label has this text in it, in any case. `others`: whether all
    other groups are a series, too; `overall`: whether all groups together are.
    """

    order: SeriesOrder
    limit: int
    other_group: bool
    offset: int = 0
    search: str = ""
    overall: bool = False

    @property
    def counts_all(self) -> bool:
        """Whether there must be a line for the other groups, or their number would not be known."""
        return self.other_group or bool(self.offset or self.search)


class FormulaInput(NamedTuple):
    """An input of a formula: an aggregate of a metric's rows, by their groups or over all."""

    name: str
    metric: str
    condition: str
    value: Aggregate
    is_grouped: bool


@dataclass(frozen=True, slots=True)
class FormulaGroups:
    """Groups that any input of a formula has, by the value of the formula.

    `zero`: an input that lacks a group is 0 there. `ms` is the time that rates relate to.
    """

    formula: Formula
    inputs: tuple[FormulaInput, ...]
    missing_is_zero: bool
    duration_ms: int


@dataclass(frozen=True, slots=True)
class RankedGroups:
    """Groups whose series are numbered already, 1, 2, …: each as part and keys.

    `others` and `overall` as in `Rank`.
    """

    groups: tuple[tuple[str, ...], ...]
    other_group: bool
    overall: bool = False


@dataclass(frozen=True, slots=True)
class QueryShape:
    """Everything that questions must share to be one branch, except what they ask about.

    `condition` is text in the slots of the statement. With `by_name` the rows are those of some
    metrics, and each metric is a part of the answer; else all is one part. `listed` is SQL that
    selects the metrics' names, when they are not known yet. What is `joined` has conditions of its
    own. Unless `wide`, the statement throws where a number has many digits, or is too large or too
    small for the short way to sum.
    """

    table: str
    condition: str
    time_range: tuple[int, int]
    by_name: bool
    group_columns: tuple[GroupColumn, ...] = ()
    buckets: Buckets | None = None
    ranking: Ranking | None = None
    ranked_groups: RankedGroups | None = None
    names_sql: str = ""
    formula_groups: FormulaGroups | None = None
    wide: bool = False


@dataclass(frozen=True, slots=True)
class SeriesQuery:
    """Aggregates of some rows as series: over the range, and (`columns`) for each bucket."""

    shape: QueryShape
    metric: str
    totals: frozenset[Aggregate]
    columns: frozenset[Aggregate]

    @property
    def names(self) -> frozenset[str]:
        """The metrics whose rows it reads, if these are known."""
        if self.shape.formula_groups:
            return frozenset(
                formula_input.metric for formula_input in self.shape.formula_groups.inputs
            )
        return frozenset({self.metric} if self.shape.by_name else ())

    def is_covered_by(self, query: "SeriesQuery") -> bool:
        """Say whether another question of the same shape asks for all of this, too."""
        return self.totals <= query.totals and self.columns <= query.columns

    def restricted_to(self, page: Statement) -> "SeriesQuery":
        """Return this question about the metrics that a statement names, as `name`."""
        names = f"SELECT name FROM (\n{page.text}\n)"
        return replace(self, shape=replace(self.shape, names_sql=names))

    def union(self, queries: "Iterable[SeriesQuery]") -> "SeriesQuery":
        """Return the question that asks for all that some of the same shape ask for."""
        totals = frozenset().union(*(query.totals for query in queries))
        columns = frozenset().union(*(query.columns for query in queries))
        return SeriesQuery(self.shape, self.metric, totals, columns)


class SeriesRow(NamedTuple):
    """One series of an answer. `columns` are arrays aligned with `buckets`, still as text.

    A group of a formula has the `values` of its inputs instead.
    """

    metric: str
    series: int
    keys: list[str]
    groups: int
    totals: dict[Aggregate, int | float | None]
    buckets: bytes | None
    columns: dict[Aggregate, bytes]
    values: tuple[float | None, ...] = ()


class Branch(NamedTuple):
    """Questions of one shape about one set of aggregates, as a part of a statement."""

    number: int
    text: str
    totals: Results
    columns: Results
