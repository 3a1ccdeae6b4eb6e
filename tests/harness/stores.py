"""A store, engine or journal under test, in this process, without a service around it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import msgspec

from store import Store
from store.engine import Engine
from store.ingest.decoder import Batch
from store.ingest.rows import MetricRow
from store.ingest.streams import METRIC_STREAM, TABLES, AnyStream
from store.journal.journal import Journal
from store.journal.row_ids import BatchNumbers, Position
from store.limits import Limits
from store.query.sql import Statement

_ANY_ROW: Final = MetricRow(metric_name="any", value=0)

LIMITS: Final = replace(
    Limits.of_this_machine(), memory_bytes=1_000_000_000, query_memory_bytes=300_000_000
)


class StoredRow(msgspec.Struct, frozen=True, order=True):
    """A row's key (a metric's tag `k`, an event's user), batch and row number."""

    key: str
    batch: int
    row: int


class Rows(msgspec.Struct):
    """A number of rows."""

    rows: int


@contextlib.asynccontextmanager
async def open_store(
    data: Path, limits: Limits = LIMITS, cap: int = 2**30, names: int = 100_000
) -> AsyncIterator[Store]:
    """Open a store. The engine allows one at a time in a process."""
    store = Store(data, data / "store", limits, cap, names)
    try:
        await store.open()
        yield store
    finally:
        await store.close()


@contextlib.asynccontextmanager
async def open_engine(folder: Path, **limits: Any) -> AsyncIterator[Engine]:
    """Open an engine with changed limits."""
    engine = Engine(folder, replace(LIMITS, **limits))
    try:
        await engine.open()
        yield engine
    finally:
        await engine.close()


def journal_lines(keys: Iterable[str]) -> bytes:
    """Return journal lines of one metric point for each key."""
    return b"".join(
        msgspec.json.encode(
            {"metric_name": "m", "value": 1, "tags": {"k": key}, "timestamp": 1_800_000_000_000}
        )
        + b"\n"
        for key in keys
    )


async def record(store: Store, *keys: str) -> Position:
    """Record one metric point for each key, as one batch."""
    return await append_lines(store, journal_lines(keys), len(keys))


async def append_lines(
    store: Store, text: bytes, rows: int, stream: AnyStream = METRIC_STREAM
) -> Position:
    """Append journal lines without a check."""
    outcome = await store.record(stream, Batch(stream.row_type, [_ANY_ROW] * rows, text, rows))
    assert outcome.position
    return outcome.position


async def stored_rows(store: Store, table: str = "metrics") -> list[StoredRow]:
    """List every row of a table, duplicates too."""
    key = {"metrics": "simpleJSONExtractString(tags, 'k')", "events": "user_id"}[table]
    text = f"SELECT {key} AS key, batch, row FROM {table} ORDER BY batch, row"  # noqa: S608
    return await store.select(Statement(text, reads=(table,)), StoredRow)


async def stored_keys(store: Store, table: str = "metrics") -> list[str]:
    """List the key of every row of a table, in order of arrival."""
    return [row.key for row in await stored_rows(store, table)]


@contextlib.asynccontextmanager
async def open_journal(folder: Path, max_bytes: int = 2**30) -> AsyncIterator[Journal]:
    """Open a journal without a store, on the segments in its folder."""
    log = _recovered_journal(folder, max_bytes)
    try:
        yield log
    finally:
        await log.close()


def _recovered_journal(folder: Path, max_bytes: int) -> Journal:
    folder.mkdir(parents=True, exist_ok=True)
    log = Journal(folder, BatchNumbers(folder.parent / "node"), max_bytes)
    log.recover()
    return log


async def leave_segments(
    folder: Path, *batches: list[str] | tuple[bytes, int]
) -> dict[Path, bytes]:
    """Make a journal whose segments no engine has loaded; return their files.

    A batch is the keys of its rows, or its lines and their number.
    """
    async with open_journal(folder) as log:
        for batch in batches:
            content = batch if isinstance(batch, tuple) else (journal_lines(batch), len(batch))
            await log.append(*content)
            await log.seal()
    return segment_contents(folder)


async def wait_until(condition: Callable[[], object]) -> None:
    """Wait until a condition is true; fail after 60 seconds."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - the condition sets no event
            await asyncio.sleep(0.01)


async def assert_counters_balance(
    store: Store, before: Mapping[str, int] = MappingProxyType({}), deleted: int = 0
) -> None:
    """Fail unless each received row has one outcome, and the stored rows are in the tables.

    `before` gives the rows of each table when the store was opened, `deleted` the number of
    rows deleted since. Call it while no request waits.
    """
    for name, counts in store.row_counts.items():
        assert counts.pending == 0, f"{name}: {counts}"
        outcomes = (counts.stored, counts.duplicates, counts.rejected, counts.unavailable)
        assert counts.received == sum(outcomes), f"{name}: {counts}"
        assert min(outcomes) >= 0, f"{name}: {counts}"
    for stats in store.stream_stats():
        row_count = stats.loaded + stats.waiting + stats.set_aside
        assert stats.counts.stored + stats.recovered == row_count, stats
    expected = sum(before.values()) - deleted
    expected += sum(counts.stored for counts in store.row_counts.values())
    assert sum((await table_counts(store)).values()) == expected, store.row_counts


async def table_counts(store: Store) -> dict[str, int]:
    """Count the rows of each table."""
    counts = {}
    for table in TABLES:
        text = f"SELECT count() AS rows FROM {table}"  # noqa: S608
        (answer,) = await store.select(Statement(text, reads=(table,)), Rows)
        counts[table] = answer.rows
    return counts


def segment_contents(folder: Path) -> dict[Path, bytes]:
    """Read the segments in a journal's folder."""
    return {path: path.read_bytes() for path in sorted(folder.glob("*.ndjson"))}
