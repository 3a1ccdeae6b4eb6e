"""Series of aggregates: questions to the engine, and what comes of the replies."""

import asyncio
from bisect import bisect_left
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from resolvers.context import Context
from resolvers.series_request import MAX_CELLS, MAX_KEYS, MAX_SERIES, Asked, Rows, Wanted
from resolvers.series_result import Answer, group_keys, label, numbers, result_meta, these
from resolvers.table import Frame, Table, shown_buckets
from schema.aggregates import COUNT, Aggregate
from schema.buckets import Fill
from schema.errors import bad_input
from schema.ranges import TimeRangePreset
from schema.results import ResultMeta
from schema.scalars import Instant
from schema.series import Result, Series, instants
from store import queries
from store.aggregates import in_engine
from store.buckets import buckets, previous_buckets
from store.ranges import EARLIEST, comparison, resolve_range
from store.series_types import OTHER, Places, Question, Rank, Shape


async def series(
    ctx: Context, rows: Rows, asked: Asked, wanted: Wanted
) -> tuple[Result, ResultMeta]:
    """Answer with series of aggregates, and how they were found."""
    now = ctx.now()
    frame, other = _frames(asked, wanted, now, await _oldest(ctx, rows, asked))
    _check(asked, frame)
    current, previous = await _ask(ctx, rows, asked, wanted, (frame, other))
    listed = numbers(asked, current, previous)
    lines = [current.lines.get(number) for number in listed]
    shown = shown_buckets(frame.buckets, lines, asked.fill)
    table = Table(wanted.totals, wanted.columns, asked.fill, shown, now)
    starts = these(frame.buckets.starts, shown) if frame.buckets else ()
    times = instants(starts) if wanted.times else b"[]"
    partial = frame.buckets.partial(frame.span, now) if frame.buckets and wanted.partial else []
    partial_text = msgspec.json.encode(these(partial, shown) if partial else [])
    compared = bisect_left(shown, len(other.buckets.starts)) if other and other.buckets else 0
    made = [
        Series(
            table=rows.table,
            keys=(keys := group_keys(asked.keys, current.keys.get(number))),
            label=label(keys, rows, is_other=bool(asked.keys) and number == OTHER),
            is_other=bool(asked.keys) and number == OTHER,
            totals=table.totals(line, frame),
            previous_totals=table.totals(previous.lines.get(number), other) if other else None,
            texts=table.columns(line, frame),
            previous_texts=table.columns(previous.lines.get(number), other) if other else None,
            compared=compared,
            times=times,
            partial=partial_text,
        )
        for number, line in zip(listed, lines, strict=True)
    ]
    return Result(times, made, found=bool(current.lines)), result_meta(
        ctx, asked, (frame, other), (current, previous)
    )


async def _oldest(ctx: Context, rows: Rows, asked: Asked) -> Instant | None:
    """Return the time of the oldest row, where that matters; null if there is none."""
    if not _asks_for_all_time(asked):
        return EARLIEST
    condition = rows.condition(None)
    statement = queries.oldest(rows.table, condition, rows.part, ctx.questions.slots)
    (found,) = await ctx.questions.select(statement, queries.OldestRow)
    return None if found.at is None else Instant(found.at)


def _asks_for_all_time(asked: Asked) -> bool:
    ranges = [asked.range, asked.compare.range if asked.compare else None]
    return any(each and each.preset is TimeRangePreset.ALL_TIME for each in ranges)


def _frames(
    asked: Asked, wanted: Wanted, now: Instant, first: Instant | None
) -> tuple[Frame, Frame | None]:
    span = resolve_range(asked.range, now, asked.zone, first)
    cut = None
    if wanted.times:
        cut = buckets(span, asked.granularity, asked.max_points, asked.zone)
        span = replace(span, granularity=cut.granularity)
    frame = Frame(span, cut)
    if asked.compare is None:
        return frame, None
    before = comparison(span, asked.compare, asked.zone, now, first)
    cut_before = previous_buckets(cut, before, asked.zone) if cut else None
    return frame, Frame(before, cut_before)


def _check(asked: Asked, frame: Frame) -> None:
    if not 1 <= asked.limit <= MAX_SERIES:
        raise bad_input("limit", f"must be from 1 to {MAX_SERIES}", limit=MAX_SERIES)
    if len(asked.keys) > MAX_KEYS:
        raise bad_input("groupBy", f"takes at most {MAX_KEYS} keys", limit=MAX_KEYS)
    cells = (asked.limit if asked.keys else 1) * len(frame.buckets.starts if frame.buckets else ())
    if cells > MAX_CELLS:
        message = f"with so many points a series can give at most {MAX_CELLS} in all"
        raise bad_input("limit", message, limit=MAX_CELLS)


@dataclass(frozen=True, slots=True)
class _Questions:
    """The questions by which an answer is found."""

    rows: Rows
    asked: Asked
    totals: frozenset[Aggregate]
    columns: frozenset[Aggregate]

    @classmethod
    def of(cls, rows: Rows, asked: Asked, wanted: Wanted) -> "_Questions":
        columns = frozenset(map(in_engine, wanted.columns))
        if wanted.times and asked.fill is Fill.NONE and not columns:
            columns = frozenset({COUNT})  # to know which buckets have data
        totals = frozenset(map(in_engine, wanted.totals))
        return cls(rows, asked, totals if totals or columns else frozenset({COUNT}), columns)

    def ranking(self, frame: Frame) -> Question:
        """Ask which groups come first; for all that is wanted of them, if there are no columns."""
        rank = Rank(self.asked.order, self.asked.limit, self.asked.others)
        question = self._question(frame, ranked=rank)
        return replace(question, totals=frozenset({COUNT})) if self.columns else question

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


def first_questions(ctx: Context, rows: Rows, asked: Asked, wanted: Wanted) -> list[Question]:
    """Return the questions that `series` asks first; none when it has to find out more."""
    if _asks_for_all_time(asked):
        return []
    frame, other = _frames(asked, wanted, ctx.now(), EARLIEST)
    of = _Questions.of(rows, asked, wanted)
    if asked.keys:
        return [of.ranking(frame)]
    return [of.series(each, None) for each in (frame, other) if each]


async def _ask(
    ctx: Context,
    rows: Rows,
    asked: Asked,
    wanted: Wanted,
    frames: tuple[Frame, Frame | None],
) -> tuple[Answer, Answer]:
    """Ask for both ranges at once; for groups with columns after it is known which come first."""
    frame, other = frames
    current, previous = Answer(), Answer()
    of = _Questions.of(rows, asked, wanted)
    placed = None
    if asked.keys:
        current.add_ranking(await ctx.questions.ask(of.ranking(frame)))
        groups = tuple((rows.part, *texts) for texts in current.keys.values())
        placed = Places(groups, asked.others)

    async def into(answer: Answer, at: Frame) -> None:
        answer.add(await ctx.questions.ask(of.series(at, placed)))

    again = [(current, frame)] if of.columns or not asked.keys else []
    again += [(previous, other)] if other else []
    await asyncio.gather(*(into(answer, at) for answer, at in again))
    return current, previous
