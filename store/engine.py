"""The embedded engine: a pool of connections to one store.

It owns the limits of a query, cancellation, the start of chDB, the priority of its merge threads,
and the repair after failed writes. It knows no table: statements come from `store.query`, the
folder's layout is in `store.engine_folder`, retries are the callers'.
"""

import asyncio
import contextlib
import itertools
import logging
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from schema.errors import AnalyticsError
from store.cost.lanes import LANES, STORE_LANE, FairQueue, Lane
from store.driver import (
    Answer,
    Connection,
    EngineError,
    connect,
    next_piece,
    read_answer,
    read_written_rows,
)
from store.failed_writes import (
    WriteFailedError,
    check_writes,
    count_failed_writes,
    is_nearly_full,
    reopen_tables,
)
from store.limits import Limits
from store.query.sql import Statement

T = TypeVar("T")

_MERGE_THREADS: Final = "MergeMutate\n"
_MERGE_NICENESS: Final = 5  # added to the niceness of the process

_LOG: Final = logging.getLogger("analytics.engine")

_ALL_LANES: Final = (STORE_LANE, *LANES)
_CONTROLS: Final = 1
_WRITERS: Final = 2

_WATCH_INTERVAL: Final = 1.0
"""Seconds between two counts of failed writes: parts that a merge replaced stay for 30 seconds."""

_READ_TRIES: Final = 3
_QUERY_WAS_CANCELLED: Final = 394

# chDB installs a handler for them that sleeps 300 s: a crash would hang the service.
_FATAL_SIGNALS: Final = (
    signal.SIGSEGV,
    signal.SIGABRT,
    signal.SIGBUS,
    signal.SIGFPE,
    signal.SIGILL,
)

# A filter of 500 tests, each of a property 20 objects deep, is 0.5 MB of SQL.
_QUERY_SIZE_LIMITS: Final = {
    "max_query_size": "2000000",
    "max_ast_elements": "1000000",
    "max_expanded_ast_elements": "2000000",
}


class Engine:
    """A pool of connections to one embedded store.

    A chDB connection shared by two threads returns one thread's result to the other. So a call
    holds a connection alone as long as the engine works on it.
    """

    def __init__(self, folder: Path, limits: Limits) -> None:
        """Set the store's folder; `open` opens it."""
        self.limits = limits
        self.folder = folder
        self._readers = {lane: FairQueue[Connection]() for lane in _ALL_LANES}
        self._writers = FairQueue[Connection]()
        self._control = FairQueue[Connection]()
        self._pools = (
            (self._control, _CONTROLS),
            (self._writers, _WRITERS),
            *((self._readers[lane], lane.connections(limits)) for lane in _ALL_LANES),
        )
        threads = sum(count for _, count in self._pools)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="engine")
        self._connections: list[Connection] = []
        self._failed_writes = 0
        self._repair: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._repairs = 0
        """The number of times that the tables were opened again."""

    async def open(self) -> None:
        """Open the store; no other process may use its folder."""
        if "?" in str(self.folder):
            raise EngineError(f"A store's path can't contain a question mark: {self.folder}")
        self.folder.mkdir(parents=True, exist_ok=True)
        await self._in_thread(self._connect_all)
        for fatal in _FATAL_SIGNALS:
            signal.signal(fatal, signal.SIG_DFL)
        connections = iter(self._connections)
        for pool, count in self._pools:
            for connection in itertools.islice(connections, count):
                pool.add(connection)
        self._failed_writes = await self._call(self._control, count_failed_writes)
        self._watch = asyncio.create_task(self._watch_writes())

    def lower_merge_priority(self) -> None:
        """Run merge threads at a lower priority than queries and inserts.

        Call it after the tables exist. While writes keep all cores busy, a query takes an eighth
        less time. The engine's own setting has no effect in a process without the right to raise
        its priority again.
        """
        niceness = os.getpriority(os.PRIO_PROCESS, 0) + _MERGE_NICENESS
        for task in Path("/proc/self/task").glob("*"):  # empty on systems without /proc
            with contextlib.suppress(OSError):  # a thread has ended
                if (task / "comm").read_text() == _MERGE_THREADS:
                    os.setpriority(os.PRIO_PROCESS, int(task.name), niceness)

    async def select(self, statement: Statement, row: type[T]) -> list[T]:
        """Run a statement of the store; return its rows as `row`, a type that msgspec supports."""
        answer = await self._answer_in(STORE_LANE, "", statement, "JSONEachRow")
        return msgspec.json.Decoder(row).decode_lines(answer.data)

    async def answer(
        self, statement: Statement, output: str, cost: float = 0.0, key: str = ""
    ) -> Answer:
        """Run a query of a cost for a key; return its result in one of the engine's formats.

        Raises `AnalyticsError` when it exceeds a limit, no connection is free in time, or the disk
        damages parts again and again.
        """
        lanes = [lane for lane in LANES if cost <= lane.max_cost]
        for lane in lanes[:-1]:
            with contextlib.suppress(TimeoutError):
                return await self._answer_in(lane, key, statement, output)
        return await self._answer_in(lanes[-1], key, statement, output)

    async def _answer_in(self, lane: Lane, key: str, statement: Statement, output: str) -> Answer:
        """Run a query in a lane. Raises `TimeoutError` if it takes longer than the lane allows."""
        for _ in range(_READ_TRIES):
            repairs = self._repairs
            try:
                return await self._read(lane, key, statement, output)
            except EngineError as error:
                limit_error = self._limit_error(error)
                if limit_error:
                    raise limit_error from error
                if error.code == _QUERY_WAS_CANCELLED:
                    raise
                await self.repair()
                if self._repairs == repairs:
                    raise
        message = "The disk of the store is full, or fails."
        raise AnalyticsError("UNAVAILABLE", message, retry_after=5)

    async def _read(self, lane: Lane, key: str, statement: Statement, output: str) -> Answer:
        failed_writes = self._failed_writes

        def run(connection: Connection) -> Answer:
            answer = read_answer(connection.run(statement, output))
            if is_nearly_full(self.folder):
                check_writes(connection, failed_writes)
            return answer

        async with self._checkout(self._readers[lane], key) as connection:
            async with asyncio.timeout(lane.seconds):
                return await self._wait_for(connection, lambda: run(connection))

    async def pieces(self, statement: Statement) -> AsyncGenerator[bytes]:
        """Run a query with a long result; yield it in pieces of whole JSON lines."""
        async with self._checkout(self._readers[STORE_LANE]) as connection:
            stream = await self._wait_for(connection, lambda: connection.stream(statement))
            try:
                while (
                    piece := await self._wait_for(connection, lambda: next_piece(stream))
                ) is not None:
                    yield piece
            finally:
                await self._wait_for(connection, stream.close)

    async def write(self, statement: Statement) -> int:
        """Run a statement that changes data or tables; return the number of written rows.

        Raises `WriteFailedError` when a file could not be written since it began, by this statement
        or another: a part of its rows may be stored.
        """
        failed_writes = self._failed_writes

        def run(connection: Connection) -> int:
            rows = read_written_rows(connection.run(statement, "Null"))
            check_writes(connection, failed_writes)
            return rows

        try:
            return await self._call(self._writers, run)
        except WriteFailedError:
            await self.repair()
            raise

    async def repair(self) -> None:
        """Open the tables again if a write has failed; damaged parts of inserts are then gone."""
        if not self._connections:  # the store could not be opened
            return
        if self._repair is None or self._repair.done():
            self._repair = asyncio.create_task(self._repair_tables())
        await asyncio.shield(self._repair)

    async def _repair_tables(self) -> None:
        if await self._call(self._control, count_failed_writes) == self._failed_writes:
            return
        async with self._no_statements(), self._checkout(self._control) as control:
            failed_writes, lost_parts = await self._wait_for(
                control,
                lambda: (count_failed_writes(control), reopen_tables(control, self.folder)),
            )
        self._failed_writes = failed_writes
        self._repairs += 1
        _LOG.error("the engine could not write files: its tables were opened again")
        if lost_parts:
            _LOG.critical("rows are lost: %s", ", ".join(lost_parts))

    @contextlib.asynccontextmanager
    async def _no_statements(self) -> AsyncIterator[None]:
        """Hold all connections but the control connection."""
        with contextlib.ExitStack() as stack:
            for pool, count in self._pools[1:]:
                for _ in range(count):
                    stack.callback(pool.add, await pool.get())
            yield

    async def _watch_writes(self) -> None:
        """Repair the tables after merges that could not write: nobody gets their errors."""
        while True:
            await asyncio.sleep(_WATCH_INTERVAL)
            try:
                await self.repair()
            except (AnalyticsError, EngineError) as error:
                _LOG.warning("the tables can't be opened again now: %s", error)

    async def close(self) -> None:
        """Stop all queries, wait for them, close: an exit during a query crashes the process."""
        for task in filter(None, (self._watch, self._repair)):
            task.cancel()
            await asyncio.wait([task])
        await self._kill(self._connections)
        await asyncio.to_thread(self._threads.shutdown)
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    def _connect_all(self) -> None:
        server = {
            "max_server_memory_usage": self.limits.memory_bytes,
            "mark_cache_size": min(2**28, self.limits.memory_bytes // 16),
            "background_pool_size": 2,
            "background_schedule_pool_size": 4,
        }
        target = f"{self.folder.resolve()}?" + "&".join(f"{k}={v}" for k, v in server.items())
        names: list[tuple[str, Lane | None]] = [("control", None)]
        names += [(f"writer-{n}", None) for n in range(_WRITERS)]
        for lane in _ALL_LANES:
            names += [(f"{lane.name}-{n}", lane) for n in range(lane.connections(self.limits))]
        for name, reader_lane in names:
            try:
                connection = connect(name, target)
            except EngineError as error:
                message = (
                    f"The store in {self.folder} can't be opened; is another process using it?"
                )
                raise EngineError(f"{message} {' '.join(str(error).split())}") from None
            self._connections.append(connection)
            settings = {"log_comment": f"'{name}'"} | _QUERY_SIZE_LIMITS
            if reader_lane:
                settings |= self._reader_settings(reader_lane)
            values = ", ".join(f"{key} = {value}" for key, value in settings.items())
            connection.run(Statement(f"SET {values}"), "Null")

    def _reader_settings(self, lane: Lane) -> dict[str, str]:
        limits = self.limits
        settings = {
            "priority": lane.priority,
            "max_execution_time": limits.request_seconds,
            "max_memory_usage": limits.query_memory_bytes,
            "max_bytes_before_external_group_by": limits.query_memory_bytes // 2,
            "max_bytes_before_external_sort": limits.query_memory_bytes // 2,
            "max_rows_to_read": limits.rows_to_read,
            "max_result_rows": limits.result_rows,
            "max_threads": limits.threads,
            "output_format_json_quote_64bit_integers": 0,
            "output_format_json_escape_forward_slashes": 0,
            # A deletion that was interrupted goes on in the background.
            "apply_mutations_on_fly": 1,
            # Without it a quarter of all doubles are off in the last bit. It costs nothing.
            "precise_float_parsing": 1,
        }
        return {key: str(value) for key, value in settings.items()}

    async def _call(self, pool: FairQueue[Connection], call: Callable[[Connection], T]) -> T:
        """Call the driver with a free connection of a pool, in a thread."""
        async with self._checkout(pool) as connection:
            return await self._wait_for(connection, lambda: call(connection))

    @contextlib.asynccontextmanager
    async def _checkout(
        self, pool: FairQueue[Connection], key: str = ""
    ) -> AsyncIterator[Connection]:
        try:
            async with asyncio.timeout(self.limits.wait_seconds):
                connection = await pool.get(key)
        except TimeoutError:
            message = "Too many queries are running; try again in a moment."
            raise AnalyticsError("UNAVAILABLE", message, retry_after=1) from None
        try:
            yield connection
        finally:
            pool.add(connection)

    async def _wait_for(self, connection: Connection, call: Callable[[], T]) -> T:
        """Call the driver in a thread; if the caller is cancelled, stop the call and await it."""
        work = self._in_thread(call)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            # A query that has just started may not be killable yet. The connection is kept until
            # the query ends: its next user would get this query's result.
            while not work.done():
                with contextlib.suppress(asyncio.CancelledError, AnalyticsError):
                    await self._kill([connection])
                    await asyncio.wait([work], timeout=0.2)
            await _await_end(self._in_thread(connection.drain))
            work.exception()
            raise

    async def _kill(self, connections: Sequence[Connection]) -> None:
        """Stop the statements that run on connections; the control connection sends this itself."""
        names = [connection.name for connection in connections if connection.name != "control"]
        if not names:
            return
        text = "KILL QUERY WHERE has({names:Array(String)}, Settings['log_comment']) ASYNC"
        async with self._checkout(self._control) as control:
            killing = self._in_thread(
                lambda: control.run(Statement(text, {"names": names}), "Null")
            )
            await _await_end(killing)
            with contextlib.suppress(EngineError):
                killing.result()

    def _in_thread(self, call: Callable[[], T]) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._threads, call)

    def _limit_error(self, error: EngineError) -> AnalyticsError | None:
        """Return the error for a query that exceeded a limit, or None for any other engine code."""
        limits = self.limits
        limits_by_code: dict[int, tuple[str, float]] = {
            158: ("reads too many rows", limits.rows_to_read),
            159: ("takes too many seconds", limits.request_seconds),
            160: ("would take too many seconds", limits.request_seconds),
            241: ("needs too many bytes of memory", limits.query_memory_bytes),
            396: ("returns too many rows", limits.result_rows),
        }
        if error.code not in limits_by_code:
            return None
        reason, limit = limits_by_code[error.code]
        message = f"This query {reason} (limit {limit}); narrow its range or its filter."
        return AnalyticsError("QUERY_TOO_EXPENSIVE", message, limit=limit)


async def _await_end(work: asyncio.Future[Any]) -> None:
    """Wait for some milliseconds of work to end, even if the caller is cancelled."""
    while not work.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([work])
