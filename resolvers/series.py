"""Series of aggregates: questions to the engine, and what comes of the replies."""

import asyncio
import operator
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

import msgspec

from resolvers.context import Context
from resolvers.questions import Ran, Reply
from resolvers.table import Frame, Table, shown_buckets
from schema.aggregates import (
    COUNT,
    LARGEST_FIRST,
    Aggregate,
    AggregateKind,
    Order,
    aggregate,
    of_field,
)
from schema.buckets import Fill, Granularity
from schema.errors import bad_input
from schema.ranges import CompareInput, TimeRange, TimeRangeInput, TimeRangePreset
from schema.results import Caveat, GroupKey, ResultMeta
from schema.scalars import UTC_ZONE, Instant, Long, Zone
from schema.selection import TYPENAME, Selected
from schema.series import Result, Series, instants
from store import queries
from store.aggregates import in_engine
from store.buckets import buckets, previous_buckets
from store.ranges import EARLIEST, comparison, resolve_range
from store.series import OTHER, Key, Line, Places, Question, Rank, Shape

T = TypeVar("T")

MAX_SERIES: Final = 1000
MAX_KEYS: Final = 5
MAX_CELLS: Final = 1_000_000

_OTHER_LABEL: Final = "Other"
_NO_VALUE: Final = "(none)"


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows to be asked about: a metric's (`part` is its name), or events (one part, '').

    `condition` is what they must pass, which may depend on the range that is asked about.
    """

    table: str
    condition: Callable[[TimeRange | None], str]
    part: str
    label: str


@dataclass(frozen=True, slots=True)
class Asked:
    """How series are to be made: the arguments of the API."""

    range: TimeRangeInput
    zone: Zone = UTC_ZONE
    granularity: Granularity = Granularity.AUTO
    max_points: int = 300
    keys: tuple[Key, ...] = ()
    order: Order = LARGEST_FIRST
    limit: int = 10
    others: bool = True
    fill: Fill = Fill.NULL
    compare: CompareInput | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of series is wanted: aggregates over the range, and bucket by bucket."""

    totals: frozenset[Aggregate] = frozenset()
    columns: frozenset[Aggregate] = frozenset()
    times: bool = False
    partial: bool = False

    @classmethod
    def of(cls, table: str, selected: Iterable[Selected]) -> "Wanted":
        """Read it from what is selected below a result."""
        totals: set[Aggregate] = set()
        columns: set[Aggregate] = set()
        times = partial = False
        for one in selected:
            times |= one.name == "times"
            for part in one.below if one.name == "series" else ():
                match part.name:
                    case "total" | "previousTotal":
                        totals |= _aggregates(table, part.below)
                    case "change":
                        totals.add(_changed(table, part.arguments))
                    case "columns" | "previousColumns":
                        columns |= _aggregates(table, part.below)
                    case "points":
                        times = True
                        for values in part.below:
                            partial |= values.name == "isPartial"
                            columns |= _aggregates(table, values.below)
        return cls(frozenset(totals), frozenset(columns), times or bool(columns), partial)


def _aggregates(table: str, fields: Iterable[Selected]) -> set[Aggregate]:
    return {of_field(table, one.name, one.arguments) for one in fields if one.name != TYPENAME}


def _changed(table: str, arguments: Mapping[str, Any]) -> Aggregate:
    kind = AggregateKind(arguments["aggregate"])
    return aggregate(table, kind, arguments.get("property"), arguments.get("q"))


@dataclass(slots=True)
class _Answer:
    """What was found for the series of one range."""

    lines: dict[int, Line] = field(default_factory=dict)
    keys: dict[int, list[str]] = field(default_factory=dict)
    ran: list[Ran] = field(default_factory=list)
    groups: int = 1

    def add(self, reply: Reply) -> None:
        self.ran.append(reply.ran)
        self.lines |= {line.series: line for line in reply.lines}

    def add_ranking(self, reply: Reply) -> None:
        self.add(reply)
        self.groups = max((line.groups for line in reply.lines), default=0)
        ranked = sorted(reply.lines, key=operator.attrgetter("series"))
        self.keys = {line.series: line.keys for line in ranked if line.series != OTHER}


async def series(
    ctx: Context, rows: Rows, asked: Asked, wanted: Wanted
) -> tuple[Result, ResultMeta]:
    """Answer with series of aggregates, and how they were found."""
    now = ctx.now()
    frame, other = _frames(asked, wanted, now, await _oldest(ctx, rows, asked))
    _check(asked, frame)
    current, previous = await _ask(ctx, rows, asked, wanted, (frame, other))
    numbers = _numbers(asked, current, previous)
    lines = [current.lines.get(number) for number in numbers]
    shown = shown_buckets(frame.buckets, lines, asked.fill)
    table = Table(wanted.totals, wanted.columns, asked.fill, shown, now)
    starts = _these(frame.buckets.starts, shown) if frame.buckets else ()
    times = instants(starts) if wanted.times else b"[]"
    partial = frame.buckets.partial(frame.span, now) if frame.buckets and wanted.partial else []
    partial_text = msgspec.json.encode(_these(partial, shown) if partial else [])
    compared = bisect_left(shown, len(other.buckets.starts)) if other and other.buckets else 0
    made = [
        Series(
            table=rows.table,
            keys=(keys := _group_keys(asked.keys, current.keys.get(number))),
            label=_label(keys, rows, is_other=bool(asked.keys) and number == OTHER),
            is_other=bool(asked.keys) and number == OTHER,
            totals=table.totals(line, frame),
            previous_totals=table.totals(previous.lines.get(number), other) if other else None,
            texts=table.columns(line, frame),
            previous_texts=table.columns(previous.lines.get(number), other) if other else None,
            compared=compared,
            times=times,
            partial=partial_text,
        )
        for number, line in zip(numbers, lines, strict=True)
    ]
    return Result(times, made, found=bool(current.lines)), _meta(
        ctx, asked, (frame, other), (current, previous)
    )


def _these(of: Sequence[T], shown: Sequence[int]) -> Sequence[T]:
    """Return what belongs to the shown buckets: all, most often."""
    return of if shown == range(len(of)) else [of[n] for n in shown]


def _numbers(asked: Asked, current: _Answer, previous: _Answer) -> list[int]:
    """List the series in their order: the groups as they were ranked, then all others."""
    if not asked.keys:
        return [1]
    others = asked.others and (OTHER in current.lines or OTHER in previous.lines)
    return [*current.keys, *([OTHER] if others else [])]


def _group_keys(keys: Sequence[Key], texts: Sequence[str] | None) -> list[GroupKey]:
    if texts is None:
        return []
    return [
        GroupKey(name=key.name, value=_value_of(text, is_json=key.is_json))
        for key, text in zip(keys, texts, strict=True)
    ]


def _value_of(text: str, *, is_json: bool) -> str | None:
    """Read a key's value: null where there is none, a text as such, all else as its JSON."""
    if not text:
        return None
    value = msgspec.json.decode(text) if is_json else text
    return value if isinstance(value, str) else text


def _label(keys: Sequence[GroupKey], rows: Rows, *, is_other: bool) -> str:
    if is_other:
        return _OTHER_LABEL
    texts = [_NO_VALUE if key.value is None else key.value for key in keys]
    return ", ".join(texts) if texts else rows.label


def _meta(
    ctx: Context,
    asked: Asked,
    frames: tuple[Frame, Frame | None],
    answers: tuple[_Answer, _Answer],
) -> ResultMeta:
    current, previous = answers
    ran = list({id(each): each for each in (*current.ran, *previous.ran)}.values())
    truncated = not asked.others and current.groups > asked.limit
    warnings = []
    if truncated:
        message = f"{current.groups - asked.limit} groups are left out (limit {asked.limit})."
        warnings.append(Caveat(code="TRUNCATED", message=message))
    if ctx.store.problems():
        message = "Rows that were acknowledged may be missing: the engine can't load them now."
        warnings.append(Caveat(code="INCOMPLETE", message=message))
    return ResultMeta(
        range=frames[0].span,
        comparison_range=frames[1].span if frames[1] else None,
        total_groups=Long(current.groups),
        truncated=truncated,
        rows_read=Long(sum(each.rows_read for each in ran)),
        elapsed_ms=round(sum(each.ms for each in ran), 3),
        fresh_as_of=ctx.now(),
        warnings=warnings,
        sql=None if ctx.production else "\n\n".join(each.statement.for_console() for each in ran),
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
) -> tuple[_Answer, _Answer]:
    """Ask for both ranges at once; for groups with columns after it is known which come first."""
    frame, other = frames
    current, previous = _Answer(), _Answer()
    of = _Questions.of(rows, asked, wanted)
    placed = None
    if asked.keys:
        current.add_ranking(await ctx.questions.ask(of.ranking(frame)))
        groups = tuple((rows.part, *texts) for texts in current.keys.values())
        placed = Places(groups, asked.others)

    async def into(answer: _Answer, at: Frame) -> None:
        answer.add(await ctx.questions.ask(of.series(at, placed)))

    again = [(current, frame)] if of.columns or not asked.keys else []
    again += [(previous, other)] if other else []
    await asyncio.gather(*(into(answer, at) for answer, at in again))
    return current, previous
