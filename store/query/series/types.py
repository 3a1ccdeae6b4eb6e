"""Types of series queries: shape, query, branch, and row of an answer."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from schema.series.aggregates import Aggregate
from schema.series.group_by import EventField
from schema.series.order import SeriesOrder
from store.query.series.formulas import Formula
from store.query.series.plan import Results
from store.query.sql import Scan, Statement
from store.query.time.buckets import Buckets

OTHER_SERIES: Final = 0
"""The number of the series of all groups without a series of their own."""

OVERALL_SERIES: Final = -1
"""The number of the series of all rows of all groups."""

NO_VALUE: Final = "(none)"
"""The text for a missing key value in the label of a group."""

EVENT_FIELDS: Final = {
    EventField.NAME: "name",
    EventField.USER_ID: "user_id",
    EventField.SESSION_ID: "session_id",
}
"""The columns of an event's fields; '' stands for a missing value."""


class GroupColumn(NamedTuple):
    """A group key: its name, and its expression, which is JSON or a text; '' is a missing value.

    `kind` is `tag`, `field`, `property` or `band`. A band has `labels`, which `bounds` separate.
    With `is_array` the expression is an array of texts, and a row is in the group of each item.
    `short_sql` is the expression for shapes without `long_numbers`; empty if it is the same.
    """

    name: str
    sql: str
    is_json: bool
    kind: str
    bounds: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()
    cast: bool = False
    is_array: bool = False
    short_sql: str = ""

    def for_numbers(self, *, long_numbers: bool) -> "GroupColumn":
        """Return the key with the expression for a shape with or without `long_numbers`."""
        return self if long_numbers or not self.short_sql else self._replace(sql=self.short_sql)

    @property
    def items(self) -> str:
        """The items of an array; one empty text for an empty array."""
        return f"if(empty({self.sql}), [''], {self.sql})"

    @property
    def row_text(self) -> str:
        """The text of the key; an array is joined, so that a row occurs once for each group."""
        return f"arrayJoin({self.items})" if self.is_array else self.sql


@dataclass(frozen=True, slots=True)
class Ranking:
    """The groups that become series: `limit` groups after the first `offset`, by an order.

    With `search` only groups whose label contains this text, ignoring case. With `other_group` all
    other groups form one series, with `overall_series` all groups together.
    """

    order: SeriesOrder
    limit: int
    other_group: bool
    offset: int = 0
    search: str = ""
    overall_series: bool = False

    @property
    def counts_all(self) -> bool:
        """Whether the answer needs a row for the other groups, to count them."""
        return self.other_group or bool(self.offset or self.search)


class FormulaInput(NamedTuple):
    """An input of a formula: an aggregate of a metric's rows, by group or over all rows."""

    name: str
    metric: str
    condition: str
    value: Aggregate
    is_grouped: bool


@dataclass(frozen=True, slots=True)
class FormulaGroups:
    """The groups of a formula's inputs, ranked by the value of the formula.

    With `missing_is_zero` an input is 0 in a group that it lacks. Rates divide by `duration_ms`.
    """

    formula: Formula
    inputs: tuple[FormulaInput, ...]
    missing_is_zero: bool
    duration_ms: int


@dataclass(frozen=True, slots=True)
class RankedGroups:
    """Groups with the series numbers 1, 2, … in their order: each as metric and keys.

    `other_group` and `overall_series` as in `Ranking`.
    """

    groups: tuple[tuple[str, ...], ...]
    other_group: bool
    overall_series: bool = False


@dataclass(frozen=True, slots=True)
class QueryShape:
    """The fields that queries must share to be one branch: all but metric and aggregates.

    `condition` uses the slots of the statement. With `by_name` the answer has rows for each metric,
    else for all rows together. `names_sql` selects the names of metrics that are not known yet.
    `event_names` are the events that can decide about the condition; None means all. The inputs of
    `formula_groups` have their own conditions. Without `long_numbers` the statement
    throws at a number with many digits, and at a number outside the window of `exact_sums`.
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
    long_numbers: bool = False
    event_names: frozenset[str] | None = None

    def scan(self, metrics: Collection[str], columns: int = 0) -> Scan:
        """Return the rows that the shape reads for some metrics, and cells for `columns`."""
        names = self.event_names
        if self.formula_groups:
            names = frozenset(entry.metric for entry in self.formula_groups.inputs)
        elif self.by_name:
            names = None if self.names_sql else frozenset(metrics)
        series = len(self.ranked_groups.groups) + 1 if self.ranked_groups else 1
        buckets = len(self.buckets.starts) if self.buckets else 0
        return Scan(self.table, names, self.time_range, cells=series * buckets * columns)


@dataclass(frozen=True, slots=True)
class SeriesQuery:
    """Aggregates of a metric's rows as series: `totals` over the range, `columns` by bucket."""

    shape: QueryShape
    metric: str
    totals: frozenset[Aggregate]
    columns: frozenset[Aggregate]

    @property
    def scan(self) -> Scan:
        """The rows that the query reads."""
        return self.shape.scan({self.metric}, len(self.columns))

    def is_covered_by(self, query: "SeriesQuery") -> bool:
        """Say whether a query of the same shape has all aggregates of this one."""
        return self.totals <= query.totals and self.columns <= query.columns

    def restricted_to(self, page: Statement) -> "SeriesQuery":
        """Return this query for the metrics in the column `name` of a statement."""
        names = f"SELECT name FROM (\n{page.text}\n)"
        return replace(self, shape=replace(self.shape, names_sql=names))

    def union(self, queries: "Iterable[SeriesQuery]") -> "SeriesQuery":
        """Return the query with the aggregates of all queries, which have the same shape."""
        totals = frozenset().union(*(query.totals for query in queries))
        columns = frozenset().union(*(query.columns for query in queries))
        return SeriesQuery(self.shape, self.metric, totals, columns)


class SeriesRow(NamedTuple):
    """One series of an answer; `columns` are JSON arrays aligned with `buckets`.

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
    """One part of a statement: queries of one shape with the same aggregates."""

    number: int
    text: str
    totals: Results
    columns: Results
