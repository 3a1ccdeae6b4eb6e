"""The journal: makes the rows of a stream durable, before the engine loads them.

A journal is a folder of segments, one journal for each stream. A segment is NDJSON that the engine
reads itself. A header line with a checksum precedes each group of rows that was written together.
An incomplete group was never acknowledged.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Container, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from schema.errors import AnalyticsError
from store.durable_files import sync_folder, write_durably
from store.journal.conversions import STORED, Conversions
from store.journal.disk_thread import DiskThread
from store.journal.open_segment import OpenSegment, append_group
from store.journal.recovery import recover_segments
from store.journal.row_counts import PendingRows, RowCounts, StreamStats
from store.journal.row_ids import BatchNumbers, Position
from store.journal.segments import Segment, header, segment_path
from store.journal.set_aside import SetAsideRows, blank_bad_lines, split_lines

SEGMENT_BYTES: Final = 64 * 2**20
SEGMENT_ROWS: Final = 500_000  # the engine splits an insert into parts at about a million rows

PROBE_SECONDS: Final = 1.0
"""Seconds between two probes of a journal that could not write."""

_PROBE_BYTES: Final = 65_536


class _Append(msgspec.Struct):  # a dataclass takes five times as long
    """Rows of one call of `append`, until they are written."""

    lines: bytes
    rows: int
    names: AbstractSet[str] | None
    pending: PendingRows
    conversions: Conversions
    position: asyncio.Future[Position]


class Journal:
    """Appends rows durably. All rows that arrive during one fdatasync share the next one."""

    def __init__(self, folder: Path, numbers: BatchNumbers, max_bytes: int) -> None:
        """Use `folder`; `max_bytes` limits the bytes that wait for the engine."""
        self._folder = folder
        self._numbers = numbers
        self._max_bytes = max_bytes
        self._current: OpenSegment | None = None
        self._waiting: list[_Append] = []
        self._taken_count = self._settled_count = 0
        self._flushes: list[tuple[int, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        self._thread = DiskThread(f"journal-{folder.name}")
        self._queued_bytes = self._queued_rows = 0
        self._is_closed = False
        self._probing: asyncio.Task[None] | None = None
        self.counts = RowCounts()
        self.bytes = 0
        self.recovered_rows = 0
        self.loaded_rows = 0
        self.set_aside_rows = 0
        self.dead_letters = SetAsideRows(folder)
        self.failure: str | None = None
        self.sealed_segments: list[Segment] = []
        self.on_rows: Callable[[], None] = lambda: None
        self.on_full: Callable[[], None] = lambda: None
        self.on_change: Callable[[Iterable[AbstractSet[str] | None]], None] = lambda _: None

    @property
    def newest_batch(self) -> int:
        """The batch number of the newest acknowledged row that is not loaded, or 0."""
        return self.newest_batch_with(None)

    def newest_batch_with(self, names: AbstractSet[str] | None) -> int:
        """Return the newest batch number of rows that are not loaded, or 0.

        With `names`, only segments that may have one of these names count.
        """
        current = self._current
        if current and current.rows and _may_share(current.names, names):
            return current.batch
        batches = (s.batch for s in reversed(self.sealed_segments) if _may_share(s.names, names))
        return next(batches, 0)

    @property
    def rows(self) -> int:
        """The number of acknowledged rows that are not loaded."""
        return sum(s.rows for s in self.sealed_segments) + (
            self._current.rows if self._current else 0
        )

    @property
    def torn_bytes(self) -> int:
        """The bytes of incomplete groups that were set aside after crashes."""
        return sum(file.stat().st_size for file in self._folder.glob("*.torn"))

    def stats(self, stream: str) -> StreamStats:
        """Return the row counters and the state of the journal, which is of this stream."""
        return StreamStats(
            stream=stream,
            counts=self.counts,
            recovered=self.recovered_rows,
            loaded=self.loaded_rows,
            waiting=self.rows,
            set_aside=self.set_aside_rows,
            set_aside_total=self.dead_letters.rows,
            journal_bytes=self.bytes,
            torn_bytes=self.torn_bytes,
        )

    @property
    def oldest_batch(self) -> int:
        """The batch number of the oldest acknowledged row that is not loaded, or 0."""
        return self.sealed_segments[0].batch if self.sealed_segments else self.newest_batch

    @property
    def open_since(self) -> float:
        """The monotonic time at which the open segment was created; now if there is none."""
        return self._current.opened_at if self._current else time.monotonic()

    def recover(self) -> list[str]:
        """Take over the segments of an earlier process; return descriptions of their torn ends."""
        leftovers = recover_segments(self._folder)
        for segment in leftovers.segments:
            self._numbers.reserve(segment.batch)
            self.sealed_segments.append(segment)
            self.bytes += segment.bytes
            self.recovered_rows += segment.rows
        sync_folder(self._folder)
        return leftovers.torn_ends

    def append(
        self,
        lines: bytes,
        rows: int,
        names: AbstractSet[str] | None = None,
        pending: PendingRows | None = None,
        *,
        conversions: Conversions = STORED,
    ) -> asyncio.Future[Position]:
        """Write rows durably; return the position of the first one, once they are.

        `names` are the rows' metrics or events. `pending` are the accepted rows of the request: the
        rows that are not in `lines` are duplicates. By default they are the rows in `lines`. The
        loader needs `conversions` of the lines. Raises `AnalyticsError` (503) when the write fails;
        none of the rows is kept then. The outcome is counted in both cases, even if the caller goes
        away meanwhile.
        """
        pending = pending or self.counts.receive(rows, 0)
        is_full = self.bytes + self._queued_bytes + len(lines) > self._max_bytes
        if is_full or self._is_closed:
            pending.settle_unavailable()
            raise self._refusal()
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_waiting())
        # Python 3.11 makes a system call to find the running loop.
        position: asyncio.Future[Position] = self._writer.get_loop().create_future()
        self._waiting.append(_Append(lines, rows, names, pending, conversions, position))
        self._taken_count += 1
        self._queued_bytes += len(lines)
        self._queued_rows += rows
        return position

    def _refusal(self) -> AnalyticsError:
        if self._is_closed:
            return AnalyticsError("UNAVAILABLE", "The service is stopping.", retry_after=1)
        message = f"The journal is full ({self._max_bytes} bytes wait for the engine)."
        return AnalyticsError("UNAVAILABLE", message, limit=self._max_bytes, retry_after=5)

    async def flush(self) -> None:
        """Return when all rows appended before are on the disk or failed."""
        if self._settled_count < self._taken_count:
            flush = asyncio.get_running_loop().create_future()
            self._flushes.append((self._taken_count, flush))
            await flush

    async def _write_waiting(self) -> None:
        try:
            while self._waiting:
                async with self._lock:
                    group = self._next_group()
                    await self._write_group(group)
                    self._settled_count += len(group)
                for target, flush in self._flushes:
                    if self._settled_count >= target and not flush.done():
                        flush.set_result(None)
                self._flushes = [(t, f) for t, f in self._flushes if not f.done()]
        finally:
            self._writer = None

    def _next_group(self) -> list[_Append]:
        """Take the waiting rows, at most enough for one segment."""
        if self._queued_bytes <= SEGMENT_BYTES and self._queued_rows <= SEGMENT_ROWS:
            group, self._waiting = self._waiting, []
            return group
        rows = size = count = 0
        for waiting in self._waiting:
            if count and (rows + waiting.rows > SEGMENT_ROWS or size > SEGMENT_BYTES):
                break
            rows += waiting.rows
            size += len(waiting.lines)
            count += 1
        group, self._waiting = self._waiting[:count], self._waiting[count:]
        return group

    async def _write_group(self, group: list[_Append]) -> None:
        lines = b"".join([waiting.lines for waiting in group])
        rows = sum([waiting.rows for waiting in group])
        self._queued_bytes -= len(lines)
        self._queued_rows -= rows
        try:
            current = self._current
            if current is None:
                current = self._current = await self._thread.run(
                    self._open_segment, self._numbers.next()
                )
            size = await self._thread.run(append_group, current, lines, rows)
        except (OSError, RuntimeError) as error:
            self._fail(group, error)
            return
        self.failure = None
        current.add_names([waiting.names for waiting in group])
        current.add_conversions([waiting.conversions for waiting in group])
        position = current.lines + 1
        for waiting in group:
            waiting.pending.settle(waiting.rows, waiting.names)
            if not waiting.position.done():
                waiting.position.set_result(Position(current.batch, position))
            # Right only where a line is a row; points of a series have no position.
            position += waiting.rows
        current.lines += rows + 1
        current.rows += rows
        current.bytes += size
        self.bytes += size
        if current.bytes >= SEGMENT_BYTES or current.rows >= SEGMENT_ROWS:
            self._seal()
            self.on_full()
        self.on_rows()
        self.on_change([waiting.names for waiting in group])

    def _fail(self, group: list[_Append], error: OSError | RuntimeError) -> None:
        """Fail a group that did not reach the disk, and seal its segment without the group."""
        self.failure = f"The journal can't write: {getattr(error, 'strerror', None) or error}"
        self._seal()
        if self._probing is None:
            self._probing = asyncio.create_task(self._probe_until_writable())
        for waiting in group:
            waiting.pending.settle_unavailable()
            if not waiting.position.done():
                refusal = AnalyticsError("UNAVAILABLE", f"{self.failure}.", retry_after=1)
                waiting.position.set_exception(refusal)

    async def _probe_until_writable(self) -> None:
        """Probe until a write succeeds: after 503, clients may send no row that would show it."""
        while self.failure:
            await asyncio.sleep(PROBE_SECONDS)
            with contextlib.suppress(OSError):
                await self._thread.run(_probe, self._folder / "probe")
                self.failure = None
        self._probing = None

    def _open_segment(self, batch: int) -> OpenSegment:
        path = segment_path(self._folder, batch)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            sync_folder(self._folder)
        except OSError:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise
        return OpenSegment(path, batch, fd, time.monotonic())

    async def seal(self) -> None:
        """Close the open segment if it has rows, so that it can be loaded."""
        async with self._lock:
            if self._current and self._current.rows:
                self._seal()

    def _seal(self) -> None:
        current, self._current = self._current, None
        if current is None:
            return
        if current.rows:
            segment = Segment(
                current.path,
                current.batch,
                current.rows,
                current.bytes,
                names=current.names,
                conversions=current.conversions,
            )
            self.sealed_segments.append(segment)
        with contextlib.suppress(OSError):  # all acknowledged rows are on the disk
            os.close(current.fd)
        if not current.rows:
            with contextlib.suppress(OSError):  # it has no complete group: recovery removes it
                current.path.unlink(missing_ok=True)

    async def mark_loaded(self, segment: Segment) -> None:
        """Delete a loaded segment, in a thread: a disk takes some time to delete 60 MB."""
        await asyncio.to_thread(segment.path.unlink, missing_ok=True)
        self.loaded_rows += segment.rows
        self._drop(segment)

    def set_aside(self, segment: Segment) -> Path:
        """Move a segment that the engine can't load to the dead letters; return its new path."""
        target = self.dead_letters.add_segment(segment.path)
        self.set_aside_rows += segment.rows
        self._drop(segment)
        self.on_change((None,))
        return target

    def set_lines_aside(self, segment: Segment, bad_indexes: Container[int], rows: int) -> Segment:
        """Move bad lines of a segment to the dead letters; return the segment with `rows` rows.

        An empty object replaces each bad line, and each header but the first. So every other line
        keeps its line number, which is its row's id. After a crash in between, the old segment
        remains, and the same lines are moved again.
        """
        lines = split_lines(segment.path.read_bytes()[: segment.bytes])
        self.dead_letters.add_lines(
            segment.path.name, [line for n, line in enumerate(lines) if n in bad_indexes]
        )
        remaining_lines = b"".join(blank_bad_lines(lines[1:], bad_indexes, first=1))
        content = header(segment.batch, 0, remaining_lines, rows) + remaining_lines
        write_durably(segment.path, content)
        remaining_segment = replace(segment, rows=rows, bytes=len(content))
        self.sealed_segments[self.sealed_segments.index(segment)] = remaining_segment
        self.bytes += remaining_segment.bytes - segment.bytes
        self.set_aside_rows += segment.rows - rows
        self.on_change((None,))
        return remaining_segment

    def _drop(self, segment: Segment) -> None:
        self.sealed_segments.remove(segment)
        self.bytes -= segment.bytes

    def forget_durably(self) -> None:
        """Make the deletion of loaded segments durable; a power cut could undo it."""
        sync_folder(self._folder)

    async def close(self) -> None:
        """Write the waiting rows, and seal the segment."""
        self._is_closed = True
        if self._probing:
            self._probing.cancel()
        while self._writer:
            await asyncio.wait([self._writer])
        await self.seal()
        self._thread.stop()


def _may_share(names: AbstractSet[str] | None, other_names: AbstractSet[str] | None) -> bool:
    return names is None or other_names is None or not names.isdisjoint(other_names)


def _probe(path: Path) -> None:
    try:
        write_durably(path, bytes(_PROBE_BYTES))
    finally:
        path.unlink(missing_ok=True)
