"""What is answered about series: their keys and labels, and how the answer was made."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

import msgspec

from resolvers.context import Context
from resolvers.query_batch import Ran, Reply
from resolvers.series.group_keys import group_keys
from resolvers.series.request import Asked, Rows, Wanted
from resolvers.series.values import Frame, Table, Value, shown_buckets
from schema.aggregates import Aggregate
from schema.results import Caveat, GroupKey, ResultMeta
from schema.scalars import Instant, Long
from schema.series import Result, Series, instants
from store.query.series.types import NO_VALUE, OTHER, OVERALL, Line

T = TypeVar("T")

CLOCK_TOLERANCE_MS: Final = 1000
"""Rows may be so much ahead without a warning: clocks differ, and rows come in meanwhile."""

_OTHER_LABEL: Final = "Other"
_UNITS: Final = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s"))


@dataclass(frozen=True, slots=True)
class Frames:
    """The range of an answer and the one that it is compared with, if any.

    `newest` is the time of the newest row, where that was looked for.
    """

    now: Instant
    newest: Instant | None
    current: Frame
    other: Frame | None

    @property
    def both(self) -> list[Frame]:
        """The ranges that there are."""
        return [self.current, self.other] if self.other else [self.current]

    @property
    def until(self) -> Instant:
        """Up to when there can be rows: rows may be ahead of the clock."""
        return self.now if self.newest is None else max(self.now, self.newest)


@dataclass(slots=True)
class Answer:
    """What was found for the series of one range.

    `before` are the values that go before the first buckets of series.
    """

    lines: dict[int, Line] = field(default_factory=dict)
    keys: dict[int, list[str]] = field(default_factory=dict)
    before: dict[int, dict[Aggregate, Value]] = field(default_factory=dict)
    ran: list[Ran] = field(default_factory=list)
    groups: int = 1

    def add(self, reply: Reply) -> None:
        """Take the lines of a reply."""
        self.ran.append(reply.ran)
        self.lines |= {line.series: line for line in reply.lines}

    def add_overall(self, reply: Reply) -> None:
        """Take a reply about all rows."""
        self.ran.append(reply.ran)
        self.lines |= dict(zip([OVERALL], reply.lines, strict=False))  # none if there are no rows

    def add_ranking(self, reply: Reply, *, is_all: bool) -> None:
        """Take a reply that says which groups come first; `is_all`: nothing else is asked of them.

        Else the lines are those of the next reply: until then, rows may be deleted.
        """
        self.ran.append(reply.ran)
        self.groups = max((line.groups for line in reply.lines), default=0)
        ranked = sorted(reply.lines, key=operator.attrgetter("series"))
        self.keys = {line.series: line.keys for line in ranked if line.series > OTHER}
        if is_all:
            self.lines |= {line.series: line for line in ranked}


@dataclass(frozen=True, slots=True)
class Answers:
    """What was found for a range and for the one that it is compared with."""

    current: Answer = field(default_factory=Answer)
    previous: Answer = field(default_factory=Answer)

    @property
    def both(self) -> tuple[Answer, Answer]:
        """The answers, that of the range first."""
        return self.current, self.previous

    @property
    def ran(self) -> list[Ran]:
        """The statements that found it, some of them more than once."""
        return [*self.current.ran, *self.previous.ran]


def presented(rows: Rows, asked: Asked, wanted: Wanted, frames: Frames, found: Answers) -> Result:
    """Return the series of an answer, with their gaps filled."""
    frame, other = frames.current, frames.other
    numbers = _numbers(asked, found)
    whole = OVERALL if asked.keys else 1
    seen = [*numbers, *([whole] if wanted.overall and wanted.overall.columns else [])]
    lines = [answer.lines.get(number) for answer in found.both for number in seen]
    cuts = [each.buckets if each else None for each in (frame, other)]
    shown, old_shown = shown_buckets(cuts, lines, asked.fill)
    times = times_of(frame, shown) if wanted.times else b"[]"
    partial = (
        frame.buckets.partial(frame.span, frames.now) if frame.buckets and wanted.partial else []
    )
    partial_text = msgspec.json.encode(these(partial, shown) if partial else [])
    compared = min(len(shown), len(old_shown))
    whole_table = Table(frozenset(), frozenset(), asked.fill, shown, frames.until)
    if wanted.overall:
        whole_table = replace(
            whole_table, wanted_totals=wanted.overall.totals, wanted_columns=wanted.overall.columns
        )
    overall_totals = whole_table.totals(found.current.lines.get(whole), frame)

    def one(number: int, table: Table, *, is_other: bool = False) -> Series:
        line, old_line = (answer.lines.get(number) for answer in found.both)
        before, old_before = (answer.before.get(number, {}) for answer in found.both)
        old_table = replace(table, shown=old_shown)
        keys = group_keys(asked.keys, found.current.keys.get(number))
        return Series(
            table=rows.table,
            keys=keys,
            label=_OTHER_LABEL if is_other else label(keys) if keys else rows.label,
            is_other=is_other,
            totals=table.totals(line, frame),
            overall_totals=overall_totals,
            previous_totals=old_table.totals(old_line, other) if other else None,
            texts=table.columns(line, frame, before),
            previous_texts=old_table.columns(old_line, other, old_before) if other else None,
            compared=compared,
            times=times,
            partial=partial_text,
        )

    table = replace(whole_table, wanted_totals=wanted.totals, wanted_columns=wanted.columns)
    made = [one(number, table, is_other=bool(asked.keys) and number == OTHER) for number in numbers]
    overall = one(whole, whole_table) if wanted.overall else None
    return Result(
        times,
        made,
        found=bool(found.current.lines),
        overall=overall,
        previous_times=times_of(other, old_shown) if other else None,
    )


def times_of(frame: Frame, shown: Sequence[int]) -> bytes:
    """Return when the shown buckets of a range begin, as the text of an array."""
    return instants(these(frame.buckets.starts, shown) if frame.buckets else ())


def these(of: Sequence[T], shown: Sequence[int]) -> Sequence[T]:
    """Return what belongs to the shown buckets: all, most often."""
    return of if shown == range(len(of)) else [of[n] for n in shown]


def _numbers(asked: Asked, found: Answers) -> list[int]:
    """List the series in their order: the groups as they were ranked, then all others."""
    if not asked.keys:
        return [1]
    others = asked.others and any(OTHER in of.lines for of in (found.current, found.previous))
    return [*found.current.keys, *([OTHER] if others else [])]


def label(keys: Sequence[GroupKey]) -> str:
    """Return what a legend calls a group."""
    return ", ".join(NO_VALUE if key.value is None else key.value for key in keys)


def result_meta(
    ctx: Context, asked: Asked, frames: Frames, ran: Sequence[Ran], groups: int
) -> ResultMeta:
    """Say how an answer was made."""
    distinct = list({id(each): each for each in ran}.values())
    beyond = 0 if asked.others else max(0, groups - asked.offset - asked.limit)
    return ResultMeta(
        range=frames.current.span,
        comparison_range=frames.other.span if frames.other else None,
        total_groups=Long(groups),
        truncated=beyond > 0,
        rows_read=Long(sum(each.rows_read for each in distinct)),
        elapsed_ms=round(sum(each.ms for each in distinct), 3),
        fresh_as_of=ctx.now(),
        warnings=_warnings(ctx, asked, frames, beyond),
        sql=None
        if ctx.production
        else "\n\n".join(each.statement.for_console() for each in distinct),
    )


def _warnings(ctx: Context, asked: Asked, frames: Frames, beyond: int) -> list[Caveat]:
    warnings = []
    if beyond:
        message = f"{beyond} groups are left out (limit {asked.limit})."
        warnings.append(Caveat(code="TRUNCATED", message=message))
    if frames.until - frames.now > CLOCK_TOLERANCE_MS:
        message = f"The newest row is {_length(frames.until - frames.now)} ahead of the clock here."
        warnings.append(Caveat(code="CLOCK_AHEAD", message=message))
    if ctx.store.problems():
        message = "Rows that were acknowledged may be missing: the engine can't load them now."
        warnings.append(Caveat(code="INCOMPLETE", message=message))
    return warnings


def _length(ms: int) -> str:
    """Return a length of time in its two largest units: 1 d 3 h."""
    parts = []
    for unit, name in _UNITS:
        count, ms = divmod(ms, unit)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2])
