"""Fills of gaps in plain Python, cell by cell."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

from tests.oracle.aggregates import NULL, Expected


def carry_forward(cells: Sequence[Expected], before: Expected) -> list[Expected]:
    """Fill each gap with the cell before it."""
    column = [before]
    for cell in cells:
        column.append(column[-1] if cell == NULL else cell)
    return column[1:]


def interpolate(
    cells: Sequence[Expected], answer: Sequence[Any], starts: Sequence[int]
) -> list[Expected]:
    """Fill gaps on a line over time between two cells of the answer."""
    indexes = [n for n, cell in enumerate(cells) if cell != NULL]
    column = list(cells)
    for left, right in pairwise(indexes):
        for n in range(left + 1, right):
            first, last = Fraction(answer[left]), Fraction(answer[right])
            share = Fraction(starts[n] - starts[left], starts[right] - starts[left])
            rounding = float(max(abs(last), abs(first))) * 1e-12
            column[n] = Expected((float(first + (last - first) * share),), rounding)
    return column
