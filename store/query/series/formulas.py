"""Formulas: arithmetic over named values, computed in Python or by the engine."""

import ast
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from schema.errors import AnalyticsError, bad_input
from store.query.sql import Value as SlotValue

MAX_FORMULA: Final = 1000
MAX_LEVELS: Final = 100
"""Maximum depth of a formula: the engine refuses about 300 levels, and is slow below that."""

Value: TypeAlias = int | float | None
_Bind: TypeAlias = Callable[[str, SlotValue], str]

_OPERATORS: Final[Mapping[type[ast.operator], tuple[str, Callable[[float, float], float]]]] = {
    ast.Add: ("+", operator.add),
    ast.Sub: ("-", operator.sub),
    ast.Mult: ("*", operator.mul),
    ast.Div: ("/", operator.truediv),
}


@dataclass(frozen=True, slots=True)
class Formula:
    """A parsed formula: null for a missing value, for n / 0, and for a result beyond doubles."""

    text: str
    tree: ast.expr = field(compare=False, repr=False)
    compute: Callable[[Mapping[str, Value]], Value] = field(compare=False, repr=False)

    def sql(self, columns: Mapping[str, str], bind: _Bind) -> str:
        """Return SQL of the formula over columns, which are doubles or null."""
        value = _sql(self.tree, columns, bind)
        return f"if(isFinite({value}), {value}, NULL)"


def parse_formula(text: str, names: Sequence[str]) -> Formula:
    """Parse a formula over names, with the precedences of Python's own parser.

    Raises `AnalyticsError` for anything but arithmetic over the names.
    """
    if len(text) > MAX_FORMULA:
        raise bad_input("formula", f"must be at most {MAX_FORMULA} characters", limit=MAX_FORMULA)
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        _check_depth(tree)
        return Formula(text, tree, _compile(tree, frozenset(names)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise bad_input("formula", "is no arithmetic over the inputs' names") from None


def _check_depth(tree: ast.expr) -> None:
    level: list[ast.AST] = [tree]
    for _ in range(MAX_LEVELS):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        level = [node for node in level if isinstance(node, ast.expr)]
        if not level:
            return
    raise bad_input("formula", f"must be at most {MAX_LEVELS} levels deep", limit=MAX_LEVELS)


def _compile(tree: ast.expr, names: frozenset[str]) -> Callable[[Mapping[str, Value]], Value]:
    match tree:
        case ast.Constant(value=bool()):
            raise _unknown(tree)
        case ast.Constant(value=int() | float() as number):
            constant = _double(number)
            return lambda _: constant
        case ast.Name(id=name) if name in names:
            return lambda values: values[name]
        case ast.Name(id=name):
            raise bad_input("formula", f"{name} is the name of no input")
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            inner = _compile(operand, names)
            return lambda values: None if (value := inner(values)) is None else -value
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _compile(operand, names)
        case ast.BinOp(left=left_tree, op=sign, right=right_tree) if type(sign) in _OPERATORS:
            _, apply = _OPERATORS[type(sign)]
            return _apply_operator(apply, _compile(left_tree, names), _compile(right_tree, names))
        case _:
            raise _unknown(tree)


def _apply_operator(
    apply: Callable[[float, float], float],
    left_value: Callable[[Mapping[str, Value]], Value],
    right_value: Callable[[Mapping[str, Value]], Value],
) -> Callable[[Mapping[str, Value]], Value]:
    def compute(values: Mapping[str, Value]) -> Value:
        first, second = left_value(values), right_value(values)
        if first is None or second is None:
            return None
        try:
            result = apply(float(first), float(second))
        except (ZeroDivisionError, OverflowError):
            return None
        return result if math.isfinite(result) else None

    return compute


def _sql(tree: ast.expr, columns: Mapping[str, str], bind: _Bind) -> str:
    """Return SQL of a tree that `_compile` accepts; a result beyond doubles becomes NaN."""
    match tree:
        case ast.Constant(value=int() | float() as number):
            constant = _double(number)
            return "nan" if constant is None else bind("Float64", constant)
        case ast.Name(id=name):
            return columns[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return f"negate({_sql(operand, columns, bind)})"
        case ast.UnaryOp(operand=operand):
            return _sql(operand, columns, bind)
        case ast.BinOp(left=left_tree, op=sign, right=right_tree):
            symbol, _ = _OPERATORS[type(sign)]
            result = f"{_sql(left_tree, columns, bind)} {symbol} {_sql(right_tree, columns, bind)}"
            return f"ifNotFinite({result}, nan)"
        case _:
            raise _unknown(tree)


def _double(number: float) -> float | None:
    try:
        return float(number) if math.isfinite(number) else None
    except OverflowError:  # an integer of more than 308 digits
        return None


def _unknown(tree: ast.expr) -> AnalyticsError:
    message = f"can have + - * / ( ), numbers and names only (column {tree.col_offset + 1})"
    return bad_input("formula", message)
