"""The embedded engine: the only module that imports a driver.

It owns the connections, the limits of a query, cancellation, the start of chDB, the priority of its
merge threads, and its errors. It knows no table: statements come from `store.query`, the folder's
layout is in `store.engine_folder`, retries are the callers'.
"""

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from schema.errors import AnalyticsError
from store.limits import Limits
from store.query.sql import Statement

T = TypeVar("T")

_CODE: Final = re.compile(r"Code: (\d+)\.")
_NAME: Final = re.compile(r"\(([A-Z][A-Z0-9_]+)\)")

_MERGE_THREADS: Final = "MergeMutate\n"
_MERGE_NICENESS: Final = 5  # added to the niceness of the process

_SELECT_ONE: Final = Statement("SELECT 1")
_DRAIN_TRIES: Final = 20

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


class EngineError(RuntimeError):
    """An error of the engine, with ClickHouse's `code` (0 if it gave none) and `name`."""

    def __init__(self, message: str) -> None:
        """Parse code and name of the engine's message."""
        super().__init__(message)
        code = _CODE.search(message)
        names = _NAME.findall(message)
        self.code = int(code[1]) if code else 0
        self.name = names[-1] if names else "UNKNOWN"


@contextlib.contextmanager
def _engine_errors() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise EngineError(str(error)) from None
    except UnicodeDecodeError as error:  # the message quotes bytes that are not UTF-8
        raise EngineError(error.object.decode(errors="replace")) from None


class Answer(NamedTuple):
    """The result of a query in one of the engine's formats, and the number of rows it read."""

    data: bytes
    rows_read: int


@dataclass(frozen=True, slots=True)
class _Connection:
    """A driver connection with one user at a time.

    `name` is the log comment of its statements; `KILL QUERY` finds a running statement by it.
    """

    name: str
    driver: Any

    def run(self, statement: Statement, output: str) -> Any:  # noqa: ANN401 - untyped driver
        try:
            return self._query(statement, output)
        except EngineError:
            self.drain()
            raise

    def drain(self) -> None:
        """Discard output that a failed or cancelled query left; the next query would return it.

        One of two queries that fail after partial output leaves it on the connection. One of some
        thousand cancelled queries leaves rows, or an end of stream.
        """
        for _ in range(_DRAIN_TRIES):
            with contextlib.suppress(EngineError):
                if bytes(self._query(_SELECT_ONE, "TSV").bytes()) == b"1\n":
                    return

    def _query(self, statement: Statement, output: str) -> Any:  # noqa: ANN401 - untyped driver
        with _engine_errors():
            return self.driver.query(statement.text, output, params=statement.encode())

    def stream(self, statement: Statement) -> Any:  # noqa: ANN401 - untyped driver
        with _engine_errors():
            return self.driver.send_query(statement.text, "JSONEachRow", params=statement.encode())


class Engine:
    """A pool of connections to one embedded store.

    A chDB connection shared by two threads returns one thread's result to the other. So a call
    holds a connection alone as long as the engine works on it.
    """

    def __init__(self, folder: Path, limits: Limits) -> None:
        """Set the store's folder; `open` opens it."""
        self.limits = limits
        self.folder = folder
        self._threads = ThreadPoolExecutor(limits.readers + 3, thread_name_prefix="engine")
        self._connections: list[_Connection] = []
        self._readers: asyncio.LifoQueue[_Connection] = asyncio.LifoQueue()
        self._writers: asyncio.LifoQueue[_Connection] = asyncio.LifoQueue()
        self._control: asyncio.LifoQueue[_Connection] = asyncio.LifoQueue()

    async def open(self) -> None:
        """Open the store; no other process may use its folder."""
        if "?" in str(self.folder):
            raise EngineError(f"A store's path can't contain a question mark: {self.folder}")
        self.folder.mkdir(parents=True, exist_ok=True)
        await self._in_thread(self._connect)
        for fatal in _FATAL_SIGNALS:
            signal.signal(fatal, signal.SIG_DFL)
        for connection in self._connections:
            pool = {"reader": self._readers, "writer": self._writers}.get(
                connection.name.partition("-")[0], self._control
            )
            pool.put_nowait(connection)

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
        """Run a query; return its rows decoded as `row`, a type that msgspec supports."""
        answer = await self.answer(statement, "JSONEachRow")
        return msgspec.json.Decoder(row).decode_lines(answer.data)

    async def answer(self, statement: Statement, output: str) -> Answer:
        """Run a query; return its result in one of the engine's formats.

        Raises `AnalyticsError` when it exceeds a limit, or no connection is free in time.
        """
        try:
            return await self._run(self._readers, statement, output, _read_answer)
        except EngineError as error:
            limit_error = self._limit_error(error)
            if limit_error is None:
                raise
            raise limit_error from error

    async def pieces(self, statement: Statement) -> AsyncIterator[bytes]:
        """Run a query with a long result; yield it in pieces of whole JSON lines."""
        async with self._checkout(self._readers) as connection:
            stream = await self._wait_for(connection, lambda: connection.stream(statement))
            try:
                while (
                    piece := await self._wait_for(connection, lambda: _next_piece(stream))
                ) is not None:
                    yield piece
            finally:
                await self._wait_for(connection, stream.close)

    async def write(self, statement: Statement) -> int:
        """Run a statement that changes data or tables; return the number of written rows."""
        return await self._run(self._writers, statement, "Null", _read_written_rows)

    async def close(self) -> None:
        """Stop all queries, wait for them, close: an exit during a query crashes the process."""
        await self._kill(self._connections)
        await asyncio.to_thread(self._threads.shutdown)
        for connection in self._connections:
            connection.driver.close()
        self._connections.clear()

    def _connect(self) -> None:
        with _utc_environment():
            # Costs 0.2 s and 200 MB; the parent process of a reloader must not pay it.
            import chdb  # noqa: PLC0415

            self._connect_all(chdb.connect)

    def _connect_all(self, connect: Callable[[str], Any]) -> None:
        server = {
            "max_server_memory_usage": self.limits.memory_bytes,
            "mark_cache_size": min(2**28, self.limits.memory_bytes // 16),
            "background_pool_size": 2,
            "background_schedule_pool_size": 4,
        }
        target = f"{self.folder.resolve()}?" + "&".join(f"{k}={v}" for k, v in server.items())
        readers = [f"reader-{n}" for n in range(1, self.limits.readers + 1)]
        for name in ("control", "writer-1", "writer-2", *readers):
            try:
                connection = _Connection(name, connect(target))
            except RuntimeError as error:
                message = (
                    f"The store in {self.folder} can't be opened; is another process using it?"
                )
                raise EngineError(f"{message} {' '.join(str(error).split())}") from None
            self._connections.append(connection)
            settings = {"log_comment": f"'{name}'"} | _QUERY_SIZE_LIMITS
            if name.startswith("reader"):
                settings |= self._reader_settings()
            values = ", ".join(f"{key} = {value}" for key, value in settings.items())
            connection.run(Statement(f"SET {values}"), "Null")

    def _reader_settings(self) -> dict[str, str]:
        limits = self.limits
        settings = {
            "max_execution_time": limits.seconds,
            "max_memory_usage": limits.query_memory_bytes,
            "max_bytes_before_external_group_by": limits.query_memory_bytes // 2,
            "max_bytes_before_external_sort": limits.query_memory_bytes // 2,
            "max_rows_to_read": limits.rows_to_read,
            "max_result_rows": limits.result_rows,
            "max_threads": limits.threads,
            "output_format_json_quote_64bit_integers": 0,
            "output_format_json_escape_forward_slashes": 0,
            # Without it a quarter of all doubles are off in the last bit. It costs nothing.
            "precise_float_parsing": 1,
        }
        return {key: str(value) for key, value in settings.items()}

    async def _run(
        self,
        pool: asyncio.LifoQueue[_Connection],
        statement: Statement,
        output: str,
        read: Callable[[Any], T],
    ) -> T:
        """Run a statement on a free connection of a pool, and read its result."""
        async with self._checkout(pool) as connection:
            return await self._wait_for(connection, lambda: read(connection.run(statement, output)))

    @contextlib.asynccontextmanager
    async def _checkout(self, pool: asyncio.LifoQueue[_Connection]) -> AsyncIterator[_Connection]:
        try:
            async with asyncio.timeout(self.limits.wait_seconds):
                connection = await pool.get()
        except TimeoutError:
            message = "Too many queries are running; try again in a moment."
            raise AnalyticsError("UNAVAILABLE", message, retry_after=1) from None
        try:
            yield connection
        finally:
            pool.put_nowait(connection)

    async def _wait_for(self, connection: _Connection, call: Callable[[], T]) -> T:
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

    async def _kill(self, connections: Sequence[_Connection]) -> None:
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
            159: ("takes too many seconds", limits.seconds),
            160: ("would take too many seconds", limits.seconds),
            241: ("needs too many bytes of memory", limits.query_memory_bytes),
            396: ("returns too many rows", limits.result_rows),
        }
        if error.code not in limits_by_code:
            return None
        reason, limit = limits_by_code[error.code]
        message = f"This query {reason} (limit {limit}); narrow its range or its filter."
        return AnalyticsError("QUERY_TOO_EXPENSIVE", message, limit=limit)


@contextlib.contextmanager
def _utc_environment() -> Iterator[None]:
    """Set TZ to UTC: the engine starts only with the name of a zone, not with JST-9."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    try:
        yield
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before


async def _await_end(work: asyncio.Future[Any]) -> None:
    """Wait for some milliseconds of work to end, even if the caller is cancelled."""
    while not work.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([work])


def _read_answer(result: Any) -> Answer:  # noqa: ANN401 - untyped driver
    return Answer(bytes(result.bytes()), result.storage_rows_read())


def _next_piece(stream: Any) -> bytes | None:  # noqa: ANN401 - untyped driver
    with _engine_errors():
        piece = stream.fetch()
        return None if piece is None else bytes(piece.bytes())


def _read_written_rows(result: Any) -> int:  # noqa: ANN401 - untyped driver
    return int(result.rows_written())
