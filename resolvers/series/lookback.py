"""Values before a time range, which `fill: PREVIOUS` carries into empty first buckets.

The value of a series is the value of its last bucket with data before the range.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import msgspec

from resolvers.context import Context
from resolvers.series.ranges import BucketedRanges
from resolvers.series.request import SeriesArguments, SeriesSource
from resolvers.series.result import Answers, RangeAnswer
from resolvers.series.values import BucketedRange, Value, as_rate
from schema.buckets import Fill
from schema.series.aggregates import COUNTS, Aggregate, AggregateKind
from store.query.series.aggregates import in_engine
from store.query.series.lookback import NewestRow, Window, newest_rows, window_totals
from store.query.series.rows import series_rows
from store.query.series.statement import series_statement
from store.query.series.types import OTHER_SERIES, QueryShape, RankedGroups, SeriesRow
from store.query.tables import METRICS
from store.query.time.buckets import Buckets, bucket_pair
from store.query.time.ranges import ALL_TIME

_MissingAggregates: TypeAlias = Mapping[int, set[Aggregate]]
"""The aggregates without a value in the first bucket, by series number."""

_NUMERIC_KINDS: Final = frozenset(
    {AggregateKind.AVG, AggregateKind.MIN, AggregateKind.MAX, AggregateKind.QUANTILE}
)
"""The aggregates of a property that are null in a bucket without a number of that property."""


class _LineRow(msgspec.Struct):
    line: str


@dataclass(frozen=True, slots=True)
class Lookback:
    """Carries values into the first buckets of series.

    The series are the `ranked_groups`, or without groups one series: its values are added to the
    answer under the number `overall_series`.
    """

    ctx: Context
    source: SeriesSource
    arguments: SeriesArguments
    ranges: BucketedRanges
    aggregates: frozenset[Aggregate]
    ranked_groups: RankedGroups | None
    overall_series: int = 1

    async def add_to(self, answers: Answers) -> None:
        """Add the carried values to the answers; runs no statement if no value is missing."""
        aggregates = [aggregate for aggregate in self.aggregates if aggregate.kind not in COUNTS]
        if self.arguments.fill is not Fill.PREVIOUS or not aggregates:
            return
        pairs = zip(answers.pair, self.ranges, strict=False)  # there may be one range only
        await asyncio.gather(
            *(
                self._add_to_range(answer, bucketed_range, bucketed_range.buckets, aggregates)
                for answer, bucketed_range in pairs
                if bucketed_range.buckets
                and ALL_TIME.oldest < bucketed_range.time_range.from_ <= self.ranges.data_end
            )
        )

    async def _add_to_range(
        self,
        answer: RangeAnswer,
        bucketed_range: BucketedRange,
        range_buckets: Buckets,
        aggregates: Sequence[Aggregate],
    ) -> None:
        missing_aggregates = self._missing_aggregates(answer, aggregates)
        if not missing_aggregates:
            return
        earlier_rows = _EarlierRows(self, bucketed_range, range_buckets)
        for number, values in (await earlier_rows.last_values(missing_aggregates)).items():
            answer.carried_values[number if self.ranked_groups else self.overall_series] = values

    def _missing_aggregates(
        self, answer: RangeAnswer, aggregates: Sequence[Aggregate]
    ) -> _MissingAggregates:
        """Return the missing aggregates by series number in the statement: 1 without groups."""
        if self.ranked_groups is None:
            row_by_number = {1: answer.rows.get(self.overall_series)}
        else:
            numbers = [*range(1, len(self.ranked_groups.groups) + 1)]
            numbers += [OTHER_SERIES] if self.ranked_groups.other_group else []
            row_by_number = {number: answer.rows.get(number) for number in numbers}
        return {
            number: missing
            for number, row in row_by_number.items()
            if (missing := _without_first_value(row, aggregates))
        }


class _EarlierRows:
    """The rows before a time range, and the last values of series among these rows."""

    def __init__(
        self, lookback: Lookback, bucketed_range: BucketedRange, range_buckets: Buckets
    ) -> None:
        """Prepare statements about all rows before the range."""
        self._slots = lookback.ctx.batch.slots
        self._select = lookback.ctx.batch.select
        self._time_range, self._buckets = bucketed_range.time_range, range_buckets
        self._metric, self._week_start = lookback.source.metric, lookback.arguments.week_start
        earlier = replace(self._time_range, from_=ALL_TIME.oldest, to=self._time_range.from_)
        self._shape = QueryShape(
            table=lookback.source.table,
            condition=lookback.source.condition(earlier),
            time_range=(earlier.from_, earlier.to),
            by_name=lookback.source.table == METRICS.name,
            event_names=lookback.source.event_names,
            group_columns=lookback.arguments.group_columns if lookback.ranked_groups else (),
            ranked_groups=lookback.ranked_groups,
        )

    async def last_values(
        self, missing_aggregates: _MissingAggregates
    ) -> dict[int, dict[Aggregate, Value]]:
        """Return the last values of the missing aggregates, by series number."""
        values: dict[int, dict[Aggregate, Value]] = defaultdict(dict)
        for path, windows in (await self._windows(missing_aggregates)).items():
            aggregates = frozenset(
                aggregate
                for series_aggregates in missing_aggregates.values()
                for aggregate in series_aggregates
                if _numeric_path(aggregate) == path
            )
            for row in await self._rows_in(windows, aggregates):
                window = windows[row.series]
                ms = window.end - window.start
                for aggregate in aggregates & missing_aggregates[row.series]:
                    total = row.totals[in_engine(aggregate)]
                    values[row.series][aggregate] = as_rate(aggregate, total, ms)
        return values

    async def _windows(
        self, missing_aggregates: _MissingAggregates
    ) -> dict[str, dict[int, Window]]:
        """Return the last bucket with data of each series, by numeric path and series number.

        The path '' stands for any row; another path needs a row with a number there.
        """
        paths_by_number = {
            number: set(map(_numeric_path, aggregates))
            for number, aggregates in missing_aggregates.items()
        }
        paths = sorted(set().union(*paths_by_number.values()) - {""})
        newest = newest_rows(self._shape, self._metric, paths, self._slots)
        windows: dict[str, dict[int, Window]] = defaultdict(dict)
        for row in await self._select(newest, NewestRow):
            series_paths = paths_by_number.get(row.series, set())
            for path, moment in zip(("", *paths), row.newest, strict=True):
                if moment is not None and path in series_paths:
                    windows[path][row.series] = self._window(moment)
        return windows

    def _window(self, moment: int) -> Window:
        """Return the bucket of an instant before the range, cut off where the range begins."""
        earlier = bucket_pair(self._buckets, self._time_range, moment, self._week_start)
        before, start = earlier.starts
        return Window(before, start, min(earlier.end, self._time_range.from_))

    async def _rows_in(
        self, windows: Mapping[int, Window], aggregates: frozenset[Aggregate]
    ) -> list[SeriesRow]:
        """Return a row for each series, with the totals over the window of the series."""
        branch = window_totals(windows, self._shape, self._metric, aggregates, self._slots)
        totals = series_statement([branch], [self._shape.scan({self._metric})], self._slots)
        line_rows = await self._select(totals, _LineRow)
        answer = "\n".join(row.line for row in line_rows).encode()
        return series_rows(answer, {branch.number: branch})[branch.number]


def _without_first_value(row: SeriesRow | None, aggregates: Iterable[Aggregate]) -> set[Aggregate]:
    """Return the aggregates that have no value in the first bucket."""
    if row is None or row.buckets is None or not row.buckets.startswith((b"[0,", b"[0]")):
        return set(aggregates)
    return {
        aggregate
        for aggregate in aggregates
        if row.columns[in_engine(aggregate)].startswith(b"[null")
    }


def _numeric_path(aggregate: Aggregate) -> str:
    """Return the property whose numbers the aggregate needs; '' if it needs none."""
    return aggregate.property or "" if aggregate.kind in _NUMERIC_KINDS else ""
