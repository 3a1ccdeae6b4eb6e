"""The open segment of a journal: it takes groups of rows, each durably."""

import contextlib
import os
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from store.journal.conversions import STORED, Conversions
from store.journal.segments import header

_MAX_NAMES: Final = 10_000
"""A segment with more names counts as a segment with any name."""

_sync_data: Final = getattr(os, "fdatasync", os.fsync)  # macOS has only fsync


@dataclass(slots=True)
class OpenSegment:
    """The segment that takes rows; `bytes`, `lines` and `rows` count its durable content."""

    path: Path
    batch: int
    fd: int
    opened_at: float
    bytes: int = 0
    lines: int = 0
    rows: int = 0
    names: set[str] | None = field(default_factory=set)
    conversions: Conversions = STORED

    def add_names(self, names: Sequence[AbstractSet[str] | None]) -> None:
        """Add the names of several groups of rows, up to `_MAX_NAMES`."""
        if self.names is None or None in names or len(self.names) > _MAX_NAMES:
            self.names = None
        else:
            self.names.update(*filter(None, names))

    def add_conversions(self, conversions: Sequence[Conversions]) -> None:
        """Add the conversions that several groups of rows need."""
        for added_conversions in conversions:
            if added_conversions is not STORED:  # a single row needs none
                self.conversions = self.conversions.join(added_conversions)


def append_group(current: OpenSegment, lines: bytes, rows: int) -> int:
    """Write a header and a group of lines durably; return their size in bytes.

    After a failure the segment is truncated: rows that were not acknowledged must not be loaded.
    """
    head = header(current.batch, current.bytes, lines, rows)
    try:
        _write_all(current.fd, head, lines)
        _sync_data(current.fd)
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(current.fd, current.bytes)
            _sync_data(current.fd)
        raise
    return len(head) + len(lines)


def _write_all(fd: int, head: bytes, lines: bytes) -> None:
    size = os.writev(fd, (head, lines))
    remaining_bytes = memoryview(head + lines)[size:] if size < len(head) + len(lines) else b""
    while remaining_bytes:
        remaining_bytes = remaining_bytes[os.write(fd, remaining_bytes) :]
