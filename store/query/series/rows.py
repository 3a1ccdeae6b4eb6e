"""The answer to questions about series, read: lines, whose columns stay text."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from store.query.series.types import Branch, SeriesRow

_HEAD: Final = msgspec.json.Decoder(list[Any])


def series_rows(answer: bytes, some: Mapping[int, Branch]) -> dict[int, list[SeriesRow]]:
    """Read an answer: the lines of each branch, by its number.

    Raises `OutsideWindowError` when the branches must be `wide`.
    """
    found: dict[int, list[SeriesRow]] = {number: [] for number in some}
    for text in filter(None, answer.split(b"\n")):
        branch = some[int(text[1 : text.index(b",")])]
        columns = branch.columns
        head, arrays = _cut(text, len(columns.expressions) + 1 if columns.results else 0)
        _, part, series, keys, groups, *values = _HEAD.decode(head)
        found[branch.number].append(
            SeriesRow(
                part,
                series,
                keys,
                groups,
                {each.aggregate: each.total(values) for each in branch.totals.results},
                arrays[0] if arrays else None,
                {each.aggregate: each.column(arrays[1:]) for each in columns.results},
                tuple(values[len(branch.totals.expressions) :]),
            )
        )
    return found


def _cut(text: bytes, count: int) -> tuple[bytes, list[bytes]]:
    """Cut so many arrays of numbers from the end of an array, unread.

    That takes a hundredth of the time of a parser, which looks at every byte.
    """
    arrays = []
    start = len(text) - 1
    for _ in range(count):
        end = text.rindex(b"]", 0, start) + 1
        start = text.rindex(b"[", 0, end)
        arrays.append(text[start:end])
    return text[:start].rstrip(b", ") + b"]", arrays[::-1]
