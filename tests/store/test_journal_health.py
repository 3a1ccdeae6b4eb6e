"""The journal's health: it reports a failure, and detects by itself when it is over."""

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
    """The journal gets ready again without a write, as a load balancer sends none after a 503."""
    monkeypatch.setattr("store.journal.journal.PROBE_SECONDS", 0.01)
    is_full = True

    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def probe(path: Path) -> None:
        if is_full:
            fail()
        path.touch()
        path.unlink()

    async with open_journal(tmp_path) as log:
        with monkeypatch.context() as patch:
            patch.setattr("store.journal.journal.append_group", fail)
            patch.setattr("store.journal.journal._probe", probe)
            with pytest.raises(AnalyticsError):
                await log.append(journal_lines(["a"]), 1)
            await asyncio.sleep(0.05)
            assert log.failure == "The journal can't write: No space left on device"
            is_full = False
            await wait_until(lambda: not log.failure)
        await log.append(journal_lines(["b"]), 1)


async def test_probe_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The probe for a writable folder leaves no file."""
    monkeypatch.setattr("store.journal.journal.PROBE_SECONDS", 0.01)
    async with open_journal(tmp_path) as log:
        log.failure = "The journal can't write"
        await log._probe_until_writable()
        assert log.failure is None
        assert list(tmp_path.iterdir()) == []


async def test_closed_journal_refuses(tmp_path: Path) -> None:
    """A row after the close is unavailable at once, and does not wait for ever."""
    async with open_journal(tmp_path) as log:
        await log.close()
        with pytest.raises(AnalyticsError) as refusal:
            await log.append(journal_lines(["late"]), 1)
    assert refusal.value.code == "UNAVAILABLE"
