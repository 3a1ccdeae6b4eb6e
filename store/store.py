"""The store's public interface: ingest rows, run queries, delete; opening and closing it."""

import asyncio
import contextlib
import logging
from collections.abc import Collection, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from schema.access import PROJECT
from schema.answer_budget import AnswerMemory
from schema.errors import AnalyticsError
from schema.limits import DEFAULT_LIMITS, LimitTable
from schema.scalars import Instant
from store.access.documents import AutomaticDocuments, TrustedDocuments
from store.access.keys import Keys
from store.access.tokens import Tokens
from store.changes import Changes
from store.clock import Arrivals, wrong_clock
from store.cost.budgets import Budgets
from store.cost.row_limits import RowLimits
from store.dashboards.dashboards import Dashboards
from store.driver import Answer, EngineError
from store.durable_files import make_folder
from store.engine import Engine
from store.engine_folder import StoreFolderError
from store.folder_lock import FolderLock
from store.ingest.admission import admit_batch, admit_row
from store.ingest.body_reader import BodyReader
from store.ingest.client_ids import ClientIds
from store.ingest.decoder import Batch, batch_of, read_one
from store.ingest.names import AdmittedNames, Names
from store.ingest.outcomes import IngestedBatch, IngestedRow, RecordOutcome
from store.ingest.replay import read_replay
from store.ingest.row_errors import REST_NAMES
from store.ingest.rows import Row
from store.ingest.streams import STREAMS, TABLES, Stream, streams_of
from store.journal.conversions import STORED, UNKNOWN
from store.journal.journal import Journal
from store.journal.project_lines import with_project
from store.journal.row_counts import RowCounts, StreamStats
from store.journal.row_ids import BatchNumbers
from store.journal.set_aside import SetAsideLine
from store.limits import Limits
from store.loader import Loader
from store.opening import arrival_times, open_engine
from store.patterns import check_patterns
from store.query import statements
from store.query.sql import Statement
from store.row_estimates import RowEstimates
from store.timestamps import MIN_BARE_NUMBER, Unit

T = TypeVar("T")

_LOG: Final = logging.getLogger("analytics.store")
_NO_SPACE: Final = (75, 243)  # the engine's codes for a full disk


class Store:
    """One data folder: a journal and a loader for each stream, and the engine that they fill."""

    def __init__(
        self,
        data: Path,
        engine_folder: Path,
        limits: Limits,
        journal_bytes: int,
        limit_table: LimitTable = DEFAULT_LIMITS,
    ) -> None:
        """Set the folders; `open` opens them."""
        self._data, self._journal_bytes = data, journal_bytes
        self._lock: FolderLock | None = None
        self._journals: dict[str, Journal] = {}
        self._loaders: dict[str, Loader] = {}
        self._ids: dict[str, ClientIds] = {}
        self._writing = asyncio.Lock()
        self.reader = BodyReader()
        self.arrivals = Arrivals()
        self.changes = Changes()
        self.keys = Keys(data)
        self.tokens = Tokens(self.keys)
        self.documents = TrustedDocuments(data, limit_table)
        self.dashboards = Dashboards(data, limit_table)
        self.automatic_documents = AutomaticDocuments(limit_table)
        self.engine = Engine(engine_folder, limits)
        self.estimates = RowEstimates(self.engine)
        self.budgets = Budgets(limits.budget_per_second, limits.budget_seconds)
        self.row_limits = RowLimits(limits)
        self.answers = AnswerMemory(limits.answers_bytes, limits.answer_bytes, limits.answer_values)
        self.names = Names(self.engine.pieces, self._all_loaded, limits.names_per_project)

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
        await open_engine(self.engine, self._data, was_closed=self._lock.was_closed)
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
                _LOG.warning("the end of a segment was not whole and is set aside: %s", message)
            journal.on_change = partial(self.changes.add, stream.table)
            self._journals[stream.name] = journal
            self._loaders[stream.name] = Loader(self.engine, journal, stream)
        self.names.start(
            (stream.table, segment)
            for stream in STREAMS
            for segment in self._journals[stream.name].sealed_segments
        )
        segments = [s for journal in self._journals.values() for s in journal.sealed_segments]
        for time in await arrival_times(self.engine, numbers.newest_ms, segments):
            self.arrivals.add(time)
        for loader in self._loaders.values():
            loader.start()
        for table in TABLES:
            all_loaded = partial(self._all_loaded, table)
            self._ids[table] = ClientIds(table, self.engine, all_loaded, numbers)
            self._ids[table].start()
        self.estimates.start()

    async def close(self, seconds: float = 8.0) -> None:
        """Write waiting rows, load them for at most `seconds`, and close.

        Rows that are not loaded in time stay in the journal for the next start.
        """
        await self.keys.close()
        await self.estimates.stop()
        await self.names.stop()
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

    async def ingest(
        self,
        stream: Stream[Row],
        batch: Batch[Row],
        now: Instant,
        field_names: Mapping[str, str] = REST_NAMES,
    ) -> IngestedBatch:
        """Store the rows of a batch durably, each client id once; `now` is the time of its parsing.

        A row with a new name is refused if the project has too many. Raises UNAVAILABLE as `record`
        does, and when the stored names can't be read.
        """
        try:
            batch, names = await admit_batch(self.names, stream, batch, self.reader, field_names)
        except AnalyticsError:
            counts = self._journals[stream.name].counts
            counts.receive(batch.points, len(batch.errors)).settle_unavailable()
            raise
        outcome = await self.record(stream, batch, now, names)
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

        Raises `AnalyticsError` that names the field and the limit, and UNAVAILABLE as `ingest`
        does.
        """
        journal = self._journals[stream.name]
        names = None
        try:
            row, time, line = read_one(stream.row_type, body, now, unit)
            name = stream.row_type.name_of(row)
            if row.id or name not in self.names.of_project(stream.table, project).stored:
                names = await admit_row(self.names, stream, project, name)
        except AnalyticsError as error:
            if error.code == "UNAVAILABLE":
                journal.counts.receive(1, rejected=0).settle_unavailable()
            else:
                journal.counts.receive(0, rejected=1)
            raise
        if row.id is None:
            pending = journal.counts.receive(1, rejected=0)
            if names:
                pending.on_settled = names.settle
            if not self.arrivals.add(now) and time == now:
                pending.settle_unavailable()
                raise wrong_clock(now)
            conversions = STORED if time >= MIN_BARE_NUMBER else UNKNOWN
            if project != PROJECT:
                line, conversions = with_project(line, project), UNKNOWN
            position = await journal.append(
                line, 1, frozenset((name,)), pending, conversions=conversions
            )
            return IngestedRow(row, time, position)
        batch = batch_of(stream.row_type, (row,))
        batch.has_arrival_times = time == now
        batch.project = project
        outcome = await self.record(stream, batch, now, names)
        if outcome.position:
            return IngestedRow(row, time, outcome.position)
        original = outcome.duplicates[0]
        return IngestedRow(row, original.time, original.position, duplicate=True)

    async def record(
        self,
        stream: Stream[Row],
        batch: Batch[Row],
        now: Instant | None = None,
        names: AdmittedNames | None = None,
    ) -> RecordOutcome:
        """Store the rows of a parsed batch durably, each client id once.

        Stored rows are in the result of the next query. The batch's errors are counted, too. `now`
        is the time that rows without a timestamp got. `names` are settled. Raises UNAVAILABLE when
        rows have the time of a wrong clock, and when the journal or the engine fails.
        """
        journal = self._journals[stream.name]
        pending = journal.counts.receive(batch.points, len(batch.errors))
        if names:
            pending.on_settled = names.settle
        if not batch.points:
            pending.settle(stored=0)
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
        return [journal.stats(name) for name, journal in self._journals.items()]

    def set_aside_lines(self) -> Iterator[tuple[str, SetAsideLine]]:
        """Iterate over the set-aside lines with the names of their streams."""
        for name, journal in self._journals.items():
            yield from ((name, line) for line in journal.dead_letters)

    async def replay(self, project: str, now: Instant) -> tuple[int, int]:
        """Record a project's set-aside rows again; return the numbers of stored and of duplicates.

        Rows that still can't be parsed stay set aside, and rows with too many new names.
        """
        points = duplicates = 0
        for stream in STREAMS:
            dead_letters = self._journals[stream.name].dead_letters
            for file in dead_letters.files():
                replay = await read_replay(self.names, stream, file, project, now)
                if replay.batch.points:
                    outcome = await self.record(stream, replay.batch, now, replay.names)
                    points += outcome.points
                    duplicates += replay.batch.points - outcome.points
                    dead_letters.keep_only(file, replay.remaining_lines)
        return points, duplicates

    async def select(self, statement: Statement, row: type[T]) -> list[T]:
        """Run a query as `answer` does; return its rows decoded as `row`."""
        answer = await self.answer(statement, "JSONEachRow")
        return msgspec.json.Decoder(row).decode_lines(answer.data)

    async def answer(
        self, statement: Statement, output: str, cost: float = 0.0, key: str = ""
    ) -> Answer:
        """Run a query on all rows acknowledged before; return its result in an engine format.

        Its cost decides how it waits, its key whose turn it is. Only while the engine can't load
        (see `problems`) the result lacks the rows that wait.
        """
        await check_patterns(self.engine, statement)
        await self._settle(statement.names_by_table)
        return await self.engine.answer(statement, output, cost, key)

    async def delete(
        self, statement: Statement, project: str, names: Collection[str] | None = None
    ) -> None:
        """Delete rows of a project, also waiting ones; with `names`, all have one of these."""
        # Rows that still wait would come back after the deletion.
        await self._settle(dict.fromkeys(statement.names_by_table), is_required=True)
        try:
            for stream in streams_of(statement.names_by_table):
                await asyncio.to_thread(self._journals[stream.name].forget_durably)
        except OSError as error:
            message = f"The journal can't be written: {error.strerror}."
            raise AnalyticsError("UNAVAILABLE", message, retry_after=1) from error
        await self._write(statement)
        for table in statement.names_by_table:
            self.changes.add(table, (None,))
            await self.names.check(table, project, names)

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
        self, names_by_table: Mapping[str, frozenset[str] | None], *, is_required: bool = False
    ) -> None:
        """Wait until the loaders have loaded all rows of some names; None means all names.

        Raises UNAVAILABLE after `wait_seconds`, and if `is_required` also when a loader is stuck.
        """
        for stream in streams_of(names_by_table):
            loader = self._loaders[stream.name]
            try:
                async with asyncio.timeout(self.engine.limits.wait_seconds):
                    is_settled = await loader.settle(names_by_table[stream.table])
            except TimeoutError:
                reason = loader.failure or f"Rows of {stream.name} are still being loaded"
                raise AnalyticsError("UNAVAILABLE", f"{reason}.", retry_after=1) from None
            if is_required and not is_settled:
                message = f"Rows of {stream.name} can't be loaded now."
                raise AnalyticsError("UNAVAILABLE", message, retry_after=5)

    async def _all_loaded(self, table: str) -> None:
        """Return when the engine has loaded all rows sent before, or raise UNAVAILABLE."""
        for stream in streams_of((table,)):
            await self._journals[stream.name].flush()
        await self._settle({table: None}, is_required=True)

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
