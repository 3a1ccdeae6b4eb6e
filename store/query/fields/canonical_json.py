"""Canonical JSON: equal values have the same text, different values have different texts.

An integer is written with all its digits. A double with an integral value is written as that
integer, every other double as the engine writes it. The engine's own text is canonical except for
three kinds of numbers:

- integers beyond 64 bits, which it puts in quotes;
- doubles from 1e16 to 1e21, where it writes zeros after 17 digits;
- negative zeros.

Only a text that may contain one of these numbers is parsed a second time, with its texts and
numbers marked: `"n1"` for 1, `"stext"` for "text".
"""

from collections.abc import Sequence
from typing import Final

MAYBE_INEXACT: Final = "'[0-9]{17}|[0-9]e[0-9]|-0[.]0'"
"""A pattern of stored JSON that may have numbers whose text by the engine is not canonical."""

_PIECE: Final = r"""'"(?:[^"\\\\]|\\\\.)*"|[^"]+'"""
_LONG: Final = "^-?[0-9]{17,}$"
_MANY_DIGITS: Final = r"""^"-?[0-9]{19,}"$|^[\\[{](.*[0-9]{17}|(.*[\\[:,])?-0[,\\]}])"""

# Most texts are short. Of the long ones, `":` to `#` are the JSON texts that begin with a letter.
_ORDINARY: Final = (
    r"if(length({raw}) < 17, {raw} < '[' OR {raw} BETWEEN '\\' AND 'z',"
    """ {raw} BETWEEN '":' AND '#')"""
)


def canonical(raw: str, column: str, path: Sequence[str]) -> str:
    """Return the canonical text of a value, '' for null and for a missing value.

    `raw` is the engine's text of the value at `path` (slots of keys) in the JSON of `column`.
    """
    double = f"toFloat64OrZero({raw})"
    is_double = (
        f"toString({double}) = {raw} AND JSONType({_json_arguments(column, path)}) = 'Double'"
    )
    long = f"if({is_double}, printf('%.0f', {double}), {raw})"
    exact = unmark(_marked_value(column, path))
    rare_text = (
        f"multiIf(match({raw}, '{_LONG}'), {long}, match({raw}, '{_MANY_DIGITS}'), {exact}, {raw})"
    )
    return _canonical(raw, f"{_ORDINARY.format(raw=raw)}, {raw}, {rare_text}")


def narrow_canonical(raw: str) -> str:
    """Return the canonical text of a value; the statement throws where a second parse is needed.

    The engine takes 10 ms to plan the second parse, which few values need.
    """
    throw_if_rare = f"throwIf(match({raw}, '{_LONG}|{_MANY_DIGITS}'))"
    return _canonical(raw, f"{_ORDINARY.format(raw=raw)} OR NOT {throw_if_rare}, {raw}, ''")


def _canonical(raw: str, other_cases: str) -> str:
    return f"multiIf({raw} = 'null', '', {raw} = '-0', '0', {other_cases})"


def canonical_items(column: str, path: Sequence[str], item_path: Sequence[str]) -> str:
    """Return the distinct canonical texts of the items of an array: an Array(String).

    With `item_path` the values at this path in each item. Nulls and missing values are left out.
    """
    item = f"JSONExtractRaw({_json_arguments('i', _marked_keys(item_path))})" if item_path else "i"
    items = f"JSONExtractArrayRaw({_json_arguments(mark(column), _marked_keys(path))})"
    exact = f"arrayMap(i -> {unmark(item)}, {items})"
    texts = f"JSONExtractArrayRaw({_json_arguments(column, path)})"
    if item_path:
        texts = f"arrayMap(i -> JSONExtractRaw({_json_arguments('i', item_path)}), {texts})"
    texts = f"if(match({column}, {MAYBE_INEXACT}), {exact}, {texts})"
    return f"arrayDistinct(arrayFilter(i -> i NOT IN ('', 'null'), {texts}))"


def is_integer(column: str, path: Sequence[str]) -> str:
    """Return whether a value is a number; the engine quotes large integers like texts."""
    return f"startsWith({_marked_value(column, path)}, '\"n')"


def _json_arguments(column: str, path: Sequence[str]) -> str:
    return ", ".join([column, *path])


def _marked_value(column: str, path: Sequence[str]) -> str:
    return f"JSONExtractRaw({_json_arguments(mark(column), _marked_keys(path))})"


def _marked_keys(keys: Sequence[str]) -> list[str]:
    return [f"concat('s', {key})" for key in keys]


def mark(column: str) -> str:
    """Return JSON with its texts, keys and numbers marked."""
    number = r"""replaceRegexpAll(t, '-?[0-9][-+.0-9Ee]*', '"n\\0"')"""
    text = """concat('"s', substring(t, 2))"""
    return _tokens(f"if(startsWith(t, '\"'), {text}, {number})", column)


def unmark(json: str) -> str:
    """Return the canonical text of marked JSON."""
    number = _number("substring(t, 3, length(t) - 3)")
    text = "concat('\"', substring(t, 3))"
    return _tokens(
        f"multiIf(startsWith(t, '\"n'), {number}, startsWith(t, '\"s'), {text}, t)", json
    )


def _tokens(change: str, json: str) -> str:
    return f"arrayStringConcat(arrayMap(t -> {change}, extractAll({json}, {_PIECE})))"


def _number(number_text: str) -> str:
    """Return the canonical text of a stored number: an integer or a double."""
    double = f"toFloat64OrZero({number_text})"
    digits = f"printf('%.0f', {double})"
    double_text = (
        f"multiIf({double} = 0, '0', abs({double}) >= 1e16 AND abs({double}) < 1e21, {digits},"
        f" toString({double}))"
    )
    integer = f"NOT match({number_text}, '[.e]')"
    is_exact_integer = f"{integer} AND (length({number_text}) < 22 OR {digits} != {number_text})"
    return f"if({is_exact_integer}, {number_text}, {double_text})"
