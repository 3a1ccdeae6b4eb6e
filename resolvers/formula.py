"""Formulas over metrics: arithmetic over aggregates, for each group and for each bucket."""

import asyncio
import keyword
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

import msgspec

from resolvers import metrics, warnings
from resolvers.context import Context
from resolvers.formula_evaluator import ComputedSeries, Evaluator, InputSeries
from resolvers.series.group_keys import group_keys
from resolvers.series.lookback import Lookback
from resolvers.series.queries import SeriesQueries
from resolvers.series.ranges import BucketedRanges, resolve_ranges
from resolvers.series.request import SeriesArguments, SeriesSelection
from resolvers.series.result import (
    RangeAnswer,
    bucket_times,
    group_label,
    result_meta,
    visible_values,
)
from resolvers.series.run import check_arguments, check_cells, fetch_series
from resolvers.series.values import BucketedRange, Value
from schema.buckets import Fill
from schema.encoding import EncodedValue, encoded_text
from schema.errors import bad_input
from schema.series.aggregates import Aggregate, aggregate
from schema.series.formula import FormulaResult, FormulaSeries, NamedMetricInput
from schema.series.results import Caveat, Change, ResultMeta
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
from store.query.tables import METRICS

MAX_INPUTS: Final = 20

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


async def query(
    ctx: Context,
    formula: str,
    metric_inputs: Sequence[NamedMetricInput],
    arguments: SeriesArguments,
    *,
    with_columns: bool,
    with_warnings: bool = False,
) -> FormulaResult:
    """Evaluate a formula: all inputs share one range, one set of buckets, one order of groups.

    Raises `AnalyticsError` that names the input, or the position in the formula.
    """
    _check_inputs(metric_inputs)
    parsed_formula = parse_formula(formula, [metric_input.as_ for metric_input in metric_inputs])
    inputs = [_input_series(ctx, metric_input) for metric_input in metric_inputs]
    arguments = replace(arguments, group_columns=_group_columns(inputs))
    check_arguments(arguments)
    sources = [input_series.source for input_series in inputs]
    ranges = await resolve_ranges(ctx, sources, arguments, with_buckets=with_columns)
    ranking = await _rank_groups(ctx, parsed_formula, inputs, arguments, ranges)
    check_cells(ranges, len(ranking.keys) if arguments.group_columns else 1)
    await _fetch(ctx, inputs, arguments, ranges, ranking, with_columns=with_columns)
    await _check_metrics_exist(ctx, inputs)
    meta = _meta(ctx, inputs, arguments, ranges, ranking)
    if with_warnings:
        meta.warnings += await _warnings(ctx, metric_inputs, inputs)
    evaluator = Evaluator(parsed_formula, inputs, ranges, arguments.fill, with_columns)
    groups = list(ranking.keys) if arguments.group_columns else [1]
    series = [evaluator.series(group, ranking.keys.get(group)) for group in groups]
    return _present(series, formula, arguments, ranges, meta)


def _check_inputs(metric_inputs: Sequence[NamedMetricInput]) -> None:
    if not 1 <= len(metric_inputs) <= MAX_INPUTS:
        raise bad_input("inputs", f"must be 1 to {MAX_INPUTS}", limit=MAX_INPUTS)
    names = [metric_input.as_ for metric_input in metric_inputs]
    if not all(_NAME.fullmatch(name) and not keyword.iskeyword(name) for name in names):
        raise bad_input("inputs.as", "must be letters, digits and underscores, and no Python word")
    if len(set(names)) != len(names):
        raise bad_input("inputs.as", "must differ from one another")
    groupings = {
        tuple(metric_input.group_by) for metric_input in metric_inputs if metric_input.group_by
    }
    if len(groupings) > 1:
        raise bad_input("inputs.groupBy", "must be the same for all inputs that have any")


def _input_series(ctx: Context, metric_input: NamedMetricInput) -> InputSeries:
    return InputSeries(
        name=metric_input.as_,
        source=metrics.metric_source(ctx, metric_input.metric, metric_input.where),
        aggregate=aggregate("metrics", metric_input.aggregate, q=metric_input.q, path="inputs."),
        group_columns=metrics.tag_columns(ctx, metric_input.group_by or []),
    )


def _group_columns(inputs: Sequence[InputSeries]) -> tuple[GroupColumn, ...]:
    """Return the group columns that the grouped inputs share; none if no input is grouped."""
    return next(filter(None, (input_series.group_columns for input_series in inputs)), ())


async def _rank_groups(
    ctx: Context,
    formula: Formula,
    inputs: Sequence[InputSeries],
    arguments: SeriesArguments,
    ranges: BucketedRanges,
) -> RangeAnswer:
    """Rank the groups by the formula; return their keys, and give the inputs their totals."""
    ranking = RangeAnswer()
    if not arguments.group_columns:
        return ranking
    time_range = ranges.current.time_range
    shape = QueryShape(
        table=METRICS.name,
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
        formula_groups=_formula_groups(formula, inputs, arguments, ranges),
    )
    reply = await ctx.batch.run(SeriesQuery(shape, "", frozenset(), frozenset()))
    ranking.add_ranking(reply, is_complete=False)
    for row in reply.rows:
        if row.series != OTHER_SERIES:
            _add_totals(inputs, row)
    return ranking


def _formula_groups(
    formula: Formula,
    inputs: Sequence[InputSeries],
    arguments: SeriesArguments,
    ranges: BucketedRanges,
) -> FormulaGroups:
    time_range = ranges.current.time_range
    return FormulaGroups(
        formula=formula,
        inputs=tuple(
            FormulaInput(
                input_series.name,
                input_series.source.metric,
                input_series.source.condition(time_range),
                input_series.aggregate,
                bool(input_series.group_columns),
            )
            for input_series in inputs
        ),
        missing_is_zero=arguments.fill is Fill.ZERO,
        duration_ms=min(time_range.to, ranges.data_end + 1) - time_range.from_,
    )


def _add_totals(inputs: Sequence[InputSeries], group: SeriesRow) -> None:
    """Give each input its total in a ranked group."""
    for input_series, value in zip(inputs, group.values, strict=True):
        if value is not None:
            number = input_series.series_number(group.series)
            totals: dict[Aggregate, Value] = {in_engine(input_series.aggregate): float(value)}
            row = SeriesRow(input_series.source.metric, number, [], 1, totals, None, {})
            input_series.answers.current.rows[number] = row


async def _fetch(
    ctx: Context,
    inputs: Sequence[InputSeries],
    arguments: SeriesArguments,
    ranges: BucketedRanges,
    ranking: RangeAnswer,
    *,
    with_columns: bool,
) -> None:
    """Fetch the series of all inputs; their queries share statements."""
    await asyncio.gather(
        *(
            _fetch_input(ctx, input_series, arguments, ranges, ranking, with_columns=with_columns)
            for input_series in inputs
        )
    )


async def _fetch_input(
    ctx: Context,
    input_series: InputSeries,
    arguments: SeriesArguments,
    ranges: BucketedRanges,
    ranking: RangeAnswer,
    *,
    with_columns: bool,
) -> None:
    """Fetch the columns of an input, and its totals unless the ranking returned them."""
    if arguments.group_columns and not ranking.keys:
        return
    source, answers = input_series.source, input_series.answers
    with_current = with_columns or not arguments.group_columns
    if with_current:
        answers.current.rows.clear()
    arguments = replace(arguments, group_columns=input_series.group_columns)
    aggregates = frozenset({input_series.aggregate})
    columns = aggregates if with_columns else frozenset()
    selection = SeriesSelection(aggregates, columns, times=with_columns)
    ranked_groups = None
    if input_series.group_columns:
        groups = tuple((source.metric, *texts) for texts in ranking.keys.values())
        ranked_groups = RankedGroups(groups, other_group=False)
    series_queries = SeriesQueries.for_groups(source, arguments, selection)
    await fetch_series(
        ctx, series_queries, ranges, answers, ranked_groups, with_current=with_current
    )
    await Lookback(ctx, source, arguments, ranges, columns, ranked_groups).add_to(answers)


async def _check_metrics_exist(ctx: Context, inputs: Sequence[InputSeries]) -> None:
    """Raise NOT_FOUND if an input without rows names a metric that does not exist."""
    names = dict.fromkeys(
        input_series.source.metric
        for input_series in inputs
        if not input_series.answers.current.rows
    )
    await asyncio.gather(*(metrics.check_exists(ctx, name) for name in names))


def _meta(
    ctx: Context,
    inputs: Sequence[InputSeries],
    arguments: SeriesArguments,
    ranges: BucketedRanges,
    ranking: RangeAnswer,
) -> ResultMeta:
    runs = [*ranking.runs, *(run for input_series in inputs for run in input_series.answers.runs)]
    return result_meta(ctx, arguments, ranges, runs, ranking.total_groups)


async def _warnings(
    ctx: Context, metric_inputs: Sequence[NamedMetricInput], inputs: Sequence[InputSeries]
) -> list[Caveat]:
    """Return the warnings about each input; their fields are paths from `inputs` on."""
    warnings_by_input = await asyncio.gather(
        *(
            warnings.metric_warnings(
                ctx,
                metric_input.metric,
                metric_input.where,
                input_series.group_columns,
                [input_series.aggregate.kind],
            )
            for metric_input, input_series in zip(metric_inputs, inputs, strict=True)
        )
    )
    return [
        replace(caveat, field=f"inputs[{index}].{caveat.field or 'aggregate'}")
        for index, caveats in enumerate(warnings_by_input)
        for caveat in caveats
    ]


def _present(
    series: Sequence[ComputedSeries],
    formula: str,
    arguments: SeriesArguments,
    ranges: BucketedRanges,
    meta: ResultMeta,
) -> FormulaResult:
    """Return the result of a formula; a series without groups has the formula as its label."""
    indexes, previous_indexes = _visible_buckets(series, ranges, arguments.fill)
    has_comparison = ranges.comparison is not None
    times = bucket_times(ranges.current, indexes)
    previous_times = (
        bucket_times(ranges.comparison, previous_indexes) if ranges.comparison else None
    )

    def formula_series(computed_series: ComputedSeries) -> FormulaSeries:
        keys = group_keys(arguments.group_columns, computed_series.texts)
        total, previous_total = computed_series.total, computed_series.previous_total
        previous_column = _encode_column(computed_series.previous_column, previous_indexes)
        return FormulaSeries(
            key=keys,
            label=group_label(keys) if keys else formula,
            total=total,
            change=Change.from_values(total, previous_total) if has_comparison else None,
            column=_encode_column(computed_series.column, indexes),
            previous_column=previous_column if has_comparison else None,
        )

    return FormulaResult(
        encoded_times=encoded_text(times),
        encoded_previous_times=None if previous_times is None else encoded_text(previous_times),
        series=[formula_series(computed_series) for computed_series in series],
        meta=meta,
    )


def _visible_buckets(
    series: Iterable[ComputedSeries], ranges: BucketedRanges, fill: Fill
) -> tuple[Sequence[int], Sequence[int]]:
    """Return the indexes of the visible buckets of the current and of the comparison range.

    With `fill: NONE` a bucket is visible if it is present in any series; else all are visible.
    Buckets of two ranges with the same index are visible together.
    """
    count, previous_count = _bucket_count(ranges.current), _bucket_count(ranges.comparison)
    if fill is not Fill.NONE:
        return range(count), range(previous_count)
    present = sorted({index for computed_series in series for index in computed_series.present})
    return (
        [index for index in present if index < count],
        [index for index in present if index < previous_count],
    )


def _bucket_count(bucketed_range: BucketedRange | None) -> int:
    return len(bucketed_range.buckets.starts) if bucketed_range and bucketed_range.buckets else 0


def _encode_column(column: Sequence[Value], indexes: Sequence[int]) -> EncodedValue:
    return encoded_text(msgspec.json.encode(visible_values(column, indexes)))
