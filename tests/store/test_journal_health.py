"""A journal in trouble: it says so, and finds out by itself when the trouble is over."""

import asyncio
import errno
import os
from pathlib import Path

import pytest

from schema.errors import AnalyticsError
from tests.harness.stores import journal_lines, open_journal, wait_until


async def test_failure_ends_without_another_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load balancer that stays away after a 503 still sees the journal get ready again."""
    monkeypatch.setattr("store.journal.journal.PROBE_SECONDS", 0.01)
    full = True

    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def probe(path: Path) -> None:
        if full:
            fail()
        path.touch()
        path.unlink()

    async with open_journal(tmp_path) as log:
        with monkeypatch.context() as patch:
            patch.setattr("store.journal.journal._append_group", fail)
            patch.setattr("store.journal.journal._probe", probe)
            with pytest.raises(AnalyticsError):
                await log.append(journal_lines(["a"]), 1)
            await asyncio.sleep(0.05)
            assert log.failure == "The journal can't write: No space left on device"
            full = False
            await wait_until(lambda: not log.failure)
        await log.append(journal_lines(["b"]), 1)


async def test_probe_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written to find out whether writing works is gone afterwards."""
    monkeypatch.setattr("store.journal.journal.PROBE_SECONDS", 0.01)
    async with open_journal(tmp_path) as log:
        log.failure = "The journal can't write"
        await log._probe_until_writable()
        assert log.failure is None
        assert list(tmp_path.iterdir()) == []


async def test_closed_journal_refuses(tmp_path: Path) -> None:
    """A row that comes after the end is refused, not left to wait for ever."""
    async with open_journal(tmp_path) as log:
        await log.close()
        with pytest.raises(AnalyticsError) as refused:
            await log.append(journal_lines(["late"]), 1)
    assert refused.value.code == "UNAVAILABLE"
