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
    ctx: Context, rows: SeriesSource, asked: SeriesArguments, wanted: SeriesSelection
) -> tuple[SeriesResult, ResultMeta]:
    """Answer with series of aggregates, and how they were found."""
    wanted = wanted if asked.group_columns else wanted.single_series
    frames = await resolve_ranges(ctx, [rows], asked, times=wanted.times)
    check_arguments(asked)
    check_cells(frames, asked.limit if asked.group_columns else 1)
    found = Answers()
    await asyncio.gather(
        _series(ctx, SeriesQueries.for_groups(rows, asked, wanted), frames, found),
        _overall(ctx, SeriesQueries.for_overall(rows, asked, wanted), frames, found),
    )
    await _look_back(ctx, rows, asked, wanted, frames=frames, found=found)
    result = present(rows, asked, wanted, frames, found)
    return result, result_meta(ctx, asked, frames, found.runs, found.current.groups)


async def _look_back(
    ctx: Context,
    rows: SeriesSource,
    asked: SeriesArguments,
    wanted: SeriesSelection,
    *,
    frames: BucketedRanges,
    found: Answers,
) -> None:
    """Find what PREVIOUS carries into the first buckets of the groups, and of all rows."""
    groups = tuple((rows.metric, *texts) for texts in found.current.keys.values())
    placed = RankedGroups(groups, asked.other_group) if asked.group_columns else None
    series = [Lookback(ctx, rows, asked, frames, wanted.columns, placed)]
    if asked.group_columns and wanted.overall:
        series.append(
            Lookback(ctx, rows, asked, frames, wanted.overall.columns, None, OVERALL_SERIES)
        )
    await asyncio.gather(*(each.add_to(found) for each in series))


async def resolve_ranges(
    ctx: Context, rows: Sequence[SeriesSource], asked: SeriesArguments, *, times: bool
) -> BucketedRanges:
    """Return the ranges that are meant, the same for all of some rows, and their buckets."""
    return _frames(ctx, asked, await _extent(ctx, rows, asked), times=times)


async def _extent(
    ctx: Context, rows: Sequence[SeriesSource], asked: SeriesArguments
) -> Extent | None:
    """Return the times of the oldest and the newest row, where that matters."""
    if not _asks_for_all_time(asked):
        return ALL_TIME
    sources = [queries.Source(each.table, each.condition(None), each.metric) for each in rows]
    statement = queries.extent(sources, ctx.batch.slots)
    (found,) = await ctx.batch.select(statement, queries.ExtentRow)
    if found.oldest is None or found.newest is None:
        return None
    return Extent(Instant(found.oldest), Instant(found.newest))


def _asks_for_all_time(asked: SeriesArguments) -> bool:
    ranges = [asked.range, asked.compare.range if asked.compare else None]
    return any(each and each.preset is TimeRangePreset.ALL_TIME for each in ranges)


def _frames(
    ctx: Context, asked: SeriesArguments, extent: Extent | None, *, times: bool
) -> BucketedRanges:
    now = ctx.now()
    span = ctx.up_to_latest(resolve_range(asked.range, now, asked.zone, extent, asked.week_start))
    cut = None
    if times:
        cut = buckets(span, asked.granularity, asked.max_points, asked.zone, asked.week_start)
        span = replace(span, granularity=cut.granularity)
    newest = extent.newest if extent and _asks_for_all_time(asked) else None
    frame = BucketedRange(span, cut)
    if asked.compare is None:
        return BucketedRanges(now, newest, frame, None)
    week = asked.week_start
    before = comparison(span, asked.compare, asked.zone, now, extent, week_start=week)
    before = ctx.up_to_latest(before)
    cut_before = previous_buckets(cut, before, asked.zone, week) if cut else None
    return BucketedRanges(now, newest, frame, BucketedRange(before, cut_before))


def check_arguments(asked: SeriesArguments) -> None:
    """Raise `AnalyticsError` for arguments out of their bounds."""
    if not 1 <= asked.limit <= MAX_SERIES:
        raise bad_input("limit", f"must be from 1 to {MAX_SERIES}", limit=MAX_SERIES)
    if asked.offset < 0:
        raise bad_input("offset", "must not be negative", limit=0)
    if len(asked.group_columns) > MAX_GROUP_KEYS:
        raise bad_input("groupBy", f"takes at most {MAX_GROUP_KEYS} keys", limit=MAX_GROUP_KEYS)


def check_cells(frames: BucketedRanges, count: int) -> None:
    """Raise `AnalyticsError` if so many series have too many points."""
    cut = frames.current.buckets
    if count * len(cut.starts if cut else ()) > MAX_CELLS:
        message = f"with so many points a series can give at most {MAX_CELLS} in all"
        raise bad_input("limit", message, limit=MAX_CELLS)


@dataclass(frozen=True, slots=True)
class SeriesQueries:
    """The questions by which an answer is found."""

    source: SeriesSource
    arguments: SeriesArguments
    totals: frozenset[Aggregate]
    columns: frozenset[Aggregate]
    overall: bool

    @classmethod
    def for_groups(
        cls, rows: SeriesSource, asked: SeriesArguments, wanted: SeriesSelection
    ) -> "SeriesQueries":
        """Return the questions about the series of groups, or about the only one."""
        columns = frozenset(map(in_engine, wanted.columns))
        if wanted.times and asked.fill is Fill.NONE and not columns:
            columns = frozenset({COUNT})  # to know which buckets have data
        totals = frozenset(map(in_engine, wanted.totals))
        totals = totals if totals or columns else frozenset({COUNT})
        overall = bool(asked.group_columns) and wanted.overall is not None
        overall = overall and not _asks_beside(asked, wanted)
        return cls(rows, asked, totals, columns, overall)

    @classmethod
    def for_overall(
        cls, rows: SeriesSource, asked: SeriesArguments, wanted: SeriesSelection
    ) -> "SeriesQueries | None":
        """Return the questions about the series of all rows, if it is asked for by itself."""
        if not (asked.group_columns and wanted.overall and _asks_beside(asked, wanted)):
            return None
        return cls.for_groups(rows, replace(asked, group_columns=()), wanted.overall)

    @property
    def needs_ranking_first(self) -> bool:
        """Whether the series are asked for when it is known which groups come first.

        That is how a row in several groups of an array counts once among all others.
        """
        return bool(self.columns) or _has_arrays(self.arguments)

    def ranking(self, frame: BucketedRange) -> SeriesQuery:
        """Ask which groups come first; for all that is wanted of them, if that is all."""
        asked = self.arguments
        rank = Ranking(asked.order, asked.limit, asked.other_group, asked.offset, asked.search)
        rank = replace(rank, overall=self.overall and not self.needs_ranking_first)
        question = self._question(frame, ranking=rank)
        return (
            replace(question, totals=frozenset({COUNT})) if self.needs_ranking_first else question
        )

    def series(self, frame: BucketedRange, placed: RankedGroups | None) -> SeriesQuery:
        """Ask for the series of a range."""
        return self._question(
            frame, buckets=frame.buckets if self.columns else None, ranked_groups=placed
        )

    def _question(self, frame: BucketedRange, **shape: Any) -> SeriesQuery:  # noqa: ANN401 - fields of a shape
        of = QueryShape(
            table=self.source.table,
            condition=self.source.condition(frame.time_range),
            time_range=(frame.time_range.from_, frame.time_range.to),
            by_name=self.source.table == "metrics",
            group_columns=self.arguments.group_columns,
            **shape,
        )
        columns = self.columns if of.buckets else frozenset()
        return SeriesQuery(of, self.source.metric, self.totals, columns)


def _has_arrays(asked: SeriesArguments) -> bool:
    return any(key.is_array for key in asked.group_columns)


def _asks_beside(asked: SeriesArguments, wanted: SeriesSelection) -> bool:
    """Say whether all rows are asked about by themselves: a row may be in several groups."""
    return wanted.overall_needs_own_query or _has_arrays(asked)


def first_queries(
    ctx: Context, rows: SeriesSource, asked: SeriesArguments, wanted: SeriesSelection
) -> list[SeriesQuery]:
    """Return the questions that `series` asks first; none when it has to find out more.

    Raises `AnalyticsError` if it would refuse.
    """
    if _asks_for_all_time(asked):
        return []
    wanted = wanted if asked.group_columns else wanted.single_series
    frames = _frames(ctx, asked, ALL_TIME, times=wanted.times)
    check_arguments(asked)
    check_cells(frames, asked.limit if asked.group_columns else 1)
    questions = SeriesQueries.for_groups(rows, asked, wanted)
    if not asked.group_columns:
        return [questions.series(each, None) for each in frames.ranges]
    of_all = SeriesQueries.for_overall(rows, asked, wanted)
    first = [of_all.series(each, None) for each in frames.ranges] if of_all else []
    return [questions.ranking(frames.current), *first]


async def _series(
    ctx: Context, questions: SeriesQueries, frames: BucketedRanges, found: Answers
) -> None:
    """Ask for both ranges at once; for groups with columns after it is known which come first."""
    placed = None
    if questions.arguments.group_columns:
        reply = await ctx.batch.run(questions.ranking(frames.current))
        found.current.add_ranking(reply, is_all=not questions.needs_ranking_first)
        keys = found.current.keys.values()
        groups = tuple((questions.source.metric, *texts) for texts in keys)
        placed = RankedGroups(groups, questions.arguments.other_group, questions.overall)
    current = questions.needs_ranking_first or placed is None
    await fetch(ctx, questions, frames, found, placed, current=current)


async def fetch(
    ctx: Context,
    questions: SeriesQueries,
    frames: BucketedRanges,
    found: Answers,
    placed: RankedGroups | None,
    *,
    current: bool,
) -> None:
    """Ask for the series of the other range, and of the `current` one, at once."""

    async def into(answer: RangeAnswer, frame: BucketedRange) -> None:
        answer.add(await ctx.batch.run(questions.series(frame, placed)))

    again = [(found.current, frames.current)] if current else []
    again += [(found.previous, frames.comparison)] if frames.comparison else []
    await asyncio.gather(*(into(answer, frame) for answer, frame in again))


async def _overall(
    ctx: Context, questions: SeriesQueries | None, frames: BucketedRanges, found: Answers
) -> None:
    """Ask for the series of all rows by itself, if that is to be."""
    if questions is None:
        return

    async def into(answer: RangeAnswer, frame: BucketedRange) -> None:
        answer.add_overall(await ctx.batch.run(questions.series(frame, None)))

    answers = (found.current, found.previous)
    both = zip(answers, frames.ranges, strict=False)  # there may be no other range
    await asyncio.gather(*(into(answer, frame) for answer, frame in both))
