"""The engine's folder on disk: repairs the links of a copied store, refuses an incomplete copy.

`metadata/default` links to the folder with the tables' definitions. `data/default/<table>` links to
the folder with a table's rows. Both folders are `store/xxx/<uuid>`. Where the first link is
missing, the engine creates an empty database. Where a table's folder is missing, it creates an
empty table.
"""

import re
import shutil
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import Final

from store.durable_files import sync_folder, write_durably
from store.parts import DAMAGED_PREFIX, IGNORED_PREFIX, checksum_files, damaged_parts

_UUID: Final = "[0-9a-f]" * 8 + ("-" + "[0-9a-f]" * 4) * 3 + "-" + "[0-9a-f]" * 12
_DEFINITION: Final = re.compile(
    r"ATTACH TABLE _ UUID '([0-9a-f-]{36})'.*?\nENGINE = \w*MergeTree", re.DOTALL
)
_FORMAT_FILE: Final = "format_version.txt"
"""A file in the folder of every table."""

_MIGRATIONS_TABLE: Final = "migrations.sql"
_ADVICE: Final = (
    "Stop the service that it was copied from, and copy the whole folder again"
    " (rsync -a, cp -a, tar)."
)


class StoreFolderError(RuntimeError):
    """A folder that the service can't start with; the message is one line with the remedy."""


class EngineFolder:
    """The folder that the engine works in, checked before the engine opens it."""

    def __init__(self, folder: Path, owner_file: Path) -> None:
        """Use `folder`, which need not exist.

        `owner_file` is the file in the data folder with the database's UUID. The first start writes
        it when the tables exist.
        """
        self._folder = folder
        self._owner_file = owner_file
        self._link = folder / "metadata" / "default"

    @property
    def database(self) -> str:
        """The database's UUID; empty when there is no database."""
        return self._link.readlink().name if self._link.is_symlink() else ""

    def repair(self) -> list[str]:
        """Correct the links of a copied store; return the changed links.

        Raises `StoreFolderError` when files are missing.
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
        if self._is_unfinished(uuid_folders):
            if self._link.is_symlink():
                self._link.unlink()
            return
        database = self._find_database(uuid_folders)
        yield from self._repair_link(self._link, database)
        for definition in sorted(database.glob("*.sql")):
            yield from self._repair_table(definition)

    def _is_unfinished(self, uuid_folders: Iterable[Path]) -> bool:
        """Return whether a power cut interrupted the first start: no list of migrations, no row.

        The engine then makes a new database. What is left of the other one has no use.
        """
        return not self._owner_file.exists() and not any(
            (folder / _MIGRATIONS_TABLE).is_file() or any(checksum_files(folder))
            for folder in uuid_folders
        )

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
        """List the entries of a folder such as `data`, two levels down."""
        return (path for path in self._folder.glob(f"{name}/*/*"))

    def _find_database(self, uuid_folders: list[Path]) -> Path:
        """Return the folder with the definitions of the service's tables."""
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
        """Return whether any table but `migrations` has rows."""
        for definition in database.glob("*.sql"):
            match = _DEFINITION.match(definition.read_text())
            if (
                match
                and definition.name != _MIGRATIONS_TABLE
                and any(checksum_files(self._uuid_folder(match[1])))
            ):
                return True
        return False

    def _repair_link(self, link: Path, target_folder: Path) -> Iterator[str]:
        """Point a link to a folder of this store; yield the link if it changed."""
        target = Path(
            "../" * len(link.parent.relative_to(self._folder).parts)
        ) / target_folder.relative_to(self._folder)
        if link.is_symlink():
            if link.readlink() == target:
                return
            link.unlink()
        elif link.is_dir():
            self._remove_copy(link, target_folder)
        elif link.exists():  # without links, some copy tools write a file with the target
            link.unlink()
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)
        sync_folder(link.parent)
        yield str(link.relative_to(self._folder))

    def _remove_copy(self, copy: Path, original_folder: Path) -> None:
        """Remove a folder that was copied in place of a link, if its original has every file."""
        for path in copy.rglob("*"):
            original = original_folder / path.relative_to(copy)
            if path.is_file() and not (
                original.is_file() and original.stat().st_size == path.stat().st_size
            ):
                raise self._incomplete_error(f"{path} differs from {original}")
        shutil.rmtree(copy)

    def check_parts(self, *, waiting_batches: Container[int]) -> list[str]:
        """Set damaged parts aside whose rows are elsewhere; return their new names.

        A damaged merge has its rows in the merged parts, if they still exist: after a power cut, or
        a failed write. An insert may have its rows in the journal, in one of the `waiting_batches`:
        the process ended before it knew of the failed write. Raises `StoreFolderError` for any
        other damaged part: the engine answers without its rows.
        """
        names = []
        for damaged_part in damaged_parts(self._folder):
            if damaged_part.is_replaced or damaged_part.is_unfinished(waiting_batches):
                name = damaged_part.folder.name.replace(DAMAGED_PREFIX, IGNORED_PREFIX, 1)
                spare = damaged_part.folder.with_name(name)
                shutil.rmtree(spare, ignore_errors=True)  # an earlier power cut, the same merge
                damaged_part.folder.rename(spare)
                names.append(name)
                continue
            raise self._incomplete_error(
                f"the rows in {damaged_part.folder} are damaged or incomplete",
                " To go on without these rows, delete that folder.",
            )
        return names

    def check_owner(self) -> None:
        """Raise `StoreFolderError` if the data folder was used with another store before."""
        if not self._owner_file.exists():
            return
        expected = self._owner_file.read_text().strip()
        if expected in {"", self.database}:
            return
        state = "has other tables" if self.database else "is empty or missing"
        raise StoreFolderError(
            f"The data folder {self._owner_file.parent} was used with a store that {self._folder}"
            f" is not: that folder {state}. Set ANALYTICS_STORE to the right one, or copy it there."
            f" To begin with the store as it is, delete {self._owner_file}."
        )

    def note_owner(self) -> None:
        """Write the database's UUID into the data folder, once."""
        if not self._owner_file.exists() and self.database:
            write_durably(self._owner_file, f"{self.database}\n".encode())

    def _incomplete_error(self, reason: str, other_way: str = "") -> StoreFolderError:
        return StoreFolderError(
            f"The store in {self._folder} is not whole: {reason}. {_ADVICE}{other_way}"
        )
