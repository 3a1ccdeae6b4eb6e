"""Values from before a range, for `fill: PREVIOUS` where a series begins with empty buckets."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import msgspec

from resolvers.context import Context
from resolvers.series.request import SeriesArguments, SeriesSource
from resolvers.series.result import Answers, BucketedRanges, RangeAnswer
from resolvers.series.values import BucketedRange, Value, as_rate
from schema.aggregates import COUNTS, Aggregate, AggregateKind
from schema.buckets import Fill
from store.query.series.aggregates import in_engine
from store.query.series.lookback import NewestRow, Window, newest_rows, values_in
from store.query.series.rows import series_rows
from store.query.series.statement import statement
from store.query.series.types import OTHER_SERIES, QueryShape, RankedGroups, SeriesRow
from store.query.time.buckets import Buckets, bucket_before
from store.query.time.ranges import ALL_TIME

_Missing: TypeAlias = Mapping[int, set[Aggregate]]
"""The aggregates that have no value at the first bucket, by the number of the series."""

_OF_NUMBERS: Final = frozenset(
    {AggregateKind.AVG, AggregateKind.MIN, AggregateKind.MAX, AggregateKind.QUANTILE}
)
"""The aggregates of a property that are null in a bucket whose rows have no number there."""


class _LineRow(msgspec.Struct):
    line: str


@dataclass(frozen=True, slots=True)
class Lookback:
    """Finds the values of series in their last buckets with data before a range.

    The series are those that are `placed`, or all rows as one, whose number is `whole`.
    """

    ctx: Context
    rows: SeriesSource
    arguments: SeriesArguments
    frames: BucketedRanges
    aggregates: frozenset[Aggregate]
    ranked_groups: RankedGroups | None
    overall_number: int = 1

    async def add_to(self, found: Answers) -> None:
        """Add the values that are missing at the first buckets; asks only if some are."""
        carried = [each for each in self.aggregates if each.kind not in COUNTS]
        if self.arguments.fill is not Fill.PREVIOUS or not carried:
            return
        places = zip(found.pair, self.frames.ranges, strict=False)  # there may be no other range
        await asyncio.gather(
            *(
                self._add(answer, _Earlier(self, frame, frame.buckets), carried)
                for answer, frame in places
                if frame.buckets
                and ALL_TIME.oldest < frame.time_range.from_ <= self.frames.data_end
            )
        )

    async def _add(
        self, answer: RangeAnswer, earlier: "_Earlier", carried: Sequence[Aggregate]
    ) -> None:
        numbers = [self.overall_number]
        if self.ranked_groups:
            numbers = [*range(1, len(self.ranked_groups.groups) + 1)]
            numbers += [OTHER_SERIES] if self.ranked_groups.other_group else []
        missing = {
            1 if number == self.overall_number else number: empty
            for number in numbers
            if (empty := _empty_at_first(answer.rows.get(number), carried))
        }
        if missing:
            for number, values in (await earlier.values(missing)).items():
                answer.carried_values[number if self.ranked_groups else self.overall_number] = (
                    values
                )


class _Earlier:
    """The rows before a range, of which the series' last buckets are looked for."""

    def __init__(self, of: Lookback, frame: BucketedRange, cut: Buckets) -> None:
        """Ask about all rows before the range of a frame."""
        self._slots = of.ctx.batch.slots
        self._select = of.ctx.batch.select
        self._frame, self._cut = frame, cut
        self._part, self._week_start = of.rows.metric, of.arguments.week_start
        span = replace(frame.time_range, from_=ALL_TIME.oldest, to=frame.time_range.from_)
        self._shape = QueryShape(
            table=of.rows.table,
            condition=of.rows.condition(span),
            time_range=(span.from_, span.to),
            by_name=of.rows.table == "metrics",
            group_columns=of.arguments.group_columns if of.ranked_groups else (),
            ranked_groups=of.ranked_groups,
        )

    async def values(self, missing: _Missing) -> dict[int, dict[Aggregate, Value]]:
        """Return the values of series, by their number in the statement."""
        before: dict[int, dict[Aggregate, Value]] = defaultdict(dict)
        for path, windows in (await self._windows(missing)).items():
            own = frozenset(
                each for some in missing.values() for each in some if _number_of(each) == path
            )
            for line in await self._lines(windows, own):
                window = windows[line.series]
                ms = window.end - window.start
                for each in own & missing[line.series]:
                    before[line.series][each] = as_rate(each, line.totals[in_engine(each)], ms)
        return before

    async def _windows(self, missing: Mapping[int, set[Aggregate]]) -> dict[str, dict[int, Window]]:
        """Find the last bucket of each series: of any row, or of one with a number at a path."""
        paths = sorted({_number_of(each) for some in missing.values() for each in some} - {""})
        asked = newest_rows(self._shape, self._part, paths, self._slots)
        windows: dict[str, dict[int, Window]] = defaultdict(dict)
        for row in await self._select(asked, NewestRow):
            needed = {_number_of(each) for each in missing.get(row.series, ())}
            for path, moment in zip(("", *paths), row.newest, strict=True):
                if moment is not None and path in needed:
                    windows[path][row.series] = self._window(moment)
        return windows

    def _window(self, moment: int) -> Window:
        span = self._frame.time_range
        two = bucket_before(self._cut, span, moment, self._week_start)
        return Window(two.starts[0], two.starts[1], min(two.end, span.from_))

    async def _lines(
        self, windows: Mapping[int, Window], wanted: frozenset[Aggregate]
    ) -> list[SeriesRow]:
        branch = values_in(windows, self._shape, self._part, wanted, self._slots)
        asked = statement([branch], [self._shape.table], self._slots)
        rows = await self._select(asked, _LineRow)
        answer = "\n".join(row.line for row in rows).encode()
        return series_rows(answer, {branch.number: branch})[branch.number]


def _empty_at_first(line: SeriesRow | None, wanted: Iterable[Aggregate]) -> set[Aggregate]:
    """Return the aggregates that have no value in the first bucket."""
    if line is None or line.buckets is None or not line.buckets.startswith((b"[0,", b"[0]")):
        return set(wanted)
    return {each for each in wanted if line.columns[in_engine(each)].startswith(b"[null")}


def _number_of(each: Aggregate) -> str:
    """Return the property without whose number the aggregate is null; '' if there is none."""
    return each.property or "" if each.kind in _OF_NUMBERS else ""
