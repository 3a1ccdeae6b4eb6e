"""Client ids over restarts and crashes of the process, and how they are learned again."""

import asyncio
import random
import threading
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
import pytest

from store.ingest.decoder import read_batch
from store.ingest.id_hashes import hash_ids
from store.ingest.streams import METRIC_STREAM, PROJECT
from store.query import queries
from store.query.sql import Statement
from tests.harness.process import Process, is_free
from tests.harness.run_profile import print_figure, seeded_random, short_or_long
from tests.harness.service import NOON
from tests.harness.stores import (
    Rows,
    assert_counters_balance,
    journal_lines,
    open_engine,
    open_store,
    table_counts,
    wait_until,
)

ENDLESS: Final = Statement("SELECT number FROM numbers(10000000000) SETTINGS max_execution_time=0")
MANY: Final = 500_000


async def read(pieces: AsyncIterator[bytes]) -> list[bytes]:
    """Collect the lines of all pieces; each piece is whole lines."""
    found = []
    async for piece in pieces:
        assert piece == b"" or piece.endswith(b"\n")
        found += piece.splitlines()
    return found


@pytest.mark.parametrize("rows", [0, 1, 7, 65_409, 1_000_000])
async def test_pieces_are_all_rows(tmp_path: Path, rows: int) -> None:
    """However long an answer is, its pieces are all of its rows, in order."""
    async with open_engine(tmp_path / "store") as engine:
        numbers = Statement("SELECT number FROM numbers({rows:UInt64})", {"rows": rows})
        found = await read(engine.pieces(numbers))
        assert [msgspec.json.decode(line)["number"] for line in found] == list(range(rows))


@pytest.mark.parametrize("wanted", [[0], [MANY - 1], [250_000], [1, 65_000, 130_000, 499_999]])
async def test_sparse_ids_are_all_learned(tmp_path: Path, wanted: list[int]) -> None:
    """A few rows with an id among half a million without are found, wherever they are."""
    data = tmp_path / "data"
    plain = journal_lines([""])
    named = plain[:-2] + b',"id":"id-%d"}\n'
    rows = [plain] * MANY
    for place in wanted:
        rows[place] = named % place
    async with open_store(data) as store:
        for start in range(0, MANY, 50_000):
            body = b"".join(rows[start : start + 50_000])
            await store.record(METRIC_STREAM, read_batch(METRIC_STREAM.row_type, body, NOON))
        await assert_counters_balance(store)
        found = await read(store.engine.pieces(queries.client_ids("metrics", PROJECT, 0)))
        ids = [msgspec.json.decode(line)["id"] for line in found]
        assert sorted(ids) == sorted(f"id-{place}" for place in wanted)
    async with open_store(data) as store:
        ids_of = store._ids["metrics"]
        await wait_until(lambda: ids_of.is_ready)
        texts = [f"id-{place}" for place in wanted]
        assert ids_of._recent.add(hash_ids(texts), ids_of._now_ms()) == list(range(len(wanted)))


async def test_ids_with_any_characters_are_learned(tmp_path: Path) -> None:
    """Also those that JSON escapes, next to others or alone in their part of the table."""
    data = tmp_path / "data"
    odd = ['a"b', "a\\b", "a/b", "é漢💥", '"', "\\", "a", "b" * 200, "\u2028"]
    plain = [f"{n}" for n in range(100)]
    rows = [{"metric_name": "m", "value": 1, "id": id_} for id_ in odd + plain]
    for some in (rows, rows[len(odd) :]):
        async with open_store(data) as store:
            body = msgspec.json.encode(some)
            await store.record(METRIC_STREAM, read_batch(METRIC_STREAM.row_type, body, NOON))
    async with open_store(data) as store:
        ids_of = store._ids["metrics"]
        await wait_until(lambda: ids_of.is_ready)
        texts = odd + plain
        assert ids_of._recent.add(hash_ids(texts), ids_of._now_ms()) == list(range(len(texts)))


@pytest.mark.parametrize("after", [0, 1, 3])
async def test_connection_survives_a_reader_that_gives_up(tmp_path: Path, after: int) -> None:
    """Whoever stops reading pieces in the middle, the next query on that connection is right."""
    async with open_engine(tmp_path / "store", readers=1) as engine:
        for _ in range(3):
            got = asyncio.Event()
            number = 0

            async def reading(got: asyncio.Event = got) -> None:
                nonlocal number
                async for _ in engine.pieces(ENDLESS):
                    number += 1
                    if number >= after:
                        got.set()

            reader = asyncio.create_task(reading())
            if after:
                await got.wait()
            else:
                await asyncio.sleep(0.02)
            reader.cancel()
            await asyncio.wait([reader])
            assert reader.cancelled()
            (one,) = await engine.select(Statement("SELECT 1 AS rows"), Rows)
            assert one.rows == 1
            pieces = engine.pieces(ENDLESS)
            await anext(pieces)
            await pieces.aclose()  # type: ignore[attr-defined]  # it is a generator
            found = await read(engine.pieces(Statement("SELECT number FROM numbers(3)")))
            assert found == [b'{"number":0}', b'{"number":1}', b'{"number":2}']


class Resenders:
    """Clients that send batches which overlap, and send each again until it is acknowledged.

    `acknowledged` counts the rows that a client was told are stored, by id.
    """

    def __init__(self, port: int, dice: random.Random, pending: list[list[str]]) -> None:
        """Begin with the batches in `pending`; those that get no answer are put back."""
        self.pending = pending
        self.acknowledged: set[str] = set()
        self.accepted = 0
        self._url = f"http://127.0.0.1:{port}"
        self._port = port
        self._wrong: list[str] = []
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, args=(random.Random(dice.random()),))
            for _ in range(4)
        ]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Return when all batches are acknowledged, or nobody listens any more."""
        for thread in self._threads:
            thread.join()
        assert not self._wrong, self._wrong

    def _run(self, dice: random.Random) -> None:
        with httpx.Client(base_url=self._url, trust_env=False, timeout=60) as http:
            while True:
                with self._lock:
                    if not self.pending:
                        return
                    batch = self.pending.pop(dice.randrange(len(self.pending)))
                try:
                    content = self._send(http, batch, dice)
                except httpx.TransportError:
                    content = None
                except Exception as error:  # noqa: BLE001 - told by the test's own thread
                    self._wrong.append(repr(error))
                    return
                with self._lock:
                    if content is None:
                        self.pending.append(batch)
                        if is_free(self._port):
                            return
                        continue
                    self.acknowledged.update(batch)
                    self.accepted += content

    def _send(self, http: httpx.Client, batch: list[str], dice: random.Random) -> int | None:
        """Send a batch by one way or another; return how many rows were accepted."""
        way = dice.choice(["array", "series", "single"] if len(batch) == 1 else ["array", "series"])
        points: list[dict[str, Any]] = [
            {"metric_name": "m", "value": 1, "tags": {"k": own}, "id": own} for own in batch
        ]
        if way == "series":
            times: dict[str, Any] = {"metric_name": "m", "timestamps": [10**11], "values": [1]}
            points = [{**times, "tags": {"k": own}, "id": own} for own in batch]
        path = {"array": "/metrics/batch", "series": "/metrics/series", "single": "/metrics"}[way]
        sent = msgspec.json.encode(points[0] if way == "single" else points)
        answer = http.post(path, content=sent, headers={"content-type": "application/json"})
        if answer.status_code == 503:
            assert int(answer.headers["retry-after"]) >= 1
            return None
        content = answer.json()
        assert answer.status_code == 200, answer.text
        if way == "single":
            return 0 if content.get("duplicate") else 1
        assert content["accepted"] + content["duplicates"] == len(batch)
        accepted: int = content["accepted"]
        return accepted


def overlapping(dice: random.Random, turn: int) -> list[list[str]]:
    """Cut new ids into batches in which most of them are several times."""
    ids = [f"{turn}-{n}" for n in range(dice.choice((50, 400, 2_000)))]
    batches = [dice.choices(ids, k=dice.choice((1, 1, 5, 40))) for _ in range(60)]
    left = sorted(set(ids) - {own for batch in batches for own in batch})
    return [*batches, *(left[start : start + 500] for start in range(0, len(left), 500))]


def test_resent_batches_count_once_over_crashes(tmp_path: Path) -> None:
    """Clients resend what got no answer over kill -9 at random moments: each id is there once.

    What was acknowledged is there in every answer after it.
    """
    dice = seeded_random()
    data = tmp_path / "data"
    pending: list[list[str]] = []
    every: set[str] = set()
    acknowledged: set[str] = set()
    for turn in range(short_or_long(5, 50)):
        with Process(data) as service:
            service.await_ready()
            pending += overlapping(dice, turn)
            every |= {own for batch in pending for own in batch}
            clients = Resenders(service.port, dice, pending)
            clients._threads[0].join(timeout=dice.choice((0.02, 0.1, 0.3, 1.0)))
            service.kill()
            clients.join()
            acknowledged |= clients.acknowledged
            print_figure(f"turn {turn}: {len(pending)} batches got no answer, {len(every)} ids")
    with Process(data) as service:
        service.await_ready()
        clients = Resenders(service.port, dice, pending)
        clients.join()
        acknowledged |= clients.acknowledged
        assert acknowledged == every
        assert service.http.get("/dashboard").json()["total_metrics_tracked"] == len(every)
        service.kill()
    asyncio.run(audit(data, every))


async def audit(data: Path, every: set[str]) -> None:
    """Look at every stored row of a folder that no service has open."""
    async with open_store(data) as store:
        text = "SELECT client_id AS id FROM metrics"
        rows = await store.select(Statement(text, reads=("metrics",)), queries.ClientIdRow)
        found = Counter(row.id for row in rows)
        assert found.keys() == every
        assert {own: times for own, times in found.items() if times > 1} == {}
        await assert_counters_balance(store, await table_counts(store))
