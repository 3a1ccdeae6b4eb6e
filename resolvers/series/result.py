"""The result of a series query: answers for its ranges, presented series, and the result's meta."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

import msgspec

from resolvers.context import Context
from resolvers.query_batch import Reply, StatementRun
from resolvers.series.group_keys import group_keys
from resolvers.series.ranges import BucketedRanges
from resolvers.series.request import SeriesArguments, SeriesSelection, SeriesSource
from resolvers.series.values import BucketedRange, SeriesValues, Value, visible_buckets
from schema.access import Scope
from schema.scalars import Long
from schema.series.aggregates import Aggregate
from schema.series.bucket_times import instants
from schema.series.results import Caveat, GroupKey, ResultMeta
from schema.series.series import Series, SeriesResult, Totals
from store.query.series.types import NO_VALUE, OTHER_SERIES, OVERALL_SERIES, SeriesRow

T = TypeVar("T")

CLOCK_TOLERANCE_MS: Final = 1000
"""The newest row may be 1000 ms ahead without a warning.

Clocks differ, and rows arrive while a query runs.
"""

_OTHER_LABEL: Final = "Other"
_UNITS: Final = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s"))


@dataclass(slots=True)
class RangeAnswer:
    """The answer for one time range: rows, group keys and carried values by series number.

    `carried_values` fill the first buckets of a series with `fill: PREVIOUS`.
    """

    rows: dict[int, SeriesRow] = field(default_factory=dict)
    keys: dict[int, list[str]] = field(default_factory=dict)
    carried_values: dict[int, dict[Aggregate, Value]] = field(default_factory=dict)
    runs: list[StatementRun] = field(default_factory=list)
    total_groups: int = 1

    def add(self, reply: Reply) -> None:
        """Add the rows of a reply."""
        self.runs.append(reply.run)
        self.rows |= {row.series: row for row in reply.rows}

    def add_overall(self, reply: Reply) -> None:
        """Add a reply without groups as the overall series; it has one row, or none."""
        self.runs.append(reply.run)
        if reply.rows:
            self.rows[OVERALL_SERIES] = reply.rows[0]

    def add_ranking(self, reply: Reply, *, is_complete: bool) -> None:
        """Add the keys of ranked groups; add their rows only if the ranking `is_complete`.

        Otherwise the rows come with the next reply: rows may be deleted between the two.
        """
        self.runs.append(reply.run)
        self.total_groups = max((row.groups for row in reply.rows), default=0)
        rows = sorted(reply.rows, key=operator.attrgetter("series"))
        self.keys = {row.series: row.keys for row in rows if row.series > OTHER_SERIES}
        if is_complete:
            self.rows |= {row.series: row for row in rows}


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers for the current range and for the range that it is compared with."""

    current: RangeAnswer = field(default_factory=RangeAnswer)
    previous: RangeAnswer = field(default_factory=RangeAnswer)

    @property
    def pair(self) -> tuple[RangeAnswer, RangeAnswer]:
        """The answers, the current range first."""
        return self.current, self.previous

    @property
    def runs(self) -> list[StatementRun]:
        """The statements that ran; a statement that answered several queries is repeated."""
        return [*self.current.runs, *self.previous.runs]


@dataclass(frozen=True, slots=True)
class _SeriesBuilder:
    """Builds the series of a result from the answers.

    `indexes` are the visible buckets of the current range, `previous_indexes` those of the
    comparison range.
    """

    source: SeriesSource
    arguments: SeriesArguments
    ranges: BucketedRanges
    answers: Answers
    indexes: Sequence[int]
    previous_indexes: Sequence[int]
    times: bytes
    partial: bytes

    def series(
        self, number: int, selection: SeriesSelection, overall_totals: Totals | None = None
    ) -> Series:
        """Return a series by its number; without `overall_totals` it is the overall series."""
        answers, ranges = self.answers, self.ranges
        totals, texts = self._values(
            number, selection, answers.current, ranges.current, self.indexes
        )
        previous_totals = previous_texts = None
        if ranges.comparison:
            previous_totals, previous_texts = self._values(
                number, selection, answers.previous, ranges.comparison, self.previous_indexes
            )
        is_other = number == OTHER_SERIES
        keys = group_keys(self.arguments.group_columns, answers.current.keys.get(number))
        return Series(
            table=self.source.table,
            keys=keys,
            label=_OTHER_LABEL if is_other else group_label(keys) if keys else self.source.label,
            is_other=is_other,
            totals=totals,
            overall_totals=totals if overall_totals is None else overall_totals,
            previous_totals=previous_totals,
            texts=texts,
            previous_texts=previous_texts,
            compared_count=min(len(self.indexes), len(self.previous_indexes)),
            times=self.times,
            partial=self.partial,
        )

    def _values(
        self,
        number: int,
        selection: SeriesSelection,
        answer: RangeAnswer,
        bucketed_range: BucketedRange,
        indexes: Sequence[int],
    ) -> tuple[Totals, dict[Aggregate, bytes]]:
        """Return the totals and the columns of a series in one range."""
        values = SeriesValues(
            selection.totals,
            selection.columns,
            self.arguments.fill,
            indexes,
            self.ranges.data_end,
        )
        row = answer.rows.get(number)
        carried_values = answer.carried_values.get(number, {})
        return (
            values.totals(row, bucketed_range),
            values.columns(row, bucketed_range, carried_values),
        )


def present(
    source: SeriesSource,
    arguments: SeriesArguments,
    selection: SeriesSelection,
    ranges: BucketedRanges,
    answers: Answers,
) -> SeriesResult:
    """Return the series of the answers, in their order and with filled gaps."""
    series_numbers = _series_numbers(arguments, answers)
    overall_number = OVERALL_SERIES if arguments.group_columns else 1
    has_overall_columns = bool(selection.overall and selection.overall.columns)
    column_numbers = [*series_numbers, *([overall_number] if has_overall_columns else [])]
    indexes, previous_indexes = visible_buckets(
        [ranges.current.buckets, ranges.comparison.buckets if ranges.comparison else None],
        [answer.rows.get(number) for answer in answers.pair for number in column_numbers],
        arguments.fill,
    )
    builder = _SeriesBuilder(
        source,
        arguments,
        ranges,
        answers,
        indexes,
        previous_indexes,
        times=bucket_times(ranges.current, indexes) if selection.times else b"[]",
        partial=_partial_flags(ranges, indexes) if selection.partial else b"[]",
    )
    overall = builder.series(overall_number, selection.overall) if selection.overall else None
    overall_totals = overall.totals if overall else {}
    return SeriesResult(
        builder.times,
        [builder.series(number, selection, overall_totals) for number in series_numbers],
        has_rows=bool(answers.current.rows),
        overall=overall,
        previous_times=(
            bucket_times(ranges.comparison, previous_indexes) if ranges.comparison else None
        ),
    )


def bucket_times(bucketed_range: BucketedRange, indexes: Sequence[int]) -> bytes:
    """Return the start times of the visible buckets, as the text of a JSON array."""
    buckets = bucketed_range.buckets
    return instants(visible_values(buckets.starts, indexes) if buckets else ())


def _partial_flags(ranges: BucketedRanges, indexes: Sequence[int]) -> bytes:
    """Return whether each visible bucket is partial, as the text of a JSON array."""
    current = ranges.current
    flags = current.buckets.partial(current.time_range, ranges.now) if current.buckets else []
    return msgspec.json.encode(visible_values(flags, indexes) if flags else [])


def visible_values(values: Sequence[T], indexes: Sequence[int]) -> Sequence[T]:
    """Return the values at the indexes of visible buckets; no copy if all are visible."""
    return values if indexes == range(len(values)) else [values[index] for index in indexes]


def _series_numbers(arguments: SeriesArguments, answers: Answers) -> list[int]:
    """List the numbers of the series in their order: ranked groups, then the other group."""
    if not arguments.group_columns:
        return [1]
    has_other_group = arguments.other_group and any(
        OTHER_SERIES in answer.rows for answer in answers.pair
    )
    return [*answers.current.keys, *([OTHER_SERIES] if has_other_group else [])]


def group_label(keys: Sequence[GroupKey]) -> str:
    """Return the label of a group in a legend."""
    return ", ".join(NO_VALUE if key.value is None else key.value for key in keys)


def result_meta(
    ctx: Context,
    arguments: SeriesArguments,
    ranges: BucketedRanges,
    runs: Sequence[StatementRun],
    total_groups: int,
) -> ResultMeta:
    """Return the meta of a result: ranges, groups, costs, warnings, and the SQL for operators.

    A statement that answered several queries counts once.
    """
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
        sql=_console_text(distinct_runs) if Scope.OPERATE in ctx.grant.scopes else None,
    )


def _console_text(runs: Sequence[StatementRun]) -> str:
    return "\n\n".join(run.statement.for_console() for run in runs)


def _warnings(
    ctx: Context, arguments: SeriesArguments, ranges: BucketedRanges, omitted_groups: int
) -> list[Caveat]:
    warnings = []
    if omitted_groups:
        message = f"{omitted_groups} groups are left out (limit {arguments.limit})."
        warnings.append(Caveat(code="TRUNCATED", message=message))
    ahead_ms = ranges.data_end - ranges.now
    if ahead_ms > CLOCK_TOLERANCE_MS:
        message = f"The newest row is {_duration(ahead_ms)} ahead of the clock here."
        warnings.append(Caveat(code="CLOCK_AHEAD", message=message))
    if ctx.store.problems():
        message = "Rows that were acknowledged may be missing: the engine can't load them now."
        warnings.append(Caveat(code="INCOMPLETE", message=message))
    return warnings


def _duration(ms: int) -> str:
    """Return a duration in its two largest units, such as `1 d 3 h`."""
    texts = []
    for unit_ms, unit in _UNITS:
        count, ms = divmod(ms, unit_ms)
        if count:
            texts.append(f"{count} {unit}")
    return " ".join(texts[:2])
