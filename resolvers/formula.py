"""Formulas: arithmetic over aggregates of metrics, series by series and bucket by bucket."""

import asyncio
import keyword
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from resolvers import metrics, warnings
from resolvers.context import Context
from resolvers.series.group_keys import group_keys
from resolvers.series.lookback import Lookback
from resolvers.series.request import SeriesArguments, SeriesSelection, SeriesSource
from resolvers.series.result import (
    Answers,
    BucketedRanges,
    RangeAnswer,
    bucket_times,
    group_label,
    result_meta,
    visible_values,
)
from resolvers.series.run import (
    SeriesQueries,
    check_arguments,
    check_cells,
    fetch_series,
    resolve_ranges,
)
from resolvers.series.values import BucketedRange, SeriesValues, Value
from schema.aggregates import Aggregate, aggregate
from schema.buckets import Fill
from schema.errors import bad_input
from schema.formula import FormulaResult, FormulaSeries, NamedMetricInput
from schema.ready import Encoded
from schema.results import Caveat, Change, GroupKey
from store.query.series.aggregates import in_engine
from store.query.series.formulas import Formula, parse_formula
from store.query.series.types import (
    OTHER_SERIES,
    FormulaGroups,
    FormulaInput,
    GroupColumn,
    QueryShape,
    RankedGroups,
    Ranking,
    SeriesQuery,
    SeriesRow,
)

MAX_INPUTS: Final = 20

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_COLUMN: Final = msgspec.json.Decoder(list[Value])
_INDEXES: Final = msgspec.json.Decoder(list[int])


@dataclass(frozen=True, slots=True)
class _Input:
    """An input of a formula, and what is found for it; `keys` are empty if it has no groups."""

    name: str
    source: SeriesSource
    aggregate: Aggregate
    group_columns: tuple[GroupColumn, ...]
    answers: Answers = field(default_factory=Answers)

    def has_series(self, number: int) -> bool:
        """Say whether it has rows of a group in the range; without groups it stands beside all."""
        return not self.group_columns or number in self.answers.current.rows

    def row(self, answer: RangeAnswer, number: int) -> SeriesRow | None:
        """Return its line of a group."""
        return answer.rows.get(number if self.group_columns else 1)


async def query(
    ctx: Context,
    formula: str,
    inputs: Sequence[NamedMetricInput],
    arguments: SeriesArguments,
    *,
    with_columns: bool,
    with_warnings: bool = False,
) -> FormulaResult:
    """Answer a formula: one range, one set of buckets and one order of groups for all inputs.

    Raises `AnalyticsError` that names the input or the place in the formula.
    """
    _check_inputs(inputs)
    parsed_formula = parse_formula(formula, [formula_input.as_ for formula_input in inputs])
    formula_inputs = [_formula_input(ctx, formula_input) for formula_input in inputs]
    arguments = replace(
        arguments,
        group_columns=next(
            (
                formula_input.group_columns
                for formula_input in formula_inputs
                if formula_input.group_columns
            ),
            (),
        ),
    )
    check_arguments(arguments)
    ranges = await resolve_ranges(
        ctx,
        [formula_input.source for formula_input in formula_inputs],
        arguments,
        with_buckets=with_columns,
    )
    groups = await _rank_groups(ctx, parsed_formula, formula_inputs, arguments, ranges)
    check_cells(ranges, len(groups.keys) if arguments.group_columns else 1)
    await asyncio.gather(
        *(
            _fetch(ctx, formula_input, arguments, ranges, groups, columns=with_columns)
            for formula_input in formula_inputs
        )
    )
    await _check_metrics_exist(ctx, formula_inputs)
    evaluator = _Evaluator(parsed_formula, formula_inputs, ranges, arguments.fill, with_columns)
    series_numbers = list(groups.keys) if arguments.group_columns else [1]
    computed_series = [evaluator.row(series_number) for series_number in series_numbers]
    indexes, previous_indexes = _visible_buckets(computed_series, ranges, arguments.fill)
    runs = [
        *groups.runs,
        *(runs for formula_input in formula_inputs for runs in formula_input.answers.runs),
    ]
    meta = result_meta(ctx, arguments, ranges, runs, groups.total_groups)
    if with_warnings:
        meta.warnings += await _warnings(ctx, inputs, formula_inputs)
    previous_times = (
        bucket_times(ranges.comparison, previous_indexes) if ranges.comparison else None
    )
    return FormulaResult(
        begins=Encoded(msgspec.Raw(bucket_times(ranges.current, indexes))),
        previous_begins=None if previous_times is None else Encoded(msgspec.Raw(previous_times)),
        series=[
            _series(
                series,
                (indexes, previous_indexes),
                group_keys(arguments.group_columns, groups.keys.get(series_number)),
                formula,
            )
            for series_number, series in zip(series_numbers, computed_series, strict=True)
        ],
        meta=meta,
    )


async def _warnings(
    ctx: Context, inputs: Sequence[NamedMetricInput], formula_inputs: Sequence[_Input]
) -> list[Caveat]:
    """Return the warnings about each input, which name its arguments."""
    warnings_by_input = await asyncio.gather(
        *(
            warnings.metric_warnings(
                ctx,
                metric_input.metric,
                metric_input.where,
                formula_input.group_columns,
                [formula_input.aggregate.kind],
            )
            for metric_input, formula_input in zip(inputs, formula_inputs, strict=True)
        )
    )
    return [
        replace(caveat, field=f"inputs[{index}].{caveat.field or 'aggregate'}")
        for index, caveats in enumerate(warnings_by_input)
        for caveat in caveats
    ]


def _check_inputs(inputs: Sequence[NamedMetricInput]) -> None:
    if not 1 <= len(inputs) <= MAX_INPUTS:
        raise bad_input("inputs", f"must be 1 to {MAX_INPUTS}", limit=MAX_INPUTS)
    names = [metric_input.as_ for metric_input in inputs]
    if not all(_NAME.fullmatch(name) and not keyword.iskeyword(name) for name in names):
        raise bad_input("inputs.as", "must be letters, digits and underscores, and no Python word")
    if len(set(names)) != len(names):
        raise bad_input("inputs.as", "must differ from one another")
    if len({tuple(metric_input.group_by) for metric_input in inputs if metric_input.group_by}) > 1:
        raise bad_input("inputs.groupBy", "must be the same for all inputs that have any")


def _formula_input(ctx: Context, metric_input: NamedMetricInput) -> _Input:
    return _Input(
        name=metric_input.as_,
        source=metrics.metric_source(ctx, metric_input.metric, metric_input.where),
        aggregate=aggregate("metrics", metric_input.aggregate, q=metric_input.q, at="inputs."),
        group_columns=metrics.tag_columns(ctx, metric_input.group_by or []),
    )


async def _rank_groups(
    ctx: Context,
    formula: Formula,
    inputs: Sequence[_Input],
    arguments: SeriesArguments,
    ranges: BucketedRanges,
) -> RangeAnswer:
    """Find the groups that are shown, in their order, and the totals of the inputs there."""
    groups = RangeAnswer()
    if not arguments.group_columns:
        return groups
    time_range = ranges.current.time_range
    formula_groups = FormulaGroups(
        formula=formula,
        inputs=tuple(
            FormulaInput(
                formula_input.name,
                formula_input.source.metric,
                formula_input.source.condition(time_range),
                formula_input.aggregate,
                bool(formula_input.group_columns),
            )
            for formula_input in inputs
        ),
        zero=arguments.fill is Fill.ZERO,
        ms=min(time_range.to, ranges.data_end + 1) - time_range.from_,
    )
    shape = QueryShape(
        table="metrics",
        condition="",
        time_range=(time_range.from_, time_range.to),
        by_name=False,
        group_columns=arguments.group_columns,
        ranking=Ranking(
            arguments.order,
            arguments.limit,
            arguments.other_group,
            arguments.offset,
            arguments.search,
        ),
        formula_groups=formula_groups,
    )
    reply = await ctx.batch.run(SeriesQuery(shape, "", frozenset(), frozenset()))
    groups.add_ranking(reply, is_complete=False)
    for row in reply.rows:
        if row.series != OTHER_SERIES:
            _take_totals(inputs, row)
    return groups


def _take_totals(inputs: Sequence[_Input], group: SeriesRow) -> None:
    for formula_input, value in zip(inputs, group.values, strict=True):
        if value is not None:
            series_number = group.series if formula_input.group_columns else 1
            total = SeriesRow(
                formula_input.source.metric,
                series_number,
                [],
                1,
                {in_engine(formula_input.aggregate): float(value)},
                None,
                {},
            )
            formula_input.answers.current.rows[series_number] = total


async def _fetch(
    ctx: Context,
    formula_input: _Input,
    arguments: SeriesArguments,
    ranges: BucketedRanges,
    groups: RangeAnswer,
    *,
    columns: bool,
) -> None:
    """Ask for the columns of an input, and for its totals where these are not known yet."""
    if arguments.group_columns and not groups.keys:
        return
    selection = SeriesSelection(
        frozenset({formula_input.aggregate}),
        frozenset({formula_input.aggregate} if columns else ()),
        times=columns,
    )
    series_queries = SeriesQueries.for_groups(
        formula_input.source,
        replace(arguments, group_columns=formula_input.group_columns),
        selection,
    )
    ranked_groups = None
    if formula_input.group_columns:
        group_texts = tuple((formula_input.source.metric, *texts) for texts in groups.keys.values())
        ranked_groups = RankedGroups(group_texts, other_group=False)
    current = columns or not arguments.group_columns
    if current:
        formula_input.answers.current.rows.clear()
    await fetch_series(
        ctx, series_queries, ranges, formula_input.answers, ranked_groups, current=current
    )
    arguments = replace(arguments, group_columns=formula_input.group_columns)
    lookback = Lookback(
        ctx, formula_input.source, arguments, ranges, selection.columns, ranked_groups
    )
    await lookback.add_to(formula_input.answers)


async def _check_metrics_exist(ctx: Context, inputs: Sequence[_Input]) -> None:
    """Raise NOT_FOUND for an input of which nothing was found because there is no such metric."""
    names = dict.fromkeys(
        formula_input.source.metric
        for formula_input in inputs
        if not formula_input.answers.current.rows
    )
    await asyncio.gather(*(metrics.check_exists(ctx, name) for name in names))


@dataclass(frozen=True, slots=True)
class _ComputedSeries:
    """A series of a formula, over all buckets; in the `present` ones it has a value."""

    total: Value
    column: list[Value]
    previous_total: Value
    previous_column: list[Value]
    compared: bool
    present: frozenset[int]


@dataclass(frozen=True, slots=True)
class _Evaluator:
    """Computes a formula from the inputs' values, which are joined by group and by bucket."""

    formula: Formula
    inputs: Sequence[_Input]
    frames: BucketedRanges
    fill: Fill
    columns: bool

    def row(self, series_number: int) -> _ComputedSeries:
        """Compute the series of a group."""
        frames = self.frames
        current = {
            formula_input.name: formula_input.answers.current for formula_input in self.inputs
        }
        previous = {
            formula_input.name: formula_input.answers.previous for formula_input in self.inputs
        }
        total, column = self._computed(series_number, current, frames.current)
        previous_total_and_column = (
            self._computed(series_number, previous, frames.comparison)
            if frames.comparison
            else (None, [])
        )
        present = {
            n
            for answers, values in ((current, column), (previous, previous_total_and_column[1]))
            for n in self._present(series_number, answers)
            if values[n] is not None
        }
        return _ComputedSeries(
            total,
            column,
            *previous_total_and_column,
            frames.comparison is not None,
            frozenset(present),
        )

    def _present(self, series_number: int, answers: Mapping[str, RangeAnswer]) -> set[int]:
        """Return the buckets in which an input has rows, where others are to be left out."""
        present: set[int] = set()
        for formula_input in self.inputs if self.fill is Fill.NONE else ():
            row = formula_input.row(answers[formula_input.name], series_number)
            if row and row.buckets is not None:
                present.update(_INDEXES.decode(row.buckets))
        return present

    def _computed(
        self, series_number: int, answers: Mapping[str, RangeAnswer], bucketed_range: BucketedRange
    ) -> tuple[Value, list[Value]]:
        """Compute the total and the column over one range."""
        totals: dict[str, Value] = {}
        columns: dict[str, list[Value]] = {}
        for formula_input in self.inputs:
            total, column = self._values(
                formula_input, series_number, answers[formula_input.name], bucketed_range
            )
            totals[formula_input.name] = total
            columns[formula_input.name] = column
        rows = zip(*columns.values(), strict=True)
        values = [self.formula.compute(dict(zip(columns, row, strict=True))) for row in rows]
        return self.formula.compute(totals), values

    def _values(
        self,
        formula_input: _Input,
        series_number: int,
        answer: RangeAnswer,
        bucketed_range: BucketedRange,
    ) -> tuple[Value, list[Value]]:
        """Return the total and the column of an input, filled."""
        range_buckets = bucketed_range.buckets
        count = len(range_buckets.starts) if range_buckets and self.columns else 0
        row = formula_input.row(answer, series_number)
        if row is None and not formula_input.has_series(series_number):
            missing = 0 if self.fill is Fill.ZERO else None
            return missing, [missing] * count
        fill = Fill.NULL if self.fill is Fill.NONE else self.fill
        value = frozenset({formula_input.aggregate})
        columns = value if count else frozenset()
        series_values = SeriesValues(value, columns, fill, range(count), self.frames.data_end)
        carried_values = answer.carried_values.get(
            series_number if formula_input.group_columns else 1, {}
        )
        texts = series_values.columns(row, bucketed_range, carried_values)
        column = _COLUMN.decode(texts[formula_input.aggregate]) if count else []
        return series_values.totals(row, bucketed_range)[formula_input.aggregate], column


def _visible_buckets(
    rows: Iterable[_ComputedSeries], ranges: BucketedRanges, fill: Fill
) -> list[Sequence[int]]:
    """Return which buckets of both ranges are shown: without filling, those with a value.

    Buckets of two ranges belong together by their number, and are shown together.
    """
    buckets_by_range = [
        bucketed_range.buckets if bucketed_range else None
        for bucketed_range in (ranges.current, ranges.comparison)
    ]
    counts = [len(buckets.starts) if buckets else 0 for buckets in buckets_by_range]
    if fill is not Fill.NONE:
        return [range(count) for count in counts]
    present = sorted({index for row in rows for index in row.present})
    return [[index for index in present if index < count] for count in counts]


def _series(
    series: _ComputedSeries,
    bucket_indexes: tuple[Sequence[int], Sequence[int]],
    keys: list[GroupKey],
    text: str,
) -> FormulaSeries:
    return FormulaSeries(
        key=keys,
        label=group_label(keys) if keys else text,
        total=series.total,
        change=Change.from_values(series.total, series.previous_total) if series.compared else None,
        column=_encode_column(series.column, bucket_indexes[0]),
        previous_column=_encode_column(series.previous_column, bucket_indexes[1])
        if series.compared
        else None,
    )


def _encode_column(column: Sequence[Value], bucket_indexes: Sequence[int]) -> Encoded:
    return Encoded(msgspec.Raw(msgspec.json.encode(visible_values(column, bucket_indexes))))
