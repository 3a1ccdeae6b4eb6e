"""Readers that do not read, sockets that are idle, and the stop of the service."""

import resource
import time
from pathlib import Path

from tests.harness.process import Process
from tests.harness.sockets import OVERVIEW, TREND, Close, SocketClient

LARGE = "{__schema {types {name description fields {name description args {name description}}}}}"
"""A query with an answer of about 200 KB."""

FAST_READERS = {"ANALYTICS_LIMITS": "readerSeconds=2"}
FAST_PINGS = {"ANALYTICS_LIMITS": "pingSeconds=2"}


def flood(client: SocketClient) -> None:
    """Ask for more than the kernel holds, and read nothing."""
    for number in range(8):
        client.subscribe(str(number), LARGE)


def test_a_reader_that_stops(tmp_path: Path) -> None:
    """A client that does not read is told so, closed with 1013, and cut off; others go on."""
    with Process(tmp_path / "data", settings=FAST_READERS) as process:
        process.await_ready()
        with (
            SocketClient(process.port, receive_bytes=4096) as late_reader,
            SocketClient(process.port, receive_bytes=4096) as silent,
            SocketClient(process.port) as bystander,
        ):
            for client in (late_reader, silent):
                client.begin()
                client.subscribe("live", TREND, name="x")
                assert client.receive()["id"] == "live"
                flood(client)
            bystander.begin()
            for client in (late_reader, silent):
                assert client.receive()["type"] == "next"  # results flow
            time.sleep(3.5)  # late after 2 s, cut off 3 s later
            *messages, close = late_reader.receive_all()
            assert close == Close(1013, "The client reads too slowly.")
            (error,) = [message for message in messages if message["id"] == "live"][-1:]
            assert error["payload"][0]["extensions"]["code"] == "UNAVAILABLE"
            time.sleep(3)
            assert silent.receive_all()[-1] == Close(1006)
            bystander.send({"type": "ping"})
            assert bystander.receive() == {"type": "pong"}


def test_a_client_that_is_gone(tmp_path: Path) -> None:
    """A silent client is pinged, and cut off if it does not answer."""
    with Process(tmp_path / "data", settings=FAST_PINGS) as process:
        process.await_ready()
        with SocketClient(process.port) as client:
            client.begin()
            assert client._receive_frame() == (9, b"")
            assert client.receive() == Close(1006)


def test_the_stop_of_the_service(tmp_path: Path) -> None:
    """Sockets are closed with 1012 at the stop of the service, which clients take for a restart."""
    with Process(tmp_path / "data") as process:
        process.await_ready()
        with SocketClient(process.port) as client:
            client.begin()
            client.subscribe("s", OVERVIEW)
            client.receive()
            assert process.stop() == 0
            assert client.receive_all()[-1].code == 1012
        assert "graceful shutdown exceeded" not in process.output()


def memory_kb(process: Process) -> int:
    """Return the resident memory of a process."""
    text = Path(f"/proc/{process.pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0])


def test_memory_of_idle_sockets(tmp_path: Path) -> None:
    """1,000 sockets with a subscription each take little memory, and all are served."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    clients: list[SocketClient] = []
    try:
        with Process(tmp_path / "data") as process:
            process.await_ready()
            before_kb = memory_kb(process)
            for _ in range(1000):
                client = SocketClient(process.port)
                clients.append(client)
                client.begin()
            sockets_kb = memory_kb(process) - before_kb
            for client in clients:
                client.subscribe("s", OVERVIEW)
            assert {client.receive()["type"] for client in clients} == {"next"}
            all_kb = memory_kb(process) - before_kb
            process.post("/events", {"event_name": "x"})
            results = [client.receive()["payload"]["data"] for client in clients]
            assert {result["overviewChanged"]["eventCount"] for result in results} == {1}
            print(f"{sockets_kb / 1000} kB a socket, {all_kb / 1000} kB with an operation")  # noqa: T201
            assert all_kb < 1000 * 100
    finally:
        for client in clients:
            client._socket.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
