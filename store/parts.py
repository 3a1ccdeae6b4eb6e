"""Parts of a table on the disk: damaged parts, and merges that can be undone.

Each part is a folder with the rows of one insert, or of a merge of several.
"""

import re
import shutil
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Self

DAMAGED_PREFIX: Final = "broken-on-start_"
IGNORED_PREFIX: Final = "ignored_"

UNDONE_PREFIX: Final = "undone_"
_NAME: Final = re.compile(r"(.+?)_(\d+)_(\d+)_(\d+)(?:_(\d+))?(?:_|$)")
_BATCHES_FILE: Final = "minmax_batch.idx"
"""A file with the lowest and the highest batch number of a part."""

_NON_PART_PREFIXES: Final = ("detached", "tmp", "delete_tmp")


class Part(NamedTuple):
    """The name of a part: the inserts from `first` to `last` of a partition.

    `level` counts the merges that made it. `mutation` is the number of the newest deletion that it
    has seen, 0 for none.
    """

    partition: str
    first: int
    last: int
    level: int
    mutation: int

    @classmethod
    def read(cls, name: str) -> Self | None:
        """Parse the name of a part's folder; return None for any other name."""
        match = _NAME.match(name)
        return (
            cls(match[1], *(int(number or 0) for number in match.groups()[1:])) if match else None
        )

    def may_merge(self, part: "Part") -> bool:
        """Return whether this part may be a merge of another one and more."""
        return (
            self.partition == part.partition
            and self.first <= part.first <= part.last <= self.last
            and self.level > part.level
            and self.mutation >= part.mutation
        )

    def mutates(self, part: "Part") -> bool:
        """Return whether this part is another one after a later deletion."""
        return self[:4] == part[:4] and self.mutation > part.mutation


class DamagedPart(NamedTuple):
    """The folder of a damaged part, and the whole parts of its table and partition."""

    folder: Path
    part: Part | None
    whole_parts: Sequence[Part]

    @property
    def is_replaced(self) -> bool:
        """Whether whole parts contain its first and its last insert (numbers have gaps)."""
        return self.part is not None and all(
            any(whole.first <= insert <= whole.last for whole in self.whole_parts)
            for insert in (self.part.first, self.part.last)
        )

    @property
    def is_insert(self) -> bool:
        """Whether it has the rows of one insert, which were never merged."""
        return self.part is not None and self.part.level == 0

    def is_unfinished(self, waiting_batches: Container[int]) -> bool:
        """Return whether it is an insert of rows that are still in the journal.

        A failed write may have left the file with the part's batch without any byte.
        """
        file = self.folder / _BATCHES_FILE
        if not self.is_insert or not file.exists():
            return False
        content = file.read_bytes()
        return not content or int.from_bytes(content[:8], "little") in waiting_batches


def checksum_files(table_folder: Path) -> Iterator[Path]:
    """List the files with the checksums of a table's parts, one in each part."""
    return (
        file
        for file in table_folder.glob("*/checksums.txt")
        if not file.parent.name.startswith(_NON_PART_PREFIXES)
    )


def damaged_parts(engine_folder: Path) -> Iterator[DamagedPart]:
    """List the parts that the engine moved away because their files are missing or too short."""
    for folder in sorted(engine_folder.glob(f"store/???/*/detached/{DAMAGED_PREFIX}*")):
        part = Part.read(folder.name.removeprefix(DAMAGED_PREFIX))
        parts = (Part.read(file.parent.name) for file in checksum_files(folder.parent.parent))
        whole_parts = [
            whole for whole in parts if whole and part and whole.partition == part.partition
        ]
        yield DamagedPart(folder, part, whole_parts)


def undo_merges(table_folder: Path) -> None:
    """Move merges away whose sources are still there.

    The engine may not have the table open. A merge of a damaged part can look whole: where a column
    has no bytes, the engine reads defaults. The row counts tell whether all sources are there.
    """
    files = checksum_files(table_folder)
    folders = {part: file.parent for file in files if (part := Part.read(file.parent.name))}
    for part in sorted(folders, key=lambda part: part.level, reverse=True):
        if not any(part.mutates(source) for source in folders) and _has_sources(part, folders):
            target = table_folder / "detached" / f"{UNDONE_PREFIX}{folders[part].name}"
            shutil.rmtree(target, ignore_errors=True)
            folders.pop(part).rename(target)


def _has_sources(merge: Part, folders: Mapping[Part, Path]) -> bool:
    inner_parts = [part for part in folders if merge.may_merge(part)]
    sources = [
        part
        for part in inner_parts
        if not any(later.may_merge(part) or later.mutates(part) for later in inner_parts)
    ]
    return (
        bool(sources)
        and min(part.first for part in sources) == merge.first
        and max(part.last for part in sources) == merge.last
        and sum(_rows(folders[part]) for part in sources) == _rows(folders[merge])
    )


def _rows(folder: Path) -> int:
    """Return the number of rows of a part, a negative one if its file is damaged or missing."""
    file = folder / "count.txt"
    content = file.read_bytes() if file.exists() else b""
    return int(content) if content.isdigit() else -(2**63)
