"""Formulas: arithmetic over aggregates of metrics, series by series and bucket by bucket."""

import ast
import asyncio
import keyword
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

import msgspec

from resolvers import metrics
from resolvers.context import Context
from resolvers.series_request import MAX_SERIES, Asked, Wanted
from resolvers.table import Value, of_nothing
from schema.aggregates import Aggregate, Order, aggregate
from schema.errors import AnalyticsError, bad_input
from schema.formula import FormulaResult, FormulaSeries, NamedMetricInput
from schema.metrics import MetricResult
from schema.ready import Ready
from schema.results import Change, ResultMeta
from schema.scalars import Long
from schema.series import Series

MAX_INPUTS: Final = 20
MAX_FORMULA: Final = 1000

Formula: TypeAlias = Callable[[Mapping[str, Value]], Value]
_Key: TypeAlias = tuple[str | None, ...]

_OPERATORS: Final[Mapping[type[ast.operator], Callable[[float, float], float]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_COLUMN: Final = msgspec.json.Decoder(list[Value])


async def query(
    ctx: Context,
    formula: str,
    inputs: Sequence[NamedMetricInput],
    asked: Asked,
    *,
    columns: bool,
) -> FormulaResult:
    """Answer a formula; what its inputs ask for is fused as if they were asked by themselves.

    Raises `AnalyticsError` that names the input or the place in the formula.
    """
    if not 1 <= len(inputs) <= MAX_INPUTS:
        raise bad_input("inputs", f"must be 1 to {MAX_INPUTS}", limit=MAX_INPUTS)
    names = [each.as_ for each in inputs]
    if not all(_NAME.fullmatch(name) and not keyword.iskeyword(name) for name in names):
        raise bad_input("inputs.as", "must be letters, digits and underscores, and no Python word")
    if len(set(names)) != len(names):
        raise bad_input("inputs.as", "must differ from one another")
    compute = parsed(formula, names)
    if len({tuple(each.group_by) for each in inputs if each.group_by}) > 1:
        raise bad_input("inputs.groupBy", "must be the same for all inputs that have any")
    wanted = [aggregate("metrics", each.aggregate, q=each.q, at="inputs.") for each in inputs]
    found = await asyncio.gather(
        *(
            _input(ctx, each, replace(asked, order=Order(of)), of, columns=columns)
            for each, of in zip(inputs, wanted, strict=True)
        )
    )
    tables = [_by_key(result, each) for result, each in zip(found, inputs, strict=True)]
    keys = list(dict.fromkeys(key for table in tables for key in table if key)) or [()]
    sheet = _Sheet(compute, names, wanted)
    series = [
        sheet.series([table.get(key) or table.get(()) for table in tables], formula) for key in keys
    ]
    return FormulaResult(
        begins=found[0].result.shown_times(), series=series, meta=_meta([of.meta for of in found])
    )


async def _input(
    ctx: Context, named: NamedMetricInput, asked: Asked, of: Aggregate, *, columns: bool
) -> MetricResult:
    keys = metrics.keys(ctx, named.group_by or [])
    asked = replace(asked, keys=keys, limit=MAX_SERIES if keys else 1, others=False)
    wanted = Wanted(frozenset({of}), frozenset({of} if columns else ()), times=columns)
    return await metrics.query(ctx, named.metric, named.where, asked, wanted)


def _by_key(result: MetricResult, named: NamedMetricInput) -> dict[_Key, Series]:
    return {
        tuple(key.value for key in one.keys) if named.group_by else (): one
        for one in result.result.series
    }


class _Sheet:
    """Computes a formula from the series that stand beside one another."""

    def __init__(self, compute: Formula, names: Sequence[str], wanted: Sequence[Aggregate]) -> None:
        self._compute = compute
        self._names = names
        self._wanted = wanted

    def series(self, inputs: Sequence[Series | None], formula: str) -> FormulaSeries:
        """Compute one line; an input without this group has what an aggregate of nothing is."""
        known = next(one for one in inputs if one)
        grouped = next((one for one in inputs if one and one.keys), known)
        compared = known.previous_totals is not None
        now = self._one([self._total(one, of) for one, of in self._pairs(inputs)])
        before = self._one([self._previous(one, of) for one, of in self._pairs(inputs)])
        return FormulaSeries(
            key=grouped.keys,
            label=grouped.label if grouped.keys else formula,
            total=now,
            change=Change.between(now, before) if compared else None,
            column=self._column([one.texts if one else None for one in inputs]),
            previous_column=self._column([one.previous_texts if one else None for one in inputs])
            if compared
            else None,
        )

    def _pairs(self, inputs: Sequence[Series | None]) -> list[tuple[Series | None, Aggregate]]:
        return list(zip(inputs, self._wanted, strict=True))

    def _total(self, one: Series | None, of: Aggregate) -> Value:
        return one.totals[of] if one else of_nothing(of)

    def _previous(self, one: Series | None, of: Aggregate) -> Value:
        return one.previous_totals[of] if one and one.previous_totals else of_nothing(of)

    def _one(self, values: Sequence[Value]) -> Value:
        return self._compute(dict(zip(self._names, values, strict=True)))

    def _column(self, texts: Sequence[Mapping[Aggregate, bytes] | None]) -> Ready:
        columns = [
            _COLUMN.decode(of[wanted]) if of and wanted in of else None
            for of, wanted in zip(texts, self._wanted, strict=True)
        ]
        length = max((len(column) for column in columns if column is not None), default=0)
        filled = [
            [of_nothing(wanted)] * length if column is None else column
            for column, wanted in zip(columns, self._wanted, strict=True)
        ]
        values = [self._one(row) for row in zip(*filled, strict=True)]
        return Ready(msgspec.Raw(msgspec.json.encode(values)))


def _meta(parts: Sequence[ResultMeta]) -> ResultMeta:
    """Say how the answers that a formula is made of were made."""
    statements = list(dict.fromkeys(part.sql for part in parts if part.sql))
    return replace(
        parts[0],
        total_groups=Long(max(part.total_groups for part in parts)),
        truncated=any(part.truncated for part in parts),
        rows_read=max(part.rows_read for part in parts),
        elapsed_ms=max(part.elapsed_ms for part in parts),
        warnings=list({each.code: each for part in parts for each in part.warnings}.values()),
        sql="\n\n".join(statements) or None,
    )


def parsed(text: str, names: Sequence[str]) -> Formula:
    """Read a formula over some names; Python's own parser knows its precedences.

    A value that is missing, a division by 0, or a result beyond a double makes it null.
    Raises `AnalyticsError` for anything that is no arithmetic.
    """
    if len(text) > MAX_FORMULA:
        raise bad_input("formula", f"must be at most {MAX_FORMULA} characters", limit=MAX_FORMULA)
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        return _computing(tree, frozenset(names))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise bad_input("formula", "is no arithmetic over the inputs' names") from None


def _computing(tree: ast.expr, names: frozenset[str]) -> Formula:
    match tree:
        case ast.Constant(value=bool()):
            raise _unknown(tree)
        case ast.Constant(value=int() | float() as number):
            return lambda _: _finite(number)
        case ast.Name(id=name) if name in names:
            return lambda values: values[name]
        case ast.Name(id=name):
            raise bad_input("formula", f"{name} is the name of no input")
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            inner = _computing(operand, names)
            return lambda values: None if (value := inner(values)) is None else -value
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _computing(operand, names)
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _OPERATORS:
            return _applied(
                _OPERATORS[type(sign)], _computing(left, names), _computing(right, names)
            )
        case _:
            raise _unknown(tree)


def _applied(apply: Callable[[float, float], float], left: Formula, right: Formula) -> Formula:
    def compute(values: Mapping[str, Value]) -> Value:
        first, second = left(values), right(values)
        if first is None or second is None:
            return None
        try:
            return _finite(apply(float(first), float(second)))
        except (ZeroDivisionError, OverflowError):
            return None

    return compute


def _finite(number: float) -> Value:
    try:
        return number if math.isfinite(number) else None
    except OverflowError:  # an integer of more than 308 digits
        return None


def _unknown(tree: ast.expr) -> AnalyticsError:
    message = f"can have + - * / ( ), numbers and names only (column {tree.col_offset + 1})"
    return bad_input("formula", message)
