"""The service's life for its operators: errors at the start, the end, the log."""

import asyncio
import contextlib
import re
import shutil
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Final

import httpx
import pytest

import app
from settings import InvalidSettingError
from store.query.sql import Statement
from tests.harness.process import INTERRUPTIBLE, ROOT, SERVE, Process, free_port, is_free
from tests.harness.stores import open_store, stored_keys

pytestmark = pytest.mark.slow

UVICORN: Final = (sys.executable, "-m", "uvicorn", "app:app", "--port")
ONE_PROCESS: Final = (
    "This service runs as one process, not 2: leave out --workers (and WEB_CONCURRENCY)."
    " One process uses all cores for queries."
)


def errors(process: Process) -> list[str]:
    """List the errors in its log."""
    return [
        line["message"] for line in process.log_records() if line["level"] in {"error", "critical"}
    ]


@pytest.mark.parametrize("command", ["app.py", "uvicorn"])
def test_second_process_on_the_folder_is_refused(tmp_path: Path, command: str) -> None:
    """A second process on a data folder ends with the owner's pid; the owner goes on."""
    data = tmp_path / "data"
    with Process(data) as owner:
        owner.await_ready()
        port = free_port()
        arguments = () if command == "app.py" else (*UVICORN, str(port))
        settings = {"ANALYTICS_DATA": str(data)}
        with Process(tmp_path / "other", arguments, port=port, settings=settings) as second:
            assert second.wait() == 3
            reason = (
                f"The data folder {data} is in use by process {owner.pid}. One process serves"
                " one folder: stop the other, or set ANALYTICS_DATA to a folder of its own."
            )
            if command == "app.py":
                assert errors(second) == [reason, "Application startup failed. Exiting."]
            else:
                assert f"ERROR:    {reason}" in second.output_lines()
                assert "Traceback" not in second.output()
        assert owner.post("/metrics", {"metric_name": "m", "value": 1}).status_code == 200


def test_second_process_on_the_store_is_refused(tmp_path: Path) -> None:
    """A second process with another data folder and the same store ends; the owner goes on."""
    store = tmp_path / "data" / "store"
    with Process(tmp_path / "data") as owner:
        owner.await_ready()
        with Process(tmp_path / "other", settings={"ANALYTICS_STORE": f"chdb://{store}"}) as second:
            assert second.wait() == 3
            (reason, _) = [line for line in second.output_lines() if '"level":"error"' in line]
            assert f"The store in {store} can't be opened; is another process using it?" in reason
            assert "Traceback" not in second.output()
        assert owner.http.get("/readyz").status_code == 200


async def test_newer_store_is_refused_in_one_line(tmp_path: Path) -> None:
    """A service that is older than its store ends with one line that says so."""
    async with open_store(tmp_path / "data") as store:
        await store.engine.write(Statement("INSERT INTO migrations VALUES (9999, '9999_future')"))
    with Process(tmp_path / "data") as service:
        assert service.wait() == 3
        (reason, _) = errors(service)
        assert reason.startswith("The store was written by a newer version of this service: it has")


def test_several_workers_are_refused(tmp_path: Path) -> None:
    """Two workers end with the reason, and their supervisor ends instead of restarting them."""
    port = free_port()
    command = (*UVICORN, str(port), "--workers", "2")
    with Process(tmp_path / "d", command, port=port) as workers:
        workers.wait()
        assert set(workers.output_lines()) >= {f"ERROR:    {ONE_PROCESS}"}
        assert "Traceback" not in workers.output()
        workers.await_group_end()
    assert is_free(port)


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["uvicorn", "--workers", "2"], {}),
        (["uvicorn", "--workers=2"], {}),
        (["uvicorn"], {"WEB_CONCURRENCY": "2"}),
    ],
)
def test_each_way_to_ask_for_workers_is_refused(
    arguments: list[str], environment: dict[str, str]
) -> None:
    """Uvicorn takes the number of workers in two spellings and from a variable."""
    with pytest.raises(InvalidSettingError, match=re.escape(ONE_PROCESS)):
        app._refuse_workers(arguments, environment)
    app._refuse_workers(["uvicorn", "--workers", "1"], {"WEB_CONCURRENCY": "1"})


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("PORT", "abc", "PORT must be a number from 1 to 65535, not 'abc'"),
        ("PORT", "0", "PORT must be a number from 1 to 65535, not '0'"),
        ("ANALYTICS_ENV", "x", "ANALYTICS_ENV must be development or production, not 'x'"),
        ("ANALYTICS_STORE", "mysql://", "ANALYTICS_STORE must be chdb:// or chdb:///path"),
    ],
)
def test_invalid_setting_is_refused_in_one_line(
    tmp_path: Path, setting: str, value: str, message: str
) -> None:
    """The message names the variable and its values."""
    with Process(tmp_path / "data", settings={setting: value}) as service:
        assert service.wait() == 2
        (line,) = service.log_records()
        assert line["level"] == "critical"
        assert line["message"].startswith(message)


def test_invalid_setting_is_refused_under_uvicorn(tmp_path: Path) -> None:
    """The command of uvicorn ends with the message as the last line."""
    command = (*UVICORN, str(free_port()))
    with Process(tmp_path / "uvicorn", command, settings={"ANALYTICS_ENV": "x"}) as service:
        assert service.wait() == 1
        message = "settings.InvalidSettingError: ANALYTICS_ENV must be development or production"
        assert service.output_lines()[-1].startswith(message)


def test_port_in_use_is_reported(tmp_path: Path) -> None:
    """The second service on a port ends at once, in one line that names port and setting."""
    with Process(tmp_path / "data") as owner:
        owner.await_ready()
        with Process(tmp_path / "other", port=owner.port) as second:
            assert second.wait() == 3
            (line,) = second.log_records()
            assert line["message"] == (
                f"Port {owner.port} is in use on 127.0.0.1 (address already in use);"
                " set PORT or --port, or stop what listens there"
            )


async def write(port: int, writer: int, acknowledged_keys: Counter[str]) -> None:
    """Post on one connection until the service closes it; collect the acknowledged keys."""
    reader, stream = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        for n in range(10_000):
            key = f"{writer}-{n}"
            body = b'{"metric_name":"m","value":1,"tags":{"k":"%s"}}' % key.encode()
            head = b"POST /metrics HTTP/1.1\r\nHost: service\r\nContent-Length: %d\r\n\r\n"
            stream.write(head % len(body) + body)
            answer = (await reader.readuntil(b"\r\n\r\n")).lower()
            assert answer.startswith(b"http/1.1 200 ")
            acknowledged_keys[key] += 1
            await reader.readexactly(int(answer.partition(b"content-length: ")[2].split()[0]))
    stream.close()
    with contextlib.suppress(ConnectionError):
        await stream.wait_closed()


async def test_sigterm_under_load_keeps_what_was_answered(tmp_path: Path) -> None:
    """With 200 requests in flight: every 2xx is stored once, and the exit code is 0."""
    acknowledged_keys: Counter[str] = Counter()
    with Process(tmp_path / "data") as service:
        service.await_ready()
        writers = [
            asyncio.create_task(write(service.port, n, acknowledged_keys)) for n in range(200)
        ]
        await asyncio.sleep(1)
        for _ in range(2):  # a second SIGTERM is harmless
            service.signal(signal.SIGTERM)
            await asyncio.sleep(0.05)
        await asyncio.gather(*writers)
        assert await asyncio.to_thread(service.wait) == 0
        assert service.log_records()[-1]["message"].startswith("Finished server process")
        assert errors(service) == []
    assert len(acknowledged_keys) >= 200
    async with open_store(tmp_path / "data") as store:
        key_counts = Counter(await stored_keys(store))
    assert acknowledged_keys - key_counts == Counter()
    assert set(key_counts.values()) == {1}


def await_end(process: Process) -> None:
    """Wait until a process group has ended; check that its port is free."""
    assert process.wait() == 0
    process.await_group_end()
    assert process.output_lines()[-1] == f"Stopped. Port {process.port} is free."
    assert is_free(process.port)


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_ends_in_order_and_says_so(tmp_path: Path, times: int) -> None:
    """Ctrl+C closes the store and confirms the free port, even when npm passes it on again."""
    with Process(tmp_path / "data", (*INTERRUPTIBLE, *SERVE)) as service:
        service.await_ready()
        assert service.post("/metrics", {"metric_name": "m", "value": 1}).status_code == 200
        for _ in range(times):
            service.signal(signal.SIGINT)
            time.sleep(0.05)
        await_end(service)
        assert '"message":"stopped"' in service.output()
        assert list((tmp_path / "data" / "journal" / "metrics").iterdir()) == []


def test_reload_restarts_on_change_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    """`--reload` serves the changed code on the same data; Ctrl+C ends parent and child."""
    code = tmp_path / "code"
    leave_out = shutil.ignore_patterns(
        ".*", "data", "tests", "bench", "node_modules", "__pycache__"
    )
    shutil.copytree(ROOT, code, ignore=leave_out)
    command = (*INTERRUPTIBLE, *SERVE, "--reload")
    with Process(tmp_path / "data", command, folder=code) as service:
        service.await_ready()
        assert service.post("/metrics", {"metric_name": "m", "value": 1}).status_code == 200
        python = code / "resolvers" / "overview.py"
        python.write_text(python.read_text().replace("analytics-service", "changed-service"))
        deadline = time.monotonic() + 60
        serving = None
        while serving != "changed-service":
            assert time.monotonic() < deadline, service.output()
            time.sleep(0.05)
            with contextlib.suppress(httpx.TransportError):  # the old process has just closed
                serving = service.http.get("/health").json()["service"]
        assert service.http.get("/metrics/m").json()["count"] == 1
        service.signal(signal.SIGINT, group=True)
        await_end(service)


def is_set_up() -> bool:
    """Say whether npm's scripts would start without an installation."""
    stamp, lock = ROOT / ".venv" / ".installed", ROOT / "requirements-dev.lock"
    return stamp.exists() and stamp.stat().st_mtime >= lock.stat().st_mtime


@pytest.mark.skipif(not shutil.which("npm"), reason="npm is not on the PATH")
@pytest.mark.skipif(not is_set_up(), reason="`make setup` has not been run since the locks changed")
@pytest.mark.parametrize("script", [("npm", "run", "dev"), ("npm", "start")])
def test_npm_scripts_end_with_ctrl_c(tmp_path: Path, script: tuple[str, ...]) -> None:
    """The terminal's Ctrl+C, and npm's echo of it, end everything and free the port."""
    with Process(tmp_path / "data", (*INTERRUPTIBLE, *script)) as service:
        service.await_ready()
        service.signal(signal.SIGINT, group=True)
        await_end(service)


def test_logs_are_json_without_personal_data(tmp_path: Path) -> None:
    """Each log line is a JSON object without a name, user, tag or property, on any error."""
    metric = {"metric_name": "hush-m", "value": 1, "tags": {"hush-t": "hush-v"}, "id": "hush-i"}
    event = {"event_name": "hush-e", "user_id": "hush-u", "properties": {"hush-p": "hush-q"}}
    bodies = [metric, event, [metric], [event, {"hush": "hush"}], {"hush": 1}, b'{"hush', "hush"]
    valid_query = (
        "query ($n: String!) { metric(name: $n) { hush } events(after: $n) { nodes { id } } }"
    )
    with Process(tmp_path / "data") as service:
        service.await_ready()
        for path in ("/metrics", "/events", "/metrics/batch", "/events/batch", "/hush", "/graphql"):
            for body in bodies:
                service.post(path, body)
        for query in (valid_query, valid_query.replace("{ hush }", "{ name }"), "{ hush", "hush"):
            body = {"query": query, "variables": {"n": "hush"}, "operationName": None}
            service.post("/graphql", body)
            service.http.get("/graphql", params={"query": query, "variables": '{"n":"hush"}'})
        time.sleep(1.1)  # the log has 20 lines a second about requests
        for path in ("/metrics/hush-m", "/metrics/hush-x", "/events?event_name=hush-e", "/hush"):
            for method in ("GET", "PUT", "DELETE"):
                service.http.request(method, path)
        service.http.get("/metrics/hush-m?hours=hush", headers={"user-agent": "hush"})
        service.http.get("/events?limit=hush")
        service.stop()
        statuses = {
            line["status"] for line in service.log_records() if line["message"] == "request"
        }
        assert statuses >= {400, 404, 405, 422}
        assert "hush" not in service.output().replace(str(tmp_path), "")
        assert all(
            {"time", "level", "logger", "message"} <= line.keys() for line in service.log_records()
        )
