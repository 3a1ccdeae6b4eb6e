"""Rows that were set aside: they are listed, and replayed once."""

import asyncio
from pathlib import Path
from typing import Any, Final

import pytest

from resolvers import ingestion
from resolvers.context import Context
from schema.access import NO_RIGHTS
from schema.errors import AnalyticsError
from store.ingest.streams import METRIC_STREAM
from tests.harness.stores import (
    journal_lines,
    leave_segments,
    open_store,
    segment_contents,
    stored_keys,
)

POISON: Final = b'{"metric_name":"m","value":"1e","tags":{"k":"bad"},"timestamp":1800000000000}\n'
VALID_LINE: Final = POISON.replace(b'"1e"', b"1")


async def set_aside(data: Path, ctx: Context) -> list[str]:
    """List the rows set aside; check that the files hold the same rows."""
    rows = ingestion.set_aside(ctx, 100)
    folder = data / "journal" / "metrics" / "refused"
    assert b"".join(segment_contents(folder).values()) == b"".join(
        f"{row.text}\n".encode() for row in rows
    )
    return [row.text for row in rows]


async def test_replay_stores_what_can_be_read_by_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Repaired lines are stored once, even if a replay is interrupted; other lines stay."""
    monkeypatch.setattr("store.loader._BACKOFF", (0.01,))
    data = tmp_path / "data"
    folder = data / "journal" / "metrics"
    lines = journal_lines(["good"]) + POISON + b"garbage\n"
    await leave_segments(folder, (lines, 3))
    async with open_store(data) as store:
        ctx = Context(store)
        assert await stored_keys(store) == ["good"]
        texts = await set_aside(data, ctx)
        assert texts == [POISON.decode().strip(), "garbage"]
        (account,) = (a for a in store.stream_stats() if a.stream == METRIC_STREAM.name)
        assert (account.recovered, account.loaded, account.set_aside) == (3, 1, 2)
        assert replay_counts(await ingestion.replay(ctx)) == (0, 0, 2)
        assert await set_aside(data, ctx) == texts
    (file,) = (folder / "refused").iterdir()
    file.write_bytes(VALID_LINE + b"garbage\n")
    async with open_store(data) as store:
        ctx = Context(store)
        leave = store._journals["metrics"].dead_letters.keep_only
        monkeypatch.setattr(store._journals["metrics"].dead_letters, "keep_only", interrupt)
        with pytest.raises(asyncio.CancelledError):
            await ingestion.replay(ctx)
        monkeypatch.setattr(store._journals["metrics"].dead_letters, "keep_only", leave)
        assert replay_counts(await ingestion.replay(ctx)) == (0, 1, 1)
        assert await stored_keys(store) == ["good", "bad"]
        assert await set_aside(data, ctx) == ["garbage"]
        assert store.set_aside_problems() == {
            "refused.metrics": "1 rows are set aside in the journal"
        }
        with pytest.raises(AnalyticsError, match="A key is needed"):
            await ingestion.replay(Context(store, NO_RIGHTS))


def interrupt(*_: object) -> None:
    """Interrupt a replay before it removes its recorded lines."""
    raise asyncio.CancelledError


def replay_counts(payload: Any) -> tuple[int, int, int]:
    """Return a replay's numbers of rows: stored, duplicates, left."""
    return payload.stored, payload.duplicates, payload.left
