"""Dead letters: acknowledged rows that the engine cannot load, kept for replay."""

from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from store.durable_files import make_folder, sync_folder, write_durably

HEADER_PREFIX: Final = b'{"crc":'


class SetAsideLine(NamedTuple):
    """A set-aside line, with its file and its index there, which make its id."""

    file: Path
    line_index: int
    line: bytes


class SetAsideRows:
    """A journal's folder of set-aside lines, one file for each segment."""

    def __init__(self, journal_folder: Path) -> None:
        """Count the lines that earlier processes set aside."""
        self._journal = journal_folder
        self._folder = journal_folder / "refused"
        self.rows = sum(1 for _ in self)

    def __iter__(self) -> Iterator[SetAsideLine]:
        """Iterate over all lines, oldest segment first."""
        for file in self.files():
            yield from read_rows(file)

    def files(self) -> list[Path]:
        """List the files, oldest segment first."""
        return sorted(self._folder.glob("*.ndjson"))

    def add_lines(self, name: str, lines: Sequence[bytes]) -> Path:
        """Write lines of a segment; a second call with equal lines changes nothing."""
        make_folder(self._folder, root=self._journal)
        file = self._folder / name
        before = len(read_rows(file)) if file.exists() else 0
        write_durably(file, b"".join(lines))
        self.rows += len(lines) - before
        return file

    def add_segment(self, segment: Path) -> Path:
        """Move a whole segment into the folder."""
        make_folder(self._folder, root=self._journal)
        target = segment.rename(self._folder / segment.name)
        sync_folder(self._folder)
        self.rows += len(read_rows(target))
        return target

    def keep_only(self, file: Path, lines: Sequence[bytes]) -> None:
        """Replace the lines of a file; remove the file if there are none."""
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
    """Return the lines of a file except the headers of groups; no row begins like a header."""
    return [
        SetAsideLine(file, index, line)
        for index, line in enumerate(split_lines(file.read_bytes()))
        if not line.startswith(HEADER_PREFIX)
    ]


def blank_bad_lines(lines: Sequence[bytes], bad_indexes: Container[int], first: int) -> list[bytes]:
    """Replace headers and bad lines by empty objects; `first` is the first line's index."""
    return [
        b"{}\n" if index in bad_indexes or line.startswith(HEADER_PREFIX) else line
        for index, line in enumerate(lines, first)
    ]
