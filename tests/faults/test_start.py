"""Starts after a crash with many rows to load. The tests print the seconds to ready."""

from dataclasses import replace
from pathlib import Path

import msgspec

from store.query.sql import Scan, Statement
from tests.harness.process import Process
from tests.harness.run_profile import LONG, print_figure, short_or_long
from tests.harness.stores import LIMITS, journal_lines, open_journal, open_store

UNLOADED_ROWS = short_or_long(550_000, 1_000_000)  # two segments at least
STORED_ROWS = 10_000_000
BATCH = 50_000
ROOMY = replace(LIMITS, memory_bytes=4_000_000_000, query_memory_bytes=3_000_000_000)


class StoredCounts(msgspec.Struct):
    """The number of stored rows, and of different keys."""

    rows: int
    keys: int


async def leave_unloaded(data: Path, first: int, rows: int) -> None:
    """Leave unloaded rows in the journal, as a crash would."""
    async with open_journal(data / "journal" / "metrics") as log:
        for start in range(first, first + rows, BATCH):
            await log.append(journal_lines(map(str, range(start, start + BATCH))), BATCH)


async def stored_counts(data: Path) -> StoredCounts:
    """Count the stored rows and their keys."""
    text = "SELECT count() AS rows, uniqExact(batch, row) AS keys FROM metrics"
    async with open_store(data, ROOMY) as store:
        (counts,) = await store.select(Statement(text, scans=(Scan("metrics"),)), StoredCounts)
    return counts


def start(data: Path, name: str, rows: int) -> None:
    """Start on a folder, print the seconds to ready, count rows on both APIs, crash."""
    with Process(data) as service:
        seconds = service.await_ready(600)
        print_figure(f"{name}: ready after {seconds:.2f} s")
        assert service.http.get("/dashboard").json()["total_metrics_tracked"] == rows
        assert service.graphql("{ overview { metricCount } }")["overview"]["metricCount"] == rows
        service.kill()


async def test_start_with_much_to_load_or_much_loaded(tmp_path: Path) -> None:
    """A ready service answers with all rows of the journal, however many rows are stored."""
    data = tmp_path / "data"
    start(data, "an empty folder", 0)
    await leave_unloaded(data, 0, UNLOADED_ROWS)
    start(data, f"{UNLOADED_ROWS} unloaded rows", UNLOADED_ROWS)
    rows = UNLOADED_ROWS
    if LONG:
        await leave_unloaded(data, rows, STORED_ROWS)
        rows += STORED_ROWS
        start(data, f"{STORED_ROWS} unloaded rows", rows)
        start(data, f"{rows} stored rows", rows)
    assert await stored_counts(data) == StoredCounts(rows, rows)
