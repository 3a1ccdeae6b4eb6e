"""Series of aggregates: questions to the engine, and what comes of the replies."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from resolvers.context import Context
from resolvers.series.lookback import Lookback
from resolvers.series.request import MAX_CELLS, MAX_KEYS, MAX_SERIES, Asked, Rows, Wanted
from resolvers.series.result import Answer, Answers, Frames, presented, result_meta
from resolvers.series.values import Frame
from schema.aggregates import COUNT, Aggregate
from schema.buckets import Fill
from schema.errors import bad_input
from schema.ranges import TimeRangePreset
from schema.results import ResultMeta
from schema.scalars import Instant
from schema.series import Result
from store.query import queries
from store.query.series.aggregates import in_engine
from store.query.series.types import OVERALL, Places, Question, Rank, Shape
from store.query.time.buckets import buckets, previous_buckets
from store.query.time.ranges import EVER, Extent, comparison, resolve_range


async def series(
    ctx: Context, rows: Rows, asked: Asked, wanted: Wanted
) -> tuple[Result, ResultMeta]:
    """Answer with series of aggregates, and how they were found."""
    wanted = wanted if asked.keys else wanted.of_one
    frames = await resolved(ctx, [rows], asked, times=wanted.times)
    check(asked)
    check_cells(frames, asked.limit if asked.keys else 1)
    found = Answers()
    await asyncio.gather(
        _series(ctx, Questions.of(rows, asked, wanted), frames, found),
        _overall(ctx, Questions.of_all(rows, asked, wanted), frames, found),
    )
    await _look_back(ctx, rows, asked, wanted, frames=frames, found=found)
    result = presented(rows, asked, wanted, frames, found)
    return result, result_meta(ctx, asked, frames, found.ran, found.current.groups)


async def _look_back(
    ctx: Context, rows: Rows, asked: Asked, wanted: Wanted, *, frames: Frames, found: Answers
) -> None:
    """Find what PREVIOUS carries into the first buckets of the groups, and of all rows."""
    groups = tuple((rows.part, *texts) for texts in found.current.keys.values())
    placed = Places(groups, asked.others) if asked.keys else None
    series = [Lookback(ctx, rows, asked, frames, wanted.columns, placed)]
    if asked.keys and wanted.overall:
        series.append(Lookback(ctx, rows, asked, frames, wanted.overall.columns, None, OVERALL))
    await asyncio.gather(*(each.into(found) for each in series))


async def resolved(ctx: Context, rows: Sequence[Rows], asked: Asked, *, times: bool) -> Frames:
    """Return the ranges that are meant, the same for all of some rows, and their buckets."""
    return _frames(ctx, asked, await _extent(ctx, rows, asked), times=times)


async def _extent(ctx: Context, rows: Sequence[Rows], asked: Asked) -> Extent | None:
    """Return the times of the oldest and the newest row, where that matters."""
    if not _asks_for_all_time(asked):
        return EVER
    sources = [queries.Source(each.table, each.condition(None), each.part) for each in rows]
    statement = queries.extent(sources, ctx.questions.slots)
    (found,) = await ctx.questions.select(statement, queries.ExtentRow)
    if found.oldest is None or found.newest is None:
        return None
    return Extent(Instant(found.oldest), Instant(found.newest))


def _asks_for_all_time(asked: Asked) -> bool:
    ranges = [asked.range, asked.compare.range if asked.compare else None]
    return any(each and each.preset is TimeRangePreset.ALL_TIME for each in ranges)


def _frames(ctx: Context, asked: Asked, extent: Extent | None, *, times: bool) -> Frames:
    now = ctx.now()
    span = ctx.up_to_latest(resolve_range(asked.range, now, asked.zone, extent, asked.week_start))
    cut = None
    if times:
        cut = buckets(span, asked.granularity, asked.max_points, asked.zone, asked.week_start)
        span = replace(span, granularity=cut.granularity)
    newest = extent.newest if extent and _asks_for_all_time(asked) else None
    frame = Frame(span, cut)
    if asked.compare is None:
        return Frames(now, newest, frame, None)
    week = asked.week_start
    before = comparison(span, asked.compare, asked.zone, now, extent, week_start=week)
    before = ctx.up_to_latest(before)
    cut_before = previous_buckets(cut, before, asked.zone, week) if cut else None
    return Frames(now, newest, frame, Frame(before, cut_before))


def check(asked: Asked) -> None:
    """Raise `AnalyticsError` for arguments out of their bounds."""
    if not 1 <= asked.limit <= MAX_SERIES:
        raise bad_input("limit", f"must be from 1 to {MAX_SERIES}", limit=MAX_SERIES)
    if asked.offset < 0:
        raise bad_input("offset", "must not be negative", limit=0)
    if len(asked.keys) > MAX_KEYS:
        raise bad_input("groupBy", f"takes at most {MAX_KEYS} keys", limit=MAX_KEYS)


def check_cells(frames: Frames, count: int) -> None:
    """Raise `AnalyticsError` if so many series have too many points."""
    cut = frames.current.buckets
    if count * len(cut.starts if cut else ()) > MAX_CELLS:
        message = f"with so many points a series can give at most {MAX_CELLS} in all"
        raise bad_input("limit", message, limit=MAX_CELLS)


@dataclass(frozen=True, slots=True)
class Questions:
    """The questions by which an answer is found."""

    rows: Rows
    asked: Asked
    totals: frozenset[Aggregate]
    columns: frozenset[Aggregate]
    overall: bool

    @classmethod
    def of(cls, rows: Rows, asked: Asked, wanted: Wanted) -> "Questions":
        """Return the questions about the series of groups, or about the only one."""
        columns = frozenset(map(in_engine, wanted.columns))
        if wanted.times and asked.fill is Fill.NONE and not columns:
            columns = frozenset({COUNT})  # to know which buckets have data
        totals = frozenset(map(in_engine, wanted.totals))
        totals = totals if totals or columns else frozenset({COUNT})
        overall = bool(asked.keys) and wanted.overall is not None
        overall = overall and not _asks_beside(asked, wanted)
        return cls(rows, asked, totals, columns, overall)

    @classmethod
    def of_all(cls, rows: Rows, asked: Asked, wanted: Wanted) -> "Questions | None":
        """Return the questions about the series of all rows, if it is asked for by itself."""
        if not (asked.keys and wanted.overall and _asks_beside(asked, wanted)):
            return None
        return cls.of(rows, replace(asked, keys=()), wanted.overall)

    @property
    def asks_twice(self) -> bool:
        """Whether the series are asked for when it is known which groups come first.

        That is how a row in several groups of an array counts once among all others.
        """
        return bool(self.columns) or _has_arrays(self.asked)

    def ranking(self, frame: Frame) -> Question:
        """Ask which groups come first; for all that is wanted of them, if that is all."""
        asked = self.asked
        rank = Rank(asked.order, asked.limit, asked.others, asked.offset, asked.search)
        rank = replace(rank, overall=self.overall and not self.asks_twice)
        question = self._question(frame, ranked=rank)
        return replace(question, totals=frozenset({COUNT})) if self.asks_twice else question

    def series(self, frame: Frame, placed: Places | None) -> Question:
        """Ask for the series of a range."""
        return self._question(frame, buckets=frame.buckets if self.columns else None, placed=placed)

    def _question(self, frame: Frame, **shape: Any) -> Question:  # noqa: ANN401 - fields of a shape
        of = Shape(
            table=self.rows.table,
            condition=self.rows.condition(frame.span),
            span=(frame.span.from_, frame.span.to),
            by_name=self.rows.table == "metrics",
            keys=self.asked.keys,
            **shape,
        )
        columns = self.columns if of.buckets else frozenset()
        return Question(of, self.rows.part, self.totals, columns)


def _has_arrays(asked: Asked) -> bool:
    return any(key.is_array for key in asked.keys)


def _asks_beside(asked: Asked, wanted: Wanted) -> bool:
    """Say whether all rows are asked about by themselves: a row may be in several groups."""
    return wanted.overall_is_beside or _has_arrays(asked)


def first_questions(ctx: Context, rows: Rows, asked: Asked, wanted: Wanted) -> list[Question]:
    """Return the questions that `series` asks first; none when it has to find out more.

    Raises `AnalyticsError` if it would refuse.
    """
    if _asks_for_all_time(asked):
        return []
    wanted = wanted if asked.keys else wanted.of_one
    frames = _frames(ctx, asked, EVER, times=wanted.times)
    check(asked)
    check_cells(frames, asked.limit if asked.keys else 1)
    questions = Questions.of(rows, asked, wanted)
    if not asked.keys:
        return [questions.series(each, None) for each in frames.both]
    of_all = Questions.of_all(rows, asked, wanted)
    first = [of_all.series(each, None) for each in frames.both] if of_all else []
    return [questions.ranking(frames.current), *first]


async def _series(ctx: Context, questions: Questions, frames: Frames, found: Answers) -> None:
    """Ask for both ranges at once; for groups with columns after it is known which come first."""
    placed = None
    if questions.asked.keys:
        reply = await ctx.questions.ask(questions.ranking(frames.current))
        found.current.add_ranking(reply, is_all=not questions.asks_twice)
        keys = found.current.keys.values()
        groups = tuple((questions.rows.part, *texts) for texts in keys)
        placed = Places(groups, questions.asked.others, questions.overall)
    current = questions.asks_twice or placed is None
    await fetch(ctx, questions, frames, found, placed, current=current)


async def fetch(
    ctx: Context,
    questions: Questions,
    frames: Frames,
    found: Answers,
    placed: Places | None,
    *,
    current: bool,
) -> None:
    """Ask for the series of the other range, and of the `current` one, at once."""

    async def into(answer: Answer, frame: Frame) -> None:
        answer.add(await ctx.questions.ask(questions.series(frame, placed)))

    again = [(found.current, frames.current)] if current else []
    again += [(found.previous, frames.other)] if frames.other else []
    await asyncio.gather(*(into(answer, frame) for answer, frame in again))


async def _overall(
    ctx: Context, questions: Questions | None, frames: Frames, found: Answers
) -> None:
    """Ask for the series of all rows by itself, if that is to be."""
    if questions is None:
        return

    async def into(answer: Answer, frame: Frame) -> None:
        answer.add_overall(await ctx.questions.ask(questions.series(frame, None)))

    answers = (found.current, found.previous)
    both = zip(answers, frames.both, strict=False)  # there may be no other range
    await asyncio.gather(*(into(answer, frame) for answer, frame in both))
