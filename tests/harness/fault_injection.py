"""System calls of the journal, and an engine, that fail when they are told to."""

import asyncio
import contextlib
import errno
import os
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from store.engine import Engine, EngineError
from store.ingest.streams import STREAMS
from store.query.sql import Statement
from tests.harness.stores import LIMITS

NO_FSYNC: Final = (
    "fsync_after_insert = 0, fsync_part_directory = 0, min_rows_to_fsync_after_merge = 0"
)
LOADS: Final = {stream.load("", 0).text for stream in STREAMS}


class ProcessKilledError(BaseException):
    """What a system call raises in a process that is dead: nothing catches it."""


class Faults:
    """Stands in front of the system calls and the engine, and lets the next ones fail.

    It also knows what a power cut would leave: which bytes are synced, and which files were
    removed in a folder that was not synced since.
    """

    def __init__(self, side: Path) -> None:
        """Keep links to segments in `side`."""
        self.link_folder = side
        self.is_dead = False
        self.error_number = errno.EIO
        self.syncs = self.folder_syncs = self.writes = self.loads = self.deletions = 0
        self.timing = "before"
        self.written_share = 0.5
        self.synced_sizes: dict[int, int] = {}

    @property
    def are_none(self) -> bool:
        """Say whether nothing is to fail."""
        return not (self.syncs or self.folder_syncs or self.writes or self.loads or self.deletions)

    def heal(self) -> None:
        """Let nothing fail any more."""
        self.syncs = self.folder_syncs = self.writes = self.loads = self.deletions = 0

    def _fail(self, of: str) -> None:
        if self.is_dead:
            raise ProcessKilledError
        if getattr(self, of):
            setattr(self, of, getattr(self, of) - 1)
            raise OSError(self.error_number, os.strerror(self.error_number))

    def sync(self, fd: int) -> None:
        """Stand for fdatasync."""
        self._fail("syncs")
        self.synced_sizes[os.fstat(fd).st_ino] = os.fstat(fd).st_size

    def writev(self, fd: int, parts: Sequence[bytes]) -> int:
        """Stand for writev: it writes some of it, and then it may fail."""
        whole = b"".join(parts)
        some = whole[: max(1, int(len(whole) * self.written_share))] if self.writes else whole
        if not self.is_dead:
            done = os.write(fd, some)
        if self.timing == "before":
            self._fail("writes")
        elif self.is_dead:
            raise ProcessKilledError
        elif self.writes:
            self.writes -= 1
        return done

    def sync_folder(self, folder: Path) -> None:
        """Stand for the fsync of a journal's folder: from now on its removals are for good."""
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
        """Lose what was not synced: the ends of files, and the removals of files."""
        for path in folder.glob("*.ndjson"):
            size, synced = path.stat().st_size, self.synced_sizes.get(path.stat().st_ino, 0)
            if size > synced:
                os.truncate(path, dice.randint(synced, size))
                with path.open("ab") as file:
                    file.write(dice.choice((b"", b"", bytes(512), b"\n", b'{"crc":1,')))
        links = self.link_folder / folder.name
        for link in links.iterdir() if links.exists() else ():
            if not (folder / link.name).exists() and dice.random() < 0.8:
                (folder / link.name).hardlink_to(link)


class FaultyEngine(Engine):
    """The real engine, whose writes can fail; it outlives a crash of the store above it."""

    def __init__(self, folder: Path, faults: Faults) -> None:
        """Serve `folder`."""
        super().__init__(folder, replace(LIMITS, id_memory_bytes=2**16))
        self.faults = faults
        self.stays_open = True
        self.partial_deletions: set[asyncio.Task[int]] = set()

    async def open(self) -> None:
        """Open it, once."""
        if not self._connections:
            await super().open()

    async def close(self) -> None:
        """Close it if it shall not be kept; either way nothing that was begun goes on."""
        if self.partial_deletions:
            await asyncio.wait(self.partial_deletions)
        if not self.stays_open:
            await super().close()

    async def write(self, statement: Statement) -> int:
        """Write, unless this is to fail: before, after, or in the middle of it."""
        faults = self.faults
        of = "loads" if statement.text in LOADS else "deletions"
        ours = of == "loads" or statement.text.startswith("DELETE\nFROM")
        if not ours or not getattr(faults, of):
            return await super().write(statement)
        setattr(faults, of, getattr(faults, of) - 1)
        if faults.timing != "before":
            await super().write(statement)
        if faults.timing == "half" and of == "loads":
            table = "events" if "user_id" in statement.text else "metrics"
            text = f"DELETE FROM {table} WHERE batch = {{batch:UInt64}} AND row % 2 = 0"  # noqa: S608
            halve = Statement(text, {"batch": statement.params["batch"]})
            halving = asyncio.create_task(super().write(halve))
            # Half an insert is there at once: this deletion must not go on behind the store's end.
            self.partial_deletions = {
                task for task in self.partial_deletions if not task.done()
            } | {halving}
            await asyncio.shield(halving)
        raise EngineError("Code: 243. DB::Exception: no space (NOT_ENOUGH_SPACE)")
