"""Execution of a series query: resolve ranges, check, rank groups, fetch, look back, present."""

import asyncio
from dataclasses import dataclass, field, replace

from resolvers.context import Context
from resolvers.series.lookback import Lookback
from resolvers.series.queries import SeriesQueries
from resolvers.series.ranges import (
    BucketedRanges,
    bucketed_ranges,
    has_all_time,
    resolve_ranges,
)
from resolvers.series.request import (
    MAX_CELLS,
    MAX_GROUP_KEYS,
    MAX_SERIES,
    SeriesArguments,
    SeriesSelection,
    SeriesSource,
)
from resolvers.series.result import Answers, RangeAnswer, present, result_meta
from resolvers.series.values import BucketedRange
from schema.errors import bad_input
from schema.series.results import ResultMeta
from schema.series.series import SeriesResult
from store.query.series.types import OVERALL_SERIES, RankedGroups, SeriesQuery
from store.query.time.ranges import ALL_TIME


async def run_series(
    ctx: Context, source: SeriesSource, arguments: SeriesArguments, selection: SeriesSelection
) -> tuple[SeriesResult, ResultMeta]:
    """Run a series query; return its series and the meta of the result.

    Raises `AnalyticsError` for arguments out of their bounds.
    """
    selection = selection if arguments.group_columns else selection.single_series
    ranges = await resolve_ranges(ctx, [source], arguments, with_buckets=selection.times)
    check_arguments(arguments)
    check_cells(ranges, arguments.limit if arguments.group_columns else 1)
    execution = _Execution(ctx, source, arguments, selection, ranges)
    ranked_groups = await execution.rank_groups_and_fetch_overall()
    await execution.fetch_series(ranked_groups)
    await execution.look_back(ranked_groups)
    return execution.present()


def check_arguments(arguments: SeriesArguments) -> None:
    """Raise `AnalyticsError` for arguments out of their bounds."""
    if not 1 <= arguments.limit <= MAX_SERIES:
        raise bad_input("limit", f"must be from 1 to {MAX_SERIES}", limit=MAX_SERIES)
    if arguments.offset < 0:
        raise bad_input("offset", "must not be negative", limit=0)
    if len(arguments.group_columns) > MAX_GROUP_KEYS:
        raise bad_input("groupBy", f"takes at most {MAX_GROUP_KEYS} keys", limit=MAX_GROUP_KEYS)


def check_cells(ranges: BucketedRanges, series_count: int) -> None:
    """Raise `AnalyticsError` if the series have more than `MAX_CELLS` cells in a column."""
    range_buckets = ranges.current.buckets
    if series_count * len(range_buckets.starts if range_buckets else ()) > MAX_CELLS:
        message = f"series times buckets must be at most {MAX_CELLS}; use larger buckets"
        raise bad_input("limit", message, limit=MAX_CELLS)


def first_queries(
    ctx: Context, source: SeriesSource, arguments: SeriesArguments, selection: SeriesSelection
) -> list[SeriesQuery]:
    """Return the first queries of `run_series`; none for ALL_TIME, which reads the extent first.

    Raises `AnalyticsError` as `run_series` does.
    """
    if has_all_time(arguments):
        return []
    selection = selection if arguments.group_columns else selection.single_series
    ranges = bucketed_ranges(ctx, arguments, ALL_TIME, with_buckets=selection.times)
    check_arguments(arguments)
    check_cells(ranges, arguments.limit if arguments.group_columns else 1)
    series_queries = SeriesQueries.for_groups(source, arguments, selection)
    if not arguments.group_columns:
        return [series_queries.for_range(bucketed_range, None) for bucketed_range in ranges]
    ranking = series_queries.ranking(ranges.current)
    overall_queries = SeriesQueries.for_overall(source, arguments, selection)
    if overall_queries is None:
        return [ranking]
    return [
        ranking,
        *(overall_queries.for_range(bucketed_range, None) for bucketed_range in ranges),
    ]


@dataclass(frozen=True, slots=True)
class _Execution:
    """The stages of a series query that run statements, and their answers so far."""

    ctx: Context
    source: SeriesSource
    arguments: SeriesArguments
    selection: SeriesSelection
    ranges: BucketedRanges
    answers: Answers = field(default_factory=Answers)

    async def rank_groups_and_fetch_overall(self) -> RankedGroups | None:
        """Rank the groups; return None without groups.

        An overall series with a query of its own is fetched meanwhile: both share a statement.
        """
        if not self.arguments.group_columns:
            return None
        ranked_groups, _ = await asyncio.gather(self._rank_groups(), self._fetch_overall())
        return ranked_groups

    async def _rank_groups(self) -> RankedGroups:
        series_queries, answer = self._series_queries, self.answers.current
        reply = await self.ctx.batch.run(series_queries.ranking(self.ranges.current))
        answer.add_ranking(reply, is_complete=not series_queries.needs_ranking_first)
        groups = tuple((self.source.metric, *texts) for texts in answer.keys.values())
        return RankedGroups(groups, self.arguments.other_group, series_queries.includes_overall)

    async def _fetch_overall(self) -> None:
        overall_queries = SeriesQueries.for_overall(self.source, self.arguments, self.selection)
        if overall_queries is None:
            return

        async def fetch_range(answer: RangeAnswer, bucketed_range: BucketedRange) -> None:
            query = overall_queries.for_range(bucketed_range, None)
            answer.add_overall(await self.ctx.batch.run(query))

        pairs = zip(self.answers.pair, self.ranges, strict=False)  # there may be one range only
        await asyncio.gather(*(fetch_range(*pair) for pair in pairs))

    async def fetch_series(self, ranked_groups: RankedGroups | None) -> None:
        """Fetch the series of both ranges at once; a complete ranking has the current range."""
        series_queries = self._series_queries
        with_current = ranked_groups is None or series_queries.needs_ranking_first
        await fetch_series(
            self.ctx,
            series_queries,
            self.ranges,
            self.answers,
            ranked_groups,
            with_current=with_current,
        )

    async def look_back(self, ranked_groups: RankedGroups | None) -> None:
        """Find the values that PREVIOUS carries into first buckets, of groups and overall."""
        groups = replace(ranked_groups, overall_series=False) if ranked_groups else None
        lookbacks = [self._lookback(self.selection, groups, 1)]
        if groups and self.selection.overall:
            lookbacks.append(self._lookback(self.selection.overall, None, OVERALL_SERIES))
        await asyncio.gather(*(lookback.add_to(self.answers) for lookback in lookbacks))

    def _lookback(
        self, selection: SeriesSelection, groups: RankedGroups | None, overall_series: int
    ) -> Lookback:
        return Lookback(
            self.ctx,
            self.source,
            self.arguments,
            self.ranges,
            selection.columns,
            groups,
            overall_series,
        )

    def present(self) -> tuple[SeriesResult, ResultMeta]:
        """Return the series and the meta of the result."""
        answers, ranges = self.answers, self.ranges
        result = present(self.source, self.arguments, self.selection, ranges, answers)
        total_groups = answers.current.total_groups
        return result, result_meta(self.ctx, self.arguments, ranges, answers.runs, total_groups)

    @property
    def _series_queries(self) -> SeriesQueries:
        return SeriesQueries.for_groups(self.source, self.arguments, self.selection)


async def fetch_series(
    ctx: Context,
    series_queries: SeriesQueries,
    ranges: BucketedRanges,
    answers: Answers,
    ranked_groups: RankedGroups | None,
    *,
    with_current: bool,
) -> None:
    """Fetch the series of the comparison range, and of the current range if `with_current`.

    Both ranges share a statement.
    """

    async def fetch_range(answer: RangeAnswer, bucketed_range: BucketedRange) -> None:
        query = series_queries.for_range(bucketed_range, ranked_groups)
        answer.add(await ctx.batch.run(query))

    pairs = [(answers.current, ranges.current)] if with_current else []
    pairs += [(answers.previous, ranges.comparison)] if ranges.comparison else []
    await asyncio.gather(*(fetch_range(*pair) for pair in pairs))
