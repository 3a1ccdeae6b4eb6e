"""Evaluation of a formula: inputs joined by group and by bucket, and the computed series."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from resolvers.series.ranges import BucketedRanges
from resolvers.series.request import SeriesSource
from resolvers.series.result import Answers, RangeAnswer
from resolvers.series.values import BucketedRange, SeriesValues, Value
from schema.buckets import Fill
from schema.series.aggregates import Aggregate
from store.query.series.formulas import Formula
from store.query.series.types import GroupColumn

_COLUMN: Final = msgspec.json.Decoder(list[Value])
_INDEXES: Final = msgspec.json.Decoder(list[int])


@dataclass(frozen=True, slots=True)
class InputSeries:
    """The series of an input: its source, its aggregate, and the answers of its queries.

    An input without `group_columns` has one series, and every group uses it.
    """

    name: str
    source: SeriesSource
    aggregate: Aggregate
    group_columns: tuple[GroupColumn, ...]
    answers: Answers = field(default_factory=Answers)

    def series_number(self, group: int) -> int:
        """Return the number of its series in a group."""
        return group if self.group_columns else 1

    def has_group(self, group: int) -> bool:
        """Say whether it has rows of a group in the range; without groups it is in every group."""
        return not self.group_columns or group in self.answers.current.rows


@dataclass(frozen=True, slots=True)
class ComputedSeries:
    """A series of a formula: a total and a cell for every bucket, in both ranges.

    `texts` are the engine's texts of its group keys, None without groups. `present` are the
    indexes of the buckets that `fill: NONE` shows: an input has rows, and the formula a value.
    """

    texts: Sequence[str] | None
    total: Value
    column: list[Value]
    previous_total: Value
    previous_column: list[Value]
    present: frozenset[int]


@dataclass(frozen=True, slots=True)
class Evaluator:
    """Evaluates a formula over the values of its inputs, joined by group and by bucket."""

    formula: Formula
    inputs: Sequence[InputSeries]
    ranges: BucketedRanges
    fill: Fill
    with_columns: bool

    def series(self, group: int, texts: Sequence[str] | None) -> ComputedSeries:
        """Evaluate the formula in a group, over both ranges."""
        current = {series.name: series.answers.current for series in self.inputs}
        previous = {series.name: series.answers.previous for series in self.inputs}
        total, column = self._evaluate(group, current, self.ranges.current)
        previous_total: Value = None
        previous_column: list[Value] = []
        if self.ranges.comparison:
            previous_total, previous_column = self._evaluate(
                group, previous, self.ranges.comparison
            )
        present = self._present(group, current, column)
        present |= self._present(group, previous, previous_column)
        return ComputedSeries(
            texts, total, column, previous_total, previous_column, frozenset(present)
        )

    def _present(
        self, group: int, answers: Mapping[str, RangeAnswer], column: Sequence[Value]
    ) -> set[int]:
        """Return the indexes of buckets with rows and a value; needed for `fill: NONE` only."""
        indexes: set[int] = set()
        for input_series in self.inputs if self.fill is Fill.NONE else ():
            row = answers[input_series.name].rows.get(input_series.series_number(group))
            if row and row.buckets is not None:
                indexes.update(_INDEXES.decode(row.buckets))
        return {index for index in indexes if column[index] is not None}

    def _evaluate(
        self, group: int, answers: Mapping[str, RangeAnswer], bucketed_range: BucketedRange
    ) -> tuple[Value, list[Value]]:
        """Return the total and the column of the formula over one range."""
        totals: dict[str, Value] = {}
        columns: dict[str, list[Value]] = {}
        for input_series in self.inputs:
            name = input_series.name
            totals[name], columns[name] = self._input_values(
                input_series, group, answers[name], bucketed_range
            )
        buckets = zip(*columns.values(), strict=True)
        column = [self.formula.compute(dict(zip(columns, cells, strict=True))) for cells in buckets]
        return self.formula.compute(totals), column

    def _input_values(
        self,
        input_series: InputSeries,
        group: int,
        answer: RangeAnswer,
        bucketed_range: BucketedRange,
    ) -> tuple[Value, list[Value]]:
        """Return the total and the column of an input, with filled gaps."""
        range_buckets = bucketed_range.buckets
        count = len(range_buckets.starts) if range_buckets and self.with_columns else 0
        number = input_series.series_number(group)
        row = answer.rows.get(number)
        if row is None and not input_series.has_group(group):
            missing = 0 if self.fill is Fill.ZERO else None
            return missing, [missing] * count
        aggregate = input_series.aggregate
        series_values = SeriesValues(
            total_aggregates=frozenset({aggregate}),
            column_aggregates=frozenset({aggregate} if count else ()),
            fill=Fill.NULL if self.fill is Fill.NONE else self.fill,
            bucket_indexes=range(count),
            now=self.ranges.data_end,
        )
        carried_values = answer.carried_values.get(number, {})
        texts = series_values.columns(row, bucketed_range, carried_values)
        column = _COLUMN.decode(texts[aggregate]) if count else []
        return series_values.totals(row, bucketed_range)[aggregate], column
