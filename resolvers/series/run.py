"""Series of aggregates: questions to the engine, and what comes of the replies."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from resolvers.context import Context
from resolvers.series.lookback import Lookback
from resolvers.series.request import (
    MAX_CELLS,
    MAX_GROUP_KEYS,
    MAX_SERIES,
    SeriesArguments,
    SeriesSelection,
    SeriesSource,
)
from resolvers.series.result import Answers, BucketedRanges, RangeAnswer, present, result_meta
from resolvers.series.values import BucketedRange
from schema.aggregates import COUNT, Aggregate
from schema.buckets import Fill
from schema.errors import bad_input
from schema.ranges import TimeRangePreset
from schema.results import ResultMeta
from schema.scalars import Instant
from schema.series import SeriesResult
from store.query import queries
from store.query.series.aggregates import in_engine
from store.query.series.types import OVERALL_SERIES, QueryShape, RankedGroups, Ranking, SeriesQuery
from store.query.time.buckets import buckets, previous_buckets
from store.query.time.ranges import ALL_TIME, Extent, comparison, resolve_range


async def run_series(
    ctx: Context, source: SeriesSource, arguments: SeriesArguments, selection: SeriesSelection
) -> tuple[SeriesResult, ResultMeta]:
    """Answer with series of aggregates, and how they were found."""
    selection = selection if arguments.group_columns else selection.single_series
    ranges = await resolve_ranges(ctx, [source], arguments, with_buckets=selection.times)
    check_arguments(arguments)
    check_cells(ranges, arguments.limit if arguments.group_columns else 1)
    answers = Answers()
    await asyncio.gather(
        _series(ctx, SeriesQueries.for_groups(source, arguments, selection), ranges, answers),
        _fetch_overall(
            ctx, SeriesQueries.for_overall(source, arguments, selection), ranges, answers
        ),
    )
    await _look_back(ctx, source, arguments, selection, ranges=ranges, answers=answers)
    result = present(source, arguments, selection, ranges, answers)
    return result, result_meta(ctx, arguments, ranges, answers.runs, answers.current.total_groups)


async def _look_back(
    ctx: Context,
    source: SeriesSource,
    arguments: SeriesArguments,
    selection: SeriesSelection,
    *,
    ranges: BucketedRanges,
    answers: Answers,
) -> None:
    """Find what PREVIOUS carries into the first buckets of the groups, and of all rows."""
    groups = tuple((source.metric, *texts) for texts in answers.current.keys.values())
    ranked_groups = RankedGroups(groups, arguments.other_group) if arguments.group_columns else None
    lookbacks = [Lookback(ctx, source, arguments, ranges, selection.columns, ranked_groups)]
    if arguments.group_columns and selection.overall:
        lookbacks.append(
            Lookback(
                ctx, source, arguments, ranges, selection.overall.columns, None, OVERALL_SERIES
            )
        )
    await asyncio.gather(*(lookback.add_to(answers) for lookback in lookbacks))


async def resolve_ranges(
    ctx: Context, sources: Sequence[SeriesSource], arguments: SeriesArguments, *, with_buckets: bool
) -> BucketedRanges:
    """Return the ranges that are meant, the same for all of some rows, and their buckets."""
    return _bucketed_ranges(
        ctx, arguments, await _extent(ctx, sources, arguments), times=with_buckets
    )


async def _extent(
    ctx: Context, row_sources: Sequence[SeriesSource], arguments: SeriesArguments
) -> Extent | None:
    """Return the times of the oldest and the newest row, where that matters."""
    if not _asks_for_all_time(arguments):
        return ALL_TIME
    sources = [
        queries.Source(source.table, source.condition(None), source.metric)
        for source in row_sources
    ]
    statement = queries.extent(sources, ctx.batch.slots)
    (row,) = await ctx.batch.select(statement, queries.ExtentRow)
    if row.oldest is None or row.newest is None:
        return None
    return Extent(Instant(row.oldest), Instant(row.newest))


def _asks_for_all_time(arguments: SeriesArguments) -> bool:
    ranges = [arguments.range, arguments.compare.range if arguments.compare else None]
    return any(
        time_range and time_range.preset is TimeRangePreset.ALL_TIME for time_range in ranges
    )


def _bucketed_ranges(
    ctx: Context, arguments: SeriesArguments, extent: Extent | None, *, times: bool
) -> BucketedRanges:
    now = ctx.now()
    time_range = ctx.up_to_latest(
        resolve_range(arguments.range, now, arguments.zone, extent, arguments.week_start)
    )
    range_buckets = None
    if times:
        range_buckets = buckets(
            time_range,
            arguments.granularity,
            arguments.max_points,
            arguments.zone,
            arguments.week_start,
        )
        time_range = replace(time_range, granularity=range_buckets.granularity)
    newest = extent.newest if extent and _asks_for_all_time(arguments) else None
    current = BucketedRange(time_range, range_buckets)
    if arguments.compare is None:
        return BucketedRanges(now, newest, current, None)
    week_start = arguments.week_start
    other_range = comparison(
        time_range, arguments.compare, arguments.zone, now, extent, week_start=week_start
    )
    other_range = ctx.up_to_latest(other_range)
    other_buckets = (
        previous_buckets(range_buckets, other_range, arguments.zone, week_start)
        if range_buckets
        else None
    )
    return BucketedRanges(now, newest, current, BucketedRange(other_range, other_buckets))


def check_arguments(arguments: SeriesArguments) -> None:
    """Raise `AnalyticsError` for arguments out of their bounds."""
    if not 1 <= arguments.limit <= MAX_SERIES:
        raise bad_input("limit", f"must be from 1 to {MAX_SERIES}", limit=MAX_SERIES)
    if arguments.offset < 0:
        raise bad_input("offset", "must not be negative", limit=0)
    if len(arguments.group_columns) > MAX_GROUP_KEYS:
        raise bad_input("groupBy", f"takes at most {MAX_GROUP_KEYS} keys", limit=MAX_GROUP_KEYS)


def check_cells(ranges: BucketedRanges, series_count: int) -> None:
    """Raise `AnalyticsError` if so many series have too many points."""
    range_buckets = ranges.current.buckets
    if series_count * len(range_buckets.starts if range_buckets else ()) > MAX_CELLS:
        message = f"with so many points a series can give at most {MAX_CELLS} in all"
        raise bad_input("limit", message, limit=MAX_CELLS)


@dataclass(frozen=True, slots=True)
class SeriesQueries:
    """The questions by which an answer is found."""

    source: SeriesSource
    arguments: SeriesArguments
    totals: frozenset[Aggregate]
    columns: frozenset[Aggregate]
    includes_overall: bool

    @classmethod
    def for_groups(
        cls, source: SeriesSource, arguments: SeriesArguments, selection: SeriesSelection
    ) -> "SeriesQueries":
        """Return the questions about the series of groups, or about the only one."""
        columns = frozenset(map(in_engine, selection.columns))
        if selection.times and arguments.fill is Fill.NONE and not columns:
            columns = frozenset({COUNT})  # to know which buckets have data
        totals = frozenset(map(in_engine, selection.totals))
        totals = totals if totals or columns else frozenset({COUNT})
        overall = bool(arguments.group_columns) and selection.overall is not None
        overall = overall and not _needs_overall_query(arguments, selection)
        return cls(source, arguments, totals, columns, overall)

    @classmethod
    def for_overall(
        cls, source: SeriesSource, arguments: SeriesArguments, selection: SeriesSelection
    ) -> "SeriesQueries | None":
        """Return the questions about the series of all rows, if it is asked for by itself."""
        if not (
            arguments.group_columns
            and selection.overall
            and _needs_overall_query(arguments, selection)
        ):
            return None
        return cls.for_groups(source, replace(arguments, group_columns=()), selection.overall)

    @property
    def needs_ranking_first(self) -> bool:
        """Whether the series are asked for when it is known which groups come first.

        That is how a row in several groups of an array counts once among all others.
        """
        return bool(self.columns) or _has_arrays(self.arguments)

    def ranking(self, bucketed_range: BucketedRange) -> SeriesQuery:
        """Ask which groups come first; for all that is wanted of them, if that is all."""
        arguments = self.arguments
        ranking = Ranking(
            arguments.order,
            arguments.limit,
            arguments.other_group,
            arguments.offset,
            arguments.search,
        )
        ranking = replace(ranking, overall=self.includes_overall and not self.needs_ranking_first)
        query = self._question(bucketed_range, ranking=ranking)
        return replace(query, totals=frozenset({COUNT})) if self.needs_ranking_first else query

    def for_range(
        self, bucketed_range: BucketedRange, ranked_groups: RankedGroups | None
    ) -> SeriesQuery:
        """Ask for the series of a range."""
        return self._question(
            bucketed_range,
            buckets=bucketed_range.buckets if self.columns else None,
            ranked_groups=ranked_groups,
        )

    def _question(self, bucketed_range: BucketedRange, **shape: Any) -> SeriesQuery:  # noqa: ANN401 - fields of a shape
        query_shape = QueryShape(
            table=self.source.table,
            condition=self.source.condition(bucketed_range.time_range),
            time_range=(bucketed_range.time_range.from_, bucketed_range.time_range.to),
            by_name=self.source.table == "metrics",
            group_columns=self.arguments.group_columns,
            **shape,
        )
        columns = self.columns if query_shape.buckets else frozenset()
        return SeriesQuery(query_shape, self.source.metric, self.totals, columns)


def _has_arrays(arguments: SeriesArguments) -> bool:
    return any(column.is_array for column in arguments.group_columns)


def _needs_overall_query(arguments: SeriesArguments, selection: SeriesSelection) -> bool:
    """Say whether all rows are asked about by themselves: a row may be in several groups."""
    return selection.overall_needs_own_query or _has_arrays(arguments)


def first_queries(
    ctx: Context, source: SeriesSource, arguments: SeriesArguments, selection: SeriesSelection
) -> list[SeriesQuery]:
    """Return the questions that `series` asks first; none when it has to find out more.

    Raises `AnalyticsError` if it would refuse.
    """
    if _asks_for_all_time(arguments):
        return []
    selection = selection if arguments.group_columns else selection.single_series
    ranges = _bucketed_ranges(ctx, arguments, ALL_TIME, times=selection.times)
    check_arguments(arguments)
    check_cells(ranges, arguments.limit if arguments.group_columns else 1)
    series_queries = SeriesQueries.for_groups(source, arguments, selection)
    if not arguments.group_columns:
        return [series_queries.for_range(bucketed_range, None) for bucketed_range in ranges.ranges]
    overall_queries = SeriesQueries.for_overall(source, arguments, selection)
    overall = (
        [overall_queries.for_range(bucketed_range, None) for bucketed_range in ranges.ranges]
        if overall_queries
        else []
    )
    return [series_queries.ranking(ranges.current), *overall]


async def _series(
    ctx: Context, series_queries: SeriesQueries, ranges: BucketedRanges, answers: Answers
) -> None:
    """Ask for both ranges at once; for groups with columns after it is known which come first."""
    ranked_groups = None
    if series_queries.arguments.group_columns:
        reply = await ctx.batch.run(series_queries.ranking(ranges.current))
        answers.current.add_ranking(reply, is_complete=not series_queries.needs_ranking_first)
        group_texts = answers.current.keys.values()
        groups = tuple((series_queries.source.metric, *texts) for texts in group_texts)
        ranked_groups = RankedGroups(
            groups, series_queries.arguments.other_group, series_queries.includes_overall
        )
    current = series_queries.needs_ranking_first or ranked_groups is None
    await fetch_series(ctx, series_queries, ranges, answers, ranked_groups, current=current)


async def fetch_series(
    ctx: Context,
    series_queries: SeriesQueries,
    ranges: BucketedRanges,
    answers: Answers,
    ranked_groups: RankedGroups | None,
    *,
    current: bool,
) -> None:
    """Ask for the series of the other range, and of the `current` one, at once."""

    async def fetch_range(answer: RangeAnswer, bucketed_range: BucketedRange) -> None:
        answer.add(await ctx.batch.run(series_queries.for_range(bucketed_range, ranked_groups)))

    ranges_to_fetch = [(answers.current, ranges.current)] if current else []
    ranges_to_fetch += [(answers.previous, ranges.comparison)] if ranges.comparison else []
    await asyncio.gather(
        *(fetch_range(answer, bucketed_range) for answer, bucketed_range in ranges_to_fetch)
    )


async def _fetch_overall(
    ctx: Context, overall_queries: SeriesQueries | None, ranges: BucketedRanges, answers: Answers
) -> None:
    """Ask for the series of all rows by itself, if that is to be."""
    if overall_queries is None:
        return

    async def fetch_range(answer: RangeAnswer, bucketed_range: BucketedRange) -> None:
        answer.add_overall(await ctx.batch.run(overall_queries.for_range(bucketed_range, None)))

    range_answers = (answers.current, answers.previous)
    pairs = zip(range_answers, ranges.ranges, strict=False)  # there may be no other range
    await asyncio.gather(*(fetch_range(answer, bucketed_range) for answer, bucketed_range in pairs))
