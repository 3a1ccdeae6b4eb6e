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
    total_groups: int = 1

    def add(self, reply: Reply) -> None:
        """Take the lines of a reply."""
        self.runs.append(reply.run)
        self.rows |= {row.series: row for row in reply.rows}

    def add_overall(self, reply: Reply) -> None:
        """Take a reply about all rows."""
        self.runs.append(reply.run)
        self.rows |= dict(
            zip([OVERALL_SERIES], reply.rows, strict=False)
        )  # none if there are no rows

    def add_ranking(self, reply: Reply, *, is_complete: bool) -> None:
        """Take a reply that says which groups come first; `is_all`: nothing else is asked of them.

        Else the lines are those of the next reply: until then, rows may be deleted.
        """
        self.runs.append(reply.run)
        self.total_groups = max((row.groups for row in reply.rows), default=0)
        rows = sorted(reply.rows, key=operator.attrgetter("series"))
        self.keys = {row.series: row.keys for row in rows if row.series > OTHER_SERIES}
        if is_complete:
            self.rows |= {row.series: row for row in rows}


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
    source: SeriesSource,
    arguments: SeriesArguments,
    selection: SeriesSelection,
    ranges: BucketedRanges,
    answers: Answers,
) -> SeriesResult:
    """Return the series of an answer, with their gaps filled."""
    current, comparison = ranges.current, ranges.comparison
    series_numbers = _series_numbers(arguments, answers)
    overall_number = OVERALL_SERIES if arguments.group_columns else 1
    visible_numbers = [
        *series_numbers,
        *([overall_number] if selection.overall and selection.overall.columns else []),
    ]
    rows = [
        answer.rows.get(series_number)
        for answer in answers.pair
        for series_number in visible_numbers
    ]
    buckets_by_range = [
        bucketed_range.buckets if bucketed_range else None
        for bucketed_range in (current, comparison)
    ]
    indexes, previous_indexes = visible_buckets(buckets_by_range, rows, arguments.fill)
    times = bucket_times(current, indexes) if selection.times else b"[]"
    partial = (
        current.buckets.partial(current.time_range, ranges.now)
        if current.buckets and selection.partial
        else []
    )
    partial_text = msgspec.json.encode(visible_values(partial, indexes) if partial else [])
    compared_count = min(len(indexes), len(previous_indexes))
    overall_values = SeriesValues(
        frozenset(), frozenset(), arguments.fill, indexes, ranges.data_end
    )
    if selection.overall:
        overall_values = replace(
            overall_values,
            total_aggregates=selection.overall.totals,
            column_aggregates=selection.overall.columns,
        )
    overall_totals = overall_values.totals(answers.current.rows.get(overall_number), current)

    def series(series_number: int, values: SeriesValues, *, is_other: bool = False) -> Series:
        row, previous_row = (answer.rows.get(series_number) for answer in answers.pair)
        carried_values, previous_carried_values = (
            answer.carried_values.get(series_number, {}) for answer in answers.pair
        )
        previous_values = replace(values, bucket_indexes=previous_indexes)
        keys = group_keys(arguments.group_columns, answers.current.keys.get(series_number))
        return Series(
            table=source.table,
            keys=keys,
            label=_OTHER_LABEL if is_other else group_label(keys) if keys else source.label,
            is_other=is_other,
            totals=values.totals(row, current),
            overall_totals=overall_totals,
            previous_totals=previous_values.totals(previous_row, comparison)
            if comparison
            else None,
            texts=values.columns(row, current, carried_values),
            previous_texts=previous_values.columns(
                previous_row, comparison, previous_carried_values
            )
            if comparison
            else None,
            compared_count=compared_count,
            times=times,
            partial=partial_text,
        )

    values = replace(
        overall_values, total_aggregates=selection.totals, column_aggregates=selection.columns
    )
    group_series = [
        series(
            series_number,
            values,
            is_other=bool(arguments.group_columns) and series_number == OTHER_SERIES,
        )
        for series_number in series_numbers
    ]
    overall = series(overall_number, overall_values) if selection.overall else None
    return SeriesResult(
        times,
        group_series,
        has_rows=bool(answers.current.rows),
        overall=overall,
        previous_times=bucket_times(comparison, previous_indexes) if comparison else None,
    )


def bucket_times(bucketed_range: BucketedRange, indexes: Sequence[int]) -> bytes:
    """Return when the shown buckets of a range begin, as the text of an array."""
    return instants(
        visible_values(bucketed_range.buckets.starts, indexes) if bucketed_range.buckets else ()
    )


def visible_values(values: Sequence[T], indexes: Sequence[int]) -> Sequence[T]:
    """Return what belongs to the shown buckets: all, most often."""
    return values if indexes == range(len(values)) else [values[index] for index in indexes]


def _series_numbers(arguments: SeriesArguments, answers: Answers) -> list[int]:
    """List the series in their order: the groups as they were ranked, then all others."""
    if not arguments.group_columns:
        return [1]
    has_other_group = arguments.other_group and any(
        OTHER_SERIES in answer.rows for answer in (answers.current, answers.previous)
    )
    return [*answers.current.keys, *([OTHER_SERIES] if has_other_group else [])]


def group_label(keys: Sequence[GroupKey]) -> str:
    """Return what a legend calls a group."""
    return ", ".join(NO_VALUE if key.value is None else key.value for key in keys)


def result_meta(
    ctx: Context,
    arguments: SeriesArguments,
    ranges: BucketedRanges,
    runs: Sequence[StatementRun],
    total_groups: int,
) -> ResultMeta:
    """Say how an answer was made."""
    distinct_runs = list({id(run): run for run in runs}.values())
    omitted_groups = (
        0 if arguments.other_group else max(0, total_groups - arguments.offset - arguments.limit)
    )
    return ResultMeta(
        range=ranges.current.time_range,
        comparison_range=ranges.comparison.time_range if ranges.comparison else None,
        total_groups=Long(total_groups),
        truncated=omitted_groups > 0,
        rows_read=Long(sum(run.rows_read for run in distinct_runs)),
        elapsed_ms=round(sum(run.elapsed_ms for run in distinct_runs), 3),
        fresh_as_of=ctx.now(),
        warnings=_warnings(ctx, arguments, ranges, omitted_groups),
        sql=None
        if ctx.production
        else "\n\n".join(run.statement.for_console() for run in distinct_runs),
    )


def _warnings(
    ctx: Context, arguments: SeriesArguments, ranges: BucketedRanges, omitted_groups: int
) -> list[Caveat]:
    warnings = []
    if omitted_groups:
        message = f"{omitted_groups} groups are left out (limit {arguments.limit})."
        warnings.append(Caveat(code="TRUNCATED", message=message))
    if ranges.data_end - ranges.now > CLOCK_TOLERANCE_MS:
        message = (
            f"The newest row is {_length(ranges.data_end - ranges.now)} ahead of the clock here."
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
