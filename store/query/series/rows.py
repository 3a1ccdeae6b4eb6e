"""Rows of series, parsed from an answer of the engine; columns stay encoded JSON."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from store.query.series.types import Branch, SeriesRow

_HEAD: Final = msgspec.json.Decoder(list[Any])


def series_rows(answer: bytes, branches: Mapping[int, Branch]) -> dict[int, list[SeriesRow]]:
    """Parse an answer: the rows of each branch, by the number of the branch.

    Raises `OutsideWindowError` if the branches need `long_numbers`.
    """
    rows_by_branch: dict[int, list[SeriesRow]] = {number: [] for number in branches}
    for row in filter(None, answer.split(b"\n")):
        branch = branches[int(row[1 : row.index(b",")])]
        columns = branch.columns
        head, arrays = _split_arrays(row, len(columns.expressions) + 1 if columns.results else 0)
        _, metric, series, keys, groups, *values = _HEAD.decode(head)
        rows_by_branch[branch.number].append(
            SeriesRow(
                metric,
                series,
                keys,
                groups,
                {result.aggregate: result.total(values) for result in branch.totals.results},
                arrays[0] if arrays else None,
                {result.aggregate: result.column(arrays[1:]) for result in columns.results},
                tuple(values[len(branch.totals.expressions) :]),
            )
        )
    return rows_by_branch


def _split_arrays(row: bytes, count: int) -> tuple[bytes, list[bytes]]:
    """Split `count` arrays of numbers from the end of a JSON array, without parsing them.

    A parser reads every byte, and takes a hundred times as long.
    """
    arrays = []
    start = len(row) - 1
    for _ in range(count):
        end = row.rindex(b"]", 0, start) + 1
        start = row.rindex(b"[", 0, end)
        arrays.append(row[start:end])
    return row[:start].rstrip(b", ") + b"]", arrays[::-1]
