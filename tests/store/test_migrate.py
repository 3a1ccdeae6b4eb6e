"""Migrations: a store is brought up to date, whatever happened to the last attempt."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import msgspec
import pytest

from store.engine import Engine, EngineError
from store.migrate import FOLDER, migrate
from store.query.sql import Statement
from tests.harness.stores import open_engine

MIGRATIONS: Final = {
    "0001_first.sql": "CREATE TABLE IF NOT EXISTS t (a UInt8)\nENGINE = MergeTree ORDER BY a;\n",
    "0002_more.sql": (
        "-- two statements\nALTER TABLE t ADD COLUMN IF NOT EXISTS b UInt8;\n"
        "\nALTER TABLE t ADD COLUMN IF NOT EXISTS c UInt8;\n"
    ),
}


class Applied(msgspec.Struct, frozen=True):
    number: int
    name: str


async def migrated(engine: Engine) -> tuple[list[Applied], list[str]]:
    """Return the migrations on record, and the columns of their table."""
    record_text = "SELECT number, name FROM migrations ORDER BY number"
    columns = "SELECT name FROM system.columns WHERE table = 't' ORDER BY position"
    names = await engine.select(Statement(columns), dict[str, str])
    return await engine.select(Statement(record_text), Applied), [row["name"] for row in names]


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    """Return a folder with two migrations."""
    folder = tmp_path / "migrations"
    folder.mkdir()
    for name, text in MIGRATIONS.items():
        (folder / name).write_text(text)
    return folder


DONE: Final = ([Applied(1, "0001_first"), Applied(2, "0002_more")], ["a", "b", "c"])


async def test_migrations_run_once_in_order(tmp_path: Path, migrations: Path) -> None:
    """A second start changes nothing; a later version only runs what is new."""
    later = migrations / "0002_more.sql"
    text = later.read_text()
    later.unlink()
    async with open_engine(tmp_path / "store") as engine:
        await migrate(engine, migrations)
        assert await migrated(engine) == ([Applied(1, "0001_first")], ["a"])
        later.write_text(text)
        for _ in range(2):
            await migrate(engine, migrations)
            assert await migrated(engine) == DONE


async def test_newer_store_is_refused(tmp_path: Path, migrations: Path) -> None:
    """An older version says that the store is too new, and which migration it does not know."""
    async with open_engine(tmp_path / "store") as engine:
        await migrate(engine, migrations)
        (migrations / "0002_more.sql").unlink()
        with pytest.raises(EngineError) as refused:
            await migrate(engine, migrations)
        assert str(refused.value) == (
            "The store was written by a newer version of this service: it has migration"
            " 0002_more, this version only knows up to 1."
        )
        assert await migrated(engine) == DONE


def crashing(engine: Engine, last: int, *, before: bool) -> Callable[[Statement], Awaitable[int]]:
    """Return the engine's `write`, but ending in a crash before or after its last call."""
    write, number = engine.write, iter(range(1, 100))

    async def crash(statement: Statement) -> int:
        at = next(number)
        if at == last and before:
            raise ConnectionAbortedError
        written = await write(statement)
        if at == last:
            raise ConnectionAbortedError
        return written

    return crash


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
async def test_interrupted_migration_is_finished_by_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, migrations: Path, *, before: bool
) -> None:
    """A crash before or after any statement is no harm: the next start does the rest."""
    for last in range(1, 7):
        async with open_engine(tmp_path / f"store {last}") as engine:
            with monkeypatch.context() as patched:
                patched.setattr(engine, "write", crashing(engine, last, before=before))
                with pytest.raises(ConnectionAbortedError):
                    await migrate(engine, migrations)
            await migrate(engine, migrations)
            assert await migrated(engine) == DONE


class Tagged(msgspec.Struct):
    tags: str
    page: str


OLD_ROWS: Final = r"""
INSERT INTO metrics (project, name, time, value, tags, client_id, batch, row)
SELECT 'default', 'm', now64(3), 1,
    [map('a/b', 'c\\d\'e"f/\\/', 'ключ', '\n\t'), map(), map('x', '')][number % 3 + 1],
    '', 7000000000000000 + number, number
FROM numbers(6)"""


@pytest.mark.parametrize("interrupted", [2, 3, 4, 5])
async def test_tags_of_old_rows_become_json(tmp_path: Path, interrupted: int) -> None:
    """Maps become equal JSON, deleted rows stay deleted, whichever step a crash repeats."""
    files = sorted(FOLDER.glob("*.sql"))
    folder = tmp_path / "migrations"
    folder.mkdir()
    async with open_engine(tmp_path / "store") as engine:
        for number, file in enumerate(files[:interrupted], 1):
            if number == interrupted:  # done, but not on record
                for text in file.read_text().split(";\n"):
                    if text.strip():
                        await engine.write(Statement(text))
                continue
            (folder / file.name).write_text(file.read_text())
            await migrate(engine, folder)
            if number == 1:
                await engine.write(Statement(OLD_ROWS))
                await engine.write(Statement("DELETE FROM metrics WHERE row = 3"))
        await migrate(engine)
        await engine.write(Statement("OPTIMIZE TABLE metrics FINAL"))
        text = "SELECT tags, simpleJSONExtractString(tags, 'a/b') AS page FROM metrics ORDER BY row"
        rows = await engine.select(Statement(text), Tagged)
    maps = [{"a/b": "c\\d'e\"f/\\/", "ключ": "\n\t"}, {}, {"x": ""}]
    assert [msgspec.json.decode(row.tags or "{}") for row in rows] == maps + maps[1:]
    assert rows[0].page == maps[0]["a/b"]
