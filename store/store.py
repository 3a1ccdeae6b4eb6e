"""The store's public interface: ingest rows, run queries, delete; opening and closing it."""

import asyncio
import contextlib
import functools
import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar

from schema.access import PROJECT
from schema.errors import AnalyticsError
from schema.scalars import Instant
from store.clock import Arrivals, wrong_clock
from store.documents import AutomaticDocuments, TrustedDocuments
from store.driver import Answer, EngineError
from store.durable_files import make_folder
from store.engine import Engine
from store.engine_folder import EngineFolder, StoreFolderError
from store.failed_writes import remove_undone_merges, undo_writes
from store.folder_lock import FolderLock
from store.ingest.body_reader import BodyReader
from store.ingest.client_ids import ClientIds
from store.ingest.decoder import Batch, batch_of, read_one
from store.ingest.outcomes import IngestedBatch, IngestedRow, RecordOutcome
from store.ingest.replay import read_set_aside
from store.ingest.rows import Row
from store.ingest.streams import STREAMS, TABLES, AnyStream, Stream
from store.journal.conversions import STORED, UNKNOWN
from store.journal.journal import Journal
from store.journal.project_lines import with_project
from store.journal.row_counts import RowCounts, StreamStats
from store.journal.row_ids import BatchNumbers, first_batch_at
from store.journal.segments import segment_files
from store.journal.set_aside import SetAsideLine, read_rows
from store.keys import Keys
from store.limits import Limits
from store.loader import Loader
from store.migrate import migrate
from store.patterns import check_patterns
from store.query import statements
from store.query.sql import Statement
from store.timestamps import MIN_BARE_NUMBER, Unit
from store.tokens import Tokens

T = TypeVar("T")


_LOG: Final = logging.getLogger("analytics.store")
_NO_SPACE: Final = (75, 243)  # the engine's codes for a full disk
_SEGMENT_MS: Final = 60_000
"""Maximum age of a segment at its last row, unless the engine can't load."""

_ALL_NAMES: Final[Mapping[str, frozenset[str]]] = MappingProxyType({})


class Store:
    """One data folder: a journal and a loader for each stream, and the engine that they fill."""

    def __init__(self, data: Path, engine_folder: Path, limits: Limits, journal_bytes: int) -> None:
        """Set the folders; `open` opens them."""
        self._data = data
        self._lock: FolderLock | None = None
        self._journal_bytes = journal_bytes
        self._journals: dict[str, Journal] = {}
        self._loaders: dict[str, Loader] = {}
        self._ids: dict[str, ClientIds] = {}
        self._writing = asyncio.Lock()
        self.reader = BodyReader()
        self.arrivals = Arrivals()
        self.keys = Keys(data)
        self.tokens = Tokens(self.keys)
        self.documents = TrustedDocuments(data)
        self.automatic_documents = AutomaticDocuments()
        self.engine = Engine(engine_folder, limits)

    async def open(self) -> None:
        """Lock the data folder, bring the tables up to date, start loading leftover segments.

        Raises `StoreInUseError`, `StoreFolderError` or `EngineError`; their messages are one line
        for the operator.
        """
        try:
            await self._open()
        except OSError as error:
            reason = ": ".join(filter(None, (error.strerror, error.filename))) or str(error)
            raise StoreFolderError(
                f"The data folder {self._data} can't be used ({reason})."
                " ANALYTICS_DATA must name a folder that this user can write to."
            ) from None
        except EngineError as error:
            if error.code not in _NO_SPACE:
                raise
            raise StoreFolderError(
                f"The disk of {self.engine.folder} is full. Free some space, or let ANALYTICS_DATA"
                " name a folder on another disk."
            ) from None

    async def _open(self) -> None:
        make_folder(self._data, root=self._data)
        self._lock = FolderLock(self._data)
        self.keys.open()
        self.documents.open()
        numbers = BatchNumbers(self._data / "node")
        await self._open_engine(was_closed=self._lock.was_closed)
        self.engine.lower_merge_priority()
        for table in TABLES:
            newest_batch = statements.newest_batch(table)
            (newest,) = await self.engine.select(newest_batch, statements.NewestBatchRow)
            numbers.reserve(newest.batch)
        for stream in STREAMS:
            folder = self._data / "journal" / stream.name
            make_folder(folder, root=self._data)
            journal = Journal(folder, numbers, self._journal_bytes)
            for message in journal.recover():
                _LOG.warning(
                    "the end of a journal segment was not whole and is set aside: %s", message
                )
            self._journals[stream.name] = journal
            self._loaders[stream.name] = Loader(self.engine, journal, stream)
        await self._find_arrivals(numbers.newest_ms)
        for loader in self._loaders.values():
            loader.start()
        for table in TABLES:
            all_loaded = functools.partial(self._all_loaded, table)
            ids = ClientIds(table, self.engine, all_loaded, numbers)
            ids.start()
            self._ids[table] = ids

    async def _find_arrivals(self, newest_ms: int) -> None:
        """Find the newest time of arrival among the rows of an earlier process."""
        first_batch, end_batch = first_batch_at(newest_ms - _SEGMENT_MS), newest_ms + _SEGMENT_MS
        for table in TABLES:
            statement = statements.newest_time(table, first_batch, end_batch)
            (newest,) = await self.engine.select(statement, statements.NewestTimeRow)
            self.arrivals.add(newest.time_ms or 0)
        for journal in self._journals.values():
            for segment in journal.sealed_segments:
                self.arrivals.add(segment.path.stat().st_mtime_ns // 1_000_000)

    async def _open_engine(self, *, was_closed: bool) -> None:
        """Repair and check the engine's folder, open the engine, bring its tables up to date."""
        folder = EngineFolder(self.engine.folder, self._data / "store.uuid")
        for link in await asyncio.to_thread(folder.repair):
            _LOG.warning("a link of the store was missing or wrong, and is repaired: %s", link)
        folder.check_owner()
        if not was_closed:
            await asyncio.to_thread(undo_writes, self.engine.folder)
        await self.engine.open()
        journals = (self._data / "journal").glob("*")
        batches = {int(path.stem) for path in itertools.chain(*map(segment_files, journals))}
        for name in folder.check_parts(waiting_batches=batches):
            _LOG.warning("a damaged part is set aside, its rows are elsewhere: %s", name)
        await asyncio.to_thread(remove_undone_merges, self.engine.folder)
        await migrate(self.engine)
        folder.note_owner()  # the engine creates the database with its first table

    async def close(self, seconds: float = 8.0) -> None:
        """Write waiting rows, load them for at most `seconds`, and close.

        Rows that are not loaded in time stay in the journal for the next start.
        """
        await self.keys.close()
        for ids in self._ids.values():
            await ids.stop()
        for journal in self._journals.values():
            await journal.close()
        await asyncio.gather(*(loader.stop(seconds) for loader in self._loaders.values()))
        self.reader.close()
        is_whole = False
        with contextlib.suppress(AnalyticsError, EngineError):
            await self.engine.repair()
            is_whole = True
        await self.engine.close()
        if self._lock:
            self._lock.release(is_closed=is_whole)
            self._lock = None

    async def ingest(self, stream: Stream[Row], batch: Batch[Row], now: Instant) -> IngestedBatch:
        """Store the rows of a batch durably, each client id once; `now` is the time of its parsing.

        Raises UNAVAILABLE as `record` does.
        """
        outcome = await self.record(stream, batch, now)
        return IngestedBatch(outcome.points, batch.points - outcome.points, batch.errors)

    async def ingest_one(
        self,
        stream: Stream[Row],
        body: bytes,
        now: Instant,
        unit: Unit | None = None,
        project: str = PROJECT,
    ) -> IngestedRow[Row]:
        """Parse the single row in `body` (JSON); store it durably, unless its id is stored.

        Raises `AnalyticsError` that names the field and the limit, and UNAVAILABLE as `record`
        does.
        """
        journal = self._journals[stream.name]
        try:
            row, time, line = read_one(stream.row_type, body, now, unit)
        except AnalyticsError:
            journal.counts.receive(0, rejected=1)
            raise
        if row.id is None:
            pending = journal.counts.receive(1, rejected=0)
            if not self.arrivals.add(now) and time == now:
                pending.settle_unavailable()
                raise wrong_clock(now)
            names = frozenset((stream.row_type.name_of(row),))
            conversions = STORED if time >= MIN_BARE_NUMBER else UNKNOWN
            if project != PROJECT:
                line, conversions = with_project(line, project), UNKNOWN
            position = await journal.append(line, 1, names, pending, conversions=conversions)
            return IngestedRow(row, time, position)
        batch = batch_of(stream.row_type, (row,))
        batch.has_arrival_times = time == now
        batch.project = project
        outcome = await self.record(stream, batch, now)
        if outcome.position:
            return IngestedRow(row, time, outcome.position)
        original = outcome.duplicates[0]
        return IngestedRow(row, original.time, original.position, duplicate=True)

    async def record(
        self, stream: Stream[Row], batch: Batch[Row], now: Instant | None = None
    ) -> RecordOutcome:
        """Store the rows of a parsed batch durably, each client id once.

        Stored rows are in the result of the next query. The batch's errors are counted, too. `now`
        is the time that rows without a timestamp got. Raises UNAVAILABLE when rows have the time of
        a wrong clock, and when the journal or the engine fails.
        """
        journal = self._journals[stream.name]
        pending = journal.counts.receive(batch.points, len(batch.errors))
        if not batch.points:
            return RecordOutcome(None, 0)
        if now is not None and not self.arrivals.add(now) and batch.has_arrival_times:
            pending.settle_unavailable()
            raise wrong_clock(now)
        return await self._ids[stream.table].record(batch, journal, pending)

    @property
    def row_counts(self) -> dict[str, RowCounts]:
        """Row counters by stream name."""
        return {name: journal.counts for name, journal in self._journals.items()}

    def stream_stats(self) -> list[StreamStats]:
        """Return the row counters and the journal's state of each stream since the start."""
        return [
            StreamStats(
                stream=name,
                counts=journal.counts,
                recovered=journal.recovered_rows,
                loaded=journal.loaded_rows,
                waiting=journal.rows,
                set_aside=journal.set_aside_rows,
                set_aside_total=journal.dead_letters.rows,
                journal_bytes=journal.bytes,
                torn_bytes=journal.torn_bytes,
            )
            for name, journal in self._journals.items()
        ]

    def set_aside_lines(self) -> Iterator[tuple[str, SetAsideLine]]:
        """Iterate over the set-aside lines with the names of their streams."""
        for name, journal in self._journals.items():
            yield from ((name, line) for line in journal.dead_letters)

    async def replay(self, project: str, now: Instant) -> tuple[int, int]:
        """Record a project's set-aside rows again; return the numbers of stored and of duplicates.

        Rows that still can't be parsed stay set aside.
        """
        points = duplicates = 0
        for stream in STREAMS:
            dead_letters = self._journals[stream.name].dead_letters
            for file in dead_letters.files():
                lines = read_rows(file)
                batch, remaining_lines = read_set_aside(stream, lines, project, now)
                if len(remaining_lines) == len(lines):
                    continue
                outcome = await self.record(stream, batch, now)
                points += outcome.points
                duplicates += batch.points - outcome.points
                dead_letters.keep_only(file, remaining_lines)
        return points, duplicates

    async def select(self, statement: Statement, row: type[T]) -> list[T]:
        """Run a query on all rows acknowledged before; return its rows decoded as `row`.

        Only while the engine can't load (see `problems`) the result lacks the rows that wait.
        """
        await check_patterns(self.engine, statement)
        await self._settle(statement.reads, statement.names_by_table)
        return await self.engine.select(statement, row)

    async def answer(self, statement: Statement, output: str) -> Answer:
        """Run a query on all rows acknowledged before; return its result in an engine format."""
        await check_patterns(self.engine, statement)
        await self._settle(statement.reads, statement.names_by_table)
        return await self.engine.answer(statement, output)

    async def delete(self, statement: Statement) -> None:
        """Delete rows, including all that were acknowledged before."""
        # Rows that still wait would come back after the deletion.
        await self._settle(statement.reads, is_required=True)
        try:
            for stream in _streams_of(statement.reads):
                await asyncio.to_thread(self._journals[stream.name].forget_durably)
        except OSError as error:
            message = f"The journal can't be written: {error.strerror}."
            raise AnalyticsError("UNAVAILABLE", message, retry_after=1) from error
        await self._write(statement)

    async def write(self, statement: Statement) -> None:
        """Run a write outside the ingest path, such as a metric description.

        Writes are serialised, and durable on return. Raises UNAVAILABLE when the engine fails.
        """
        async with self._writing:
            await self._write(statement)

    async def _write(self, statement: Statement) -> None:
        try:
            await self.engine.write(statement)
        except EngineError as error:
            _LOG.warning("a write failed: %s", error.name)
            message = "This can't be stored now."
            raise AnalyticsError("UNAVAILABLE", message, retry_after=5) from error

    async def _settle(
        self,
        tables: Sequence[str],
        names_by_table: Mapping[str, frozenset[str]] = _ALL_NAMES,
        *,
        is_required: bool = False,
    ) -> None:
        """Wait until the loaders have loaded all rows; raise UNAVAILABLE after `wait_seconds`.

        If `is_required` is true, raise UNAVAILABLE also when a loader is stuck.
        """
        for stream in _streams_of(tables):
            loader = self._loaders[stream.name]
            try:
                async with asyncio.timeout(self.engine.limits.wait_seconds):
                    is_settled = await loader.settle(names_by_table.get(stream.table))
            except TimeoutError:
                reason = loader.failure or f"Rows of {stream.name} are still being loaded"
                raise AnalyticsError("UNAVAILABLE", f"{reason}.", retry_after=1) from None
            if is_required and not is_settled:
                message = f"Rows of {stream.name} can't be loaded now."
                raise AnalyticsError("UNAVAILABLE", message, retry_after=5)

    async def _all_loaded(self, table: str) -> None:
        """Return when the engine has loaded all rows sent before, or raise UNAVAILABLE."""
        for stream in _streams_of((table,)):
            await self._journals[stream.name].flush()
        await self._settle((table,), is_required=True)

    def problems(self) -> dict[str, str]:
        """Return the failure of each failing component by its name; empty when all work."""
        problems = {}
        for name, journal in self._journals.items():
            if journal.failure:
                problems[f"journal.{name}"] = journal.failure
        for name, loader in self._loaders.items():
            if loader.failure:
                problems[f"loader.{name}"] = loader.failure
            elif not loader.has_recovered:
                problems[f"loader.{name}"] = "Rows from before the restart are still being loaded"
        return problems

    def set_aside_problems(self) -> dict[str, str]:
        """Return the streams with set-aside rows, which the engine could not load."""
        return {
            f"refused.{name}": f"{journal.dead_letters.rows} rows are set aside in the journal"
            for name, journal in self._journals.items()
            if journal.dead_letters.rows
        }


def _streams_of(tables: Sequence[str]) -> list[AnyStream]:
    return [stream for stream in STREAMS if stream.table in tables]
