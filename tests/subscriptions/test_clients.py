"""The reference clients of both transports, and the links of Apollo and urql, on the service."""

import subprocess
import time
from pathlib import Path

import pytest

from tests.harness import javascript
from tests.harness.process import Process


@pytest.fixture(autouse=True)
def need_clients() -> None:
    """Fail without the clients."""
    assert javascript.are_installed(), "the JavaScript clients are not installed: make clients"


def test_clients(tmp_path: Path) -> None:
    """Each client has a snapshot, and the change after an event; its errors have our codes."""
    with Process(tmp_path / "data") as process:
        process.await_ready()
        service = f"http://127.0.0.1:{process.port}"
        code, output = javascript.run("subscriptions.test.ts", service=service)
        assert code == 0, output


def test_clients_return_after_a_restart(tmp_path: Path) -> None:
    """Clients come back after a restart by themselves, and have the counts as they are then."""
    data = tmp_path / "data"
    log = tmp_path / "clients.log"
    with Process(data) as process:
        process.await_ready()
        process.post("/events", {"event_name": "x"})
        port = process.port
        output = log.open("wb")
        client = subprocess.Popen(
            [javascript.NODE, "reconnect.ts"],
            cwd=javascript.CLIENTS,
            env={"SERVICE": f"http://127.0.0.1:{port}"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        output.close()
        try:
            _await_lines(log, "ws 1", "sse 1", "single 1")
            assert process.stop() == 0
            with Process(data, port=port) as second:
                second.await_ready()
                _await_lines(log, "ws 1\nws 1", "sse 1\nsse 1", "single 1\nsingle 1")
                second.post("/events", {"event_name": "x"})
                assert client.wait(30) == 0, log.read_text()
        finally:
            client.kill()
            client.wait()


def _await_lines(log: Path, *lines: str) -> None:
    """Return when each client has written its lines one after the other."""
    deadline = time.monotonic() + 60
    while not all(line in _by_client(log) for line in lines):
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def _by_client(log: Path) -> str:
    return "\n".join(sorted(log.read_text().splitlines()))
