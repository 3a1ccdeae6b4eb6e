"""Migrations: brings a store's tables up to date by the numbered SQL files it has not run yet."""

from pathlib import Path
from typing import Final

import msgspec

from store.engine import Engine, EngineError
from store.query.sql import Statement

FOLDER: Final = Path(__file__).parent / "migrations"

_CREATE_TABLE: Final = Statement(
    "CREATE TABLE IF NOT EXISTS migrations (number UInt32, name String)"
    " ENGINE = MergeTree ORDER BY number"
    " SETTINGS fsync_after_insert = 1, fsync_part_directory = 1"
)
_SELECT_MIGRATIONS: Final = Statement("SELECT number, name FROM migrations ORDER BY number")
_INSERT_MIGRATION: Final = "INSERT INTO migrations SELECT {number:UInt32}, {name:String}"


class _Migration(msgspec.Struct):
    number: int
    name: str


async def migrate(engine: Engine, folder: Path = FOLDER) -> None:
    """Run the missing migrations in order. A file can be run again after a crash in its middle.

    Raises `EngineError` when the store was written by a newer version of the service.
    """
    await engine.write(_CREATE_TABLE)
    names = {row.number: row.name for row in await engine.select(_SELECT_MIGRATIONS, _Migration)}
    files = _files_by_number(folder)
    newer = sorted(set(names) - set(files))
    if newer:
        raise EngineError(
            f"The store was written by a newer version of this service: it has migration"
            f" {names[newer[-1]]}, this version only knows up to {max(files)}."
        )
    for number, file in files.items():
        if number in names:
            continue
        for text in file.read_text().split(";\n"):
            if text.strip():
                await engine.write(Statement(text))
        await engine.write(Statement(_INSERT_MIGRATION, {"number": number, "name": file.stem}))


def _files_by_number(folder: Path) -> dict[int, Path]:
    return {int(file.name[:4]): file for file in sorted(folder.glob("*.sql"))}
