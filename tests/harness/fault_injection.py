"""System calls of the journal, and an engine, that fail on command."""

import asyncio
import contextlib
import errno
import os
import random
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from store.driver import EngineError
from store.engine import Engine
from store.ingest.streams import STREAMS
from store.query.sql import Statement
from tests.harness.clock import ManualClock
from tests.harness.statements import is_load
from tests.harness.stores import LIMITS

NO_FSYNC: Final = (
    "fsync_after_insert = 0, fsync_part_directory = 0, min_rows_to_fsync_after_merge = 0"
)


class ProcessKilledError(BaseException):
    """The error of a system call in a dead process: nothing catches it."""


class BlockingSync:
    """A replacement of fdatasync; each call waits for a permit of the test."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.blocked_calls = threading.Semaphore(0)
        self.permits = threading.Semaphore(0)

    def __call__(self, fd: int) -> None:
        self.sizes.append(os.fstat(fd).st_size)
        self.blocked_calls.release()
        assert self.permits.acquire(timeout=30)
        os.fdatasync(fd)

    async def await_call(self) -> None:
        """Return when the next call waits."""
        assert await asyncio.to_thread(self.blocked_calls.acquire, timeout=30)


class FailingSync:
    """A replacement of fdatasync; the calls with these numbers, from 1, fail with EIO."""

    def __init__(self, *failing: int) -> None:
        self.failing = set(failing)
        self.calls = 0

    def __call__(self, fd: int) -> None:
        self.calls += 1
        if self.calls in self.failing:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        os.fdatasync(fd)


class Faults:
    """Failures of the next system calls and engine writes, by number.

    It also tracks what a power cut would leave: the synced bytes, and the files that were
    removed in a folder which was not synced since.
    """

    def __init__(self, side: Path) -> None:
        """Keep links to segments in the folder `side`."""
        self.link_folder = side
        self.is_dead = False
        self.error_number = errno.EIO
        self.syncs = self.folder_syncs = self.writes = self.loads = self.deletions = 0
        self.timing = "before"
        self.written_share = 0.5
        self.synced_sizes: dict[int, int] = {}

    @property
    def is_idle(self) -> bool:
        """Say whether no call is set to fail."""
        return not (self.syncs or self.folder_syncs or self.writes or self.loads or self.deletions)

    def heal(self) -> None:
        """Let every call succeed from now on."""
        self.syncs = self.folder_syncs = self.writes = self.loads = self.deletions = 0

    def _fail(self, operation: str) -> None:
        if self.is_dead:
            raise ProcessKilledError
        if getattr(self, operation):
            setattr(self, operation, getattr(self, operation) - 1)
            raise OSError(self.error_number, os.strerror(self.error_number))

    def sync(self, fd: int) -> None:
        """Stand for fdatasync."""
        self._fail("syncs")
        self.synced_sizes[os.fstat(fd).st_ino] = os.fstat(fd).st_size

    def writev(self, fd: int, parts: Sequence[bytes]) -> int:
        """Stand for writev: write a share of the bytes, and then possibly fail."""
        content = b"".join(parts)
        prefix = (
            content[: max(1, int(len(content) * self.written_share))] if self.writes else content
        )
        if not self.is_dead:
            written_bytes = os.write(fd, prefix)
        if self.timing == "before":
            self._fail("writes")
        elif self.is_dead:
            raise ProcessKilledError
        elif self.writes:
            self.writes -= 1
        return written_bytes

    def sync_folder(self, folder: Path) -> None:
        """Stand for the fsync of a journal's folder, which makes its removals permanent."""
        self._fail("folder_syncs")
        links = self.link_folder / folder.name
        links.mkdir(exist_ok=True)
        for path in folder.glob("*.ndjson"):
            with contextlib.suppress(FileExistsError, FileNotFoundError):
                (links / path.name).hardlink_to(path)
        for link in links.iterdir():
            if not (folder / link.name).exists():
                link.unlink()

    def cut_power(self, folder: Path, dice: random.Random) -> None:
        """Undo unsynced changes: cut the ends of files, and restore removed files."""
        for path in folder.glob("*.ndjson"):
            size, synced_size = path.stat().st_size, self.synced_sizes.get(path.stat().st_ino, 0)
            if size > synced_size:
                os.truncate(path, dice.randint(synced_size, size))
                with path.open("ab") as file:
                    file.write(dice.choice((b"", b"", bytes(512), b"\n", b'{"crc":1,')))
        links = self.link_folder / folder.name
        for link in links.iterdir() if links.exists() else ():
            if not (folder / link.name).exists() and dice.random() < 0.8:
                (folder / link.name).hardlink_to(link)


class FaultyEngine(Engine):
    """The real engine, whose writes can fail; it stays open when its store crashes."""

    def __init__(self, folder: Path, faults: Faults) -> None:
        """Serve `folder`."""
        super().__init__(folder, replace(LIMITS, id_memory_bytes=2**16))
        self.faults = faults
        self.stays_open = True
        self.partial_deletions: set[asyncio.Task[int]] = set()

    async def open(self) -> None:
        """Open the engine the first time, and do nothing later."""
        if not self._connections:
            await super().open()

    async def close(self) -> None:
        """Wait for deletions; close the engine unless it stays open."""
        if self.partial_deletions:
            await asyncio.wait(self.partial_deletions)
        if not self.stays_open:
            await super().close()

    async def write(self, statement: Statement) -> int:
        """Write; on a planned failure, fail before, after or in the middle of the write."""
        faults = self.faults
        is_any_load = any(is_load(statement, stream) for stream in STREAMS)
        operation = "loads" if is_any_load else "deletions"
        can_fail = operation == "loads" or statement.text.startswith("DELETE\nFROM")
        if not can_fail or not getattr(faults, operation):
            return await super().write(statement)
        setattr(faults, operation, getattr(faults, operation) - 1)
        if faults.timing != "before":
            await super().write(statement)
        if faults.timing == "half" and operation == "loads":
            table = "events" if "user_id" in statement.text else "metrics"
            text = f"DELETE FROM {table} WHERE batch = {{batch:UInt64}} AND row % 2 = 0"  # noqa: S608
            halve = Statement(text, {"batch": statement.params["batch"]})
            halving = asyncio.create_task(super().write(halve))
            # A real half insert takes one step: the deletion must end before the store closes.
            self.partial_deletions = {
                task for task in self.partial_deletions if not task.done()
            } | {halving}
            await asyncio.shield(halving)
        raise EngineError("Code: 243. DB::Exception: no space (NOT_ENOUGH_SPACE)")


class FaultRig:
    """The event loop, clock, folder, faults and engine that the state machines of a run share."""

    def __init__(self, runner: asyncio.Runner, folder: Path, wall: ManualClock) -> None:
        """Use `folder`."""
        self.runner = runner
        self.wall = wall
        self.folder = folder
        self.faults = Faults(folder)
        self.engine = FaultyEngine(folder / "engine", self.faults)
        self.runs = self.steps = 0
