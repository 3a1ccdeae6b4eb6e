"""Merges that are undone on the disk, while no engine has the table open."""

import shutil
from pathlib import Path

import pytest

from store import Store
from store.engine_folder import StoreFolderError
from store.failed_writes import undo_writes
from store.query.sql import Statement
from tests.harness.stores import open_store, record, stored_keys


async def merge(store: Store) -> None:
    """Merge all metrics into one part."""
    await store.engine.write(Statement("OPTIMIZE TABLE metrics FINAL"))


async def record_and_load(store: Store, *keys: str) -> None:
    """Record points, each in a part of its own."""
    for key in keys:
        await record(store, key)
        assert key in await stored_keys(store)


def part_names(data: Path) -> list[str]:
    """List the names of the parts of metrics, also of those that a merge replaced."""
    (table,) = {path.parent.parent for path in data.glob("store/store/*/*/2*/minmax_batch.idx")}
    return sorted(path.parent.name[7:] for path in table.glob("2*/checksums.txt"))


async def test_merges_are_undone_with_their_sources(tmp_path: Path) -> None:
    """A merge of a merge leaves the inserts, and no row changes."""
    data = tmp_path / "data"
    async with open_store(data) as store:
        await record_and_load(store, "a", "b")
        await merge(store)
        await record_and_load(store, "c")
        await merge(store)
    assert part_names(data) == ["1_1_0", "1_2_1", "1_3_2", "2_2_0", "3_3_0"]
    undo_writes(data / "store")
    assert part_names(data) == ["1_1_0", "2_2_0", "3_3_0"]
    async with open_store(data) as store:
        assert await stored_keys(store) == ["a", "b", "c"]
    assert not list(data.glob("store/store/*/*/detached/undone_*"))


@pytest.mark.parametrize("insert", ["1_1_0", "2_2_0", "3_3_0"])
async def test_merge_without_a_source_stays(tmp_path: Path, insert: str) -> None:
    """A merge stays when the rows of a source are gone from the disk."""
    data = tmp_path / "data"
    async with open_store(data) as store:
        await record_and_load(store, "a", "b", "c")
        await merge(store)
    (folder,) = data.glob(f"store/store/*/*/2*_{insert}")
    shutil.rmtree(folder)
    undo_writes(data / "store")
    assert "1_3_1" in part_names(data)
    async with open_store(data) as store:
        assert await stored_keys(store) == ["a", "b", "c"]


async def test_deleted_rows_stay_deleted(tmp_path: Path) -> None:
    """Merges before and after a deletion may be undone; its rows do not come back."""
    data = tmp_path / "data"
    async with open_store(data) as store:
        await record_and_load(store, "a", "b")
        await merge(store)
        await store.engine.write(
            Statement("DELETE FROM metrics WHERE simpleJSONExtractString(tags, 'k') = 'a'")
        )
        await record_and_load(store, "c")
        await merge(store)
        await record_and_load(store, "d")
        await merge(store)
    for _ in range(2):
        undo_writes(data / "store")
        async with open_store(data) as store:
            assert await stored_keys(store) == ["b", "c", "d"]


@pytest.mark.parametrize("length", [0, 1, 30, -1])
async def test_torn_deletion_is_removed(tmp_path: Path, length: int) -> None:
    """A deletion that was not written whole does not keep the table from opening."""
    data = tmp_path / "data"
    async with open_store(data) as store:
        await record_and_load(store, "a", "b")
        await store.engine.write(
            Statement("DELETE FROM metrics WHERE simpleJSONExtractString(tags, 'k') = 'a'")
        )
    (file,) = data.glob("store/store/*/*/mutation_*.txt")
    file.write_bytes(file.read_bytes()[:length])
    undo_writes(data / "store")
    async with open_store(data) as store:
        assert await stored_keys(store) == ["b"]


@pytest.mark.parametrize("has_batch", [True, False])
async def test_damaged_insert_without_its_segment_is_refused(
    tmp_path: Path, *, has_batch: bool
) -> None:
    """After a crash, a damaged part is given up only if the journal has its rows."""
    data = tmp_path / "data"
    async with open_store(data) as store:
        await record_and_load(store, "a", "b")
    (data / "lock").write_text("1\n")
    (folder,) = data.glob("store/store/*/*/2*_2_2_0")
    (folder / "data.bin").write_bytes(b"")
    if not has_batch:
        (folder / "minmax_batch.idx").unlink()
    with pytest.raises(StoreFolderError, match="damaged"):
        async with open_store(data):
            pass
