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

_MissingAggregates: TypeAlias = Mapping[int, set[Aggregate]]
"""The aggregates that have no value at the first bucket, by the number of the series."""

_NUMERIC_KINDS: Final = frozenset(
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
    source: SeriesSource
    arguments: SeriesArguments
    ranges: BucketedRanges
    aggregates: frozenset[Aggregate]
    ranked_groups: RankedGroups | None
    overall_series: int = 1

    async def add_to(self, answers: Answers) -> None:
        """Add the values that are missing at the first buckets; asks only if some are."""
        aggregates = [aggregate for aggregate in self.aggregates if aggregate.kind not in COUNTS]
        if self.arguments.fill is not Fill.PREVIOUS or not aggregates:
            return
        pairs = zip(answers.pair, self.ranges.ranges, strict=False)  # there may be no other range
        await asyncio.gather(
            *(
                self._add(
                    answer, _RangeLookback(self, bucketed_range, bucketed_range.buckets), aggregates
                )
                for answer, bucketed_range in pairs
                if bucketed_range.buckets
                and ALL_TIME.oldest < bucketed_range.time_range.from_ <= self.ranges.data_end
            )
        )

    async def _add(
        self, answer: RangeAnswer, range_lookback: "_RangeLookback", aggregates: Sequence[Aggregate]
    ) -> None:
        series_numbers = [self.overall_series]
        if self.ranked_groups:
            series_numbers = [*range(1, len(self.ranked_groups.groups) + 1)]
            series_numbers += [OTHER_SERIES] if self.ranked_groups.other_group else []
        missing = {
            1 if series_number == self.overall_series else series_number: aggregates_without_value
            for series_number in series_numbers
            if (
                aggregates_without_value := _missing_aggregates(
                    answer.rows.get(series_number), aggregates
                )
            )
        }
        if missing:
            for series_number, values in (await range_lookback.values(missing)).items():
                answer.carried_values[
                    series_number if self.ranked_groups else self.overall_series
                ] = values


class _RangeLookback:
    """The rows before a range, of which the series' last buckets are looked for."""

    def __init__(
        self, lookback: Lookback, bucketed_range: BucketedRange, range_buckets: Buckets
    ) -> None:
        """Ask about all rows before the range of a frame."""
        self._slots = lookback.ctx.batch.slots
        self._select = lookback.ctx.batch.select
        self._frame, self._cut = bucketed_range, range_buckets
        self._part, self._week_start = lookback.source.metric, lookback.arguments.week_start
        earlier_range = replace(
            bucketed_range.time_range, from_=ALL_TIME.oldest, to=bucketed_range.time_range.from_
        )
        self._shape = QueryShape(
            table=lookback.source.table,
            condition=lookback.source.condition(earlier_range),
            time_range=(earlier_range.from_, earlier_range.to),
            by_name=lookback.source.table == "metrics",
            group_columns=lookback.arguments.group_columns if lookback.ranked_groups else (),
            ranked_groups=lookback.ranked_groups,
        )

    async def values(self, missing: _MissingAggregates) -> dict[int, dict[Aggregate, Value]]:
        """Return the values of series, by their number in the statement."""
        values: dict[int, dict[Aggregate, Value]] = defaultdict(dict)
        for path, windows in (await self._windows(missing)).items():
            aggregates = frozenset(
                aggregate
                for missing_aggregates in missing.values()
                for aggregate in missing_aggregates
                if _numeric_path(aggregate) == path
            )
            for row in await self._lines(windows, aggregates):
                window = windows[row.series]
                ms = window.end - window.start
                for aggregate in aggregates & missing[row.series]:
                    values[row.series][aggregate] = as_rate(
                        aggregate, row.totals[in_engine(aggregate)], ms
                    )
        return values

    async def _windows(self, missing: Mapping[int, set[Aggregate]]) -> dict[str, dict[int, Window]]:
        """Find the last bucket of each series: of any row, or of one with a number at a path."""
        paths = sorted(
            {
                _numeric_path(aggregate)
                for aggregates in missing.values()
                for aggregate in aggregates
            }
            - {""}
        )
        statement = newest_rows(self._shape, self._part, paths, self._slots)
        windows: dict[str, dict[int, Window]] = defaultdict(dict)
        for row in await self._select(statement, NewestRow):
            paths_of_series = {
                _numeric_path(aggregate) for aggregate in missing.get(row.series, ())
            }
            for path, moment in zip(("", *paths), row.newest, strict=True):
                if moment is not None and path in paths_of_series:
                    windows[path][row.series] = self._window(moment)
        return windows

    def _window(self, moment: int) -> Window:
        time_range = self._frame.time_range
        two_buckets = bucket_before(self._cut, time_range, moment, self._week_start)
        return Window(
            two_buckets.starts[0], two_buckets.starts[1], min(two_buckets.end, time_range.from_)
        )

    async def _lines(
        self, windows: Mapping[int, Window], aggregates: frozenset[Aggregate]
    ) -> list[SeriesRow]:
        branch = values_in(windows, self._shape, self._part, aggregates, self._slots)
        totals_statement = statement([branch], [self._shape.table], self._slots)
        line_rows = await self._select(totals_statement, _LineRow)
        answer = "\n".join(row.line for row in line_rows).encode()
        return series_rows(answer, {branch.number: branch})[branch.number]


def _missing_aggregates(row: SeriesRow | None, aggregates: Iterable[Aggregate]) -> set[Aggregate]:
    """Return the aggregates that have no value in the first bucket."""
    if row is None or row.buckets is None or not row.buckets.startswith((b"[0,", b"[0]")):
        return set(aggregates)
    return {
        aggregate
        for aggregate in aggregates
        if row.columns[in_engine(aggregate)].startswith(b"[null")
    }


def _numeric_path(aggregate: Aggregate) -> str:
    """Return the property without whose number the aggregate is null; '' if there is none."""
    return aggregate.property or "" if aggregate.kind in _NUMERIC_KINDS else ""
