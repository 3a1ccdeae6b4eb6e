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
    label,
    result_meta,
    times_of,
    visible_values,
)
from resolvers.series.run import SeriesQueries, check_arguments, check_cells, fetch, resolve_ranges
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
    rows: SeriesSource
    value: Aggregate
    keys: tuple[GroupColumn, ...]
    found: Answers = field(default_factory=Answers)

    def has(self, number: int) -> bool:
        """Say whether it has rows of a group in the range; without groups it stands beside all."""
        return not self.keys or number in self.found.current.rows

    def line(self, answer: RangeAnswer, number: int) -> SeriesRow | None:
        """Return its line of a group."""
        return answer.rows.get(number if self.keys else 1)


async def query(
    ctx: Context,
    formula: str,
    inputs: Sequence[NamedMetricInput],
    asked: SeriesArguments,
    *,
    columns: bool,
    warned: bool = False,
) -> FormulaResult:
    """Answer a formula: one range, one set of buckets and one order of groups for all inputs.

    Raises `AnalyticsError` that names the input or the place in the formula.
    """
    _check_inputs(inputs)
    read = parse_formula(formula, [each.as_ for each in inputs])
    sources = [_input(ctx, each) for each in inputs]
    asked = replace(asked, group_columns=next((each.keys for each in sources if each.keys), ()))
    check_arguments(asked)
    frames = await resolve_ranges(ctx, [each.rows for each in sources], asked, times=columns)
    groups = await _groups(ctx, read, sources, asked, frames)
    check_cells(frames, len(groups.keys) if asked.group_columns else 1)
    await asyncio.gather(
        *(_fetch(ctx, each, asked, frames, groups, columns=columns) for each in sources)
    )
    await _check_known(ctx, sources)
    sheet = _Sheet(read, sources, frames, asked.fill, columns)
    numbers = list(groups.keys) if asked.group_columns else [1]
    rows = [sheet.row(number) for number in numbers]
    shown, old_shown = _shown(rows, frames, asked.fill)
    ran = [*groups.runs, *(ran for each in sources for ran in each.found.runs)]
    meta = result_meta(ctx, asked, frames, ran, groups.groups)
    if warned:
        meta.warnings += await _warnings(ctx, inputs, sources)
    old_times = times_of(frames.comparison, old_shown) if frames.comparison else None
    return FormulaResult(
        begins=Encoded(msgspec.Raw(times_of(frames.current, shown))),
        previous_begins=None if old_times is None else Encoded(msgspec.Raw(old_times)),
        series=[
            _series(
                row,
                (shown, old_shown),
                group_keys(asked.group_columns, groups.keys.get(number)),
                formula,
            )
            for number, row in zip(numbers, rows, strict=True)
        ],
        meta=meta,
    )


async def _warnings(
    ctx: Context, inputs: Sequence[NamedMetricInput], sources: Sequence[_Input]
) -> list[Caveat]:
    """Return the warnings about each input, which name its arguments."""
    found = await asyncio.gather(
        *(
            warnings.of_metric(ctx, given.metric, given.where, source.keys, [source.value.kind])
            for given, source in zip(inputs, sources, strict=True)
        )
    )
    return [
        replace(caveat, field=f"inputs[{place}].{caveat.field or 'aggregate'}")
        for place, caveats in enumerate(found)
        for caveat in caveats
    ]


def _check_inputs(inputs: Sequence[NamedMetricInput]) -> None:
    if not 1 <= len(inputs) <= MAX_INPUTS:
        raise bad_input("inputs", f"must be 1 to {MAX_INPUTS}", limit=MAX_INPUTS)
    names = [each.as_ for each in inputs]
    if not all(_NAME.fullmatch(name) and not keyword.iskeyword(name) for name in names):
        raise bad_input("inputs.as", "must be letters, digits and underscores, and no Python word")
    if len(set(names)) != len(names):
        raise bad_input("inputs.as", "must differ from one another")
    if len({tuple(each.group_by) for each in inputs if each.group_by}) > 1:
        raise bad_input("inputs.groupBy", "must be the same for all inputs that have any")


def _input(ctx: Context, given: NamedMetricInput) -> _Input:
    return _Input(
        name=given.as_,
        rows=metrics.rows_of(ctx, given.metric, given.where),
        value=aggregate("metrics", given.aggregate, q=given.q, at="inputs."),
        keys=metrics.keys(ctx, given.group_by or []),
    )


async def _groups(
    ctx: Context,
    formula: Formula,
    inputs: Sequence[_Input],
    asked: SeriesArguments,
    frames: BucketedRanges,
) -> RangeAnswer:
    """Find the groups that are shown, in their order, and the totals of the inputs there."""
    groups = RangeAnswer()
    if not asked.group_columns:
        return groups
    span = frames.current.time_range
    joined = FormulaGroups(
        formula=formula,
        inputs=tuple(
            FormulaInput(
                each.name, each.rows.metric, each.rows.condition(span), each.value, bool(each.keys)
            )
            for each in inputs
        ),
        zero=asked.fill is Fill.ZERO,
        ms=min(span.to, frames.data_end + 1) - span.from_,
    )
    shape = QueryShape(
        table="metrics",
        condition="",
        time_range=(span.from_, span.to),
        by_name=False,
        group_columns=asked.group_columns,
        ranking=Ranking(asked.order, asked.limit, asked.other_group, asked.offset, asked.search),
        formula_groups=joined,
    )
    reply = await ctx.batch.run(SeriesQuery(shape, "", frozenset(), frozenset()))
    groups.add_ranking(reply, is_all=False)
    for line in reply.rows:
        if line.series != OTHER_SERIES:
            _take_totals(inputs, line)
    return groups


def _take_totals(inputs: Sequence[_Input], group: SeriesRow) -> None:
    for each, value in zip(inputs, group.values, strict=True):
        if value is not None:
            number = group.series if each.keys else 1
            total = SeriesRow(
                each.rows.metric, number, [], 1, {in_engine(each.value): float(value)}, None, {}
            )
            each.found.current.rows[number] = total


async def _fetch(
    ctx: Context,
    given: _Input,
    asked: SeriesArguments,
    frames: BucketedRanges,
    groups: RangeAnswer,
    *,
    columns: bool,
) -> None:
    """Ask for the columns of an input, and for its totals where these are not known yet."""
    if asked.group_columns and not groups.keys:
        return
    wanted = SeriesSelection(
        frozenset({given.value}), frozenset({given.value} if columns else ()), times=columns
    )
    questions = SeriesQueries.for_groups(
        given.rows, replace(asked, group_columns=given.keys), wanted
    )
    placed = None
    if given.keys:
        numbered = tuple((given.rows.metric, *texts) for texts in groups.keys.values())
        placed = RankedGroups(numbered, other_group=False)
    current = columns or not asked.group_columns
    if current:
        given.found.current.rows.clear()
    await fetch(ctx, questions, frames, given.found, placed, current=current)
    asked = replace(asked, group_columns=given.keys)
    lookback = Lookback(ctx, given.rows, asked, frames, wanted.columns, placed)
    await lookback.add_to(given.found)


async def _check_known(ctx: Context, inputs: Sequence[_Input]) -> None:
    """Raise NOT_FOUND for an input of which nothing was found because there is no such metric."""
    names = dict.fromkeys(each.rows.metric for each in inputs if not each.found.current.rows)
    await asyncio.gather(*(metrics.check_known(ctx, name) for name in names))


@dataclass(frozen=True, slots=True)
class _Row:
    """A series of a formula, over all buckets; in the `present` ones it has a value."""

    total: Value
    column: list[Value]
    previous_total: Value
    previous_column: list[Value]
    compared: bool
    present: frozenset[int]


@dataclass(frozen=True, slots=True)
class _Sheet:
    """Computes a formula from the inputs' values, which are joined by group and by bucket."""

    formula: Formula
    inputs: Sequence[_Input]
    frames: BucketedRanges
    fill: Fill
    columns: bool

    def row(self, number: int) -> _Row:
        """Compute the series of a group."""
        frames = self.frames
        current = {each.name: each.found.current for each in self.inputs}
        previous = {each.name: each.found.previous for each in self.inputs}
        total, column = self._computed(number, current, frames.current)
        before = (
            self._computed(number, previous, frames.comparison) if frames.comparison else (None, [])
        )
        present = {
            n
            for answers, values in ((current, column), (previous, before[1]))
            for n in self._present(number, answers)
            if values[n] is not None
        }
        return _Row(total, column, *before, frames.comparison is not None, frozenset(present))

    def _present(self, number: int, answers: Mapping[str, RangeAnswer]) -> set[int]:
        """Return the buckets in which an input has rows, where others are to be left out."""
        present: set[int] = set()
        for each in self.inputs if self.fill is Fill.NONE else ():
            line = each.line(answers[each.name], number)
            if line and line.buckets is not None:
                present.update(_INDEXES.decode(line.buckets))
        return present

    def _computed(
        self, number: int, answers: Mapping[str, RangeAnswer], frame: BucketedRange
    ) -> tuple[Value, list[Value]]:
        """Compute the total and the column over one range."""
        totals: dict[str, Value] = {}
        columns: dict[str, list[Value]] = {}
        for each in self.inputs:
            total, column = self._values(each, number, answers[each.name], frame)
            totals[each.name] = total
            columns[each.name] = column
        rows = zip(*columns.values(), strict=True)
        values = [self.formula.compute(dict(zip(columns, row, strict=True))) for row in rows]
        return self.formula.compute(totals), values

    def _values(
        self, given: _Input, number: int, answer: RangeAnswer, frame: BucketedRange
    ) -> tuple[Value, list[Value]]:
        """Return the total and the column of an input, filled."""
        cut = frame.buckets
        count = len(cut.starts) if cut and self.columns else 0
        line = given.line(answer, number)
        if line is None and not given.has(number):
            missing = 0 if self.fill is Fill.ZERO else None
            return missing, [missing] * count
        fill = Fill.NULL if self.fill is Fill.NONE else self.fill
        value = frozenset({given.value})
        columns = value if count else frozenset()
        table = SeriesValues(value, columns, fill, range(count), self.frames.data_end)
        before = answer.carried_values.get(number if given.keys else 1, {})
        texts = table.columns(line, frame, before)
        column = _COLUMN.decode(texts[given.value]) if count else []
        return table.totals(line, frame)[given.value], column


def _shown(rows: Iterable[_Row], frames: BucketedRanges, fill: Fill) -> list[Sequence[int]]:
    """Return which buckets of both ranges are shown: without filling, those with a value.

    Buckets of two ranges belong together by their number, and are shown together.
    """
    cuts = [frame.buckets if frame else None for frame in (frames.current, frames.comparison)]
    counts = [len(cut.starts) if cut else 0 for cut in cuts]
    if fill is not Fill.NONE:
        return [range(count) for count in counts]
    present = sorted({n for row in rows for n in row.present})
    return [[n for n in present if n < count] for count in counts]


def _series(
    row: _Row, shown: tuple[Sequence[int], Sequence[int]], keys: list[GroupKey], text: str
) -> FormulaSeries:
    return FormulaSeries(
        key=keys,
        label=label(keys) if keys else text,
        total=row.total,
        change=Change.from_values(row.total, row.previous_total) if row.compared else None,
        column=_ready(row.column, shown[0]),
        previous_column=_ready(row.previous_column, shown[1]) if row.compared else None,
    )


def _ready(column: Sequence[Value], shown: Sequence[int]) -> Encoded:
    return Encoded(msgspec.Raw(msgspec.json.encode(visible_values(column, shown))))
