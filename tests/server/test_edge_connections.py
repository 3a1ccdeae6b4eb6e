"""Too many connections: in total, of one address, and what is left for the others."""

import contextlib
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from api.edge.limits import EdgeLimits
from tests.harness.edge import (
    FEW_FILES,
    SHORT_CLOCKS,
    connect,
    exchange,
    head,
    read_all,
    status_of,
)
from tests.harness.process import SERVE, Process

pytestmark = pytest.mark.slow

FILES: Final = 1024
CAPACITY: Final = FILES - EdgeLimits().spare_files
LIVEZ: Final = head("GET /livez")


@pytest.fixture
def many_files() -> Iterator[None]:
    """Let the test open as many files as it may."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("many_files")
def test_silent_connections_shut_nobody_out(tmp_path: Path) -> None:
    """With 1,024 files and 1,100 silent connections, other clients go on, and rows are stored.

    New connections get a 503 until the clock has ended the silent ones.
    """
    command = (*FEW_FILES, *SHORT_CLOCKS)
    with Process(tmp_path / "data", command) as service, contextlib.ExitStack() as silent:
        service.await_ready()
        connections = [silent.enter_context(connect(service.port)) for _ in range(1100)]
        refusals = [status_of(exchange(service.port, LIVEZ)) for _ in range(3)]
        assert set(refusals) <= {503, 0}
        answers = [service.http.get("/livez") for _ in range(20)]
        answers += [service.post("/metrics", {"metric_name": "m", "value": 1}) for _ in range(20)]
        answers.append(service.http.get("/metrics/m"))
        assert {answer.status_code for answer in answers} == {200}
        statuses = [status_of(read_all(connection)) for connection in connections]
        assert statuses.count(408) >= CAPACITY - 10
        assert set(statuses) <= {408, 503}
        assert status_of(exchange(service.port, head("GET /livez", "Connection: close"))) == 200


def test_the_file_limit_is_raised(tmp_path: Path) -> None:
    """A low soft limit of files bounds no connections: the service raises it before it counts.

    The engine raises the limit, too, but later.
    """
    command = ("sh", "-c", 'ulimit -Sn 256; exec "$0" "$@"', *SERVE)
    with Process(tmp_path / "data", command) as service:
        service.await_ready()
        soft, hard = resource.prlimit(service.pid, resource.RLIMIT_NOFILE)
        assert soft == hard > 256
        with contextlib.ExitStack() as stack:
            for _ in range(300):
                connection = stack.enter_context(connect(service.port))
                connection.sendall(LIVEZ)
                assert status_of(connection.recv(65536)) == 200


def own_address() -> str:
    """Return the address of this machine that others see; "" if it has none. Sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("203.0.113.1", 9))
        except OSError:
            return ""
        address: str = probe.getsockname()[0]
        return "" if address.startswith("127.") else address


@pytest.mark.skipif(not own_address(), reason="needs an address besides the loopback")
def test_connections_of_one_address(tmp_path: Path) -> None:
    """An address has the connections of the setting, and gets a freed one back; ours has any."""
    settings = {"HOST": "0.0.0.0", "ANALYTICS_CONNECTIONS_PER_ADDRESS": "3"}  # noqa: S104 - the test's machine
    request = head("GET /livez", "Connection: close")
    with Process(tmp_path / "data", settings=settings) as service, contextlib.ExitStack() as stack:
        service.await_ready()
        address = own_address()
        connections = [stack.enter_context(connect(service.port, address)) for _ in range(3)]
        second_try = stack.enter_context(connect(service.port, address))
        answer = read_all(second_try)
        assert status_of(answer) == 503
        assert b"Your address has too many connections (limit 3)." in answer
        assert b"\r\nretry-after: 1\r\n" in answer.lower()
        for _ in range(5):
            connection = stack.enter_context(connect(service.port))
            connection.sendall(LIVEZ)
            assert status_of(connection.recv(65536)) == 200
        connections[0].close()
        deadline = time.monotonic() + 5
        status = 503
        while status != 200:
            assert time.monotonic() < deadline
            with connect(service.port, address) as connection:
                with contextlib.suppress(ConnectionError):
                    connection.sendall(request)
                status = status_of(read_all(connection))
