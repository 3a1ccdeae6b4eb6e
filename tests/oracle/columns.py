"""Expected columns of a series: the values of its buckets, with their gaps filled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from schema.buckets import Granularity
from tests.harness.panels import Panel
from tests.oracle.aggregates import (
    NULL,
    ZERO,
    Aggregate,
    Expected,
    Row,
    counter_increases,
    expected_value,
    number_at,
)
from tests.oracle.buckets import ExpectedBuckets, cut_range
from tests.oracle.fills import carry_forward, interpolate


@dataclass(frozen=True)
class Side:
    """The rows of a series in a range and at any time, and the visible buckets of the range."""

    rows: Sequence[Row]
    all_rows: Sequence[Row]
    increases: Mapping[int, float]
    buckets: ExpectedBuckets
    indexes: Sequence[int]

    @cached_property
    def rows_by_bucket(self) -> dict[int, list[Row]]:
        """The rows in the range, by the index of their bucket."""
        rows_by_bucket: dict[int, list[Row]] = {}
        for row in self.rows:
            rows_by_bucket.setdefault(self.buckets.index_of(row.time), []).append(row)
        return rows_by_bucket


@dataclass(frozen=True, slots=True)
class ExpectedColumns:
    """The columns of a panel over all rows that pass its filter; later buckets are empty."""

    panel: Panel
    all_rows: Sequence[Row]
    last_instant: int

    def column(
        self, aggregate: Aggregate, side: Side, actual_column: Sequence[Any]
    ) -> list[Expected]:
        """Return the column of an aggregate; LINEAR interpolates between the actual cells."""
        rows = side.rows_by_bucket
        cells = [
            expected_value(
                aggregate, rows[n], side.increases, side.buckets.ms(n, self.last_instant)
            )
            if n in rows
            else NULL
            for n in side.indexes
        ]
        return self._fill(aggregate, cells, actual_column, side)

    def _fill(
        self,
        aggregate: Aggregate,
        cells: Sequence[Expected],
        actual_column: Sequence[Any],
        side: Side,
    ) -> list[Expected]:
        starts = [side.buckets.starts[n] for n in side.indexes]
        if aggregate.is_count or self.panel.fill_mode == "ZERO":
            return [ZERO if cell == NULL else cell for cell in cells]
        if self.panel.fill_mode == "PREVIOUS":
            past_count = sum(start <= self.last_instant for start in starts)
            return [
                *carry_forward(cells[:past_count], self._value_before(aggregate, side)),
                *cells[past_count:],
            ]
        if self.panel.fill_mode == "LINEAR":
            return interpolate(cells, actual_column, starts)
        return list(cells)

    def _value_before(self, aggregate: Aggregate, side: Side) -> Expected:
        """Return the value of the last bucket with a value before the range."""
        path = aggregate.arguments.get("property") if aggregate.field != "sum" else None
        earlier = [row for row in side.all_rows if row.time < side.buckets.start]
        rows_with_value = [
            row for row in earlier if path is None or number_at(row, path) is not None
        ]
        if not rows_with_value or side.buckets.start > self.last_instant:
            return NULL
        start, end = self._bucket(max(row.time for row in rows_with_value), side.buckets)
        end = min(end, side.buckets.start)
        earlier_start, _ = self._bucket(start - 1, side.buckets)
        rows = [row for row in earlier if start <= row.time < end]
        increases = counter_increases(
            [row for row in self.all_rows if earlier_start <= row.time < end]
        )
        return expected_value(aggregate, rows, increases, end - start)

    def _bucket(self, moment: int, buckets: ExpectedBuckets) -> tuple[int, int]:
        """Return the bucket of an instant before the range."""
        if buckets.granularity is Granularity.AUTO:
            length = buckets.end - buckets.start
            start = buckets.start - -(-(buckets.start - moment) // length) * length
            return start, start + length
        panel = self.panel
        moment_buckets = cut_range(
            moment, moment + 1, buckets.granularity, 1, panel.zone, sunday_weeks=panel.sunday_weeks
        )
        return moment_buckets.edges[0], moment_buckets.edges[1]
