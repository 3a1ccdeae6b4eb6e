"""Copied, moved and damaged stores: each is opened whole, or rejected with one line."""

import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from store.engine_folder import EngineFolder, StoreFolderError
from store.query.sql import Statement
from tests.harness.stores import leave_segments, open_store, record, stored_keys


def copy_by_shell(command: str) -> Callable[[Path, Path], None]:
    """Return a function that copies `$from` to `$to` by a shell command."""

    def copy(source: Path, target: Path) -> None:
        subprocess.run(
            ["sh", "-c", command],
            env=os.environ | {"from": str(source), "to": str(target)},
            check=True,
        )

    return copy


def copy_without_links(source: Path, target: Path) -> None:
    """Copy as `rsync -r` does: links are skipped."""

    def links(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if (Path(folder) / name).is_symlink()]

    shutil.copytree(source, target, ignore=links)


def copy_by_zip(source: Path, target: Path, *, empty: bool = True) -> None:
    """Copy by an archive that follows links, with or without empty folders."""
    archive = source.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w") as file:
        for folder, _, names in os.walk(source, followlinks=True):
            inside = Path(folder).relative_to(source)
            if empty:
                file.write(folder, inside)
            for name in names:
                file.write(Path(folder) / name, inside / name)
    with zipfile.ZipFile(archive) as file:
        file.extractall(target)


def copy_links_as_files(source: Path, target: Path) -> None:
    """Copy as tools without links do: each link becomes a file with its target."""
    copy_without_links(source, target)
    for link in source.rglob("*"):
        if link.is_symlink():
            (target / link.relative_to(source)).write_text(str(link.readlink()))


def copy_absolute_links(source: Path, target: Path) -> None:
    """Copy with absolute links, which lead to the original store."""
    shutil.copytree(source, target, symlinks=True)
    for link in list(target.rglob("*")):
        if link.is_symlink():
            destination = (source / link.relative_to(target)).resolve()
            link.unlink()
            link.symlink_to(destination)


COPIES: Final = {
    "rsync -r": copy_without_links,
    "zip -r": copy_by_zip,
    "zip without empty folders": lambda source, target: copy_by_zip(source, target, empty=False),
    "links as files": copy_links_as_files,
    "absolute links": copy_absolute_links,
    "cp -r": copy_by_shell('cp -r "$from" "$to"'),
    "cp -rL": copy_by_shell('cp -rL "$from" "$to"'),
    "cp -a": copy_by_shell('cp -a "$from" "$to"'),
    "tar": copy_by_shell('mkdir "$to" && tar -C "$from" -c . | tar -C "$to" -x'),
    "tar -h": copy_by_shell('mkdir "$to" && tar -C "$from" -ch . | tar -C "$to" -x'),
    "mv": copy_by_shell('mv "$from" "$to"'),
    "cp -a without links": copy_by_shell('cp -a "$from" "$to" && find "$to" -type l -delete'),
    "modes": copy_by_shell('cp -r "$from" "$to" && chmod -R u=rwX,go= "$to"'),
}


async def fill_store(data: Path) -> None:
    """Make a store with rows in a table and rows in the journal."""
    async with open_store(data) as store:
        await record(store, "a", "b")
        assert await stored_keys(store) == ["a", "b"]
    await leave_segments(data / "journal" / "metrics", ["c"])


@pytest_asyncio.fixture(scope="module")
async def filled_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fill a store, of which tests take copies."""
    data = tmp_path_factory.mktemp("filled") / "data"
    await fill_store(data)
    return data


@pytest.mark.parametrize("method", COPIES)
async def test_copied_store_is_whole(tmp_path: Path, filled_store: Path, method: str) -> None:
    """A copy by any tool has all rows, and stores new rows after them."""
    shutil.copytree(filled_store, tmp_path / "data", symlinks=True)
    copy = tmp_path / "copy"
    COPIES[method](tmp_path / "data", copy)
    shutil.rmtree(tmp_path / "data", ignore_errors=True)
    for expected in (["a", "b", "c"], ["a", "b", "c", "d"]):
        async with open_store(copy) as store:
            assert await stored_keys(store) == expected
            if expected[-1] == "c":
                await record(store, "d")
    assert EngineFolder(copy / "store", copy / "store.uuid").repair() == []


async def test_original_is_not_opened_through_a_copy(tmp_path: Path) -> None:
    """Links that lead to the original store are repaired, even while it exists."""
    await fill_store(tmp_path / "data")
    copy_absolute_links(tmp_path / "data", tmp_path / "copy")
    async with open_store(tmp_path / "copy") as store:
        await record(store, "d")
    async with open_store(tmp_path / "data") as store:
        assert await stored_keys(store) == ["a", "b", "c"]


async def test_empty_database_of_an_earlier_start_is_left(tmp_path: Path) -> None:
    """A copy that was once opened empty gets its rows back if nothing was recorded."""
    await fill_store(tmp_path / "data")
    async with open_store(tmp_path / "new"):
        pass
    copy_without_links(tmp_path / "data", tmp_path / "copy")
    shutil.copytree(
        tmp_path / "new" / "store", tmp_path / "copy" / "store", symlinks=True, dirs_exist_ok=True
    )
    async with open_store(tmp_path / "copy") as store:
        assert await stored_keys(store) == ["a", "b", "c"]


async def test_two_sets_of_rows_are_refused(tmp_path: Path) -> None:
    """A store with two sets of tables that have rows is rejected: the user must choose."""
    await fill_store(tmp_path / "data")
    await fill_store(tmp_path / "new")
    copy_without_links(tmp_path / "data", tmp_path / "copy")
    shutil.copytree(
        tmp_path / "new" / "store", tmp_path / "copy" / "store", symlinks=True, dirs_exist_ok=True
    )
    with pytest.raises(StoreFolderError, match=r"has 2 sets of tables with rows: .* Move the one"):
        await open_once(tmp_path / "copy")


async def open_once(data: Path) -> None:
    """Open a store and close it."""
    async with open_store(data):
        pass


def table_folder(data: Path, table: str) -> Path:
    """Return the folder with a table's rows."""
    return (data / "store" / "data" / "default" / table).resolve()


def lose_table(data: Path) -> str:
    """Lose a table's folder."""
    shutil.rmtree(table_folder(data, "events"))
    return "the rows of events are missing"


def lose_format(data: Path) -> str:
    """Lose all files of a table, and keep its folders."""
    for file in table_folder(data, "metrics").rglob("*"):
        if file.is_file():
            file.unlink()
    return "the rows of metrics are missing"


def lose_definitions(data: Path) -> str:
    """Lose the folder with the definitions, and keep the link to it."""
    shutil.rmtree((data / "store" / "metadata" / "default").resolve())
    return "the definitions of its tables are missing"


def lose_definitions_and_link(data: Path) -> str:
    """Lose the definitions and the link to them."""
    shutil.rmtree((data / "store" / "metadata" / "default").resolve())
    (data / "store" / "metadata" / "default").unlink()
    return "the definitions of its tables are missing"


def cut_definition(data: Path) -> str:
    """Cut a definition to nothing."""
    file = (data / "store" / "metadata" / "default").resolve() / "metrics.sql"
    file.write_text("")
    return f"{file.name} is empty"


def lose_store(data: Path) -> str:
    """Lose the folder with all rows."""
    shutil.rmtree(data / "store" / "store")
    return "is missing or empty"


def lose_file_of_part(data: Path) -> str:
    """Lose a file of some rows."""
    next(table_folder(data, "metrics").glob("2*/data.bin")).unlink()
    return "are damaged or incomplete. .* To go on without these rows, delete that folder"


def cut_file_of_part(data: Path) -> str:
    """Cut a file of some rows."""
    os.truncate(next(table_folder(data, "metrics").glob("2*/data.bin")), 10)
    return "are damaged or incomplete"


def differ_in_copy(data: Path) -> str:
    """Copy a table's folder in place of its link, with a file that the table does not have."""
    link = data / "store" / "data" / "default" / "metrics"
    destination = link.resolve()
    link.unlink()
    shutil.copytree(destination, link)
    (link / "more.bin").write_text("x")
    return "more.bin differs from"


def lose_engine_folder(data: Path) -> str:
    """Copy the journal without the store."""
    shutil.rmtree(data / "store")
    return (
        "was used with a store that .* is not: that folder is empty or missing. Set ANALYTICS_STORE"
    )


DAMAGES: Final = (
    *(lose_table, lose_format, lose_definitions, lose_definitions_and_link, cut_definition),
    *(lose_store, lose_file_of_part, cut_file_of_part, differ_in_copy, lose_engine_folder),
)


@pytest.mark.parametrize("damage", DAMAGES)
async def test_incomplete_copy_is_refused(
    tmp_path: Path, filled_store: Path, damage: Callable[[Path], str]
) -> None:
    """A copy that can't be repaired is rejected with one line at each start."""
    data = tmp_path / "data"
    shutil.copytree(filled_store, data, symlinks=True)
    reason = damage(data)
    for _ in range(2):
        with pytest.raises(StoreFolderError, match=reason) as error:
            await open_once(data)
        assert "\n" not in str(error.value)


async def test_merge_that_a_power_cut_lost_is_no_loss(tmp_path: Path) -> None:
    """A damaged part whose source parts exist is detached: the source parts have its rows."""
    data = tmp_path / "data"
    async with open_store(data) as store:
        for key in ("a", "b", "c"):
            await record(store, key)
            assert key in await stored_keys(store)
    for _ in range(3):
        async with open_store(data) as store:
            assert await stored_keys(store) == ["a", "b", "c"]
            await store.engine.write(Statement("OPTIMIZE TABLE metrics FINAL"))
        os.truncate(next(table_folder(data, "metrics").glob("2*_*_*_1/data.bin")), 10)
    async with open_store(data) as store:
        assert await stored_keys(store) == ["a", "b", "c"]


async def test_rows_that_are_damaged_can_be_given_up(tmp_path: Path) -> None:
    """After the named folder is deleted, the store starts without these rows."""
    data = tmp_path / "data"
    await fill_store(data)
    cut_file_of_part(data)
    with pytest.raises(StoreFolderError, match="damaged"):
        await open_once(data)
    (damaged_folder,) = table_folder(data, "metrics").glob("detached/broken-on-start*")
    shutil.rmtree(damaged_folder)
    async with open_store(data) as store:
        assert await stored_keys(store) == ["c"]


async def test_store_of_another_data_folder(tmp_path: Path) -> None:
    """A data folder keeps to its store; a store may get a new data folder."""
    await fill_store(tmp_path / "one")
    await fill_store(tmp_path / "two")
    shutil.rmtree(tmp_path / "one" / "store")
    shutil.copytree(tmp_path / "two" / "store", tmp_path / "one" / "store", symlinks=True)
    with pytest.raises(
        StoreFolderError, match=r"that folder has other tables.* delete .*store\.uuid"
    ):
        await open_once(tmp_path / "one")
    (tmp_path / "three").mkdir()
    (tmp_path / "two" / "store").rename(tmp_path / "three" / "store")
    async with open_store(tmp_path / "three") as store:
        assert await stored_keys(store) == ["a", "b"]
