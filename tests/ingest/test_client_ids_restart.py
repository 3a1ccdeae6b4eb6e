"""Client ids over restarts and crashes of the process, and the reading of stored ids."""

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

from schema.access import PROJECT
from store.ingest.decoder import read_batch
from store.ingest.id_hashes import hash_ids
from store.ingest.streams import METRIC_STREAM
from store.query import statements
from store.query.sql import Scan, Statement
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
ROWS: Final = 500_000


async def read_lines(pieces: AsyncIterator[bytes]) -> list[bytes]:
    """Collect the lines of all pieces; check that each piece ends with a line."""
    lines = []
    async for piece in pieces:
        assert piece == b"" or piece.endswith(b"\n")
        lines += piece.splitlines()
    return lines


@pytest.mark.parametrize("rows", [0, 1, 7, 65_409, 1_000_000])
async def test_pieces_are_all_rows(tmp_path: Path, rows: int) -> None:
    """The pieces of an answer of any length hold all of its rows, in order."""
    async with open_engine(tmp_path / "store") as engine:
        numbers = Statement("SELECT number FROM numbers({rows:UInt64})", {"rows": rows})
        lines = await read_lines(engine.pieces(numbers))
        assert [msgspec.json.decode(line)["number"] for line in lines] == list(range(rows))


@pytest.mark.parametrize("positions", [[0], [ROWS - 1], [250_000], [1, 65_000, 130_000, 499_999]])
async def test_sparse_ids_are_all_learned(tmp_path: Path, positions: list[int]) -> None:
    """A few rows with an id among 500,000 rows without are found at any position."""
    data = tmp_path / "data"
    plain = journal_lines([""])
    row_with_id = plain[:-2] + b',"id":"id-%d"}\n'
    rows = [plain] * ROWS
    for position in positions:
        rows[position] = row_with_id % position
    async with open_store(data) as store:
        for start in range(0, ROWS, 50_000):
            body = b"".join(rows[start : start + 50_000])
            await store.record(METRIC_STREAM, read_batch(METRIC_STREAM.row_type, body, NOON))
        await assert_counters_balance(store)
        lines = await read_lines(store.engine.pieces(statements.client_ids("metrics", PROJECT, 0)))
        ids = [msgspec.json.decode(line)["id"] for line in lines]
        assert sorted(ids) == sorted(f"id-{position}" for position in positions)
    async with open_store(data) as store:
        client_ids = store._ids["metrics"]
        await wait_until(lambda: client_ids.is_ready)
        texts = [f"id-{position}" for position in positions]
        assert client_ids._recent.add(hash_ids(texts), client_ids._now_ms()) == list(
            range(len(positions))
        )


async def test_ids_with_any_characters_are_learned(tmp_path: Path) -> None:
    """Ids that JSON escapes are read too, next to plain ids or without any."""
    data = tmp_path / "data"
    odd = ['a"b', "a\\b", "a/b", "é漢💥", '"', "\\", "a", "b" * 200, "\u2028"]
    plain = [f"{n}" for n in range(100)]
    rows = [{"metric_name": "m", "value": 1, "id": id_} for id_ in odd + plain]
    for batch in (rows, rows[len(odd) :]):
        async with open_store(data) as store:
            body = msgspec.json.encode(batch)
            await store.record(METRIC_STREAM, read_batch(METRIC_STREAM.row_type, body, NOON))
    async with open_store(data) as store:
        client_ids = store._ids["metrics"]
        await wait_until(lambda: client_ids.is_ready)
        texts = odd + plain
        assert client_ids._recent.add(hash_ids(texts), client_ids._now_ms()) == list(
            range(len(texts))
        )


@pytest.mark.parametrize("after", [0, 1, 3])
async def test_connection_survives_a_reader_that_gives_up(tmp_path: Path, after: int) -> None:
    """After a reader stops in the middle, the next query on its connection is right."""
    async with open_engine(tmp_path / "store", store_readers=1) as engine:
        for _ in range(3):
            has_enough = asyncio.Event()
            number = 0

            async def read_pieces(has_enough: asyncio.Event = has_enough) -> None:
                nonlocal number
                async for _ in engine.pieces(ENDLESS):
                    number += 1
                    if number >= after:
                        has_enough.set()

            reader = asyncio.create_task(read_pieces())
            if after:
                await has_enough.wait()
            else:
                await asyncio.sleep(0.02)
            reader.cancel()
            await asyncio.wait([reader])
            assert reader.cancelled()
            (result,) = await engine.select(Statement("SELECT 1 AS rows"), Rows)
            assert result.rows == 1
            pieces = engine.pieces(ENDLESS)
            await anext(pieces)
            await pieces.aclose()
            lines = await read_lines(engine.pieces(Statement("SELECT number FROM numbers(3)")))
            assert lines == [b'{"number":0}', b'{"number":1}', b'{"number":2}']


class Resenders:
    """Clients that send overlapping batches, each until it is acknowledged.

    `acknowledged_ids` are the ids of the rows in successful answers.
    """

    def __init__(self, port: int, dice: random.Random, pending: list[list[str]]) -> None:
        """Send the batches in `pending`; a batch without an answer is put back."""
        self.pending = pending
        self.acknowledged_ids: set[str] = set()
        self.accepted = 0
        self._url = f"http://127.0.0.1:{port}"
        self._port = port
        self._errors: list[str] = []
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, args=(random.Random(dice.random()),))
            for _ in range(4)
        ]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Return when all batches are acknowledged, or the port has no listener."""
        for thread in self._threads:
            thread.join()
        assert not self._errors, self._errors

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
                except Exception as error:  # noqa: BLE001 - the test thread raises it
                    self._errors.append(repr(error))
                    return
                with self._lock:
                    if content is None:
                        self.pending.append(batch)
                        if is_free(self._port):
                            return
                        continue
                    self.acknowledged_ids.update(batch)
                    self.accepted += content

    def _send(self, http: httpx.Client, batch: list[str], dice: random.Random) -> int | None:
        """Send a batch in a random format; return the number of accepted rows, or None."""
        wire_format = dice.choice(
            ["array", "series", "single"] if len(batch) == 1 else ["array", "series"]
        )
        points: list[dict[str, Any]] = [
            {"metric_name": "m", "value": 1, "tags": {"k": client_id}, "id": client_id}
            for client_id in batch
        ]
        if wire_format == "series":
            times: dict[str, Any] = {"metric_name": "m", "timestamps": [10**11], "values": [1]}
            points = [{**times, "tags": {"k": client_id}, "id": client_id} for client_id in batch]
        path = {"array": "/metrics/batch", "series": "/metrics/series", "single": "/metrics"}[
            wire_format
        ]
        body = msgspec.json.encode(points[0] if wire_format == "single" else points)
        answer = http.post(path, content=body, headers={"content-type": "application/json"})
        if answer.status_code == 503:
            assert int(answer.headers["retry-after"]) >= 1
            return None
        content = answer.json()
        assert answer.status_code == 200, answer.text
        if wire_format == "single":
            return 0 if content.get("duplicate") else 1
        assert content["accepted"] + content["duplicates"] == len(batch)
        accepted: int = content["accepted"]
        return accepted


def overlapping_batches(dice: random.Random, turn: int) -> list[list[str]]:
    """Draw batches of new ids, where most ids are in several batches."""
    ids = [f"{turn}-{n}" for n in range(dice.choice((50, 400, 2_000)))]
    batches = [dice.choices(ids, k=dice.choice((1, 1, 5, 40))) for _ in range(60)]
    remainder = sorted(set(ids) - {client_id for batch in batches for client_id in batch})
    return [*batches, *(remainder[start : start + 500] for start in range(0, len(remainder), 500))]


def test_resent_batches_count_once_over_crashes(tmp_path: Path) -> None:
    """Clients resend batches without an answer over kill -9: each id is stored once.

    Every acknowledged row is in the later answers.
    """
    dice = seeded_random()
    data = tmp_path / "data"
    pending: list[list[str]] = []
    all_ids: set[str] = set()
    acknowledged_ids: set[str] = set()
    for turn in range(short_or_long(5, 50)):
        with Process(data) as service:
            service.await_ready()
            pending += overlapping_batches(dice, turn)
            all_ids |= {client_id for batch in pending for client_id in batch}
            clients = Resenders(service.port, dice, pending)
            clients._threads[0].join(timeout=dice.choice((0.02, 0.1, 0.3, 1.0)))
            service.kill()
            clients.join()
            acknowledged_ids |= clients.acknowledged_ids
            print_figure(f"turn {turn}: {len(pending)} batches got no answer, {len(all_ids)} ids")
    with Process(data) as service:
        service.await_ready()
        clients = Resenders(service.port, dice, pending)
        clients.join()
        acknowledged_ids |= clients.acknowledged_ids
        assert acknowledged_ids == all_ids
        assert service.http.get("/dashboard").json()["total_metrics_tracked"] == len(all_ids)
        service.kill()
    asyncio.run(assert_stored_once(data, all_ids))


async def assert_stored_once(data: Path, expected: set[str]) -> None:
    """Check the ids of all stored rows in a folder that no service has open."""
    async with open_store(data) as store:
        text = "SELECT client_id AS id FROM metrics"
        rows = await store.select(Statement(text, scans=(Scan("metrics"),)), statements.ClientIdRow)
        counts = Counter(row.id for row in rows)
        assert counts.keys() == expected
        assert {client_id: times for client_id, times in counts.items() if times > 1} == {}
        await assert_counters_balance(store, await table_counts(store))
