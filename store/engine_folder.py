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
_DAMAGED_PREFIX: Final = "broken-on-start_"
_PART_NAME: Final = re.compile(r"(.+?)_(\d+)_(\d+)_\d+(_|$)")
_FORMAT_FILE: Final = "format_version.txt"
"""A file that each table's folder has."""

_NON_PART_PREFIXES: Final = ("detached", "tmp", "delete_tmp")
_MIGRATIONS_TABLE: Final = "migrations.sql"
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
        match = _PART_NAME.match(name)
        return cls(match[1], int(match[2]), int(match[3])) if match else None

    def is_replaced(self, parts: Iterable["_Part"]) -> bool:
        """Tell whether other parts have its first and its last insert (numbers have gaps)."""
        same = [other for other in parts if other.partition == self.partition]
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
            return list(self._repair_links())
        except OSError as error:
            reason = f"{error.strerror}: {error.filename}"
            raise StoreFolderError(f"The store in {self._folder} can't be used: {reason}") from None

    def _repair_links(self) -> Iterator[str]:
        uuid_folders = sorted(self._folder.glob(f"store/???/{_UUID}"))
        if not uuid_folders:
            if any(self._entries("metadata")) or any(self._entries("data")):
                raise self._incomplete_error(f"{self._folder / 'store'} is missing or empty")
            return
        database = self._find_database(uuid_folders)
        yield from self._repair_link(self._link, database)
        for definition in sorted(database.glob("*.sql")):
            yield from self._repair_table(definition)

    def _repair_table(self, definition: Path) -> Iterator[str]:
        match = _DEFINITION.match(definition.read_text())
        if not match:
            if definition.stat().st_size == 0:
                raise self._incomplete_error(f"{definition} is empty")
            return
        table_folder = self._uuid_folder(match[1])
        if not (table_folder / _FORMAT_FILE).is_file():
            raise self._incomplete_error(
                f"the rows of {definition.stem} are missing ({table_folder})"
            )
        (table_folder / "detached").mkdir(exist_ok=True)  # archives drop empty folders
        yield from self._repair_link(
            self._folder / "data" / "default" / definition.stem, table_folder
        )

    def _uuid_folder(self, uuid: str) -> Path:
        return self._folder / "store" / uuid[:3] / uuid

    def _entries(self, name: str) -> Iterator[Path]:
        """Go through what a folder like `data` has, two levels down."""
        return (path for path in self._folder.glob(f"{name}/*/*"))

    def _find_database(self, uuid_folders: list[Path]) -> Path:
        """Return the folder with the definitions of our tables."""
        databases = [home for home in uuid_folders if any(home.glob("*.sql"))]
        linked_database = None
        if self._link.is_symlink():
            linked_database = self._uuid_folder(self._link.readlink().name)
            if not linked_database.is_dir():
                raise self._incomplete_error(
                    f"the definitions of its tables are missing ({linked_database})"
                )
        own_databases = [home for home in databases if (home / _MIGRATIONS_TABLE).is_file()]
        with_rows = [home for home in own_databases if self._has_rows(home)]
        candidates = with_rows or ([linked_database] if linked_database else own_databases)
        if linked_database in candidates and len(candidates) == 1:
            return candidates[0]
        if not candidates:
            raise self._incomplete_error("the definitions of its tables are missing")
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
            match = _DEFINITION.match(definition.read_text())
            if (
                match
                and definition.name != _MIGRATIONS_TABLE
                and any(self._checksum_files(self._uuid_folder(match[1])))
            ):
                return True
        return False

    @staticmethod
    def _checksum_files(table_folder: Path) -> Iterator[Path]:
        return (
            found
            for found in table_folder.glob("*/checksums.txt")
            if not found.parent.name.startswith(_NON_PART_PREFIXES)
        )

    def _repair_link(self, link: Path, target_folder: Path) -> Iterator[str]:
        """Make a link lead to a folder of this store; yield it if it did not."""
        target = Path(
            "../" * len(link.parent.relative_to(self._folder).parts)
        ) / target_folder.relative_to(self._folder)
        if link.is_symlink():
            if link.readlink() == target:
                return
            link.unlink()
        elif link.is_dir():
            self._remove_copy(link, target_folder)
        elif link.exists():  # where links can't be, some tools write a file with the target
            link.unlink()
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)
        sync_folder(link.parent)
        yield str(link.relative_to(self._folder))

    def _remove_copy(self, copy: Path, original_folder: Path) -> None:
        """Remove a folder that was copied in place of a link to `home`, if `home` has all of it."""
        for path in copy.rglob("*"):
            original = original_folder / path.relative_to(copy)
            if path.is_file() and not (
                original.is_file() and original.stat().st_size == path.stat().st_size
            ):
                raise self._incomplete_error(f"{path} differs from {original}")
        shutil.rmtree(copy)

    def check_parts(self) -> None:
        """Refuse a store with rows that the engine found damaged when it opened them.

        The engine only moves such rows away, and answers without them. After a power cut that may
        be a part whose merge was not on the disk yet: then the engine has the parts that were
        merged, and nothing is lost.
        """
        for folder in sorted(self._folder.glob(f"store/???/*/detached/{_DAMAGED_PREFIX}*")):
            part = _Part.read(folder.name.removeprefix(_DAMAGED_PREFIX))
            table_folder = folder.parent.parent
            others = [_Part.read(found.parent.name) for found in self._checksum_files(table_folder)]
            if part and part.is_replaced([other for other in others if other]):
                spare = folder.with_name(folder.name.replace(_DAMAGED_PREFIX, "ignored_", 1))
                shutil.rmtree(spare, ignore_errors=True)  # an earlier power cut, the same merge
                folder.rename(spare)
                continue
            raise self._incomplete_error(
                f"the rows in {folder} are damaged or incomplete",
                " To go on without these rows, delete that folder.",
            )

    def check_owner(self, owner_file: Path) -> None:
        """Refuse another store than the one that a data folder was used with.

        `note` is the file in the data folder that has the database's UUID.
        """
        if not owner_file.exists():
            return
        expected = owner_file.read_text().strip()
        if expected in {"", self.database}:
            return
        state = "has other tables" if self.database else "is empty or missing"
        raise StoreFolderError(
            f"The data folder {owner_file.parent} was used with a store that {self._folder} is not:"
            f" that folder {state}. Set ANALYTICS_STORE to the right one, or copy it there."
            f" To begin with the store as it is, delete {owner_file}."
        )

    def note_owner(self, owner_file: Path) -> None:
        """Note in the data folder which store it is used with."""
        if not owner_file.exists() and self.database:
            write_durably(owner_file, f"{self.database}\n".encode())

    def _incomplete_error(self, reason: str, other_way: str = "") -> StoreFolderError:
        return StoreFolderError(
            f"The store in {self._folder} is not whole: {reason}. {_ADVICE}{other_way}"
        )
