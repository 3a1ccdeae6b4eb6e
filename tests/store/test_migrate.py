"""Migrations: a start completes them, also after an interrupted start."""

import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import msgspec
import pytest

from store.driver import EngineError
from store.engine import Engine
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


TABLES: Final = "CREATE TABLE t (a UInt8, b UInt8, c UInt8)\nENGINE = MergeTree ORDER BY a;\n"


class AppliedMigration(msgspec.Struct, frozen=True):
    number: int
    name: str


async def migration_state(engine: Engine) -> tuple[list[AppliedMigration], list[str]]:
    """Return the recorded migrations, and the columns of their table."""
    record_text = "SELECT number, name FROM migrations ORDER BY number"
    columns = "SELECT name FROM system.columns WHERE table = 't' ORDER BY position"
    names = await engine.select(Statement(columns), dict[str, str])
    return await engine.select(Statement(record_text), AppliedMigration), [
        row["name"] for row in names
    ]


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    """Return a folder with two migrations."""
    folder = tmp_path / "migrations"
    folder.mkdir()
    for name, text in MIGRATIONS.items():
        (folder / name).write_text(text)
    return folder


FINAL_STATE: Final = (
    [AppliedMigration(1, "0001_first"), AppliedMigration(2, "0002_more")],
    ["a", "b", "c"],
)


async def test_migrations_run_once_in_order(tmp_path: Path, migrations: Path) -> None:
    """A second start changes nothing; a later version runs only its new migrations."""
    later = migrations / "0002_more.sql"
    text = later.read_text()
    later.unlink()
    async with open_engine(tmp_path / "store") as engine:
        await migrate(engine, migrations)
        assert await migration_state(engine) == ([AppliedMigration(1, "0001_first")], ["a"])
        later.write_text(text)
        for _ in range(2):
            await migrate(engine, migrations)
            assert await migration_state(engine) == FINAL_STATE


async def test_newer_store_is_refused(tmp_path: Path, migrations: Path) -> None:
    """An older version rejects the store, and names the migration that it does not know."""
    async with open_engine(tmp_path / "store") as engine:
        await migrate(engine, migrations)
        (migrations / "0002_more.sql").unlink()
        with pytest.raises(EngineError) as refusal:
            await migrate(engine, migrations)
        assert str(refusal.value) == (
            "The store was written by a newer version of this service: it has migration"
            " 0002_more, this version only knows up to 1."
        )
        assert await migration_state(engine) == FINAL_STATE


def crash_at(
    engine: Engine, crash_call: int, *, before: bool
) -> Callable[[Statement], Awaitable[int]]:
    """Return the engine's `write` with a crash before or after the call of a number."""
    write, numbers = engine.write, iter(range(1, 100))

    async def crash(statement: Statement) -> int:
        call = next(numbers)
        if call == crash_call and before:
            raise ConnectionAbortedError
        row_count = await write(statement)
        if call == crash_call:
            raise ConnectionAbortedError
        return row_count

    return crash


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize(("tables", "writes"), [("", 7), (TABLES, 4)], ids=["old", "new"])
async def test_interrupted_migration_is_finished_by_the_next_start(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    migrations: Path,
    tables: str,
    writes: int,
    *,
    before: bool,
) -> None:
    """After a crash before or after any statement, the next start completes the tables."""
    if tables:
        (migrations / "tables.sql").write_text(tables)
    for crash_call in range(1, writes + 1):
        async with open_engine(tmp_path / f"store {crash_call}") as engine:
            with monkeypatch.context() as patch:
                patch.setattr(engine, "write", crash_at(engine, crash_call, before=before))
                with pytest.raises(ConnectionAbortedError):
                    await migrate(engine, migrations)
            await migrate(engine, migrations)
            assert await migration_state(engine) == FINAL_STATE


async def test_an_interrupted_start_of_an_older_version_is_finished(
    tmp_path: Path, migrations: Path
) -> None:
    """Empty tables of a first form do not stay when the list of migrations is missing."""
    (migrations / "tables.sql").write_text(TABLES)
    async with open_engine(tmp_path / "store") as engine:
        await engine.write(Statement("CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a"))
        await migrate(engine, migrations)
        assert await migration_state(engine) == FINAL_STATE


async def test_rows_without_a_list_of_migrations_are_refused(tmp_path: Path) -> None:
    """A store with rows whose list of migrations is missing is left as it is, and said so."""
    insert = (
        "INSERT INTO metrics (project, name, time, value, tags, batch, row)"
        """ SELECT 'default', 'm', now64(3), 1, '{"a":"b"}', 1, 1"""
    )
    async with open_engine(tmp_path / "store") as engine:
        await migrate(engine)
        await engine.write(Statement(insert))
        await engine.write(Statement("DROP TABLE migrations SYNC"))
        with pytest.raises(EngineError, match="has rows, but no list of its migrations"):
            await migrate(engine)
        (row,) = await engine.select(Statement("SELECT tags FROM metrics"), dict[str, str])
        assert row == {"tags": '{"a":"b"}'}


async def test_limits_of_queries_do_not_stop_a_start(tmp_path: Path) -> None:
    """A start reads its lists also when queries may read very few rows."""
    async with open_engine(tmp_path / "store", rows_to_read=1) as engine:
        for _ in range(2):
            await migrate(engine)


async def _definitions(engine: Engine) -> dict[str, str]:
    """Return the definition of each table of the store."""
    text = (
        "SELECT name, create_table_query AS definition FROM system.tables"
        " WHERE database = currentDatabase()"
    )
    rows = await engine.select(Statement(text), dict[str, str])
    return {row["name"]: row["definition"] for row in rows}


async def test_new_store_has_the_tables_of_all_migrations(tmp_path: Path) -> None:
    """A new store has the tables, and the list, that the migrations make one by one."""
    shutil.copytree(FOLDER, tmp_path / "steps", ignore=shutil.ignore_patterns("tables.sql"))
    states = []
    for name, folder in (("new", FOLDER), ("migrated", tmp_path / "steps")):
        async with open_engine(tmp_path / name) as engine:
            await migrate(engine, folder)
            states.append((await _definitions(engine), await migration_state(engine)))
    assert states[0] == states[1]
    assert states[0][0].keys() == {"metrics", "events", "metric_descriptions", "migrations"}
    assert len(states[0][1][0]) == len(list(FOLDER.glob("0*.sql")))


class TagsRow(msgspec.Struct):
    tags: str
    page: str


OLD_ROWS: Final = r"""
INSERT INTO metrics (project, name, time, value, tags, client_id, batch, row)
SELECT 'default', 'm', now64(3), 1,
    [map('a/b', 'c\\d\'e"f/\\/', 'ключ', '\n\t'), map(), map('x', '')][number % 3 + 1],
    '', 7000000000000000 + number, number
FROM numbers(6)"""


@pytest.mark.parametrize("last_number", [2, 3, 4, 5])
async def test_tags_of_old_rows_become_json(tmp_path: Path, last_number: int) -> None:
    """Maps become equal JSON and deleted rows stay deleted, also if a crash repeats a step."""
    files = sorted(FOLDER.glob("0*.sql"))
    folder = tmp_path / "migrations"
    folder.mkdir()
    async with open_engine(tmp_path / "store") as engine:
        for number, file in enumerate(files[:last_number], 1):
            if number == last_number:  # run, but not recorded
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
        rows = await engine.select(Statement(text), TagsRow)
    maps = [{"a/b": "c\\d'e\"f/\\/", "ключ": "\n\t"}, {}, {"x": ""}]
    assert [msgspec.json.decode(row.tags or "{}") for row in rows] == maps + maps[1:]
    assert rows[0].page == maps[0]["a/b"]
