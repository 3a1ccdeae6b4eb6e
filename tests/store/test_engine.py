"""The engine's connections, limits, errors and signals: a test for each known trap."""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
import pytest

from schema.errors import AnalyticsError
from store.driver import EngineError
from store.engine import Engine
from store.query.sql import Statement
from tests.harness.process import ROOT, Process
from tests.harness.run_profile import seeded_random, short_or_long
from tests.harness.stores import LIMITS, Rows, open_engine, open_store, record, stored_keys

HEAVY: Final = Statement("SELECT max(cityHash64(number)) AS rows FROM numbers(9000000000)")
"""Runs for minutes, and can be stopped at any moment."""


class Echo(msgspec.Struct):
    """The parameters of a statement, as the engine returns them."""

    text: str
    texts: list[str]
    number: int


def echo(text: str, texts: list[str], number: int) -> Statement:
    slots = "SELECT {text:String} AS text, {texts:Array(String)} AS texts, {number:Int64} AS number"
    return Statement(slots, {"text": text, "texts": texts, "number": number})


async def assert_connections_work(engine: Engine) -> None:
    """Check that every connection for queries works."""
    numbers = [random.randrange(2**62) for _ in range(engine.limits.store_readers * 2)]
    answers = await asyncio.gather(*(engine.select(echo("", [], n), Echo) for n in numbers))
    assert [row.number for (row,) in answers] == numbers
    for lane, connections in engine._readers.items():
        assert connections.free_count == lane.connections(engine.limits)


async def count_running(engine: Engine) -> int:
    """Count the other statements that the engine runs."""
    text = "SELECT count() - 1 AS rows FROM system.processes"
    (result,) = await engine.select(Statement(text), Rows)
    return result.rows


async def await_running(engine: Engine, number: int) -> None:
    """Return when the engine runs this number of statements."""
    async with asyncio.timeout(30):
        while await count_running(engine) != number:
            pass


class ExclusiveDriver:
    """A driver connection that fails when two callers use it at once."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self._free = threading.Lock()

    def query(self, *args: Any, **kwargs: Any) -> object:
        assert self._free.acquire(blocking=False), "one connection, two callers"
        try:
            return self._driver.query(*args, **kwargs)
        finally:
            self._free.release()

    def close(self) -> None:
        self._driver.close()


async def test_every_query_gets_its_own_answer(tmp_path: Path) -> None:
    """Each of far more concurrent queries than connections gets its own values."""
    async with open_engine(tmp_path, store_readers=3) as engine:
        for connection in engine._connections:
            object.__setattr__(connection, "driver", ExclusiveDriver(connection.driver))
        expected = [Echo(f"text {n}", [f"{n}", f"{n}'"], n) for n in range(1000)]
        answers = await asyncio.gather(
            *(engine.select(echo(e.text, e.texts, e.number), Echo) for e in expected)
        )
    assert [row for (row,) in answers] == expected


async def test_query_without_a_free_connection_is_unavailable(tmp_path: Path) -> None:
    """Without a free connection in time, a query gets a 503 with Retry-After."""
    async with open_engine(tmp_path, store_readers=2, wait_seconds=0.1) as engine:
        busy = [asyncio.create_task(engine.select(HEAVY, Rows)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(AnalyticsError) as refusal:
            await engine.select(echo("", [], 1), Echo)
        error = refusal.value
        assert (error.code, error.status, error.retry_after) == ("UNAVAILABLE", 503, 1)
        for task in busy:
            task.cancel()
        await asyncio.wait(busy)
        await assert_connections_work(engine)


@pytest.mark.parametrize(
    ("text", "limits", "limit"),
    [
        (HEAVY.text, {"request_seconds": 0.3}, "0.3"),
        ("SELECT groupArray(number) AS a FROM numbers(100000000)", {}, "300000000"),
        ("SELECT sum(number) AS a FROM numbers(100000)", {"rows_to_read": 1000}, "1000"),
        ("SELECT number AS a FROM numbers(100000)", {"result_rows": 500}, "500"),
    ],
    ids=["time", "memory", "rows read", "rows returned"],
)
async def test_query_beyond_a_limit_is_refused_by_name(
    tmp_path: Path, text: str, limits: dict[str, float], limit: str
) -> None:
    """A query over a limit gets a typed error with the limit; the connection works on."""
    async with open_engine(tmp_path, store_readers=1, **limits) as engine:
        with pytest.raises(AnalyticsError) as refusal:
            await engine.select(Statement(text), Rows)
        error = refusal.value
        assert (error.code, error.status) == ("QUERY_TOO_EXPENSIVE", 422)
        assert f"(limit {limit})" in error.message
        assert error.limit == float(limit)
        await assert_connections_work(engine)


@pytest.mark.parametrize("write", [False, True], ids=["select", "insert"])
async def test_cancelled_statement_stops_in_the_engine(tmp_path: Path, *, write: bool) -> None:
    """A cancelled statement stops in the engine, and its connection is free at once."""
    async with open_engine(tmp_path, store_readers=2) as engine:
        await engine.write(Statement("CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n"))
        insert = Statement("INSERT INTO t SELECT cityHash64(number) FROM numbers(9000000000)")
        statement = engine.write(insert) if write else engine.select(HEAVY, Rows)
        task: asyncio.Task[object] = asyncio.create_task(statement)
        await await_running(engine, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await count_running(engine) == 0
        await assert_connections_work(engine)
        await engine.write(Statement("INSERT INTO t VALUES (1)"))


@pytest.mark.parametrize("times", [2, 5])
async def test_connection_is_kept_however_often_its_user_is_cancelled(
    tmp_path: Path, times: int
) -> None:
    """A connection is freed only when the engine is done: else answers would be mixed up."""
    async with open_engine(tmp_path, store_readers=2) as engine:
        for connection in engine._connections:
            object.__setattr__(connection, "driver", ExclusiveDriver(connection.driver))
        tasks = [asyncio.create_task(engine.select(HEAVY, Rows)) for _ in range(2)]
        await asyncio.sleep(0.05)
        for _ in range(times):
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await asyncio.sleep(0)
        await asyncio.wait(tasks)
        await assert_connections_work(engine)


async def test_stopped_queries_leave_nothing_behind(tmp_path: Path) -> None:
    """The next query on a connection gets exactly its own rows.

    One stopped query in some thousand leaves rows in its connection; the long form detects it.
    """
    dice = seeded_random()
    text = "SELECT {number:Int64} AS number, number AS rows FROM numbers(5)"

    async def assert_query_works() -> None:
        number = dice.randrange(10**9)
        result_rows = await engine.select(Statement(text, {"number": number}), dict)
        assert [row["number"] for row in result_rows] == [number] * 5

    async def stream_pieces() -> None:
        rows = {"rows": dice.choice([0, 9, 300_000])}
        statement = Statement("SELECT number AS rows FROM numbers({rows:UInt64})", rows)
        async for _ in engine.pieces(statement):
            await asyncio.sleep(0)

    async with open_engine(tmp_path, store_readers=3) as engine:
        for _ in range(short_or_long(40, 8000)):
            tasks = [
                asyncio.create_task(assert_query_works() if n else stream_pieces())
                for n in range(4)
            ]
            for _ in range(dice.randrange(30)):
                await asyncio.sleep(dice.choice([0, 0, 0.0003]))
            for task in dice.sample(tasks, 3):
                task.cancel()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                assert result is None or isinstance(result, asyncio.CancelledError), result
            for _ in range(4):
                await assert_query_works()


async def test_cancelled_waiting_leaves_the_connections_alone(tmp_path: Path) -> None:
    """Callers that give up while they wait for a connection leave all connections working."""
    async with open_engine(tmp_path, store_readers=2) as engine:
        tasks = [asyncio.create_task(engine.select(echo("", [], n), Echo)) for n in range(200)]
        await asyncio.sleep(0.01)
        for task in tasks[1::2]:
            task.cancel()
        await asyncio.wait(tasks)
        await assert_connections_work(engine)


async def test_close_stops_what_is_running(tmp_path: Path) -> None:
    """A close during queries ends them and returns; otherwise the exit would crash."""
    async with open_engine(tmp_path, store_readers=3) as engine:
        tasks = [asyncio.create_task(engine.select(HEAVY, Rows)) for _ in range(2)]
        await await_running(engine, 2)
        await engine.close()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [getattr(result, "name", None) for result in results] == ["QUERY_WAS_CANCELLED"] * 2


@pytest.mark.parametrize(
    ("text", "code", "name"),
    [
        ("SELECT nothing", 47, "UNKNOWN_IDENTIFIER"),
        ("SELECT {missing:String}", 456, "UNKNOWN_QUERY_PARAMETER"),
        ("INSERT INTO missing VALUES (1)", 60, "UNKNOWN_TABLE"),
        ("SELECT throwIf(1, '(NOT_THIS) Code: 1.')", 395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
    ],
)
async def test_engine_errors_have_code_and_name(
    tmp_path: Path, text: str, code: int, name: str
) -> None:
    """An error of the driver becomes an `EngineError` with ClickHouse's code and name."""
    async with open_engine(tmp_path, store_readers=1) as engine:
        for run in (engine.write(Statement(text)), engine.select(Statement(text), Rows)):
            with pytest.raises(EngineError) as error:
                await run
            assert (error.value.code, error.value.name) == (code, name)
        await assert_connections_work(engine)


async def test_limits_are_in_force_in_the_engine(tmp_path: Path) -> None:
    """The limits reach the engine: the server's limit, and a query's on every connection."""
    server = "SELECT toUInt64(value) AS rows FROM system.server_settings WHERE name = {name:String}"
    expected = {
        "max_execution_time": LIMITS.request_seconds,
        "max_memory_usage": LIMITS.query_memory_bytes,
        "max_rows_to_read": LIMITS.rows_to_read,
        "max_result_rows": LIMITS.result_rows,
        "max_threads": LIMITS.threads,
    }
    async with open_engine(tmp_path, store_readers=3) as engine:
        (result,) = await engine.select(
            Statement(server, {"name": "max_server_memory_usage"}), Rows
        )
        assert result.rows == LIMITS.memory_bytes
        columns = ", ".join(f"toFloat64(getSetting('{name}')) AS {name}" for name in expected)
        query = Statement(f"SELECT {columns}, sleep(0.2) AS _")
        answers = await asyncio.gather(*(engine.select(query, dict[str, float]) for _ in range(3)))
        assert [{name: row[name] for name in expected} for (row,) in answers] == [expected] * 3


@pytest.mark.skipif(sys.platform != "linux", reason="other systems tell nothing of threads")
async def test_merges_come_after_queries(tmp_path: Path) -> None:
    """The engine's merging threads have a lower priority, in a new store and in an old one."""
    for _ in range(2):
        async with open_store(tmp_path):
            threads = [
                int(task.name)
                for task in Path("/proc/self/task").iterdir()
                if (task / "comm").read_text() == "MergeMutate\n"
            ]
            assert threads
            own_priority = os.getpriority(os.PRIO_PROCESS, 0)
            assert all(os.getpriority(os.PRIO_PROCESS, thread) > own_priority for thread in threads)


CRASH: Final = """
import asyncio, os, signal, sys
from pathlib import Path
from store.engine import Engine
from tests.harness.stores import LIMITS

async def crash():
    await Engine(Path(sys.argv[1]), LIMITS).open()
    print("open", flush=True)
    os.kill(os.getpid(), int(sys.argv[2]))
    await asyncio.sleep(600)

asyncio.run(crash())
"""


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS])
def test_fatal_signal_kills_at_once(tmp_path: Path, number: signal.Signals) -> None:
    """A crash ends the process, so that it can be restarted; chDB's handler would hang it."""
    command = [sys.executable, "-c", CRASH, str(tmp_path), str(int(number))]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        command, cwd=ROOT, env=environment, timeout=60, check=False, stdout=subprocess.PIPE
    )
    assert (result.returncode, result.stdout) == (-number, b"open\n")


SLOW: Final = """
import os, sys, uvicorn, app, server
from api.edge.connections import Connections
from api.edge.limits import EdgeLimits
from settings import from_environment
from store.query.sql import Statement

async def slow(request):
    print("asked", flush=True)
    await request.app.state.context.store.engine.select(Statement(sys.argv[1]), dict)

service = app.create_app(from_environment())
service.add_route("/slow", slow)
config = uvicorn.Config(service, port=int(os.environ["PORT"]), timeout_graceful_shutdown=1)
server._Server(config, Connections(EdgeLimits(), 100, 100)).run()
"""


def test_sigterm_during_a_long_query_ends_cleanly(tmp_path: Path) -> None:
    """A query that would run for minutes neither delays the end nor crashes it."""
    command = (sys.executable, "-c", SLOW, HEAVY.text)
    with Process(tmp_path / "data", command, settings={"PYTHONPATH": str(ROOT)}) as service:
        service.await_ready()

        def ask() -> None:
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"{service.http.base_url}/slow", timeout=60, trust_env=False)

        client = threading.Thread(target=ask)
        client.start()
        service.await_output("asked\n")
        assert service.stop() == 0
        client.join()
        assert '"message":"stopped"' in service.output()


ODD_NAMES: Final = ("a b 'q' \"d\" {a,b} * [x] ünï☃", "a%20b&c=d#e;f:g\\h$HOME~", "new\nline\ttab")


@pytest.mark.parametrize("name", ODD_NAMES)
async def test_any_folder_name_works(tmp_path: Path, name: str) -> None:
    """The data folder's name may have spaces, quotes, patterns and Unicode."""
    async with open_store(tmp_path / name) as store:
        await record(store, "a")
        assert await stored_keys(store) == ["a"]
    async with open_store(tmp_path / name) as store:
        assert await stored_keys(store) == ["a"]
    assert os.listdir(tmp_path) == [name]  # noqa: PTH208


async def test_question_mark_in_a_path_is_refused(tmp_path: Path) -> None:
    """A `?` in the path is rejected: the driver would open another store, with settings."""
    with pytest.raises(EngineError) as refusal:
        async with open_store(tmp_path / "a?b"):
            pass
    folder = tmp_path / "a?b" / "store"
    assert str(refusal.value) == f"A store's path can't contain a question mark: {folder}"
