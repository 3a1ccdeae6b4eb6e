"""Replay of set-aside lines: parses them again as rows to record."""

from typing import Any

from schema.errors import AnalyticsError
from schema.scalars import Instant
from store.ingest.decoder import Batch, batch_of, read_one
from store.ingest.streams import Stream
from store.journal.project_lines import split_project
from store.journal.set_aside import SetAsideLine
from store.timestamps import MILLISECONDS


def read_set_aside(
    stream: Stream[Any], lines: list[SetAsideLine], project: str, now: Instant
) -> tuple[Batch[Any], list[bytes]]:
    """Return the lines of a project that parse, as a batch, and all other lines.

    A row without an id gets one, so that an interrupted replay can be repeated.
    """
    rows = []
    remaining_lines: list[bytes] = []
    for file, index, line in lines:
        line_project, row_line = split_project(line)
        if line_project != project:
            remaining_lines.append(line)
            continue
        try:
            row, _, _ = read_one(stream.row_type, row_line, now, MILLISECONDS)
        except AnalyticsError:
            remaining_lines.append(line)
            continue
        row.id = row.id or f"set-aside-{file.stem}-{index}"
        rows.append(row)
    batch = batch_of(stream.row_type, rows)
    batch.project = project
    return batch, remaining_lines
