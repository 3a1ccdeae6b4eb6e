"""Batch numbers and row ids: a stored row's id is its batch number and its row number."""

import contextlib
import functools
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
"""Ten days of one number an hour."""


class Position(NamedTuple):
    """The position of a row: its journal segment's batch number, and its line number there."""

    batch: int
    row: int


class BatchNumbers:
    """Generator of the segments' numbers: unique, each greater than all before.

    A number is the segment's time of creation in milliseconds, followed by 12 random bits of the
    data folder, so that several services can fill one store. After the wall clock is put back, each
    number is one millisecond after the last, until the clock catches up.
    """

    def __init__(
        self,
        node_file: Path,
        now_ms: Callable[[], int] = wall_ms,
        steady_ms: Callable[[], int] = steady_ms,
    ) -> None:
        """Read this data folder's node number; in a new folder, choose one at random."""
        self._node = _node(node_file)
        self.now_ms = now_ms
        self.steady_ms = steady_ms
        self._last_ms = 0
        self._hourly_numbers: deque[_TimedNumber] = deque(maxlen=_MAX_HOURLY_NUMBERS)

    @property
    def newest_ms(self) -> int:
        """The milliseconds of the newest number, generated or reserved."""
        return self._last_ms

    def reserve(self, number: int) -> None:
        """Generate no number up to `number`, even after the clock is put back."""
        self._last_ms = max(self._last_ms, number >> _NODE_BITS)

    def next(self) -> int:
        """Return a new batch number; an implausible clock is ignored."""
        now = self.now_ms()
        self._last_ms = max(now if is_plausible(now) else 0, self._last_ms + 1)
        number = self._last_ms << _NODE_BITS | self._node
        steady = self.steady_ms()
        if not self._hourly_numbers or steady >= self._hourly_numbers[-1].steady_ms + MS_PER_HOUR:
            self._hourly_numbers.append(_TimedNumber(steady, number))
        return number

    def first_within(self, ms: int) -> int | None:
        """Return the latest recorded number that is at least `ms` milliseconds old.

        Returns None if this process generated no number before. The wall clock does not matter.
        """
        latest_ms = self.steady_ms() - ms
        numbers = (
            sample.number
            for sample in reversed(self._hourly_numbers)
            if sample.steady_ms <= latest_ms
        )
        return next(numbers, None)


class _TimedNumber(NamedTuple):
    """A batch number, and its time by the steady clock."""

    steady_ms: int
    number: int


def _node(file: Path) -> int:
    with contextlib.suppress(FileNotFoundError, ValueError):
        return int(file.read_text()) % 2**_NODE_BITS
    node = secrets.randbelow(2**_NODE_BITS)
    write_durably(file, f"{node}\n".encode())
    return node


def first_batch_at(ms: int) -> int:
    """Return the lowest number of a segment created at this time."""
    return max(0, ms) << _NODE_BITS


def row_id(position: Position) -> str:
    """Return a row's id as a UUID version 7 (RFC 9562, 5.7): ids sort in order of arrival.

    Its 48-bit time is the batch's time, `rand_a` the node, and `rand_b` the row number.
    """
    end = f"{0b10 << 62 | position.row:016x}"
    return f"{_batch_id(position.batch)}-{end[:4]}-{end[4:]}"


@functools.lru_cache(maxsize=64)
def _batch_id(batch: int) -> str:
    """Return the part that the ids of a batch share."""
    ms, node = batch >> _NODE_BITS, batch % 2**_NODE_BITS
    text = f"{ms << 16 | 0x7 << 12 | node:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:]}"


def position_of(text: str) -> Position | None:
    """Return the position of a row's id, or None if the text is no id of a row."""
    try:
        value = int(text.replace("-", ""), 16)
    except ValueError:
        return None
    node, row = value >> 64 & 2**_NODE_BITS - 1, value & 2**62 - 1
    position = Position(value >> 80 << _NODE_BITS | node, row)
    return position if row < 2**32 and row_id(position) == text else None
