"""The loader: inserts acknowledged rows of the journal into the engine.

It wakes the queries that wait for rows, and sets rows aside that the engine can't load.
"""

import asyncio
import contextlib
import logging
import os
import tempfile
import time
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Final

import msgspec

from store.driver import EngineError
from store.engine import Engine
from store.ingest.streams import SERIES_STREAM, AnyStream
from store.journal.journal import Journal
from store.journal.segments import Segment, split_torn_end
from store.journal.set_aside import HEADER_PREFIX, blank_bad_lines, split_lines

_LOG: Final = logging.getLogger("analytics.loader")

INTERVAL: Final = 1.0
"""Seconds for which rows gather when no query waits: each load writes one part to merge."""

QUIET_INTERVAL: Final = 10.0
"""Seconds for which rows gather when no query came for `QUIET_AFTER` seconds.

The next query then waits longer, at most for a full segment: 0.4 s for 500,000 rows.
"""

QUIET_AFTER: Final = 60.0

_MAX_PAUSE: Final = 0.05
"""Maximum pause between two loads in seconds; a shorter load is followed by a pause as long."""

_BACKOFF: Final = (0.1, 0.3, 1.0, 3.0)
_MAX_UNREADABLE_TRIES: Final = 3
_TRIES_UNTIL_STUCK: Final = 4
_MAX_BAD_LINES: Final = 1000
"""With more bad lines a segment is set aside whole: each takes some milliseconds to find."""

# Codes of parse and conversion errors: the segment is bad, and no later try succeeds.
_BAD_DATA: Final = frozenset(
    {6, 26, 27, 33, 38, 41, 53, 69, 70, 72, 117, 130, 131, 190, 321, 349, 441}
)


class _Count(msgspec.Struct):
    rows: int


class _WrongCountError(EngineError):
    """The engine read another number of rows in a segment than was acknowledged."""


class Loader:
    """Loads one stream's journal: one insert, and so one part, for each segment."""

    def __init__(self, engine: Engine, journal: Journal, stream: AnyStream) -> None:
        """Connect a journal to its table; `start` starts loading."""
        self._engine = engine
        self._journal = journal
        self._stream = stream
        self._rows = asyncio.Event()
        self._wake = asyncio.Event()
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None
        self._next_load_at = 0.0
        self._queried_at = time.monotonic()
        self.failure: str | None = None
        self.is_stuck = False
        self.has_recovered = False

    def start(self) -> None:
        """Start loading, first the segments of an earlier process."""
        self._journal.on_rows = self._rows.set
        self._journal.on_full = self._wake.set
        self.has_recovered = not self._journal.sealed_segments
        if self._journal.sealed_segments:
            self._rows.set()
        self._task = asyncio.create_task(self._run())

    async def settle(self, names: AbstractSet[str] | None = None) -> bool:
        """Wait until all rows acknowledged before can be queried; return whether they can.

        With `names`, wait only for rows with one of these names. A stuck loader (the disk is full,
        for instance) returns at once: query results then lack the rows that wait in the journal.
        Health and readiness report that state.
        """
        target = self._journal.newest_batch_with(names)
        if target == 0 or self.is_stuck:
            return target == 0
        loaded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queried_at = time.monotonic()
        self._waiting.append((target, loaded))
        self._wake.set()
        await loaded
        oldest = self._journal.oldest_batch
        return not oldest or target < oldest

    async def stop(self, seconds: float) -> None:
        """Load the remaining rows for at most `seconds`; the journal keeps the rest."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.settle()
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            await self._rows.wait()
            await self._gather()
            self._rows.clear()
            self._wake.clear()
            await self._journal.seal()
            for segment in list(self._journal.sealed_segments):
                await self._load(segment)
            self.has_recovered = True
            if self._journal.newest_batch:
                self._rows.set()
            self._wake_queries()

    def _wake_queries(self) -> None:
        """Wake the queries whose rows are loaded; wake all queries if the loader is stuck."""
        oldest = 0 if self.is_stuck else self._journal.oldest_batch
        settled_queries = [
            loaded for target, loaded in self._waiting if not oldest or target < oldest
        ]
        self._waiting = [(t, loaded) for t, loaded in self._waiting if oldest and t >= oldest]
        for loaded in settled_queries:
            if not loaded.done():
                loaded.set_result(None)

    async def _gather(self) -> None:
        """Wait until a query needs the rows, their segment is full, or they are old enough.

        Loads that follow each other have a pause.
        """
        await asyncio.sleep(self._next_load_at - time.monotonic())
        if self._journal.sealed_segments:
            return
        now = time.monotonic()
        is_quiet = now - self._queried_at > QUIET_AFTER
        rest = self._journal.open_since + (QUIET_INTERVAL if is_quiet else INTERVAL) - now
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, rest)):
                await self._wake.wait()

    async def _load(self, segment: Segment) -> None:
        """Load a segment, with any number of tries; set it aside if the engine can't read it."""
        tries = unreadable = 0
        leftover = segment.leftover
        while True:
            try:
                if unreadable < _MAX_UNREADABLE_TRIES:
                    await self._insert(segment, leftover=leftover)
                elif readable_segment := await self._salvage(segment):
                    segment = readable_segment
                    unreadable = 0
                    continue
                break
            except Exception as error:  # noqa: BLE001 - no error may end the loading
                tries += 1
                unreadable += _is_bad_data(error)
                leftover = True
                reason = _loggable_reason(error)
                self.failure = f"The engine can't load {self._stream.name}: {reason}"
                _LOG.error(
                    "load failed: %s",
                    reason,
                    extra={"batch": segment.batch, "tries": tries},
                    exc_info=not isinstance(error, EngineError),
                )
                if tries >= _TRIES_UNTIL_STUCK:
                    self.is_stuck = True
                    self._wake_queries()
                await asyncio.sleep(_BACKOFF[min(tries, len(_BACKOFF)) - 1])
        self.failure = None
        self.is_stuck = False
        self._wake_queries()
        if tries:  # answers may have been given without the rows
            self._journal.on_change((segment.names,))

    async def _salvage(self, segment: Segment) -> Segment | None:
        """Set aside the unreadable lines of a segment; return the remaining segment, if any."""
        lines = split_lines(await asyncio.to_thread(segment.path.read_bytes))
        bad_indexes = await self._find_bad_lines(lines)
        if not bad_indexes or len(bad_indexes) > _MAX_BAD_LINES:
            target = self._journal.set_aside(segment)
            _LOG.error("set aside %s", target, extra={"rows": segment.rows})
            return None
        rows = await self._count_readable_rows(blank_bad_lines(lines, bad_indexes, first=0))
        _LOG.error("set aside lines of %s", segment.path, extra={"rows": len(bad_indexes)})
        return self._journal.set_lines_aside(segment, bad_indexes, rows or 0)

    async def _find_bad_lines(self, lines: Sequence[bytes]) -> set[int]:
        """Find the lines that the engine does not read as exactly one row, by bisection."""
        bad_indexes: set[int] = set()
        pieces = [(0, len(lines))]
        while pieces and len(bad_indexes) <= _MAX_BAD_LINES:
            start, end = pieces.pop()
            piece = lines[start:end]
            expected = sum(not line.startswith(HEADER_PREFIX) for line in piece)
            rows = await self._count_readable_rows(piece)
            if rows == expected or (self._stream is SERIES_STREAM and rows and rows > expected):
                continue
            if end - start == 1:
                bad_indexes.add(start)
            else:
                middle = (start + end) // 2
                pieces += [(middle, end), (start, middle)]
        return bad_indexes

    async def _count_readable_rows(self, lines: Sequence[bytes]) -> int | None:
        """Count the rows that the engine reads in lines; return None if it can't read them."""
        with tempfile.TemporaryFile() as file:
            file.write(b"".join(lines))
            file.flush()
            path = f"/dev/fd/{file.fileno()}"
            try:
                counts = await self._engine.select(self._stream.count_readable(path), _Count)
            except EngineError as error:
                if error.code in _BAD_DATA:
                    return None
                raise
        return counts[0].rows

    async def _insert(self, segment: Segment, *, leftover: bool) -> None:
        """Insert a segment's rows, each exactly once, even after a try that inserted some."""
        if leftover:
            counts = await self._engine.select(self._stream.count_batch(segment.batch), _Count)
            if counts[0].rows == segment.rows:
                await self._journal.mark_loaded(segment)
                return
            if counts[0].rows:
                await self._engine.write(self._stream.delete_batch(segment.batch))
        if segment.path.stat().st_size > segment.bytes:
            if segment.leftover:  # a torn end that recovery could not set aside
                split_torn_end(segment.path, segment.bytes)
            else:  # a failed write that could not be undone
                os.truncate(segment.path, segment.bytes)
        start = time.monotonic()
        fd = os.open(segment.path, os.O_RDONLY)
        try:
            # By descriptor: in a path the engine would expand * ? { }.
            load = self._stream.load(f"/dev/fd/{fd}", segment.batch, segment.conversions)
            inserted_rows = await self._engine.write(load)
        finally:
            os.close(fd)
        if inserted_rows != segment.rows:
            await self._engine.write(self._stream.delete_batch(segment.batch))
            raise _WrongCountError(
                f"{segment.rows} rows were to be loaded, {inserted_rows} were written"
            )
        end = time.monotonic()
        self._next_load_at = end + min(_MAX_PAUSE, end - start)
        await self._journal.mark_loaded(segment)


def _is_bad_data(error: Exception) -> bool:
    return isinstance(error, _WrongCountError) or (
        isinstance(error, EngineError) and error.code in _BAD_DATA
    )


def _loggable_reason(error: Exception) -> str:
    """Return an error's message without rows: the engine quotes the rows that it can't read."""
    if isinstance(error, EngineError) and error.code in _BAD_DATA:
        return f"{error.name} (code {error.code})"
    return str(error)
