"""A first start that a power cut interrupted: the next start begins again, and refuses nothing."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from store.engine import Engine
from store.engine_folder import StoreFolderError
from store.query.sql import Statement
from tests.harness.stores import open_store, record, stored_keys

_LINK: Final = "metadata/default"


def _definitions(folder: Path) -> Path:
    return (folder / _LINK).resolve()


def _lose_nothing(_: Path) -> None:
    """Lose nothing: the process was killed."""


def _lose_link(folder: Path) -> None:
    """Lose the link to the definitions."""
    (folder / _LINK).unlink()


def _lose_definitions_and_link(folder: Path) -> None:
    """Lose the definitions and the link, and keep the folder of the definitions."""
    for file in _definitions(folder).iterdir():
        file.unlink()
    _lose_link(folder)


def _lose_definitions(folder: Path) -> None:
    """Lose the folder of the definitions, and keep the link to it."""
    shutil.rmtree(_definitions(folder))


def _cut_definitions(folder: Path) -> None:
    """Keep the names of the definitions, without their contents."""
    for file in _definitions(folder).glob("*.sql"):
        file.write_text("")


def _lose_files_of_tables(folder: Path) -> None:
    """Lose the files in the folders of the tables."""
    for file in folder.glob("store/???/*/*.txt"):
        file.unlink()


def _lose_tables(folder: Path) -> None:
    """Lose the folders of the tables."""
    for file in list(folder.glob("store/???/*/format_version.txt")):
        shutil.rmtree(file.parent)


LOSSES: Final = (
    *(_lose_nothing, _lose_link, _lose_definitions_and_link, _lose_definitions),
    *(_cut_definitions, _lose_files_of_tables, _lose_tables),
)


async def _interrupt_first_start(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start on an empty folder; crash when the tables exist, before the list of migrations."""
    write = Engine.write

    async def write_or_crash(engine: Engine, statement: Statement) -> int:
        if statement.text.lstrip().startswith("INSERT INTO"):
            raise ConnectionAbortedError
        return await write(engine, statement)

    with monkeypatch.context() as patch:
        patch.setattr(Engine, "write", write_or_crash)
        with pytest.raises(StoreFolderError):
            async with open_store(data):
                pass


@pytest.mark.parametrize("lose", LOSSES)
async def test_power_cut_at_the_first_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lose: Callable[[Path], None]
) -> None:
    """Whatever a power cut left of a store without rows, the next start makes all tables."""
    data = tmp_path / "data"
    await _interrupt_first_start(data, monkeypatch)
    lose(data / "store")
    for keys in (["a"], ["a", "b"]):
        async with open_store(data) as new_store:
            await record(new_store, keys[-1])
            assert await stored_keys(new_store) == keys
