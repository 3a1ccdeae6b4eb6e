"""The form of a segment: groups of lines, each behind a header with its checksum."""

import os
import zlib
from pathlib import Path

import msgspec

from store.durable_files import write_durably


class _Header(msgspec.Struct):
    crc: int
    bytes: int
    rows: int


def header(batch: int, at: int, lines: bytes, rows: int) -> bytes:
    """Return a group's header. Its checksum also says where the group belongs, and how long it is.

    A copy of it elsewhere is then no group.
    """
    crc = zlib.crc32(b"%d %d %d" % (batch, at, rows), zlib.crc32(lines))
    return b'{"crc":%d,"bytes":%d,"rows":%d}\n' % (crc, len(lines), rows)


def _first_header(lines: bytes, rows: int) -> bytes | None:
    """Return the header that the first version wrote; its rows were lines, and counted."""
    if lines.count(b"\n") != rows:
        return None
    return b'{"crc":%d,"bytes":%d,"rows":%d}\n' % (zlib.crc32(lines), len(lines), rows)


def read_prefix(path: Path) -> tuple[int, int]:
    """Return the rows and the bytes of the whole groups at the beginning of a segment."""
    data = path.read_bytes()
    rows = at = 0
    while (end := data.find(b"\n", at)) >= 0:
        try:
            found = msgspec.json.decode(data[at : end + 1], type=_Header)
        except (msgspec.MsgspecError, ValueError):
            break
        lines = data[end + 1 : end + 1 + max(found.bytes, 0)]
        ours = header(int(path.stem), at, lines, found.rows)
        headers = (ours, _first_header(lines, found.rows))
        if found.rows <= 0 or data[at : end + 1] not in headers:
            break
        rows += found.rows
        at = end + 1 + len(lines)
    return rows, at


def cut(path: Path, size: int) -> None:
    """Move what is behind the first `size` bytes into a file of its own."""
    with path.open("r+b") as file:
        file.seek(size)
        write_durably(path.with_suffix(".torn"), file.read())
        file.truncate(size)
        os.fsync(file.fileno())
