"""Exact sums: states that hold a sum without error, and expressions that round the sum.

A double is an integer times a power of 2. So a sum of doubles is exact in integers, for any order
of rows and any merging of states:

- `WHOLE_PART` and `FRACTION_PART` are a window of fixed-point numbers in units of 2^-10: 62 bits
  before the point, 63 after it. The window holds 0 and each double from 2^-21 to 2^52 (5e-7 to
  4.5e15).
- `OUTSIDE_WINDOW` is a map for the doubles outside the window: from the 12 bits of sign and
  exponent to the sum of the significands. The engine takes several milliseconds to plan the sum of
  this map. So the first statement only counts these doubles, by `OUTSIDE`. If there are any, it
  throws, and a second statement uses the map.

Python rounds once, in `rounded_sum` and `long_sum`. The engine must round to rank groups, and where
there are many buckets. `SUM` rounds two parts and their sum. It errs by a unit in the last place at
most. From 1 to 8.8e12 it is the nearest double, unless the exact sum is within 2^-64 of the middle
between two doubles.

`WIDE_SUM` rounds once, at the end. The engine converts Int256 to a double with an error of a unit
in the last place, and a double to Int256 inexactly. So the expression cuts out the highest 61 bits,
sets their last bit if any lower bit is set, and lets the processor round. The engine takes some
50 ms to plan it.
"""

from typing import Final

_UNIT: Final = 1002
"""The exponent, as in a double's bits, at which a significand counts the window's unit, 2^-73."""

WHOLE_PART: Final = (
    "sum",
    (
        "toInt128(toInt64((if(abs({never_null}) BETWEEN 4.76837158203125e-7 AND 4503599627370496,"
        " {alias} * 1024, 0) AS {window})))"
    ),
)
FRACTION_PART: Final = (
    "sum",
    "toInt128(toInt64(({window} - toInt64({window})) * 9223372036854775808))",
)
OUTSIDE_WINDOW: Final = (
    "sumMapIf",
    (
        "[toUInt16(bitShiftRight(reinterpretAsUInt64({alias}), 52))],"
        " [toInt128(bitAnd(reinterpretAsUInt64({alias}), 4503599627370495)"
        " + (abs({alias}) >= 2.2250738585072014e-308) * 4503599627370496)],"
        " {window} != {alias} * 1024"
    ),
)
OUTSIDE: Final = ("countIf", "{window} != {alias} * 1024")
"""Functions and their arguments. `never_null` is the number, or 0 for null, and defines `alias`.

`window` is an alias, too: 1024 times the number, or 0 outside the window.
"""

OUTSIDE_WINDOW_TEXT: Final = "translate(toString({}), '[]', '()')"
"""The map of `OUTSIDE_WINDOW` as a text for Python, such as `((1189,1355),(48,51))`.

A bracket in it would end the column of an answer.
"""

# Fold the pieces, highest exponent first, into one integer of at most 250 bits and its exponent.
# Lower bits only decide to which side a tie is rounded.
_ROOM: Final = "250 - toInt32(log2(abs(toFloat64(sum.1)) + 1))"
_SHIFT: Final = f"toUInt8(greatest(least(sum.2 - piece.2, {_ROOM}), 0))"
_FOLD: Final = f"""arrayFold(
    (sum, piece) -> if(sum.1 = 0, piece, (
        bitShiftLeft(sum.1, {_SHIFT})
            + multiIf({_SHIFT} = sum.2 - piece.2, piece.1, {_ROOM} > 0, toInt256(sign(piece.1)), 0),
        toInt32(sum.2 - {_SHIFT}))),
    arrayReverseSort(piece -> piece.2, arrayFilter(piece -> piece.1 != 0, arrayPushBack(
        arrayMap((bits, significands) -> (
            toInt256(if(bits >= 2048, -significands, significands)),
            toInt32(greatest(bitAnd(bits, 2047), 1))), others.1, others.2),
        (units, toInt32({_UNIT}))))),
    (toInt256(0), toInt32(0)))"""
_EXACT: Final = f"""arrayMap(
    (units, others) -> if(empty(others.1), (units, toInt32({_UNIT})), {_FOLD}),
    [toInt256({{0}}) * 9223372036854775808 + {{1}}], [{{2}}])"""
_HIGHEST_BITS: Final = f"""arrayMap(
    sum -> (sum.1, sum.2, toUInt8(greatest(log2(abs(toFloat64(sum.1))) - 60, 0))), {_EXACT})"""
_ROUNDED_BITS: Final = """toFloat64(toInt64(bitOr(
    bitShiftRight(sum.1, sum.3),
    sum.1 != bitShiftLeft(bitShiftRight(sum.1, sum.3), sum.3))))"""
_SCALE: Final = "exp2(sum.2 + sum.3 - 1075)"

WIDE_SUM: Final = f"arrayMap(sum -> {_ROUNDED_BITS} * {_SCALE}, {_HIGHEST_BITS})[1]"
"""The double nearest to the sum in the states 0, 1 and 2; infinite if no double is as large."""

_WIDE_QUOTIENT: Final = f"arrayMap(sum -> {_ROUNDED_BITS} / {{3}} * {_SCALE}, {_HIGHEST_BITS})[1]"

SUM: Final = """(
    toFloat64({0} + bitShiftRight({1} + 4611686018427387904, 63)) / 1024
    + toFloat64(toInt64(bitAnd({1} + 4611686018427387904, 9223372036854775807))
        - 4611686018427387904) * 1.0587911840678754e-22
    + throwIf({2} > 0))"""
"""The sum in the states 0 and 1; it throws if the state 2 counts numbers outside the window."""

_UNITS: Final = 1 << 73
"""The number of units of `FRACTION_PART` in 1."""

_SUBNORMAL_UNITS: Final = 1 << 1074
"""The number of the smallest double in 1."""

_SIGN_BIT: Final = 1 << 11
"""The sign among the 12 bits of sign and exponent."""


class OutsideWindowError(ArithmeticError):
    """Some numbers are too large or too small for the window; the map must hold them."""


def rounded_sum(whole: int, fraction: int, outside_count: int) -> float:
    """Return the double nearest to the sum. Raises `OutsideWindowError` without an exact sum."""
    if outside_count:
        raise OutsideWindowError
    return ((whole << 63) + fraction) / _UNITS  # Python rounds once


def rounded_mean(whole: int, fraction: int, outside_count: int, count: int) -> float | None:
    """Return the double nearest to the mean; None without numbers. Raises as `rounded_sum`."""
    if outside_count:
        raise OutsideWindowError
    return ((whole << 63) + fraction) / (count * _UNITS) if count else None


def long_sum(whole: int, fraction: int, outside_window: str) -> float | None:
    """Return the double nearest to the sum; None if no double is as large.

    `outside_window` is an `OUTSIDE_WINDOW_TEXT`.
    """
    try:
        return _subnormal_units(whole, fraction, outside_window) / _SUBNORMAL_UNITS
    except OverflowError:
        return None


def long_mean(whole: int, fraction: int, outside_window: str, count: int) -> float | None:
    """Return the double nearest to the mean; None without numbers."""
    if not count:
        return None
    return _subnormal_units(whole, fraction, outside_window) / (count * _SUBNORMAL_UNITS)


def _subnormal_units(whole: int, fraction: int, outside_window: str) -> int:
    """Return the exact sum in units of the smallest double."""
    total = ((whole << 63) + fraction) << (_UNIT - 1)
    bits_text, _, significands_text = outside_window[2:-2].partition("),(")
    if bits_text:
        pairs = zip(bits_text.split(","), significands_text.split(","), strict=True)
        for bits, significands in ((int(bits), int(value)) for bits, value in pairs):
            units = significands << (max(bits & ~_SIGN_BIT, 1) - 1)
            total += -units if bits & _SIGN_BIT else units
    return total


_MEAN: Final = "if({{3}} = 0, NULL, greatest({{4}}, least({{5}}, {quotient})))"
AVG: Final = _MEAN.format(quotient=f"{SUM} / {{3}}")
WIDE_AVG: Final = _MEAN.format(quotient=_WIDE_QUOTIENT)
"""The mean: 3 is the state of the count, 4 of the smallest number and 5 of the largest.

The mean is finite even where the sum is not. The quotient of two rounded numbers can lie one unit
in the last place outside the range of the numbers, as in 0.1 + 0.1 + 0.1 = 0.30000000000000004.
"""
