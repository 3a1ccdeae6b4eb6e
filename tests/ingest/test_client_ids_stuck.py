"""Client ids and deletions while the engine cannot load segments."""

import asyncio
from pathlib import Path

import pytest

from schema.access import PROJECT
from schema.errors import AnalyticsError
from store.driver import EngineError
from store.ingest.streams import METRIC_STREAM, SERIES_STREAM
from store.query import statements
from store.query.filters.row_set import RowSet
from store.query.sql import Statement
from tests.harness.resends import await_stored_ids, count_outcomes, row, send, send_series
from tests.harness.statements import is_load
from tests.harness.stores import assert_counters_balance, open_store, stored_keys, wait_until


async def test_duplicates_wait_while_any_journal_of_the_table_is_stuck(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While points can't be loaded, a series that may repeat them is unavailable."""
    monkeypatch.setattr("store.loader._BACKOFF", (0.01,))
    async with open_store(tmp_path / "data") as store:
        await await_stored_ids(store)
        write = store.engine.write

        async def fail(statement: Statement) -> int:
            if is_load(statement, METRIC_STREAM):
                raise EngineError("Code: 243. DB::Exception: no space (NOT_ENOUGH_SPACE)")
            return await write(statement)

        with monkeypatch.context() as patch:
            patch.setattr(store.engine, "write", fail)
            await send(store, row("a"))
            await wait_until(lambda: store._loaders["metrics"].is_stuck)
            for ids in (("a",), ("b", "a")):
                with pytest.raises(AnalyticsError) as refusal:
                    await send_series(store, *ids)
                assert (refusal.value.code, refusal.value.retry_after) == ("UNAVAILABLE", 5)
            assert (await send_series(store, "c")).points == 1
            assert (await send(store, row("d"))).points == 1
        await wait_until(lambda: not store.problems())
        assert (await send_series(store, "a", "b", "c", "d")).points == 1
        assert sorted(await stored_keys(store)) == ["a", "b", "c", "d"]
        await assert_counters_balance(store)


async def test_loader_that_recovers_meanwhile_does_not_hide_what_still_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After one of several segments is loaded, the ids of the others still count as stored."""
    monkeypatch.setattr("store.loader._BACKOFF", (0.01,))
    monkeypatch.setattr("store.journal.journal.SEGMENT_ROWS", 1)
    engine_works, other_loads, series_loads = (asyncio.Event() for _ in range(3))
    async with open_store(tmp_path / "data") as store:
        await await_stored_ids(store)
        write, loads = store.engine.write, 0

        async def write_or_wait(statement: Statement) -> int:
            nonlocal loads
            if is_load(statement, SERIES_STREAM):
                await series_loads.wait()
            if is_load(statement, METRIC_STREAM):
                if not engine_works.is_set():
                    raise EngineError("Code: 243. DB::Exception: no space (NOT_ENOUGH_SPACE)")
                loads += 1
                if loads > 1:
                    await other_loads.wait()
            return await write(statement)

        monkeypatch.setattr(store.engine, "write", write_or_wait)
        await send(store, row("first"))
        await send(store, row("x"))
        await wait_until(lambda: store._loaders["metrics"].is_stuck)
        await send_series(store, "s")
        resend = asyncio.create_task(send_series(store, "x"))
        await asyncio.sleep(0.05)
        engine_works.set()
        await wait_until(lambda: loads > 1)
        series_loads.set()
        await asyncio.wait([resend], timeout=0.5)
        other_loads.set()
        results = await asyncio.gather(resend, return_exceptions=True)
        assert count_outcomes(list(results))[0] == 0
        assert sorted(await stored_keys(store)) == ["first", "s", "x"]
        await assert_counters_balance(store)


async def test_deletion_while_the_loader_recovers_is_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that wait in a journal at a deletion do not come back after it."""
    monkeypatch.setattr("store.loader._BACKOFF", (0.01,))
    monkeypatch.setattr("store.journal.journal.SEGMENT_ROWS", 1)
    engine_works, other_loads, series_loads = (asyncio.Event() for _ in range(3))
    async with open_store(tmp_path / "data") as store:
        await await_stored_ids(store)
        write, loads = store.engine.write, 0

        async def write_or_wait(statement: Statement) -> int:
            nonlocal loads
            if is_load(statement, SERIES_STREAM):
                await series_loads.wait()
            if is_load(statement, METRIC_STREAM):
                if not engine_works.is_set():
                    raise EngineError("Code: 243. DB::Exception: no space (NOT_ENOUGH_SPACE)")
                loads += 1
                if loads > 1:
                    await other_loads.wait()
            return await write(statement)

        monkeypatch.setattr(store.engine, "write", write_or_wait)
        await send(store, row("first"))
        await send(store, row("x"))
        await wait_until(lambda: store._loaders["metrics"].is_stuck)
        await send_series(store, "s")
        all_rows = statements.delete(statements.metric_rows(RowSet("metrics", PROJECT), "m"), 2**63)
        deletion = asyncio.create_task(store.delete(all_rows, PROJECT))
        await asyncio.sleep(0.05)
        engine_works.set()
        await wait_until(lambda: loads > 1)
        series_loads.set()
        await asyncio.wait([deletion], timeout=0.5)
        other_loads.set()
        (result,) = await asyncio.gather(deletion, return_exceptions=True)
        assert sorted(await stored_keys(store)) == (["first", "s", "x"] if result else [])
