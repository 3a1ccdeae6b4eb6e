"""How gaps are filled, cell by cell: the oracle's fills."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

from tests.oracle.aggregates import NULL, Expected


def carry_forward(cells: Sequence[Expected], before: Expected) -> list[Expected]:
    """Fill gaps with the cell before each."""
    filled = [before]
    for cell in cells:
        filled.append(filled[-1] if cell == NULL else cell)
    return filled[1:]


def interpolate(
    cells: Sequence[Expected], answered: Sequence[Any], starts: Sequence[int]
) -> list[Expected]:
    """Fill gaps on lines over time between two cells, as these were answered."""
    known = [n for n, cell in enumerate(cells) if cell != NULL]
    filled = list(cells)
    for left, right in pairwise(known):
        for n in range(left + 1, right):
            first, last = Fraction(answered[left]), Fraction(answered[right])
            share = Fraction(starts[n] - starts[left], starts[right] - starts[left])
            rounding = float(max(abs(last), abs(first))) * 1e-12
            filled[n] = Expected((float(first + (last - first) * share),), rounding)
    return filled
