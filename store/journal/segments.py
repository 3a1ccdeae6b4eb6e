"""Segments on disk: groups of lines, each after a header with its checksum."""

import os
import zlib
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from store.durable_files import write_durably
from store.journal.conversions import UNKNOWN, Conversions

_SUFFIX: Final = ".ndjson"
_DIGIT: Final = "[0-9]"


@dataclass(frozen=True, slots=True)
class Segment:
    """A sealed segment. An earlier process may have loaded a `leftover` segment already.

    `names` are the metrics or events of its rows, None if unknown.
    """

    path: Path
    batch: int
    rows: int
    bytes: int
    leftover: bool = False
    names: AbstractSet[str] | None = None
    conversions: Conversions = UNKNOWN


def segment_path(folder: Path, batch: int) -> Path:
    """Return the path of the segment with this batch number."""
    return folder / f"{batch:020d}{_SUFFIX}"


def segment_files(folder: Path) -> list[Path]:
    """List the segments in a folder, oldest first."""
    return sorted(folder.glob(f"{_DIGIT * 20}{_SUFFIX}"))


class _Header(msgspec.Struct):
    crc: int
    bytes: int
    rows: int


def header(batch: int, offset: int, lines: bytes, rows: int) -> bytes:
    """Return a group's header. Its checksum covers the lines, the batch, the offset and the rows.

    A copy of the group at another offset is therefore invalid.
    """
    crc = zlib.crc32(b"%d %d %d" % (batch, offset, rows), zlib.crc32(lines))
    return b'{"crc":%d,"bytes":%d,"rows":%d}\n' % (crc, len(lines), rows)


def _version_1_header(lines: bytes, rows: int) -> bytes | None:
    """Return the first version's header: its checksum covers the lines only, one for each row."""
    if lines.count(b"\n") != rows:
        return None
    return b'{"crc":%d,"bytes":%d,"rows":%d}\n' % (zlib.crc32(lines), len(lines), rows)


def read_prefix(path: Path) -> tuple[int, int]:
    """Return the rows and the bytes of the complete groups at the beginning of a segment."""
    data = path.read_bytes()
    rows = offset = 0
    while (end := data.find(b"\n", offset)) >= 0:
        try:
            group = msgspec.json.decode(data[offset : end + 1], type=_Header)
        except (msgspec.MsgspecError, ValueError):
            break
        lines = data[end + 1 : end + 1 + max(group.bytes, 0)]
        expected = header(int(path.stem), offset, lines, group.rows)
        headers = (expected, _version_1_header(lines, group.rows))
        if group.rows <= 0 or data[offset : end + 1] not in headers:
            break
        rows += group.rows
        offset = end + 1 + len(lines)
    return rows, offset


def split_torn_end(path: Path, size: int) -> None:
    """Move the bytes after the first `size` bytes into a `.torn` file."""
    with path.open("r+b") as file:
        file.seek(size)
        write_durably(path.with_suffix(".torn"), file.read())
        file.truncate(size)
        os.fsync(file.fileno())
