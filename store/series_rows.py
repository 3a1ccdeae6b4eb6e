"""The answer to questions about series, read: lines, whose columns stay text."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from store.series_types import Branch, Line

_HEAD: Final = msgspec.json.Decoder(list[Any])


def lines(answer: bytes, some: Mapping[int, Branch]) -> dict[int, list[Line]]:
    """Read an answer: the lines of each branch, by its number.

    Raises `OutsideWindowError` when the branches must be `wide`.
    """
    found: dict[int, list[Line]] = {number: [] for number in some}
    for text in filter(None, answer.split(b"\n")):
        branch = some[int(text[1 : text.index(b",")])]
        head, arrays = _cut(text, len(branch.columns) + 1 if branch.columns else 0)
        _, part, series, keys, groups, *cells = _HEAD.decode(head)
        found[branch.number].append(
            Line(
                part,
                series,
                keys,
                groups,
                {total.aggregate: total.read(cells) for total in branch.totals.totals},
                arrays[0] if arrays else None,
                dict(zip(branch.columns, arrays[1:], strict=True)),
                tuple(cells[len(branch.totals.cells) :]),
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
