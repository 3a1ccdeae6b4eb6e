"""Cells of a series: totals and columns made from engine rows, with gaps filled."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, repeat
from typing import Final, TypeAlias

import msgspec

from schema.buckets import Fill
from schema.ranges import TimeRange
from schema.scalars import Instant
from schema.series.aggregates import COUNTS, ZERO_OF_NOTHING, Aggregate, AggregateKind
from schema.series.results import finite
from schema.series.series import Totals
from store.query.series.aggregates import in_engine
from store.query.series.types import SeriesRow
from store.query.time.buckets import Buckets

Value: TypeAlias = int | float | None

_NO_VALUES: Final[Mapping[Aggregate, Value]] = {}
_NULL_FILLS: Final = (Fill.NULL, Fill.NONE)
_INDEXES: Final = msgspec.json.Decoder(list[int])
_COLUMN: Final = msgspec.json.Decoder(list[Value])


@dataclass(frozen=True, slots=True)
class BucketedRange:
    """A time range with its buckets; None if no buckets are selected."""

    time_range: TimeRange
    buckets: Buckets | None


def visible_buckets(
    buckets_by_range: Sequence[Buckets | None], rows: Sequence[SeriesRow | None], fill: Fill
) -> list[Sequence[int]]:
    """Return the indexes of the visible buckets of each range.

    With `fill: NONE` a bucket is visible if any row has data in it; else all buckets are visible.
    Buckets of two ranges with the same index are visible together.
    """
    counts = [len(buckets.starts) if buckets else 0 for buckets in buckets_by_range]
    if fill is not Fill.NONE:
        return [range(count) for count in counts]
    present: set[int] = set()
    for row in rows:
        if row and row.buckets is not None:
            present.update(_INDEXES.decode(row.buckets))
    visible = sorted(present)
    return [visible[: bisect_left(visible, count)] for count in counts]


@dataclass(frozen=True, slots=True)
class SeriesValues:
    """Turns engine rows into totals and columns, and fills gaps.

    `bucket_indexes` are the visible buckets. `now` is the end of the data.
    """

    total_aggregates: frozenset[Aggregate]
    column_aggregates: frozenset[Aggregate]
    fill: Fill
    bucket_indexes: Sequence[int]
    now: Instant

    def totals(self, row: SeriesRow | None, bucketed_range: BucketedRange) -> Totals:
        """Return the aggregates over a range; None as the row means a range without rows."""
        time_range = bucketed_range.time_range
        ms = min(time_range.to, self.now + 1) - time_range.from_
        return {
            aggregate: as_rate(
                aggregate,
                row.totals[in_engine(aggregate)] if row else empty_value(aggregate),
                ms,
            )
            for aggregate in self.total_aggregates
        }

    def columns(
        self,
        row: SeriesRow | None,
        bucketed_range: BucketedRange,
        carried_values: Mapping[Aggregate, Value] = _NO_VALUES,
    ) -> dict[Aggregate, bytes]:
        """Return the aggregates of each visible bucket, as the texts of JSON arrays.

        PREVIOUS carries the `carried_values` into the first buckets.
        """
        if bucketed_range.buckets is None:
            return {}
        index_text = row.buckets if row and row.buckets is not None else b"[]"
        contiguous = _contiguous_indexes(index_text)
        indexes: list[int] | None = None
        widths: Sequence[int] = ()
        columns = {}
        for aggregate in self.column_aggregates:
            text = row.columns[in_engine(aggregate)] if row else b"[]"
            if padded_text := self._pad(aggregate, text, contiguous):
                columns[aggregate] = padded_text
                continue
            indexes = _INDEXES.decode(index_text) if indexes is None else indexes
            values = dict(zip(indexes, _COLUMN.decode(text), strict=True))
            if aggregate.kind is AggregateKind.RATE:
                widths = widths or bucketed_range.buckets.widths(
                    bucketed_range.time_range, self.now
                )
                values = {
                    index: as_rate(aggregate, value, widths[index])
                    for index, value in values.items()
                }
            cells = [values.get(index) for index in self.bucket_indexes]
            starts = [bucketed_range.buckets.starts[index] for index in self.bucket_indexes]
            filled_cells = self._fill_gaps(aggregate, cells, starts, carried_values.get(aggregate))
            columns[aggregate] = msgspec.json.encode(filled_cells)
        return columns

    def _pad(self, aggregate: Aggregate, text: bytes, contiguous: range | None) -> bytes | None:
        """Pad the engine's text of a column with cells before and after it, without decoding it.

        Return None if the column needs more: its buckets have gaps, or its cells change.
        """
        visible = self.bucket_indexes
        if (
            contiguous is None
            or not isinstance(visible, range)
            or aggregate.kind is AggregateKind.RATE
        ):
            return None
        cells_before = contiguous.start - visible.start
        cells_after = visible.stop - contiguous.stop
        if cells_before < 0 or cells_after < 0:
            return None
        is_zero_filled = aggregate.kind in COUNTS or self.fill is Fill.ZERO
        needs_values = not is_zero_filled and self.fill not in _NULL_FILLS
        if needs_values and (cells_before or cells_after):
            return None
        if (is_zero_filled or needs_values) and b"n" in text:  # a null
            return None
        cell = b"0" if is_zero_filled else b"null"
        inner_text = [text[1:-1]] if contiguous else []
        cells = [*repeat(cell, cells_before), *inner_text, *repeat(cell, cells_after)]
        return b"[" + b",".join(cells) + b"]"

    def _fill_gaps(
        self,
        aggregate: Aggregate,
        cells: list[Value],
        starts: Sequence[int],
        carried_value: Value,
    ) -> list[Value]:
        if aggregate.kind in COUNTS or self.fill is Fill.ZERO:
            return [0 if cell is None else cell for cell in cells]
        if self.fill is Fill.PREVIOUS:
            return _carry_forward(cells, carried_value, bisect_right(starts, self.now))
        if self.fill is Fill.LINEAR:
            return _interpolate(cells, starts)
        return cells


def _contiguous_indexes(text: bytes) -> range | None:
    """Return the indexes in an ascending JSON array as a range; None if the indexes have gaps."""
    if text == b"[]":
        return range(0)
    first = int(text[1 : text.find(b",")] if b"," in text else text[1:-1])
    last = int(text[text.rfind(b",") + 1 : -1] if b"," in text else text[1:-1])
    return range(first, last + 1) if last - first == text.count(b",") else None


def empty_value(aggregate: Aggregate) -> Value:
    """Return the value of an aggregate over no rows."""
    return 0 if aggregate.kind in ZERO_OF_NOTHING else None


def as_rate(aggregate: Aggregate, value: Value, ms: float) -> Value:
    """Return growth per unit of time for RATE; return the value of any other aggregate as it is."""
    if aggregate.kind is not AggregateKind.RATE or value is None:
        return value
    return finite(value * aggregate.per / ms) if ms > 0 else None


def _carry_forward(cells: Sequence[Value], carried_value: Value, count: int) -> list[Value]:
    """Fill gaps with the value before them, in the first `count` cells: later buckets are future.

    `carried_value` fills a gap at the beginning.
    """
    value = carried_value
    filled_cells = list(cells)
    for index, cell in enumerate(cells[:count]):
        value = value if cell is None else cell
        filled_cells[index] = value
    return filled_cells


def _interpolate(cells: Sequence[Value], starts: Sequence[int]) -> list[Value]:
    """Fill gaps between two values on a straight line over the start times of the buckets.

    A gap at the beginning or at the end stays.
    """
    filled_cells = list(cells)
    value_indexes = [index for index, cell in enumerate(cells) if cell is not None]
    for start, end in pairwise(value_indexes):
        first, last = cells[start], cells[end]
        assert first is not None and last is not None  # noqa: S101, PT018 - for the type checker
        gap_ms = starts[end] - starts[start]
        for index in range(start + 1, end):
            elapsed_ms = starts[index] - starts[start]
            value = first + (last - first) * elapsed_ms / gap_ms
            if not math.isfinite(value):  # the difference exceeds a double
                value = first * (1 - elapsed_ms / gap_ms) + last * (elapsed_ms / gap_ms)
            filled_cells[index] = value
    return filled_cells
