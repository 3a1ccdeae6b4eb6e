"""The limit of names over restarts, crashes, replays and any order of requests."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from resolvers import events, ingestion, metrics
from resolvers.context import Context
from schema.access import PROJECT
from schema.errors import AnalyticsError
from schema.recording import DeleteEventsInput
from store.driver import EngineError
from store.engine import Engine
from store.ingest.decoder import read_batch
from store.ingest.outcomes import IngestedBatch
from store.ingest.streams import EVENT_STREAM, METRIC_STREAM, SERIES_STREAM, AnyStream
from store.query.sql import Scan, Statement
from store.store import Store
from tests.harness.process import Process
from tests.harness.run_profile import seeded_random, short_or_long
from tests.harness.service import NOON
from tests.harness.stores import (
    LIMITS,
    assert_counters_balance,
    journal_lines,
    leave_segments,
    open_store,
    wait_until,
)

LIMIT: Final = 5
NAMES: Final = tuple("abcdefghij")
RESTARTS: Final = short_or_long(4, 60)
STEPS: Final = short_or_long(25, 60)


class NamedRows(msgspec.Struct):
    """The number of rows of a name."""

    name: str
    rows: int


def body_of(stream: AnyStream, names: Iterable[str], ids: Iterable[str | None]) -> bytes:
    """Return a batch with a row of each name."""
    rows: list[dict[str, object]] = []
    for name, own_id in zip(names, ids, strict=True):
        row: dict[str, object] = {"event_name" if stream is EVENT_STREAM else "metric_name": name}
        if stream is METRIC_STREAM:
            row["value"] = 1
        elif stream is SERIES_STREAM:
            row |= {"timestamps": [NOON], "values": [1]}
        rows.append(row if own_id is None else row | {"id": own_id})
    return msgspec.json.encode(rows)


async def ingest(store: Store, stream: Any, body: bytes) -> IngestedBatch:
    """Record a batch as a request does."""
    return await store.ingest(stream, read_batch(stream.row_type, body, NOON), NOON)


async def stored_rows(store: Store, table: str) -> Counter[str]:
    """Count the rows of each name in a table."""
    text = f"SELECT name, count() AS rows FROM {table} GROUP BY name"  # noqa: S608
    rows = await store.select(Statement(text, scans=(Scan(table),)), NamedRows)
    return Counter({row.name: row.rows for row in rows})


class Model:
    """The rows of each name in each table, in plain Python, and random steps of a store."""

    def __init__(self, dice: random.Random) -> None:
        """Begin empty."""
        self.dice = dice
        self.rows: dict[str, Counter[str]] = {"metrics": Counter(), "events": Counter()}
        self.next_id = 0

    def _own_id(self) -> str | None:
        if self.dice.random() < 0.5:
            return None
        self.next_id += 1
        return f"id-{self.next_id}"

    async def record_one_batch(self, store: Store) -> None:
        """Record a batch: the first rows get the room, exactly."""
        stream = self.dice.choice((METRIC_STREAM, SERIES_STREAM, EVENT_STREAM))
        names = self.dice.choices(NAMES, k=self.dice.randint(1, 8))
        stored = self.rows[stream.table]
        refused_indexes = set()
        for index, name in enumerate(names):
            if stored[name] or sum(map(bool, stored.values())) < LIMIT:
                stored[name] += 1
            else:
                refused_indexes.add(index)
        outcome = await ingest(
            store, stream, body_of(stream, names, [self._own_id() for _ in names])
        )
        assert {error.index for error in outcome.errors} == refused_indexes
        assert outcome.stored == len(names) - len(refused_indexes)

    async def record_at_once(self, store: Store) -> None:
        """Record batches and single rows at the same time: known names are never refused."""
        requests = []
        for _ in range(self.dice.randint(2, 8)):
            stream = self.dice.choice((METRIC_STREAM, SERIES_STREAM, EVENT_STREAM))
            names = self.dice.choices(NAMES, k=self.dice.randint(1, 4))
            requests.append((stream, names, [self._own_id() for _ in names]))
        names_before = {table: set(+rows) for table, rows in self.rows.items()}
        outcomes = await asyncio.gather(*(self._send(store, *request) for request in requests))
        for (stream, names, _), refused_indexes in zip(requests, outcomes, strict=True):
            assert not names_before[stream.table] & {names[index] for index in refused_indexes}
            self.rows[stream.table].update(
                name for index, name in enumerate(names) if index not in refused_indexes
            )

    async def _send(
        self, store: Store, stream: AnyStream, names: list[str], ids: list[str | None]
    ) -> set[int]:
        """Send rows as a batch or, if there is one, alone; return the refused indexes."""
        body = body_of(stream, names, ids)
        if len(names) > 1 or stream is SERIES_STREAM:
            return {error.index for error in (await ingest(store, stream, body)).errors}
        try:
            row_stream: Any = stream
            await store.ingest_one(row_stream, body[1:-1], NOON)
        except AnalyticsError as error:
            if (error.code, error.limit) != ("BAD_USER_INPUT", LIMIT):
                raise
            return {0}
        return set()

    async def delete_metric(self, store: Store) -> None:
        """Delete a metric, or find none."""
        name = self.dice.choice(NAMES)
        if self.rows["metrics"][name]:
            payload = await metrics.delete(Context(store), name)
            assert payload.matched_rows == self.rows["metrics"].pop(name)
        else:
            with pytest.raises(AnalyticsError, match="There is no metric"):
                await metrics.delete(Context(store), name)

    async def delete_events(self, store: Store) -> None:
        """Delete all events."""
        await events.delete(Context(store), DeleteEventsInput(all=True))
        self.rows["events"].clear()

    async def compare(self, store: Store) -> None:
        """Compare the tables and the names in memory with the model."""
        for table, rows in self.rows.items():
            names = store.names.of_project(table, PROJECT)
            assert await stored_rows(store, table) == +rows
            assert set(+rows) == names.stored, table
            assert len(names.stored) <= LIMIT
            assert not names._requests
            assert not names._fresh


async def test_random_steps_agree_with_plain_python(tmp_path: Path) -> None:
    """Over restarts, deletions and requests at once, the limit holds and each row is accounted."""
    model = Model(seeded_random())
    steps = (
        *(model.record_one_batch, model.record_at_once) * 3,
        *(model.delete_metric, model.delete_metric, model.delete_events),
    )
    for _ in range(RESTARTS):
        before = {table: rows.total() for table, rows in model.rows.items()}
        deleted_rows = 0
        async with open_store(tmp_path / "data", replace(LIMITS, names_per_project=LIMIT)) as store:
            for _ in range(STEPS):
                rows_before = sum(rows.total() for rows in model.rows.values())
                await model.dice.choice(steps)(store)
                rows_after = sum(rows.total() for rows in model.rows.values())
                deleted_rows += max(0, rows_before - rows_after)
            await model.compare(store)
            await assert_counters_balance(store, before, deleted_rows)


def test_limit_holds_after_kill(tmp_path: Path) -> None:
    """After kill -9 the names of rows that were only in the journal count, and stay known."""
    settings = {"ANALYTICS_LIMITS": "namesPerProject=3"}
    with Process(tmp_path / "data", settings=settings) as service:
        service.await_ready()
        rows = [{"metric_name": name, "value": 1, "id": name} for name in "abcd"]
        answer = service.post("/metrics/batch", rows).json()
        assert (answer["accepted"], answer["rejected"]) == (3, 1)
        service.kill()
    with Process(tmp_path / "data", settings=settings) as service:
        service.await_ready()
        assert service.post("/metrics", {"metric_name": "d", "value": 1}).status_code == 422
        answer = service.post("/metrics/batch", rows).json()
        assert (answer["duplicates"], answer["rejected"]) == (3, 1)
        service.stop()


async def test_leftover_segments_count_before_they_are_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names in leftover segments count while the engine can't load, and beside bad lines."""
    monkeypatch.setattr("store.loader.Loader._insert", fail)
    line = b'{"metric_name":"%b","value":1,"timestamp":1800000000000}\n'
    lines = line % b"a" + b"garbage\n" + line % b'\\u00e9"'.replace(b'"', b'\\"')
    await leave_segments(tmp_path / "data" / "journal" / "metrics", (lines, 3))
    async with open_store(tmp_path / "data", replace(LIMITS, names_per_project=2)) as store:
        await store.names.await_stored()
        assert store.names.of_project("metrics", PROJECT).stored == {"a", 'é"'}
        with pytest.raises(AnalyticsError, match="has 2 names already"):
            await store.ingest_one(METRIC_STREAM, b'{"metric_name":"b","value":1}', NOON)
        await store.ingest_one(METRIC_STREAM, b'{"metric_name":"a","value":1}', NOON)


async def fail(*_: object, **__: object) -> None:
    """Fail as an engine with a full disk does."""
    raise EngineError("Code: 243. planted (NOT_ENOUGH_SPACE)")


async def test_rows_are_recorded_while_names_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the engine can't be read, names up to the limit are admitted; more are unavailable."""
    pieces = Engine.pieces

    def fail_at_once(*_: object) -> None:
        raise EngineError("planted")

    async with open_store(tmp_path / "data", replace(LIMITS, names_per_project=2)) as store:
        await ingest(store, METRIC_STREAM, body_of(METRIC_STREAM, "ab", (None, None)))
    monkeypatch.setattr(Engine, "pieces", fail_at_once)
    monkeypatch.setattr("store.ingest.names._RETRY_SECONDS", 0.05)
    async with open_store(tmp_path / "data", replace(LIMITS, names_per_project=2)) as store:
        await ingest(store, METRIC_STREAM, body_of(METRIC_STREAM, "cd", (None, None)))
        for name in "ae":
            with pytest.raises(AnalyticsError, match="can't be read yet"):
                await ingest(store, METRIC_STREAM, body_of(METRIC_STREAM, name, (None,)))
        monkeypatch.setattr(store.names, "_pieces", partial(pieces, store.engine))
        await wait_until(lambda: store.names.is_ready)
        await ingest(store, METRIC_STREAM, body_of(METRIC_STREAM, "abcd", (None,) * 4))
        outcome = await ingest(store, METRIC_STREAM, body_of(METRIC_STREAM, "ae", (None,) * 2))
        assert [error.index for error in outcome.errors] == [1]
        counts = store.row_counts["metrics"]
        assert (counts.unavailable, counts.pending) == (2, 0)


async def test_replayed_rows_with_new_names_stay_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replay leaves the rows beyond the limit, and stores them once when there is room."""
    monkeypatch.setattr("store.loader._BACKOFF", (0.01,))
    folder = tmp_path / "data" / "journal" / "metrics"
    bad = b'{"metric_name":"%b","value":"1e","timestamp":1800000000000}\n'
    good = journal_lines(["good"])
    await leave_segments(folder, (good + b"".join(bad % name for name in (b"m", b"n", b"o")), 4))
    async with open_store(tmp_path / "data", replace(LIMITS, names_per_project=2)) as store:
        assert await stored_rows(store, "metrics") == {"m": 1}
    (file,) = (folder / "refused").iterdir()
    file.write_bytes(file.read_bytes().replace(b'"1e"', b"1"))
    async with open_store(tmp_path / "data", replace(LIMITS, names_per_project=2)) as store:
        ctx = Context(store)
        payload = await ingestion.replay(ctx)
        assert (payload.stored, payload.duplicates, payload.left) == (2, 0, 1)
        payload = await ingestion.replay(ctx)
        assert (payload.stored, payload.duplicates, payload.left) == (0, 0, 1)
        assert '"o"' in ingestion.set_aside(ctx, 9)[0].text
        await metrics.delete(ctx, "n")
        payload = await ingestion.replay(ctx)
        assert (payload.stored, payload.duplicates, payload.left) == (1, 0, 0)
        assert await stored_rows(store, "metrics") == {"m": 2, "o": 1}
