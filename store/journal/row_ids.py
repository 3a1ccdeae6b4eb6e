"""Batch numbers: every stored row is (batch, row), and that pair is its id."""

import contextlib
import secrets
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from schema.scalars import MS_PER_HOUR
from store.clock import is_plausible, steady_ms, wall_ms
from store.durable_files import write_durably

_NODE_BITS: Final = 12
_MAX_HOURLY_NUMBERS: Final = 10 * 24
"""One an hour: ten days."""


class Position(NamedTuple):
    """Where a row was acknowledged: its journal segment's batch number and its line there."""

    batch: int
    row: int


class BatchNumbers:
    """Gives each journal segment a number that is unique, and greater than all before it.

    A number is the segment's creation in milliseconds, then 12 bits that are drawn once for each
    data folder, so that several services can fill one store. When the wall clock is put back,
    numbers stay ahead of it, a millisecond further each, until it has caught up.
    """

    def __init__(
        self,
        node_file: Path,
        now_ms: Callable[[], int] = wall_ms,
        steady_ms: Callable[[], int] = steady_ms,
    ) -> None:
        """Read this data folder's node number, or draw it when the folder is new."""
        self._node = _node(node_file)
        self.now_ms = now_ms
        self.steady_ms = steady_ms
        self._last_ms = 0
        self._hourly_numbers: deque[_TimedNumber] = deque(maxlen=_MAX_HOURLY_NUMBERS)

    @property
    def newest_ms(self) -> int:
        """The milliseconds in the newest number that was given or reserved."""
        return self._last_ms

    def reserve(self, number: int) -> None:
        """Never give a number up to `used`, even when the clock has stepped back."""
        self._last_ms = max(self._last_ms, number >> _NODE_BITS)

    def next(self) -> int:
        """Return a new batch number; a clock that can't be right has no say in it."""
        now = self.now_ms()
        self._last_ms = max(now if is_plausible(now) else 0, self._last_ms + 1)
        number = self._last_ms << _NODE_BITS | self._node
        steady = self.steady_ms()
        if not self._hourly_numbers or steady >= self._hourly_numbers[-1].steady_ms + MS_PER_HOUR:
            self._hourly_numbers.append(_TimedNumber(steady, number))
        return number

    def first_within(self, ms: int) -> int | None:
        """Return a number given before the last `ms` began, the latest that is known.

        None if this process gave no number before. The wall clock has no say in it.
        """
        latest_ms = self.steady_ms() - ms
        numbers = (
            mark.number for mark in reversed(self._hourly_numbers) if mark.steady_ms <= latest_ms
        )
        return next(numbers, None)


class _TimedNumber(NamedTuple):
    """A batch number, and when it was given by the steady clock."""

    steady_ms: int
    number: int


def _node(file: Path) -> int:
    with contextlib.suppress(FileNotFoundError, ValueError):
        return int(file.read_text()) % 2**_NODE_BITS
    node = secrets.randbelow(2**_NODE_BITS)
    write_durably(file, f"{node}\n".encode())
    return node


def first_batch_at(ms: int) -> int:
    """Return the lowest number that a segment created at this time can have."""
    return max(0, ms) << _NODE_BITS


def row_id(position: Position) -> str:
    """Return a row's id as a UUID version 7 (RFC 9562, 5.7): ids sort in order of arrival.

    Its 48-bit time is the batch's, `rand_a` the node, and `rand_b` the row.
    """
    ms, node = position.batch >> _NODE_BITS, position.batch % 2**_NODE_BITS
    value = ms << 80 | 0x7 << 76 | node << 64 | 0b10 << 62 | position.row
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def position_of(text: str) -> Position | None:
    """Return the position that a row's id stands for, or None if it is not an id of ours."""
    try:
        value = int(text.replace("-", ""), 16)
    except ValueError:
        return None
    node, row = value >> 64 & 2**_NODE_BITS - 1, value & 2**62 - 1
    position = Position(value >> 80 << _NODE_BITS | node, row)
    return position if row < 2**32 and row_id(position) == text else None
