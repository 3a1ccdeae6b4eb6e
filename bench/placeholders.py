"""Placeholders in request bodies, and the requests that get new values in their place.

post.lua fills the same placeholders in wrk. All rows of a run are numbered, and a value depends on
the number of its row. So no two rows of a run have the same id, or the same host and time.
"""

import functools
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Final

ID: Final = "@" * 20
SCATTERED_TIME: Final = "#" * 13
"""Milliseconds, scattered over the hour before the run."""
SCATTERED_DATE: Final = "~" * 23
"""The same times in RFC 3339 with milliseconds, without the offset."""
RISING_TIME: Final = "%" * 13
"""Milliseconds that rise by one a row, from the hour before."""

_HOUR_MS: Final = 3_600_000
_MINUTE_MS: Final = 60_000
_STRIDE: Final = 1_299_709  # a prime: its multiples reach every millisecond of the hour once
_THOUSAND: Final = 1_000

_MARK: Final = re.compile(rb"(@{10}|#{13}|~{23}|%{10})")
_ID: Final = re.compile(ID.encode())
_RISING: Final = re.compile(RISING_TIME.encode())

_ID_FACTOR: Final = 0x9E3779B97F  # odd: different numbers have different products
_ID_MASK: Final = 2**40 - 1


@dataclass(slots=True)
class RowNumbers:
    """The number of the next row, and the time from which the times of all rows are counted.

    The time is fixed for a run: with a new time for each load, rows of two loads could be equal.
    """

    next_row: int = 0
    base_ms: int = field(default_factory=lambda: int(time.time()) * 1000)

    def take(self, rows: int) -> int:
        """Reserve the numbers of some rows; return the first one, a multiple of 10,000."""
        first_row = -(-self.next_row // 10_000) * 10_000
        self.next_row = first_row + rows
        return first_row


@dataclass(frozen=True, slots=True)
class _Slots:
    """The places of one kind of placeholder, and the value of each group of consecutive rows."""

    places: slice
    count: int
    group_rows: int
    value: Callable[[int], bytes]

    def values(self, first_row: int) -> list[bytes]:
        first_group = first_row // self.group_rows
        groups = range(first_group, first_group - (-self.count // self.group_rows))
        texts = (repeat(self.value(group), self.group_rows) for group in groups)
        return list(chain.from_iterable(texts))[: self.count]


class RequestTemplate:
    """A request whose placeholders get new values each time; threads may share it.

    It costs 0.03 us a row to fill a request. To save time, half of an id is fixed for its row in
    the body, and so are the last three digits of a rising time.
    """

    def __init__(self, request: bytes, base_ms: int, interleaved_rows: int) -> None:
        """Split the request; `interleaved_rows` consecutive rows share a scattered time."""
        numbers = iter(range(len(request)))
        request = _ID.sub(lambda _: b"@" * 10 + secrets.token_hex(5).encode(), request)
        request = _RISING.sub(lambda _: b"%" * 10 + b"%03d" % (next(numbers) % _THOUSAND), request)
        self._pieces = _MARK.split(request)
        marks = self._pieces[1::2]
        self._slots = [
            _slots(marks, mark, base_ms, interleaved_rows) for mark in sorted(set(marks))
        ]

    def fill(self, first_row: int) -> bytes:
        """Return the request for the rows from `first_row`."""
        if not self._slots:
            return self._pieces[0]
        pieces = self._pieces.copy()
        for slots in self._slots:
            pieces[slots.places] = slots.values(first_row)
        return b"".join(pieces)


def _slots(marks: list[bytes], mark: bytes, base_ms: int, interleaved_rows: int) -> _Slots:
    """Return the slots of a kind of placeholder; it must have the same place in every row."""
    first, count = marks.index(mark), marks.count(mark)
    step = len(marks) // count
    assert marks[first::step] == [mark] * count
    places = slice(1 + 2 * first, None, 2 * step)
    kind = mark[:1]
    if kind == b"@":
        return _Slots(places, count, count, _id_start)
    if kind == b"%":
        start = base_ms // _THOUSAND - 2 * _HOUR_MS // _THOUSAND
        seconds = _HOUR_MS // _THOUSAND
        return _Slots(places, count, _THOUSAND, lambda group: b"%d" % (start + group % seconds))
    write = _date if kind == b"~" else _milliseconds
    return _Slots(
        places,
        count,
        interleaved_rows,
        lambda group: write(base_ms - group % _HOUR_MS * _STRIDE % _HOUR_MS),
    )


def _id_start(group: int) -> bytes:
    return b"%010x" % (group * _ID_FACTOR & _ID_MASK)


def _milliseconds(instant: int) -> bytes:
    return b"%d" % instant


def _date(instant: int) -> bytes:
    minute, milliseconds = divmod(instant, _MINUTE_MS)
    return b"%b%02d.%03d" % (_minute(minute), *divmod(milliseconds, _THOUSAND))


@functools.lru_cache(_HOUR_MS // _MINUTE_MS + 1)
def _minute(minute: int) -> bytes:
    return time.strftime("%Y-%m-%dT%H:%M:", time.gmtime(60 * minute)).encode()
