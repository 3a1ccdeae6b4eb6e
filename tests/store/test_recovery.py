"""Each state that a crash can leave: after the restart every row is stored once.

`faults/test_crashes.py` has the crashes themselves.
"""

import time
from pathlib import Path

import pytest

from schema.access import PROJECT
from store.ingest.streams import METRIC_STREAM
from store.query import statements
from store.query.filters.row_set import RowSet
from store.query.sql import Statement
from store.store import Store
from tests.harness.process import Process
from tests.harness.statements import is_load
from tests.harness.stores import (
    leave_segments,
    open_store,
    record,
    segment_contents,
    stored_keys,
    stored_rows,
)


def restore_segments(segments: dict[Path, bytes]) -> None:
    """Undo the deletion of segments, as a crash before it would have left them."""
    for path, content in segments.items():
        path.write_bytes(content)


async def delete_from_engine(store: Store, rows: str) -> None:
    """Delete rows from the engine without the store."""
    await store.engine.write(Statement(f"DELETE FROM metrics WHERE {rows}"))  # noqa: S608


async def test_segment_that_was_loaded_before_the_crash_is_dropped(tmp_path: Path) -> None:
    """A crash between the engine's insert and the segment's deletion repeats no row."""
    data = tmp_path / "data"
    segments = await leave_segments(data / "journal" / "metrics", ["a", "b"], ["c"])
    async with open_store(data) as store:
        before = await stored_rows(store)
        assert [row.key for row in before] == ["a", "b", "c"]
    restore_segments(segments)
    async with open_store(data) as store:
        assert await stored_rows(store) == before
    assert segment_contents(data / "journal" / "metrics") == {}


@pytest.mark.parametrize("missing", ["row = 1", "row = 2", "row < 3", "1"])
async def test_segment_that_was_half_loaded_is_loaded_again(tmp_path: Path, missing: str) -> None:
    """If the engine has any part of a batch, after the restart it has the batch once."""
    data = tmp_path / "data"
    segments = await leave_segments(data / "journal" / "metrics", ["a", "b", "c"], ["d"])
    async with open_store(data) as store:
        before = await stored_rows(store)
        await delete_from_engine(store, missing)
    restore_segments(segments)
    async with open_store(data) as store:
        assert sorted(await stored_rows(store)) == sorted(before)


async def test_interrupted_insert_is_finished_by_the_running_loader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An insert that fails after its rows were written is not repeated."""
    async with open_store(tmp_path / "data") as store:
        insert, failures = store.engine.write, iter([True, False, True])

        async def write(statement: Statement) -> int:
            row_count = await insert(statement)
            if is_load(statement, METRIC_STREAM) and next(failures, False):
                raise RuntimeError("the connection broke, or so it seemed")
            return row_count

        monkeypatch.setattr(store.engine, "write", write)
        await record(store, "a", "b")
        assert await stored_keys(store) == ["a", "b"]
        await record(store, "c")
        assert await stored_keys(store) == ["a", "b", "c"]


async def test_clock_that_steps_back_changes_neither_order_nor_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a restart with the clock an hour back, new rows still sort after the stored rows."""
    data = tmp_path / "data"
    async with open_store(data) as store:
        await record(store, "loaded")
        await stored_keys(store)
    await leave_segments(data / "journal" / "metrics", ["waiting"])
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now - 3_600_000_000_000)
    async with open_store(data) as store:
        await record(store, "new")
        assert await stored_keys(store) == ["loaded", "waiting", "new"]
    monkeypatch.setattr(time, "time_ns", lambda: now - 7_200_000_000_000)
    async with open_store(data) as store:
        await record(store, "newer")
        rows = await stored_rows(store)
    assert [row.key for row in rows] == ["loaded", "waiting", "new", "newer"]
    assert len({row.batch for row in rows}) == 4


async def test_deletion_finds_what_was_half_loaded(tmp_path: Path) -> None:
    """A deletion right after a restart also deletes the rows in the journal, for good."""
    data = tmp_path / "data"
    segments = await leave_segments(data / "journal" / "metrics", ["a", "b"], ["c"])
    async with open_store(data) as store:
        assert await stored_keys(store) == ["a", "b", "c"]
        await delete_from_engine(store, "row = 2")
    restore_segments(segments)
    all_rows = statements.metric_rows(RowSet("metrics", "default"), "m")
    async with open_store(data) as store:
        (deletable,) = await store.select(statements.deletable(all_rows), statements.DeletableRow)
        assert deletable.rows == 3
        await store.delete(statements.delete(all_rows, deletable.newest), PROJECT)
        assert await stored_keys(store) == []
    async with open_store(data) as store:
        assert await stored_keys(store) == []


async def test_deleted_rows_stay_deleted_after_a_crash(tmp_path: Path) -> None:
    """After DELETE and kill -9, no deleted row comes back, and later rows stay."""
    data = tmp_path / "data"
    with Process(data) as service:
        service.await_ready()
        for path in ("/metrics", "/events"):
            kind = path[1:-1]
            for n in range(30):
                body = {f"{kind}_name": "gone", **({"value": n} if kind == "metric" else {})}
                assert service.post(path, body).status_code == 200
        deleted = service.http.delete("/metrics/gone").json()["deleted"]
        assert deleted == 30
        assert service.post("/metrics", {"metric_name": "kept", "value": 1}).status_code == 200
        assert service.http.delete("/events").json()["deleted"] == 30
        service.kill()
    with Process(data) as service:
        service.await_ready()
        assert service.http.get("/metrics/gone").status_code == 404
        assert service.http.get("/metrics").json()["metrics"] == ["kept"]
        assert service.http.get("/events").json()["total"] == 0
