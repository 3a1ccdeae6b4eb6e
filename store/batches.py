"""Batch numbers: every stored row is (batch, row), and that pair is its id."""

import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from store.files import write_durably

_NODE_BITS: Final = 12


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class Position(NamedTuple):
    """Where a row was acknowledged: its journal segment's batch number and its line there."""

    batch: int
    row: int


class BatchNumbers:
    """Gives each journal segment a number that is unique, and greater than all before it.

    A number is the segment's creation in milliseconds, then 12 bits that are drawn once for each
    data folder, so that several services can fill one store.
    """

    def __init__(self, node_file: Path, now_ms: Callable[[], int] = _now_ms) -> None:
        """Read this data folder's node number, or draw it when the folder is new."""
        if not node_file.exists():
            write_durably(node_file, f"{secrets.randbelow(2**_NODE_BITS)}\n".encode())
        self._node = int(node_file.read_text()) % 2**_NODE_BITS
        self.now_ms = now_ms
        self._last_ms = 0

    def reserve(self, used: int) -> None:
        """Never give a number up to `used`, even when the clock has stepped back."""
        self._last_ms = max(self._last_ms, used >> _NODE_BITS)

    def next(self) -> int:
        """Return a new batch number."""
        self._last_ms = max(self.now_ms(), self._last_ms + 1)
        return self._last_ms << _NODE_BITS | self._node


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
