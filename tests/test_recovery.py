"""Crashes: what was acknowledged is there after the restart, once; the rest whole or not at all.

CYCLES=50 in the environment asks for the full number of crashes, and prints what each cost.
"""

import asyncio
import os
import random
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

import httpx
import msgspec
import pytest

from store import queries
from store.sql import Statement
from store.store import Store
from store.tables import METRICS
from tests.process import Process
from tests.stores import files, keys, left_behind, opened, record, stored

CYCLES: Final = int(os.environ.get("CYCLES", "6"))
WRITERS: Final = 4
JSON: Final = {"content-type": "application/json"}
COUNTED: Final = """
query ($range: TimeRangeInput!) {
  overview { metricCount eventCount }
  metric(name: "crash") { query(range: $range) { series { total { count } } } }
}
"""
RECORD: Final = """
mutation ($input: RecordEventsInput!) { recordEvents(input: $input) { accepted } }
"""


@dataclass(slots=True)
class Sent:
    """A request: its rows have the keys `<key>/<number>`."""

    table: str
    rows: int
    acknowledged: bool = False


@dataclass(slots=True)
class Writer:
    """Sends single rows and batches, through both doors, until the service is gone."""

    port: int
    name: str
    dice: random.Random
    sent: dict[str, Sent] = field(default_factory=dict)

    def run(self) -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{self.port}", trust_env=False) as http:
            for number in count():
                key = f"{self.name}-{number}"
                path, table, rows, body = self._request(key)
                self.sent[key] = Sent(table, rows)
                try:
                    answer = http.post(path, content=msgspec.json.encode(body), headers=JSON)
                except httpx.TransportError:
                    return
                assert answer.status_code == 200, answer.text
                assert rows == 1 or f'"accepted":{rows}' in answer.text, answer.text
                self.sent[key].acknowledged = True

    def _request(self, key: str) -> tuple[str, str, int, object]:
        kind = self.dice.choice(("metric", "event", "metrics", "events", "graphql"))
        rows = 1 if kind in {"metric", "event"} else self.dice.choice((2, 10, 10, 50, 2000))
        names = [f"{key}/{n}" for n in range(rows)]
        points = [{"metric_name": "crash", "value": 1, "tags": {"k": name}} for name in names]
        events = [{"event_name": "crash", "user_id": name} for name in names]
        inputs = [{"name": "crash", "userId": name} for name in names]
        match kind:
            case "metric":
                return "/metrics", "metrics", 1, points[0]
            case "event":
                return "/events", "events", 1, events[0]
            case "metrics":
                return "/metrics/batch", "metrics", rows, points
            case "events":
                return "/events/batch", "events", rows, events
        body = {"query": RECORD, "variables": {"input": {"events": inputs}}}
        return "/graphql", "events", rows, body


def write_until_killed(service: Process, dice: random.Random, cycle: int) -> dict[str, Sent]:
    """Let the writers write for a moment, crash the service; return what they sent."""
    writers = [
        Writer(service.port, f"{cycle}-{n}", random.Random(dice.random())) for n in range(WRITERS)
    ]
    threads = [threading.Thread(target=writer.run) for writer in writers]
    for thread in threads:
        thread.start()
    time.sleep(dice.uniform(0.05, 1.2))
    service.kill()
    for thread in threads:
        thread.join()
    return {key: request for writer in writers for key, request in writer.sent.items()}


def assert_doors_agree(service: Process, sent: dict[str, Sent]) -> None:
    """Both doors count the same rows, and at least the acknowledged ones."""
    board = service.http.get("/dashboard").json()
    total = service.http.get("/metrics/crash").json()["count"]
    data = service.graphql(COUNTED, range={"last": "1d"})
    rest = {
        "metricCount": board["total_metrics_tracked"],
        "eventCount": board["total_events_tracked"],
    }
    assert data["overview"] == rest
    assert data["metric"]["query"]["series"][0]["total"]["count"] == total == rest["metricCount"]
    for table, found in (("metrics", rest["metricCount"]), ("events", rest["eventCount"])):
        least = sum(r.rows for r in sent.values() if r.table == table and r.acknowledged)
        assert found >= least, f"{least} rows of {table} were acknowledged, {found} are there"


async def assert_exactly_once(data: Path, sent: dict[str, Sent]) -> None:
    """Look at every stored row: none lost, none twice, no batch torn, none from nowhere."""
    found: Counter[str] = Counter()
    async with opened(data) as store:
        for table in ("metrics", "events"):
            found.update(await keys(store, table))
    twice = [key for key, times in found.items() if times > 1]
    batches = Counter(key.partition("/")[0] for key in found)
    torn = {key: n for key, n in batches.items() if key in sent and n != sent[key].rows}
    lost = [key for key, request in sent.items() if request.acknowledged and key not in batches]
    strange = batches.keys() - sent.keys()
    acknowledged = sum(request.rows for request in sent.values() if request.acknowledged)
    report(f"{acknowledged} rows acknowledged, {found.total()} found, {len(lost)} requests lost,")
    report(f" {len(twice)} rows twice, {len(torn)} batches torn\n")
    assert (lost, twice, torn, strange) == ([], [], {}, set())


def report(text: str) -> None:
    if CYCLES >= 50:
        sys.__stderr__.write(text)  # type: ignore[union-attr]


async def test_crashes_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    """Under four writers, kill -9 at random moments: 0 lost, 0 twice, 0 torn; both doors agree."""
    seed = random.randrange(2**32)
    report(f"seed {seed}\n")
    dice = random.Random(seed)
    data = tmp_path / "data"
    sent: dict[str, Sent] = {}
    for cycle in range(CYCLES):
        if dice.random() < 0.2:  # a crash in the middle of the recovery from a crash
            with Process(data):
                await asyncio.sleep(dice.uniform(0.3, 1.5))
        with Process(data) as service:
            seconds = service.await_ready()
            report(f"cycle {cycle}: ready {seconds:.2f} s after the start of the process\n")
            if sent:
                assert_doors_agree(service, sent)
            sent |= write_until_killed(service, dice, cycle)
    await assert_exactly_once(data, sent)


def put_back(segments: dict[Path, bytes]) -> None:
    """Undo the deletion of segments, as a crash before it would have left them."""
    for path, content in segments.items():
        path.write_bytes(content)


async def forget(store: Store, rows: str) -> None:
    """Delete rows from the engine behind the store's back."""
    await store.engine.write(Statement(f"DELETE FROM metrics WHERE {rows}"))  # noqa: S608


async def test_segment_that_was_loaded_before_the_crash_is_dropped(tmp_path: Path) -> None:
    """Killed between the engine's insert and the segment's deletion: nothing is there twice."""
    data = tmp_path / "data"
    segments = await left_behind(data / "journal" / "metrics", ["a", "b"], ["c"])
    async with opened(data) as store:
        before = await stored(store)
        assert [row.key for row in before] == ["a", "b", "c"]
    put_back(segments)
    async with opened(data) as store:
        assert await stored(store) == before
    assert files(data / "journal" / "metrics") == {}


@pytest.mark.parametrize("missing", ["row = 1", "row = 2", "row < 3", "1"])
async def test_segment_that_was_half_loaded_is_loaded_again(tmp_path: Path, missing: str) -> None:
    """Whatever part of a batch the engine has, after the restart it has all of it, once."""
    data = tmp_path / "data"
    segments = await left_behind(data / "journal" / "metrics", ["a", "b", "c"], ["d"])
    async with opened(data) as store:
        before = await stored(store)
        await forget(store, missing)
    put_back(segments)
    async with opened(data) as store:
        assert sorted(await stored(store)) == sorted(before)


async def test_interrupted_insert_is_finished_by_the_running_loader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An insert that fails after its rows were written is not repeated blindly."""
    async with opened(tmp_path / "data") as store:
        insert, failures = store.engine.write, iter([True, False, True])

        async def write(statement: Statement) -> int:
            written = await insert(statement)
            if statement.text == METRICS.load_text and next(failures, False):
                raise RuntimeError("the connection broke, or so it seemed")
            return written

        monkeypatch.setattr(store.engine, "write", write)
        await record(store, "a", "b")
        assert await keys(store) == ["a", "b"]
        await record(store, "c")
        assert await keys(store) == ["a", "b", "c"]


async def test_clock_that_steps_back_changes_neither_order_nor_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a restart an hour earlier, new rows still come behind all that were there before."""
    data = tmp_path / "data"
    async with opened(data) as store:
        await record(store, "loaded")
        await keys(store)
    await left_behind(data / "journal" / "metrics", ["waiting"])
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now - 3_600_000_000_000)
    async with opened(data) as store:
        await record(store, "new")
        assert await keys(store) == ["loaded", "waiting", "new"]
    monkeypatch.setattr(time, "time_ns", lambda: now - 7_200_000_000_000)
    async with opened(data) as store:
        await record(store, "newer")
        found = await stored(store)
    assert [row.key for row in found] == ["loaded", "waiting", "new", "newer"]
    assert len({row.batch for row in found}) == 4


async def test_deletion_finds_what_was_half_loaded(tmp_path: Path) -> None:
    """A deletion right after a restart also deletes what is still on its way, for good."""
    data = tmp_path / "data"
    segments = await left_behind(data / "journal" / "metrics", ["a", "b"], ["c"])
    async with opened(data) as store:
        assert await keys(store) == ["a", "b", "c"]
        await forget(store, "row = 2")
    put_back(segments)
    everything = queries.metric_rows("default", "m")
    async with opened(data) as store:
        (found,) = await store.select(queries.deletable(everything), queries.DeletableRow)
        assert found.rows == 3
        await store.delete(queries.delete(everything, found.newest))
        assert await keys(store) == []
    async with opened(data) as store:
        assert await keys(store) == []


async def test_deleted_rows_stay_deleted_after_a_crash(tmp_path: Path) -> None:
    """DELETE, then kill -9 at once: nothing of it comes back, and what came later stays."""
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
