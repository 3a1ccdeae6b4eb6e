"""Deduplication by client id: a row that is sent again with its id is stored once."""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, NamedTuple

import msgspec

from schema.access import PROJECT
from schema.errors import AnalyticsError
from schema.scalars import MS_PER_HOUR, Instant
from store.driver import EngineError
from store.engine import Engine
from store.ingest.bloom_filter import WINDOW_MS, RecentIds
from store.ingest.decoder import Batch
from store.ingest.id_hashes import (
    IdHashes,
    has_repeats,
    hash_ids,
    hash_ids_in_lines,
    line_ends,
    project_hashes,
)
from store.ingest.outcomes import Original, RecordOutcome
from store.ingest.rows import Row
from store.journal.journal import Journal
from store.journal.project_lines import with_project
from store.journal.row_counts import PendingRows
from store.journal.row_ids import BatchNumbers, Position, first_batch_at
from store.query import statements
from store.query.sql import Statement

_LOG: Final = logging.getLogger("analytics.ids")

_MAX_IDS_PER_QUERY: Final = 5_000  # of 200 characters: the engine takes minutes for a list of 10 MB
_MAX_LOOKUP_IDS: Final = 100  # a look-up takes 0.4 s at 20 million rows, as long as reading all ids
_RETRY_SECONDS: Final = 5.0
_HOURS: Final = WINDOW_MS // MS_PER_HOUR + 24
_MAX_GAP_MS: Final = 35 * 24 * MS_PER_HOUR
"""Age of the oldest ids that are read after a start: a clock that jumped a month hides no id."""

_MAX_SEGMENT_MS: Final = 24 * MS_PER_HOUR
"""Maximum time for which a segment takes rows while the engine can't load any."""

_OWN_IDS: Final = msgspec.json.Decoder(statements.ClientIdRow)


class ClientId(NamedTuple):
    """An id that counts once in its project."""

    project: str
    text: str


@dataclass(slots=True)
class _UnverifiedBatch(Generic[Row]):
    """A batch with ids that may be stored already, which a query of the engine decides."""

    batch: Batch[Row]
    journal: Journal
    pending: PendingRows
    ids: Sequence[str]
    outcome: asyncio.Future[RecordOutcome]

    def client_id(self, text: str) -> "ClientId":
        """Return an id of the batch's project."""
        return ClientId(self.batch.project, text)

    def fail(self, error: Exception) -> None:
        """Raise an error in the caller, if it still waits."""
        if not self.outcome.done():
            self.outcome.set_exception(error)


class ClientIds:
    """The ids of one table's rows; records each id once.

    Nearly all ids are new, and `RecentIds` recognises them without a query. The other ids are
    looked up in the engine, after it has loaded all earlier rows. Batches that arrive during a
    look-up share the next one.
    """

    def __init__(
        self,
        table: str,
        engine: Engine,
        all_loaded: Callable[[], Awaitable[None]],
        numbers: BatchNumbers,
    ) -> None:
        """Serve `table`; `all_loaded` returns when all rows appended before can be queried."""
        self._table = table
        self._engine = engine
        self._all_loaded = all_loaded
        self._numbers = numbers
        self._now_ms = numbers.steady_ms
        self._stored_since = first_batch_at(numbers.newest_ms - _MAX_GAP_MS)
        self._recent = RecentIds(engine.limits.id_memory_bytes)
        self._waiting: list[_UnverifiedBatch[Any]] = []
        self._verifier: asyncio.Task[None] | None = None
        self._reader: asyncio.Task[None] | None = None
        self._all_read = asyncio.Event()

    @property
    def is_ready(self) -> bool:
        """Whether all ids of the last days are read; until then each id is looked up."""
        return self._all_read.is_set()

    def start(self) -> None:
        """Start to read the stored ids."""
        self._reader = asyncio.create_task(self._read_stored_ids())

    async def stop(self) -> None:
        """Stop reading the stored ids."""
        if self._reader:
            self._reader.cancel()
            await asyncio.wait([self._reader])

    async def record(
        self, batch: Batch[Row], journal: Journal, pending: PendingRows
    ) -> RecordOutcome:
        """Append the rows with new ids; return when all rows or their originals are durable."""
        if batch.id_hashes is None:
            position = await _append(batch, journal, pending)
            return RecordOutcome(position, batch.points)
        if len(batch.id_hashes) > _MAX_LOOKUP_IDS and not self.is_ready:
            await self._await_stored_ids(pending)
        hashes = project_hashes(batch.id_hashes, batch.project)
        repeat_indexes = self._recent.add(hashes, self._now_ms())
        if not repeat_indexes and self.is_ready and not has_repeats(batch.id_hashes):
            position = await _append(batch, journal, pending)
            return RecordOutcome(position, batch.points)
        ids = batch.ids
        unverified_ids = [ids[index] for index in repeat_indexes] if self.is_ready else ids
        outcome: asyncio.Future[RecordOutcome] = asyncio.get_running_loop().create_future()
        self._waiting.append(_UnverifiedBatch(batch, journal, pending, unverified_ids, outcome))
        if self._verifier is None:
            self._verifier = asyncio.create_task(self._verify())
        return await outcome

    async def _await_stored_ids(self, pending: PendingRows) -> None:
        """Return when all stored ids are read: a look-up of many ids would delay reading them."""
        try:
            async with asyncio.timeout(self._engine.limits.wait_seconds):
                await self._all_read.wait()
        except TimeoutError:
            pending.settle_unavailable()
            message = f"The ids of {self._table} are still being read after the start."
            raise AnalyticsError("UNAVAILABLE", message, retry_after=5) from None
        except asyncio.CancelledError:
            pending.settle_unavailable()
            raise

    async def _verify(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting, []
                await self._record_group(group)
        finally:
            self._verifier = None

    async def _record_group(self, group: list[_UnverifiedBatch[Any]]) -> None:
        """Record batches that arrived together; a batch that repeats rows comes after the original.

        The repeating batch may report duplicates only when the originals are durable. If the
        originals fail, its own rows are new.
        """
        try:
            await self._all_loaded()
            originals = await self._find_originals(
                {waiting.client_id(text) for waiting in group for text in waiting.ids}
            )
        except Exception as error:  # noqa: BLE001 - each caller gets it
            for waiting in group:
                waiting.pending.settle_unavailable()
                waiting.fail(error)
            return
        while group:
            new_ids: set[ClientId] = set()
            wave: list[_UnverifiedBatch[Any]] = []
            later: list[_UnverifiedBatch[Any]] = []
            for waiting in group:
                new = set(map(waiting.client_id, waiting.batch.ids)) - originals.keys()
                (later if new & new_ids else wave).append(waiting)
                new_ids |= new
            await asyncio.gather(*(self._record_one(waiting, originals) for waiting in wave))
            group = later

    async def _record_one(
        self, waiting: _UnverifiedBatch[Any], originals: dict[ClientId, Original]
    ) -> None:
        repeats: dict[int, ClientId] = {}
        indexes: dict[ClientId, int] = {}
        for index, row in enumerate(waiting.batch.rows):
            if row.id is None:
                continue
            client_id = waiting.client_id(row.id)
            if client_id in originals or client_id in indexes:
                repeats[index] = client_id
            else:
                indexes[client_id] = index - len(repeats)
        new_batch = waiting.batch.without_rows(repeats) if repeats else waiting.batch
        try:
            start = await _append(new_batch, waiting.journal, waiting.pending)
        except Exception as error:  # noqa: BLE001 - its caller gets it
            waiting.fail(error)
            return
        for client_id, index in indexes.items():
            assert start  # noqa: S101 - a row of this batch was appended
            time = getattr(new_batch.rows[index], "timestamp", None)
            originals[client_id] = Original(
                Position(start.batch, start.row + index),
                Instant(self._numbers.now_ms() if time is None else time),
            )
        duplicates = {index: originals[client_id] for index, client_id in repeats.items()}
        if not waiting.outcome.done():
            waiting.outcome.set_result(RecordOutcome(start, new_batch.points, duplicates))

    async def _find_originals(self, ids: set[ClientId]) -> dict[ClientId, Original]:
        """Return the stored row of each id that the table has."""
        originals = {}
        first_batch = self._first_batch()
        for project, group in itertools.groupby(sorted(ids), key=_project_of):
            texts = [client_id.text for client_id in group]
            for start in range(0, len(texts), _MAX_IDS_PER_QUERY):
                chunk = texts[start : start + _MAX_IDS_PER_QUERY]
                statement = statements.by_client_id(self._table, project, chunk, first_batch)
                for row in await self._select_ids(statement):
                    position = Position(row.batch, row.row)
                    originals[ClientId(project, row.id)] = Original(position, Instant(row.time_ms))
        return originals

    async def _select_ids(self, statement: Statement) -> list[statements.IdRow]:
        try:
            return await self._engine.select(statement, statements.IdRow)
        except (AnalyticsError, EngineError) as error:
            message = f"Ids of {self._table} can't be looked up now."
            raise AnalyticsError("UNAVAILABLE", message, retry_after=1) from error

    def _first_batch(self) -> int:
        """Return the first batch whose ids count; it is at least seven days old."""
        recent = self._numbers.first_within(WINDOW_MS + _MAX_SEGMENT_MS)
        return self._stored_since if recent is None else recent

    async def _find_first_batch(self) -> None:
        """Find the first batch that an earlier process may have stored in the last seven days.

        Only batch numbers give a row's age, and they follow the wall clock, which may have jumped.
        Seven days touch at most 169 hours of the clock, and one more for each jump. So the last 192
        hours with rows are enough, whatever the gaps between them.
        """
        statement = statements.hours(self._table, self._stored_since, _HOURS)
        hours = await self._engine.select(statement, statements.HourRow)
        if len(hours) == _HOURS:
            self._stored_since = first_batch_at(hours[-1].hour * MS_PER_HOUR)

    async def _read_stored_ids(self) -> None:
        """Add the table's ids of the last days to the Bloom filters; retry until it succeeds."""
        while not self.is_ready:
            try:
                await self._all_loaded()
                await self._find_first_batch()
                statement = statements.projects(self._table)
                for row in await self._engine.select(statement, statements.ProjectRow):
                    await self._read_ids_of(row.project)
                self._all_read.set()
            except (AnalyticsError, EngineError) as error:
                _LOG.warning("the ids of %s can't be read yet: %s", self._table, error)
                await asyncio.sleep(_RETRY_SECONDS)

    async def _read_ids_of(self, project: str) -> None:
        statement = statements.client_ids(self._table, project, self._stored_since)
        async for lines in self._engine.pieces(statement):
            if lines:
                hashes = project_hashes(_hash_stored_ids(lines), project)
                self._recent.add(hashes, self._now_ms())


def _project_of(client_id: ClientId) -> str:
    return client_id.project


def _hash_stored_ids(lines: bytes) -> IdHashes:
    """Return the id hashes of rows of `statements.client_ids`."""
    if b"\\" in lines:  # an id has an escape
        return hash_ids([row.id for row in _OWN_IDS.decode_lines(lines)])
    return hash_ids_in_lines(lines, line_ends(lines))


async def _append(batch: Batch[Any], journal: Journal, pending: PendingRows) -> Position | None:
    if not batch.points:
        pending.settle(stored=0)
        return None
    lines, conversions = batch.lines, batch.conversions
    if batch.project != PROJECT:
        lines = with_project(lines, batch.project)
        conversions = conversions._replace(has_projects=True)
    return await journal.append(lines, batch.points, batch.names, pending, conversions=conversions)
