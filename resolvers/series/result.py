"""What is answered about series: their keys and labels, and how the answer was made."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

import msgspec

from resolvers.context import Context
from resolvers.query_batch import Reply, StatementRun
from resolvers.series.group_keys import group_keys
from resolvers.series.request import SeriesArguments, SeriesSelection, SeriesSource
from resolvers.series.values import BucketedRange, SeriesValues, Value, visible_buckets
from schema.aggregates import Aggregate
from schema.results import Caveat, GroupKey, ResultMeta
from schema.scalars import Instant, Long
from schema.series import Series, SeriesResult, instants
from store.query.series.types import NO_VALUE, OTHER_SERIES, OVERALL_SERIES, SeriesRow

T = TypeVar("T")

CLOCK_TOLERANCE_MS: Final = 1000
"""Rows may be so much ahead without a warning: clocks differ, and rows come in meanwhile."""

_OTHER_LABEL: Final = "Other"
_UNITS: Final = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s"))


@dataclass(frozen=True, slots=True)
class BucketedRanges:
    """The range of an answer and the one that it is compared with, if any.

    `newest` is the time of the newest row, where that was looked for.
    """

    now: Instant
    newest: Instant | None
    current: BucketedRange
    comparison: BucketedRange | None

    @property
    def ranges(self) -> list[BucketedRange]:
        """The ranges that there are."""
        return [self.current, self.comparison] if self.comparison else [self.current]

    @property
    def data_end(self) -> Instant:
        """Up to when there can be rows: rows may be ahead of the clock."""
        return self.now if self.newest is None else max(self.now, self.newest)


@dataclass(slots=True)
class RangeAnswer:
    """What was found for the series of one range.

    `before` are the values that go before the first buckets of series.
    """

    rows: dict[int, SeriesRow] = field(default_factory=dict)
    keys: dict[int, list[str]] = field(default_factory=dict)
    carried_values: dict[int, dict[Aggregate, Value]] = field(default_factory=dict)
    runs: list[StatementRun] = field(default_factory=list)
    groups: int = 1

    def add(self, reply: Reply) -> None:
        """Take the lines of a reply."""
        self.runs.append(reply.run)
        self.rows |= {line.series: line for line in reply.rows}

    def add_overall(self, reply: Reply) -> None:
        """Take a reply about all rows."""
        self.runs.append(reply.run)
        self.rows |= dict(
            zip([OVERALL_SERIES], reply.rows, strict=False)
        )  # none if there are no rows

    def add_ranking(self, reply: Reply, *, is_all: bool) -> None:
        """Take a reply that says which groups come first; `is_all`: nothing else is asked of them.

        Else the lines are those of the next reply: until then, rows may be deleted.
        """
        self.runs.append(reply.run)
        self.groups = max((line.groups for line in reply.rows), default=0)
        ranked = sorted(reply.rows, key=operator.attrgetter("series"))
        self.keys = {line.series: line.keys for line in ranked if line.series > OTHER_SERIES}
        if is_all:
            self.rows |= {line.series: line for line in ranked}


@dataclass(frozen=True, slots=True)
class Answers:
    """What was found for a range and for the one that it is compared with."""

    current: RangeAnswer = field(default_factory=RangeAnswer)
    previous: RangeAnswer = field(default_factory=RangeAnswer)

    @property
    def pair(self) -> tuple[RangeAnswer, RangeAnswer]:
        """The answers, that of the range first."""
        return self.current, self.previous

    @property
    def runs(self) -> list[StatementRun]:
        """The statements that found it, some of them more than once."""
        return [*self.current.runs, *self.previous.runs]


def present(
    rows: SeriesSource,
    asked: SeriesArguments,
    wanted: SeriesSelection,
    frames: BucketedRanges,
    found: Answers,
) -> SeriesResult:
    """Return the series of an answer, with their gaps filled."""
    frame, other = frames.current, frames.comparison
    numbers = _numbers(asked, found)
    whole = OVERALL_SERIES if asked.group_columns else 1
    seen = [*numbers, *([whole] if wanted.overall and wanted.overall.columns else [])]
    lines = [answer.rows.get(number) for answer in found.pair for number in seen]
    cuts = [each.buckets if each else None for each in (frame, other)]
    shown, old_shown = visible_buckets(cuts, lines, asked.fill)
    times = times_of(frame, shown) if wanted.times else b"[]"
    partial = (
        frame.buckets.partial(frame.time_range, frames.now)
        if frame.buckets and wanted.partial
        else []
    )
    partial_text = msgspec.json.encode(visible_values(partial, shown) if partial else [])
    compared = min(len(shown), len(old_shown))
    whole_table = SeriesValues(frozenset(), frozenset(), asked.fill, shown, frames.data_end)
    if wanted.overall:
        whole_table = replace(
            whole_table, wanted_totals=wanted.overall.totals, wanted_columns=wanted.overall.columns
        )
    overall_totals = whole_table.totals(found.current.rows.get(whole), frame)

    def one(number: int, table: SeriesValues, *, is_other: bool = False) -> Series:
        line, old_line = (answer.rows.get(number) for answer in found.pair)
        before, old_before = (answer.carried_values.get(number, {}) for answer in found.pair)
        old_table = replace(table, visible=old_shown)
        keys = group_keys(asked.group_columns, found.current.keys.get(number))
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
            compared_count=compared,
            times=times,
            partial=partial_text,
        )

    table = replace(whole_table, wanted_totals=wanted.totals, wanted_columns=wanted.columns)
    made = [
        one(number, table, is_other=bool(asked.group_columns) and number == OTHER_SERIES)
        for number in numbers
    ]
    overall = one(whole, whole_table) if wanted.overall else None
    return SeriesResult(
        times,
        made,
        has_rows=bool(found.current.rows),
        overall=overall,
        previous_times=times_of(other, old_shown) if other else None,
    )


def times_of(frame: BucketedRange, shown: Sequence[int]) -> bytes:
    """Return when the shown buckets of a range begin, as the text of an array."""
    return instants(visible_values(frame.buckets.starts, shown) if frame.buckets else ())


def visible_values(of: Sequence[T], shown: Sequence[int]) -> Sequence[T]:
    """Return what belongs to the shown buckets: all, most often."""
    return of if shown == range(len(of)) else [of[n] for n in shown]


def _numbers(asked: SeriesArguments, found: Answers) -> list[int]:
    """List the series in their order: the groups as they were ranked, then all others."""
    if not asked.group_columns:
        return [1]
    others = asked.other_group and any(
        OTHER_SERIES in of.rows for of in (found.current, found.previous)
    )
    return [*found.current.keys, *([OTHER_SERIES] if others else [])]


def label(keys: Sequence[GroupKey]) -> str:
    """Return what a legend calls a group."""
    return ", ".join(NO_VALUE if key.value is None else key.value for key in keys)


def result_meta(
    ctx: Context,
    asked: SeriesArguments,
    frames: BucketedRanges,
    ran: Sequence[StatementRun],
    groups: int,
) -> ResultMeta:
    """Say how an answer was made."""
    distinct = list({id(each): each for each in ran}.values())
    beyond = 0 if asked.other_group else max(0, groups - asked.offset - asked.limit)
    return ResultMeta(
        range=frames.current.time_range,
        comparison_range=frames.comparison.time_range if frames.comparison else None,
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


def _warnings(
    ctx: Context, asked: SeriesArguments, frames: BucketedRanges, beyond: int
) -> list[Caveat]:
    warnings = []
    if beyond:
        message = f"{beyond} groups are left out (limit {asked.limit})."
        warnings.append(Caveat(code="TRUNCATED", message=message))
    if frames.data_end - frames.now > CLOCK_TOLERANCE_MS:
        message = (
            f"The newest row is {_length(frames.data_end - frames.now)} ahead of the clock here."
        )
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
