"""The one text of a JSON value: values that are equal have the same, others never do.

A number is told by its value: an integer by all its digits, a double by those of the integer that
it is, or as the engine writes it. The engine's own text of a value is that, but for a few: integers
beyond 64 bits (it puts them in quotes), doubles from 1e16 to 1e21 (it writes zeros for the digits
that 17 don't tell), and negative zeros. So only a text that may be one of these is looked at twice.

In what is looked at, texts and numbers are marked: `"n1"` for 1, `"stext"` for "text".
"""

from collections.abc import Sequence
from typing import Final

MAYBE_INEXACT: Final = "'[0-9]{17}|[0-9]e[0-9]|-0[.]0'"
"""A pattern that our JSON matches if it has numbers of which the engine's text may not tell all."""

_PIECE: Final = r"""'"(?:[^"\\\\]|\\\\.)*"|[^"]+'"""
_LONG: Final = "^-?[0-9]{17,}$"
_MANY_DIGITS: Final = r"""^"-?[0-9]{19,}"$|^[\\[{](.*[0-9]{17}|(.*[\\[:,])?-0[,\\]}])"""

# The short ones are most; among the others `":` to `#` are the texts that begin with a letter.
_ORDINARY: Final = (
    r"if(length({raw}) < 17, {raw} < '[' OR {raw} BETWEEN '\\' AND 'z',"
    """ {raw} BETWEEN '":' AND '#')"""
)


def canonical(raw: str, column: str, path: Sequence[str]) -> str:
    """Return the canonical text of a value, '' for null and none.

    `raw` is the engine's text of what is at `path` (slots of keys) in the JSON of `column`.
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
    """Return the canonical text of a value; it throws where that takes a second look.

    The engine takes 10 ms to plan the second look, though hardly any data needs it.
    """
    throw_if_rare = f"throwIf(match({raw}, '{_LONG}|{_MANY_DIGITS}'))"
    return _canonical(raw, f"{_ORDINARY.format(raw=raw)} OR NOT {throw_if_rare}, {raw}, ''")


def _canonical(raw: str, other_cases: str) -> str:
    return f"multiIf({raw} = 'null', '', {raw} = '-0', '0', {other_cases})"


def canonical_items(column: str, path: Sequence[str], item_path: Sequence[str]) -> str:
    """Return the canonical texts of the items of an array, an Array(String), each once.

    With `inside` it is what is at that path in each. Null and what is not there are no items.
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
    """Return whether there is a number, where the engine may take an integer for a text."""
    return f"startsWith({_marked_value(column, path)}, '\"n')"


def _json_arguments(column: str, path: Sequence[str]) -> str:
    return ", ".join([column, *path])


def _marked_value(column: str, path: Sequence[str]) -> str:
    return f"JSONExtractRaw({_json_arguments(mark(column), _marked_keys(path))})"


def _marked_keys(keys: Sequence[str]) -> list[str]:
    return [f"concat('s', {key})" for key in keys]


def mark(column: str) -> str:
    """Return JSON in which texts (also keys) and numbers are marked."""
    number = r"""replaceRegexpAll(t, '-?[0-9][-+.0-9Ee]*', '"n\\0"')"""
    text = """concat('"s', substring(t, 2))"""
    return _tokens(f"if(startsWith(t, '\"'), {text}, {number})", column)


def unmark(json: str) -> str:
    """Return the canonical text of JSON that was marked."""
    number = _number("substring(t, 3, length(t) - 3)")
    text = "concat('\"', substring(t, 3))"
    return _tokens(
        f"multiIf(startsWith(t, '\"n'), {number}, startsWith(t, '\"s'), {text}, t)", json
    )


def _tokens(change: str, json: str) -> str:
    return f"arrayStringConcat(arrayMap(t -> {change}, extractAll({json}, {_PIECE})))"


def _number(number_text: str) -> str:
    """Return the canonical text of a number as we store it: an integer, or a double."""
    double = f"toFloat64OrZero({number_text})"
    digits = f"printf('%.0f', {double})"
    double_text = (
        f"multiIf({double} = 0, '0', abs({double}) >= 1e16 AND abs({double}) < 1e21, {digits},"
        f" toString({double}))"
    )
    integer = f"NOT match({number_text}, '[.e]')"
    is_exact_integer = f"{integer} AND (length({number_text}) < 22 OR {digits} != {number_text})"
    return f"if({is_exact_integer}, {number_text}, {double_text})"
