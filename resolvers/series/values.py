"""The cells of an answer: totals and columns of a series, with its gaps filled."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, repeat
from typing import Final, TypeAlias

import msgspec

from schema.aggregates import COUNTS, ZERO_OF_NOTHING, Aggregate, AggregateKind
from schema.buckets import Fill
from schema.ranges import TimeRange
from schema.results import finite
from schema.scalars import Instant
from schema.series import Totals
from store.query.series.aggregates import in_engine
from store.query.series.types import SeriesRow
from store.query.time.buckets import Buckets

Value: TypeAlias = int | float | None

_NOTHING: Final[Mapping[Aggregate, Value]] = {}
_NOT_FILLED: Final = (Fill.NULL, Fill.NONE)
_INDEXES: Final = msgspec.json.Decoder(list[int])
_COLUMN: Final = msgspec.json.Decoder(list[Value])


@dataclass(frozen=True, slots=True)
class BucketedRange:
    """A range with its buckets."""

    time_range: TimeRange
    buckets: Buckets | None


def visible_buckets(
    cuts: Sequence[Buckets | None], lines: Sequence[SeriesRow | None], fill: Fill
) -> list[Sequence[int]]:
    """Return which buckets of each range are shown: all, or those in which any line has rows.

    Buckets of two ranges belong together by their number, and are shown together.
    """
    if fill is not Fill.NONE:
        return [range(len(cut.starts) if cut else 0) for cut in cuts]
    present: set[int] = set()
    for line in lines:
        if line and line.buckets is not None:
            present.update(_INDEXES.decode(line.buckets))
    shown = sorted(present)
    return [shown[: bisect_left(shown, len(cut.starts) if cut else 0)] for cut in cuts]


@dataclass(frozen=True, slots=True)
class SeriesValues:
    """Makes the cells that are wanted out of the lines of the engine's answers."""

    wanted_totals: frozenset[Aggregate]
    wanted_columns: frozenset[Aggregate]
    fill: Fill
    visible: Sequence[int]
    now: Instant

    def totals(self, line: SeriesRow | None, frame: BucketedRange) -> Totals:
        """Return the aggregates over a range; without a line there were no rows."""
        ms = min(frame.time_range.to, self.now + 1) - frame.time_range.from_
        return {
            each: as_rate(each, line.totals[in_engine(each)] if line else empty_value(each), ms)
            for each in self.wanted_totals
        }

    def columns(
        self,
        line: SeriesRow | None,
        frame: BucketedRange,
        before: Mapping[Aggregate, Value] = _NOTHING,
    ) -> dict[Aggregate, bytes]:
        """Return the aggregates of each shown bucket, as the texts of arrays.

        `before` has the values that PREVIOUS carries into the first bucket.
        """
        if frame.buckets is None:
            return {}
        buckets = line.buckets if line and line.buckets is not None else b"[]"
        run = _run(buckets)
        present: list[int] | None = None
        widths: Sequence[int] = ()
        found = {}
        for each in self.wanted_columns:
            text = line.columns[in_engine(each)] if line else b"[]"
            if padded := self._padded(each, text, run):
                found[each] = padded
                continue
            present = _INDEXES.decode(buckets) if present is None else present
            values = dict(zip(present, _COLUMN.decode(text), strict=True))
            if each.kind is AggregateKind.RATE:
                widths = widths or frame.buckets.widths(frame.time_range, self.now)
                values = {n: as_rate(each, value, widths[n]) for n, value in values.items()}
            cells = [values.get(n) for n in self.visible]
            starts = [frame.buckets.starts[n] for n in self.visible]
            filled = self._filled(each, cells, starts, before.get(each))
            found[each] = msgspec.json.encode(filled)
        return found

    def _padded(self, of: Aggregate, text: bytes, run: range | None) -> bytes | None:
        """Fill the gaps before and after buckets that follow one another; null if that is not it.

        The text that the engine made is not read.
        """
        shown = self.visible
        if run is None or not isinstance(shown, range) or of.kind is AggregateKind.RATE:
            return None
        before, after = run.start - shown.start, shown.stop - run.stop
        if before < 0 or after < 0:
            return None
        zero = of.kind in COUNTS or self.fill is Fill.ZERO
        if (before or after) and not zero and self.fill not in _NOT_FILLED:
            return None
        if (zero or self.fill not in _NOT_FILLED) and b"n" in text:  # a null
            return None
        cell = b"0" if zero else b"null"
        parts = [*repeat(cell, before), *([text[1:-1]] if run else []), *repeat(cell, after)]
        return b"[" + b",".join(parts) + b"]"

    def _filled(
        self, of: Aggregate, cells: list[Value], starts: Sequence[int], before: Value
    ) -> list[Value]:
        if of.kind in COUNTS or self.fill is Fill.ZERO:
            return [0 if cell is None else cell for cell in cells]
        if self.fill is Fill.PREVIOUS:
            return _carried(cells, before, bisect_right(starts, self.now))
        if self.fill is Fill.LINEAR:
            return _interpolated(cells, starts)
        return cells


def _run(text: bytes) -> range | None:
    """Return the numbers in the text of an ascending array if each is the one before plus 1."""
    if text == b"[]":
        return range(0)
    first = int(text[1 : text.find(b",")] if b"," in text else text[1:-1])
    last = int(text[text.rfind(b",") + 1 : -1] if b"," in text else text[1:-1])
    return range(first, last + 1) if last - first == text.count(b",") else None


def empty_value(each: Aggregate) -> Value:
    """Return an aggregate's value where there are no rows."""
    return 0 if each.kind in ZERO_OF_NOTHING else None


def as_rate(each: Aggregate, value: Value, ms: float) -> Value:
    """Relate growth to time, if that is what is wanted."""
    if each.kind is not AggregateKind.RATE or value is None:
        return value
    return finite(value * each.per / ms) if ms > 0 else None


def _carried(cells: Sequence[Value], before: Value, begun: int) -> list[Value]:
    """Fill gaps with the value before them, in the buckets that have begun."""
    last = before
    carried = list(cells)
    for n, cell in enumerate(cells[:begun]):
        last = last if cell is None else cell
        carried[n] = last
    return carried


def _interpolated(cells: Sequence[Value], starts: Sequence[int]) -> list[Value]:
    """Fill gaps between two values on a straight line over the times at which buckets start.

    A gap without a value on one side stays.
    """
    filled = list(cells)
    known = [n for n, cell in enumerate(cells) if cell is not None]
    for left, right in pairwise(known):
        start, end = cells[left], cells[right]
        assert start is not None and end is not None  # noqa: S101, PT018 - they are known
        whole = starts[right] - starts[left]
        for n in range(left + 1, right):
            elapsed = starts[n] - starts[left]
            value = start + (end - start) * elapsed / whole
            if not math.isfinite(value):  # the difference is beyond a double
                value = start * (1 - elapsed / whole) + end * (elapsed / whole)
            filled[n] = value
    return filled
