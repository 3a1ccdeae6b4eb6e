"""Replay of set-aside lines: parses them again as rows to record."""

from typing import Any

from schema.errors import AnalyticsError
from schema.scalars import Instant
from store.ingest.decoder import Batch, batch_of, read_one
from store.ingest.streams import Stream
from store.journal.set_aside import SetAsideLine
from store.timestamps import MILLISECONDS


def read_set_aside(
    stream: Stream[Any], lines: list[SetAsideLine], now: Instant
) -> tuple[Batch[Any], list[bytes]]:
    """Return the lines that parse, as a batch, and the lines that still don't.

    A row without an id gets one, so that an interrupted replay can be repeated.
    """
    rows = []
    unreadable: list[bytes] = []
    for file, index, line in lines:
        try:
            row, _, _ = read_one(stream.row_type, line, now, MILLISECONDS)
        except AnalyticsError:
            unreadable.append(line)
            continue
        row.id = row.id or f"set-aside-{file.stem}-{index}"
        rows.append(row)
    return batch_of(stream.row_type, rows), unreadable
