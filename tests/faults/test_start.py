"""A start after a crash with much to do: all of it is there. How long it took is printed."""

from dataclasses import replace
from pathlib import Path

import msgspec

from store.query.sql import Statement
from tests.harness.process import Process
from tests.harness.run_profile import LONG, print_figure, short_or_long
from tests.harness.stores import LIMITS, journal_lines, open_journal, open_store

UNLOADED = short_or_long(550_000, 1_000_000)  # two segments at least
STORED = 10_000_000
BATCH = 50_000
ROOMY = replace(LIMITS, memory_bytes=4_000_000_000, query_memory_bytes=3_000_000_000)


class Found(msgspec.Struct):
    """How many rows there are, and how many different ones."""

    rows: int
    keys: int


async def leave_unloaded(data: Path, first: int, rows: int) -> None:
    """Leave rows in the journal, as a crash would."""
    async with open_journal(data / "journal" / "metrics") as log:
        for start in range(first, first + rows, BATCH):
            await log.append(journal_lines(map(str, range(start, start + BATCH))), BATCH)


async def found_in(data: Path) -> Found:
    """Count what is stored."""
    text = "SELECT count() AS rows, uniqExact(batch, row) AS keys FROM metrics"
    async with open_store(data, ROOMY) as store:
        (found,) = await store.select(Statement(text, reads=("metrics",)), Found)
    return found


def start(data: Path, name: str, rows: int) -> None:
    """Start on a folder, print when it was ready, count through both doors, crash."""
    with Process(data) as service:
        seconds = service.await_ready(600)
        print_figure(f"{name}: ready after {seconds:.2f} s")
        assert service.http.get("/dashboard").json()["total_metrics_tracked"] == rows
        assert service.graphql("{ overview { metricCount } }")["overview"]["metricCount"] == rows
        service.kill()


async def test_start_with_much_to_load_or_much_loaded(tmp_path: Path) -> None:
    """Ready means that all rows of the journal can be queried, however many are there already."""
    data = tmp_path / "data"
    start(data, "an empty folder", 0)
    await leave_unloaded(data, 0, UNLOADED)
    start(data, f"{UNLOADED} unloaded rows", UNLOADED)
    rows = UNLOADED
    if LONG:
        await leave_unloaded(data, rows, STORED)
        rows += STORED
        start(data, f"{STORED} unloaded rows", rows)
        start(data, f"{rows} stored rows", rows)
    assert await found_in(data) == Found(rows, rows)
