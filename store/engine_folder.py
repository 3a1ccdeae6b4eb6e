"""The engine's folder on disk: repairs the links of a copy, refuses a copy that is not whole.

`metadata/default` is a link to the folder with the tables' definitions, `data/default/<table>` a
link to a table's rows; both folders are `store/xxx/<uuid>`. The engine makes a new, empty database
where the first link is missing, and an empty table where a table's folder is.
"""

import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from store.durable_files import sync_folder, write_durably

_UUID: Final = "[0-9a-f]" * 8 + ("-" + "[0-9a-f]" * 4) * 3 + "-" + "[0-9a-f]" * 12
_DEFINITION: Final = re.compile(
    r"ATTACH TABLE _ UUID '([0-9a-f-]{36})'.*?\nENGINE = \w*MergeTree", re.DOTALL
)
_DAMAGED: Final = "broken-on-start_"
_PART: Final = re.compile(r"(.+?)_(\d+)_(\d+)_\d+(_|$)")
_FORMAT: Final = "format_version.txt"
"""A file that each table's folder has."""

_NO_PARTS: Final = ("detached", "tmp", "delete_tmp")
_OWN_TABLE: Final = "migrations.sql"
_ADVICE: Final = (
    "Stop the service that it was copied from, and copy the whole folder again"
    " (rsync -a, cp -a, tar)."
)


class _Part(NamedTuple):
    """The name of a part: the inserts from `first` to `last` of a partition."""

    partition: str
    first: int
    last: int

    @classmethod
    def read(cls, name: str) -> "_Part | None":
        """Read the name of a part's folder."""
        found = _PART.match(name)
        return cls(found[1], int(found[2]), int(found[3])) if found else None

    def is_replaced(self, others: Iterable["_Part"]) -> bool:
        """Tell whether other parts have its first and its last insert (numbers have gaps)."""
        same = [other for other in others if other.partition == self.partition]
        return all(
            any(other.first <= insert <= other.last for other in same)
            for insert in (self.first, self.last)
        )


class StoreFolderError(RuntimeError):
    """A folder that the service can't start with; the message is one line and says what to do."""


class EngineFolder:
    """The folder that the engine works in, looked at before the engine opens it."""

    def __init__(self, folder: Path) -> None:
        """Use `folder`, which need not exist."""
        self._folder = folder
        self._link = folder / "metadata" / "default"

    @property
    def database(self) -> str:
        """The database's UUID; empty when there is no database."""
        return self._link.readlink().name if self._link.is_symlink() else ""

    def repair(self) -> list[str]:
        """Make the links of a copied store right; return the links that were changed.

        Raises `StoreFolderError` when files are missing that no link can replace.
        """
        try:
            return list(self._repaired())
        except OSError as error:
            reason = f"{error.strerror}: {error.filename}"
            raise StoreFolderError(f"The store in {self._folder} can't be used: {reason}") from None

    def _repaired(self) -> Iterator[str]:
        homes = sorted(self._folder.glob(f"store/???/{_UUID}"))
        if not homes:
            if any(self._entries("metadata")) or any(self._entries("data")):
                raise self._incomplete(f"{self._folder / 'store'} is missing or empty")
            return
        database = self._database(homes)
        yield from self._point(self._link, database)
        for definition in sorted(database.glob("*.sql")):
            yield from self._repair_table(definition)

    def _repair_table(self, definition: Path) -> Iterator[str]:
        found = _DEFINITION.match(definition.read_text())
        if not found:
            if definition.stat().st_size == 0:
                raise self._incomplete(f"{definition} is empty")
            return
        home = self._home(found[1])
        if not (home / _FORMAT).is_file():
            raise self._incomplete(f"the rows of {definition.stem} are missing ({home})")
        (home / "detached").mkdir(exist_ok=True)  # archives drop empty folders
        yield from self._point(self._folder / "data" / "default" / definition.stem, home)

    def _home(self, uuid: str) -> Path:
        return self._folder / "store" / uuid[:3] / uuid

    def _entries(self, name: str) -> Iterator[Path]:
        """Go through what a folder like `data` has, two levels down."""
        return (path for path in self._folder.glob(f"{name}/*/*"))

    def _database(self, homes: list[Path]) -> Path:
        """Return the folder with the definitions of our tables."""
        databases = [home for home in homes if any(home.glob("*.sql"))]
        linked = None
        if self._link.is_symlink():
            linked = self._home(self._link.readlink().name)
            if not linked.is_dir():
                raise self._incomplete(f"the definitions of its tables are missing ({linked})")
        ours = [home for home in databases if (home / _OWN_TABLE).is_file()]
        filled = [home for home in ours if self._has_rows(home)]
        candidates = filled or ([linked] if linked else ours)
        if linked in candidates and len(candidates) == 1:
            return candidates[0]
        if not candidates:
            raise self._incomplete("the definitions of its tables are missing")
        if len(candidates) > 1:
            names = ", ".join(str(home) for home in candidates)
            raise StoreFolderError(
                f"The store in {self._folder} has {len(candidates)} sets of tables with rows:"
                f" {names}. Move the one that is not wanted out of it."
            )
        return candidates[0]

    def _has_rows(self, database: Path) -> bool:
        """Tell whether a table has rows, apart from our list of migrations."""
        for definition in database.glob("*.sql"):
            found = _DEFINITION.match(definition.read_text())
            if found and definition.name != _OWN_TABLE and any(self._parts(self._home(found[1]))):
                return True
        return False

    @staticmethod
    def _parts(home: Path) -> Iterator[Path]:
        return (
            found
            for found in home.glob("*/checksums.txt")
            if not found.parent.name.startswith(_NO_PARTS)
        )

    def _point(self, link: Path, home: Path) -> Iterator[str]:
        """Make a link lead to a folder of this store; yield it if it did not."""
        target = Path("../" * len(link.parent.relative_to(self._folder).parts)) / home.relative_to(
            self._folder
        )
        if link.is_symlink():
            if link.readlink() == target:
                return
            link.unlink()
        elif link.is_dir():
            self._remove_copy(link, home)
        elif link.exists():  # where links can't be, some tools write a file with the target
            link.unlink()
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)
        sync_folder(link.parent)
        yield str(link.relative_to(self._folder))

    def _remove_copy(self, copy: Path, home: Path) -> None:
        """Remove a folder that was copied in place of a link to `home`, if `home` has all of it."""
        for path in copy.rglob("*"):
            original = home / path.relative_to(copy)
            if path.is_file() and not (
                original.is_file() and original.stat().st_size == path.stat().st_size
            ):
                raise self._incomplete(f"{path} differs from {original}")
        shutil.rmtree(copy)

    def check_parts(self) -> None:
        """Refuse a store with rows that the engine found damaged when it opened them.

        The engine only moves such rows away, and answers without them. After a power cut that may
        be a part whose merge was not on the disk yet: then the engine has the parts that were
        merged, and nothing is lost.
        """
        for folder in sorted(self._folder.glob(f"store/???/*/detached/{_DAMAGED}*")):
            part = _Part.read(folder.name.removeprefix(_DAMAGED))
            home = folder.parent.parent
            others = [_Part.read(found.parent.name) for found in self._parts(home)]
            if part and part.is_replaced([other for other in others if other]):
                spare = folder.with_name(folder.name.replace(_DAMAGED, "ignored_", 1))
                shutil.rmtree(spare, ignore_errors=True)  # an earlier power cut, the same merge
                folder.rename(spare)
                continue
            raise self._incomplete(
                f"the rows in {folder} are damaged or incomplete",
                " To go on without these rows, delete that folder.",
            )

    def check_owner(self, note: Path) -> None:
        """Refuse another store than the one that a data folder was used with.

        `note` is the file in the data folder that has the database's UUID.
        """
        if not note.exists():
            return
        expected = note.read_text().strip()
        if expected in {"", self.database}:
            return
        found = "has other tables" if self.database else "is empty or missing"
        raise StoreFolderError(
            f"The data folder {note.parent} was used with a store that {self._folder} is not: that"
            f" folder {found}. Set ANALYTICS_STORE to the right one, or copy it there. To begin"
            f" with the store as it is, delete {note}."
        )

    def note_owner(self, note: Path) -> None:
        """Note in the data folder which store it is used with."""
        if not note.exists() and self.database:
            write_durably(note, f"{self.database}\n".encode())

    def _incomplete(self, reason: str, other_way: str = "") -> StoreFolderError:
        return StoreFolderError(
            f"The store in {self._folder} is not whole: {reason}. {_ADVICE}{other_way}"
        )
