"""Replay of set-aside lines: parses them again as rows to record."""

import hashlib
from collections.abc import Container
from pathlib import Path
from typing import Any, NamedTuple

from schema.errors import AnalyticsError
from schema.scalars import Instant
from store.ingest.admission import admit_names
from store.ingest.decoder import Batch, batch_of, read_one
from store.ingest.names import AdmittedNames, Names
from store.ingest.streams import Stream
from store.journal.project_lines import split_project
from store.journal.set_aside import SetAsideLine, read_rows
from store.timestamps import MILLISECONDS


class Replay(NamedTuple):
    """The lines of a file to record again, their names, to be settled, and all other lines."""

    batch: Batch[Any]
    names: AdmittedNames
    remaining_lines: list[bytes]


async def read_replay(
    names: Names, stream: Stream[Any], file: Path, project: str, now: Instant
) -> Replay:
    """Read the lines of a project in a file that parse, and whose names are admitted."""
    lines = read_rows(file)
    batch, remaining_lines = read_set_aside(stream, lines, project, now)
    admitted_names, refused_names = await admit_names(names, stream, batch)
    if refused_names:
        batch, remaining_lines = read_set_aside(stream, lines, project, now, refused_names)
    if not batch.points:
        admitted_names.settle()
    return Replay(batch, admitted_names, remaining_lines)


def read_set_aside(
    stream: Stream[Any],
    lines: list[SetAsideLine],
    project: str,
    now: Instant,
    refused_names: Container[str] = (),
) -> tuple[Batch[Any], list[bytes]]:
    """Return the lines of a project that parse, as a batch, and all other lines.

    Lines with `refused_names` are among the others. A row without an id gets one, so that an
    interrupted replay can be repeated. The id has a hash of the line: lines before it may leave the
    file, and then its index is that of another line before.
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
        if stream.row_type.name_of(row) in refused_names:
            remaining_lines.append(line)
            continue
        digest = hashlib.blake2b(line, digest_size=8).hexdigest()
        row.id = row.id or f"set-aside-{file.stem}-{index}-{digest}"
        rows.append(row)
    batch = batch_of(stream.row_type, rows)
    batch.project = project
    return batch, remaining_lines
