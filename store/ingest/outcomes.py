"""Outcomes of recording: the position of the first stored row, and the duplicates.

A `Position` is where a row is stored: batch number and row number.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, Generic, NamedTuple

import msgspec

from schema.recording import RowError
from schema.scalars import Instant
from store.ingest.rows import Row
from store.journal.row_ids import Position


class Original(NamedTuple):
    """The stored row that a duplicate repeats: its position and its time."""

    position: Position
    time: Instant


_NO_DUPLICATES: Final[Mapping[int, Original]] = MappingProxyType({})


class RecordOutcome(NamedTuple):
    """The outcome of a batch: the position of its first stored row, if any, and its duplicates.

    `points` counts the stored rows of the table. The keys of `duplicates` are indexes of rows in
    the batch.
    """

    position: Position | None
    points: int
    duplicates: Mapping[int, Original] = _NO_DUPLICATES


class IngestedRow(msgspec.Struct, Generic[Row]):  # a dataclass takes five times as long
    """A single row, its time and position; for a duplicate, those of its original."""

    row: Row
    time: Instant
    position: Position
    duplicate: bool = False


class IngestedBatch(NamedTuple):
    """The outcome of the rows of one request: counts of valid rows, errors of rejected rows."""

    stored: int
    duplicates: int
    errors: Sequence[RowError]
