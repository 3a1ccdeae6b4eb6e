"""The loader: a segment becomes one part, and an unreadable segment blocks no other."""

import asyncio
import errno
import logging
import os
from pathlib import Path
from typing import Final

import msgspec
import pytest

from schema.access import PROJECT
from schema.errors import AnalyticsError
from schema.filters import EventFilter, StringFilter
from store.driver import EngineError
from store.ingest.streams import EVENT_STREAM, METRIC_STREAM
from store.journal.journal import SEGMENT_ROWS, Journal
from store.journal.segments import Segment
from store.loader import Loader
from store.query import statements
from store.query.filters.row_set import RowSet
from store.query.pages import Slice, events_page
from store.query.sql import Scan, Statement
from tests.harness.stores import (
    append_lines,
    journal_lines,
    leave_segments,
    open_journal,
    open_store,
    record,
    segment_contents,
    stored_keys,
    stored_rows,
    wait_until,
)

POISON: Final = {
    "no JSON": b"garbage\n",
    "no JSON, no text": b"\x00\xff\xfe\n",
    "a text for a number": b'{"metric_name":"m","value":"abc","timestamp":1}\n',
    "a text for a time": b'{"metric_name":"m","value":1,"timestamp":"noon"}\n',
    "cut off": b'{"metric_name":"m","value":1,"timestamp":1,"tags":{"k":\n',
    "an open text": b'{"metric_name":"m\n',
    "no name": b'{"value":1,"timestamp":1}\n',
    "two rows in a line": journal_lines(["x"])[:-1] + journal_lines(["y"]),
    "no row in a line": b"\n",
}


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON.keys())
async def test_segment_that_the_engine_refuses_blocks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, poison: bytes
) -> None:
    """Unreadable rows are set aside after three tries; the other rows are loaded."""
    monkeypatch.setattr("store.loader._BACKOFF", (0.01,))
    data = tmp_path / "data"
    folder = data / "journal" / "metrics"
    mixed_lines = (poison + journal_lines(["beside"]) + poison + journal_lines(["too"]) + poison, 5)
    segments = await leave_segments(folder, ["before"], mixed_lines, ["after"])
    async with open_store(data) as store:
        assert await stored_keys(store) == ["before", "beside", "too", "after"]
        row_numbers = {row.key: row.row for row in await stored_rows(store)}
        assert (row_numbers["beside"], row_numbers["too"]) == (2, 4)
        assert (store._loaders["metrics"].failure, store.problems()) == (None, {})
        assert store.set_aside_problems() == {
            "refused.metrics": "3 rows are set aside in the journal"
        }
        await record(store, "more")
        assert await stored_keys(store) == ["before", "beside", "too", "after", "more"]
    assert segment_contents(folder) == {}
    bad_segment = list(segments)[1]
    assert segment_contents(folder / "refused") == {
        folder / "refused" / bad_segment.name: 3 * poison
    }
    async with open_store(data) as store:
        assert await stored_keys(store) == ["before", "beside", "too", "after", "more"]
        assert store.set_aside_problems() == {
            "refused.metrics": "3 rows are set aside in the journal"
        }


async def test_batch_that_is_partly_stored_is_stored_once(tmp_path: Path) -> None:
    """Each row of a segment that was half inserted before a crash is stored once."""
    data = tmp_path / "data"
    folder = data / "journal" / "metrics"
    (path,) = await leave_segments(folder, ["a", "b", "c"])
    segment = path.read_bytes()
    header, first = segment.splitlines(keepends=True)[:2]
    path.unlink()
    async with open_store(data) as store:
        half = tmp_path / "half"
        half.write_bytes(header + first)
        await store.engine.write(METRIC_STREAM.load(str(half), int(path.stem)))
        assert await stored_keys(store) == ["a"]
    path.write_bytes(segment)
    async with open_store(data) as store:
        assert await stored_keys(store) == ["a", "b", "c"]
    assert segment_contents(folder) == {}


async def test_segment_that_cant_be_set_aside_yet_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When setting aside fails, on a full disk for example, the loader tries again."""
    monkeypatch.setattr("store.loader._BACKOFF", (0.01,))
    set_aside, full = Journal.set_aside, iter([True, True])

    def fail(log: Journal, segment: Segment) -> Path:
        if next(full, False):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return set_aside(log, segment)

    monkeypatch.setattr(Journal, "set_aside", fail)
    data = tmp_path / "data"
    await leave_segments(data / "journal" / "metrics", (b"garbage\n", 1), ["after"])
    async with open_store(data) as store:
        await wait_until(lambda: not store.problems())
        assert await stored_keys(store) == ["after"]
        assert store.set_aside_problems() == {
            "refused.metrics": "1 rows are set aside in the journal"
        }


async def test_reads_go_on_while_the_engine_cannot_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the engine can't load, queries answer with loaded rows and deletions get a 503."""
    monkeypatch.setattr("store.loader._BACKOFF", (0.01,))
    insert, failing = Loader._insert, True

    async def fail(loader: Loader, segment: Segment, *, leftover: bool) -> None:
        if failing:
            raise EngineError("Code: 243. DB::Exception: no space (NOT_ENOUGH_SPACE)")
        await insert(loader, segment, leftover=leftover)

    async with open_store(tmp_path / "data") as store:
        await record(store, "loaded")
        assert await stored_keys(store) == ["loaded"]
        monkeypatch.setattr(Loader, "_insert", fail)
        await record(store, "waits")
        assert await stored_keys(store) == ["loaded"]
        assert "NOT_ENOUGH_SPACE" in store.problems()["loader.metrics"]
        with pytest.raises(AnalyticsError) as refusal:
            await store.delete(
                Statement("DELETE FROM metrics WHERE true", scans=(Scan("metrics"),)), PROJECT
            )
        assert (refusal.value.code, refusal.value.retry_after) == ("UNAVAILABLE", 5)
        failing = False
        await wait_until(lambda: not store.problems())
        assert await stored_keys(store) == ["loaded", "waits"]


class LoadedRows(msgspec.Struct):
    """The parts and rows of a loaded segment, and the rows with a wrong number."""

    parts: int
    rows: int
    misplaced_rows: int


async def test_largest_segment_is_one_part(tmp_path: Path) -> None:
    """The largest segment becomes one part, in its order: it is inserted whole or not at all."""
    data = tmp_path / "data"
    async with open_journal(data / "journal" / "metrics") as log:
        for start in range(0, SEGMENT_ROWS, 50_000):
            await log.append(journal_lines(map(str, range(start, start + 50_000))), 50_000)
        assert [segment.rows for segment in log.sealed_segments] == [SEGMENT_ROWS]
    text = """
WITH toUInt32(simpleJSONExtractString(tags, 'k')) AS place
SELECT uniqExact(_part) AS parts, count() AS rows,
  countIf(row != place + 1 + intDiv(place, 50000)) AS misplaced_rows
FROM metrics"""
    async with open_store(data) as store:
        (loaded_rows,) = await store.select(Statement(text, scans=(Scan("metrics"),)), LoadedRows)
    assert loaded_rows == LoadedRows(1, SEGMENT_ROWS, 0)


async def test_rows_gather_while_nobody_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without queries rows wait until their segment is full; a query has them loaded at once."""
    monkeypatch.setattr("store.loader.INTERVAL", 0.0)
    monkeypatch.setattr("store.loader.QUIET_INTERVAL", 3600.0)
    monkeypatch.setattr("store.journal.journal.SEGMENT_ROWS", 10)
    async with open_store(tmp_path / "data") as store:
        journal = store._journals["metrics"]
        await append_lines(store, journal_lines(["soon"]), 1)
        await wait_until(lambda: journal.loaded_rows == 1)
        monkeypatch.setattr("store.loader.QUIET_AFTER", 0.0)
        await append_lines(store, journal_lines(["gathers"]), 1)
        await asyncio.sleep(0.1)
        assert journal.loaded_rows == 1
        await append_lines(store, journal_lines(map(str, range(9))), 9)
        await wait_until(lambda: journal.loaded_rows == 11)
        await append_lines(store, journal_lines(["last"]), 1)
        assert len(await stored_keys(store)) == 12


async def test_unreadable_segment_is_reported_without_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the log nor `/readyz` repeats the content of an unreadable segment."""
    data = tmp_path / "data"
    await leave_segments(data / "journal" / "metrics", (b"secret-1 {secret-2}\n", 1))
    for name in ("analytics", "analytics.loader"):  # another test may have configured them
        monkeypatch.setattr(logging.getLogger(name), "propagate", True)
    problems = []
    async with open_store(data) as store:
        async with asyncio.timeout(30):
            while not store.set_aside_problems():
                problems.append(str(store.problems()))
                await asyncio.sleep(0.01)
    messages = "".join(problems) + caplog.text
    assert "CANNOT_PARSE_INPUT_ASSERTION_FAILED" in caplog.text
    assert "secret" not in messages


OLD: Final = b'{"event_name":"old","user_id":"u","properties":{"a":1},"timestamp":1800000000000}\n'
NEW: Final = OLD.replace(b'"user_id"', b'"session_id":"s","user_id"').replace(b"old", b"new")


async def test_journals_from_before_there_were_sessions(tmp_path: Path) -> None:
    """Segments without sessions load, and so do segments that mix both forms."""
    data = tmp_path / "data"
    await leave_segments(data / "journal" / "events", (OLD, 1), (NEW + OLD, 2))
    async with open_store(data) as store:
        await append_lines(store, NEW, 1, EVENT_STREAM)
        rows = statements.event_rows(
            RowSet("events", "default"), EventFilter(user_id=StringFilter(eq="u"))
        )
        answer = await store.answer(events_page(rows, Slice(10)), "TSVRaw")
        events = sorted(line.split(b"\t")[:4] for line in answer.data.splitlines())
        new, old = (
            [b'"new"', b'"u"', b'"s"', b'{"a":1}'],
            [b'"old"', b'"u"', b"null", b'{"a":1}'],
        )
        assert events == [new, new, old, old]


async def test_leftover_rows_are_waited_for(tmp_path: Path) -> None:
    """The names of leftover rows are unknown, so every query waits for these rows."""
    await leave_segments(tmp_path / "data" / "journal" / "metrics", ["a"])
    async with open_store(tmp_path / "data") as store:
        loader = store._loaders["metrics"]
        assert await loader.settle(frozenset({"nobody"}))
        assert store._journals["metrics"].newest_batch == 0


async def test_segment_of_many_names_is_waited_for_by_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A query of any metric waits for a segment with too many names."""
    monkeypatch.setattr("store.journal.open_segment._MAX_NAMES", 3)
    async with open_journal(tmp_path / "data" / "metrics") as log:
        for names, any_name in ((["a", "b"], False), (["c", "d"], False), (["e"], True)):
            await log.append(journal_lines(names), len(names), frozenset(names))
            assert bool(log.newest_batch_with({"nobody"})) == any_name
            assert log.newest_batch_with(set(names))
