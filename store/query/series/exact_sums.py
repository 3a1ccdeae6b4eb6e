"""Exact sums: states that hold a sum without error, and the expressions that round it.

A double is an integer times a power of 2, so a sum of doubles is exact in integers, whatever their
order, and however states are merged:

- `WHOLE` and `REST` are a window of fixed-point numbers: 62 bits before the point of 2^-10, 63
  after it. It holds each double from 2^-21 to 2^52 (5e-7 to 4.5e15), and 0.
- `OTHERS` is a map from the 12 bits of sign and exponent to the sum of the significands, of the
  doubles outside the window. The engine takes several milliseconds to plan what adds them up. So a
  statement only counts them, as `OUTSIDE`, and throws if there are any; then it is asked again.

`WIDE_SUM` rounds once, at the end. The engine's own conversion from Int256 to a double errs by a
unit in the last place, and the one from a double to Int256 is not exact, so the highest 61 bits are
cut out, with their last bit set if anything follows them, and these the processor rounds. Python
rounds `WHOLE` and `REST` once, in `rounded_sum`. Where the engine must do that, to order groups,
`SUM` rounds two parts and their sum: it errs by a unit in the last place at most, and from 1 to
8.8e12 it is the nearest double, but where the exact sum is within 2^-64 of the middle between two.
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
"""Functions and their arguments. `never_null` defines the alias `again`, both stand for the number;
`window` is an alias, too."""

# Fold the pieces, highest exponent first, into one integer of at most 250 bits and its exponent.
# What is lower than its lowest bit only decides to which side a tie is rounded.
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
"""What an integer 1 counts in `REST`'s units."""


class OutsideWindowError(ArithmeticError):
    """Numbers are too large or too small for the window, so the map must hold them."""


def rounded_sum(whole: int, fraction: int, outside_count: int) -> float:
    """Return the double nearest to the sum in these states."""
    if outside_count:
        raise OutsideWindowError
    return ((whole << 63) + fraction) / _UNITS  # Python rounds once


def rounded_mean(whole: int, fraction: int, outside_count: int, count: int) -> float | None:
    """Return the double nearest to the mean, which lies within the numbers."""
    if outside_count:
        raise OutsideWindowError
    return ((whole << 63) + fraction) / (count * _UNITS) if count else None


_MEAN: Final = "if({{3}} = 0, NULL, greatest({{4}}, least({{5}}, {quotient})))"
AVG: Final = _MEAN.format(quotient=f"{SUM} / {{3}}")
WIDE_AVG: Final = _MEAN.format(quotient=_WIDE_QUOTIENT)
"""The mean: 3 is the state of the count, 4 of the smallest number and 5 of the largest.

It is finite where the sum is not. The quotient of two rounded numbers can be one unit in the last
place beyond all of the numbers, as in 0.1 + 0.1 + 0.1 = 0.30000000000000004.
"""
