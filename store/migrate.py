"""Migrations: brings a store's tables up to date by the numbered SQL files it has not run yet."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from store.driver import EngineError
from store.engine import Engine
from store.query.sql import Statement

FOLDER: Final = Path(__file__).parent / "migrations"

_ALL_TABLES: Final = "tables.sql"
"""The file with the tables as all migrations leave them; a folder may have none."""

# A start does not depend on the limits of users' queries.
_SELECT_TABLES: Final = Statement(
    "SELECT name, ifNull(total_rows, 0) AS rows FROM system.tables"
    " WHERE database = currentDatabase() SETTINGS max_rows_to_read = 0"
)
_SELECT_MIGRATIONS: Final = Statement(
    "SELECT number, name FROM migrations ORDER BY number SETTINGS max_rows_to_read = 0"
)

_NEW_LIST: Final = "new_migrations"
_CREATE_LIST: Final = (
    f"CREATE TABLE {_NEW_LIST} (number UInt32, name String)"
    " ENGINE = MergeTree ORDER BY number"
    " SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, old_parts_lifetime = 30,"
    " max_suspicious_broken_parts = 1000000, max_suspicious_broken_parts_bytes = 1000000000000000"
)


class _Table(msgspec.Struct):
    name: str
    rows: int


class _Migration(msgspec.Struct):
    number: int
    name: str


async def migrate(engine: Engine, folder: Path = FOLDER) -> None:
    """Run the missing migrations in order; give a new store the tables that all of them make.

    A start after a crash in the middle completes either. Raises `EngineError` when the store was
    written by a newer version of the service, or has rows but no list of its migrations.
    """
    files = _files_by_number(folder)
    tables = await engine.select(_SELECT_TABLES, _Table)
    if not any(table.name == "migrations" for table in tables):
        await _create_tables(engine, tables, _statements(folder / _ALL_TABLES), files)
    names = {row.number: row.name for row in await engine.select(_SELECT_MIGRATIONS, _Migration)}
    newer = sorted(set(names) - set(files))
    if newer:
        raise EngineError(
            f"The store was written by a newer version of this service: it has migration"
            f" {names[newer[-1]]}, this version only knows up to {max(files)}."
        )
    for number, file in files.items():
        if number in names:
            continue
        for statement in _statements(file):
            await engine.write(statement)
        await engine.write(_insert("migrations", {number: file}))


async def _create_tables(
    engine: Engine,
    tables: Sequence[_Table],
    statements: Sequence[Statement],
    files: Mapping[int, Path],
) -> None:
    """Create all tables, and last the table `migrations`, which then lists all migrations.

    An interrupted start left the existing `tables`, without rows: they are replaced. Raises
    `EngineError` when they have rows, because nothing says which migrations these rows need.
    """
    if any(table.rows for table in tables if table.name != _NEW_LIST):
        raise EngineError(
            "The store has rows, but no list of its migrations (its table `migrations` is missing):"
            " it is no whole copy. Copy the whole folder again, from a service that is stopped."
        )
    for table in tables:
        condition = "" if table.name == _NEW_LIST else "IF EMPTY"  # the engine checks it, too
        text = f"DROP TABLE {condition} {{name:Identifier}} SYNC"
        await engine.write(Statement(text, {"name": table.name}))
    await engine.write(Statement(_CREATE_LIST))
    if statements:
        for statement in statements:
            await engine.write(statement)
        await engine.write(_insert(_NEW_LIST, files))
    await engine.write(Statement(f"RENAME TABLE {_NEW_LIST} TO migrations"))


def _files_by_number(folder: Path) -> dict[int, Path]:
    return {int(file.name[:4]): file for file in sorted(folder.glob("[0-9]*.sql"))}


def _statements(file: Path) -> list[Statement]:
    """Return the statements of a file, none if it does not exist."""
    texts = file.read_text().split(";\n") if file.exists() else []
    return [Statement(text) for text in texts if text.strip()]


def _insert(table: str, files: Mapping[int, Path]) -> Statement:
    """Return the statement that adds migrations to a list of them."""
    return Statement(
        "INSERT INTO {table:Identifier} SELECT migration.1, migration.2 FROM (SELECT arrayJoin("
        "arrayZip({numbers:Array(UInt32)}, {names:Array(String)})) AS migration)",
        {"table": table, "numbers": list(files), "names": [file.stem for file in files.values()]},
    )
