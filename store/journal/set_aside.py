"""Rows that were acknowledged but that the engine can't read: kept, counted, to be replayed."""

from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from store.durable_files import make_folder, sync_folder, write_durably

HEADER_PREFIX: Final = b'{"crc":'


class SetAsideLine(NamedTuple):
    """A line that is set aside, and the file and the place there that make its id."""

    file: Path
    line_index: int
    line: bytes


class SetAsideRows:
    """A journal's folder of lines that are set aside, one file for each segment they were in."""

    def __init__(self, journal_folder: Path) -> None:
        """Count what earlier processes set aside."""
        self._journal = journal_folder
        self._folder = journal_folder / "refused"
        self.rows = sum(1 for _ in self)

    def __iter__(self) -> Iterator[SetAsideLine]:
        """Go through all lines, oldest segment first."""
        for file in self.files():
            yield from read_rows(file)

    def files(self) -> list[Path]:
        """List the files, oldest segment first."""
        return sorted(self._folder.glob("*.ndjson"))

    def add_lines(self, name: str, lines: Sequence[bytes]) -> Path:
        """Keep some lines of a segment; the same again changes nothing."""
        make_folder(self._folder, root=self._journal)
        file = self._folder / name
        before = len(read_rows(file)) if file.exists() else 0
        write_durably(file, b"".join(lines))
        self.rows += len(lines) - before
        return file

    def add_segment(self, segment: Path) -> Path:
        """Move a whole segment here."""
        make_folder(self._folder, root=self._journal)
        target = segment.rename(self._folder / segment.name)
        sync_folder(self._folder)
        self.rows += len(read_rows(target))
        return target

    def keep_only(self, file: Path, lines: Sequence[bytes]) -> None:
        """Leave only these lines in a file."""
        before = len(read_rows(file))
        if lines:
            write_durably(file, b"".join(lines))
        else:
            file.unlink()
            sync_folder(self._folder)
        self.rows += len(lines) - before


def split_lines(content: bytes) -> list[bytes]:
    """Split at line feeds only: `splitlines` also splits at carriage returns."""
    lines = [line + b"\n" for line in content.split(b"\n")]
    last = lines.pop()
    return lines if last == b"\n" else [*lines, last]


def read_rows(file: Path) -> list[SetAsideLine]:
    """Return the lines of a file that are no headers of groups; no row begins as those do."""
    return [
        SetAsideLine(file, index, line)
        for index, line in enumerate(split_lines(file.read_bytes()))
        if not line.startswith(HEADER_PREFIX)
    ]


def blank_bad_lines(lines: Sequence[bytes], bad_indexes: Container[int], first: int) -> list[bytes]:
    """Put an empty object in the place of each header and each bad line, counted from `first`."""
    return [
        b"{}\n" if index in bad_indexes or line.startswith(HEADER_PREFIX) else line
        for index, line in enumerate(lines, first)
    ]
