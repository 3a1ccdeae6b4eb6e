"""wrk as the load generator: one thread, prepared bodies, exact counts."""

import json
import shutil
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.bulk_bodies import fill_placeholders
from bench.client import CheckError, Client, post
from bench.data import HOSTS

if TYPE_CHECKING:
    from bench.service import Service

_SCRIPT = Path(__file__).with_name("post.lua")
_TOTALS = "TOTALS "
_PROGRESS = "PROGRESS "

QUIET_SECONDS = 1
"""A paced run sends nothing in its last second, so that every answer is in when it ends."""


@dataclass(frozen=True, slots=True)
class Load:
    """What one run sends: the bodies in turn, on every connection.

    As fast as answers come, or `rate` requests a second on a schedule that all connections share.
    `interleaved` rows in a row belong to as many series and may have the same time.
    """

    path: str
    content_type: str
    bodies: tuple[Path, ...]
    connections: int
    interleaved_rows: int = HOSTS
    rate: float = 0

    def at_rate(self, rate: float) -> "Load":
        """Return the same load at `rate` requests a second."""
        return replace(self, rate=rate)

    def request(self, number: int = 0) -> bytes:
        """Return one of the requests, with ids and times of its own."""
        body = self.bodies[number % len(self.bodies)].read_bytes()
        return post(self.path, fill_placeholders(body), self.content_type)


@dataclass(frozen=True, slots=True)
class Totals:
    """What one run of wrk counted.

    Latencies are wrk's, in milliseconds, "corrected" for coordinated omission: one stall of half a
    second while 64 connections open at the start is counted as thirty, so p99 is an upper bound.
    """

    responses: int
    failures: int
    broken_connections: int
    late_responses: int
    seconds: float
    p50_ms: float
    p99_ms: float
    next_row: int

    @property
    def rate(self) -> float:
        return self.responses / self.seconds


@dataclass(slots=True)
class _Rows:
    """Rows with ids or times sent so far: each run goes on where the last one stopped."""

    sent_rows: int = 0


_ROWS = _Rows()


def find_wrk() -> str:
    """Return the path of wrk, or say how to get it."""
    path = shutil.which("wrk")
    if path is None:
        raise CheckError(
            "wrk is not installed, and the sections 'single', 'bulk' and 'sustained' need it "
            "(Debian, Ubuntu: apt-get install wrk; macOS: brew install wrk)"
        )
    return path


def prepare(
    folder: Path, path: str, content_type: str, bodies: list[bytes], connections: int
) -> Load:
    """Write the bodies where wrk's script reads them."""
    body_folder = Path(tempfile.mkdtemp(prefix="bodies-", dir=folder))
    files = []
    for n, body in enumerate(bodies):
        file = body_folder / f"{n}.body"
        file.write_bytes(body)
        files.append(file)
    return Load(path, content_type, tuple(files), connections)


def check_response(service: "Service", load: Load) -> None:
    """Send one body and fail unless the answer is 200 or 204: wrk itself lets 3xx pass."""
    with Client(service.port) as client:
        status, body = client.send(load.request())
    if status not in {200, 204}:
        text = body[:500].decode(errors="replace")
        raise CheckError(f"POST {load.path} on {service.name} answered {status}: {text}")


class Run:
    """A run of wrk under way."""

    def __init__(
        self, service: "Service", load: Load, seconds: int, progress_interval: float = 0
    ) -> None:
        """Start it; every `progress_interval` seconds it counts the answers 200; 0: never."""
        self._service, self._load, self._seconds = service, load, seconds
        self._output = Path(tempfile.mkdtemp(prefix="wrk-", dir=load.bodies[0].parent)) / "out"
        settings = (
            load.content_type,
            load.rate,
            seconds - QUIET_SECONDS,
            progress_interval,
            time.time_ns() // 1_000_000,
            load.interleaved_rows,
            _ROWS.sent_rows,
        )
        command = [
            find_wrk(),
            "--threads=1",
            f"--connections={load.connections}",
            f"--duration={seconds}s",
            "--timeout=20s",
            f"--script={_SCRIPT}",
            f"http://127.0.0.1:{service.port}{load.path}",
            "--",
            *map(str, settings),
            *map(str, load.bodies),
        ]
        with self._output.open("wb") as output:
            self.start_time = time.monotonic()
            self._process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)

    @property
    def response_count(self) -> int:
        """How many answers were 200, by wrk's last line of progress."""
        progress_lines = [
            line
            for line in self._output.read_text().splitlines(keepends=True)
            if line.startswith(_PROGRESS) and line.endswith("\n")
        ]
        return int(progress_lines[-1].removeprefix(_PROGRESS)) if progress_lines else 0

    def kill(self) -> None:
        """End it at once, if it still runs."""
        self._process.kill()
        self._process.wait()

    def totals(self) -> Totals:
        """Wait for its end; fail unless every request was answered with success."""
        try:
            status = self._process.wait(self._seconds + 60)
        finally:
            self.kill()
        lines = self._output.read_text(errors="replace").splitlines()
        results = [line for line in lines if line.startswith(_TOTALS)]
        if status or not results:
            raise CheckError("\n".join([f"wrk ended with {status}", *lines[-20:]]))
        totals = Totals(**json.loads(results[0].removeprefix(_TOTALS)))
        _ROWS.sent_rows = totals.next_row
        if (
            totals.failures
            or totals.broken_connections
            or totals.late_responses
            or not totals.responses
        ):
            raise CheckError(
                f"POST {self._load.path} on {self._service.name}: {totals.responses} answers in "
                f"{totals.seconds:.1f} s, of them {totals.failures} with status 4xx or 5xx; "
                f"{totals.broken_connections} broken connections, "
                f"{totals.late_responses} answers after 20 s\n"
                f"{self._service.log_tail()}"
            )
        return totals


def run(service: "Service", load: Load, seconds: int) -> Totals:
    """Run wrk for ``seconds``; fail unless every request was answered with success."""
    return Run(service, load, seconds).totals()


def run_with_probe(
    service: "Service", load: Load, seconds: int, probe_rate: float = 0
) -> tuple[Totals, list[float]]:
    """Run wrk, and time the answers to one more connection beside it.

    The milliseconds are what a client sees that is not itself the load: no correction, and the
    first fifth of the run, when wrk opens its connections, is left out. The client sends at most
    ``probe_rate`` requests a second, 0: each as soon as the last one is answered.
    """
    with ThreadPoolExecutor(1) as pool:
        quiet = QUIET_SECONDS if load.rate else 0
        probe = pool.submit(_probe, service, load, seconds - quiet, probe_rate)
        totals = run(service, load, seconds)
        return totals, probe.result()


def _probe(service: "Service", load: Load, seconds: int, rate: float) -> list[float]:
    requests = [load.request(n) for n in range(len(load.bodies))]
    end = time.monotonic() + seconds - 0.1
    time.sleep(seconds / 5)
    due = time.monotonic()
    latencies: list[float] = []
    with Client(service.port) as client:
        while time.monotonic() < end:
            request = requests[len(latencies) % len(requests)]
            began = time.perf_counter()
            client.get_json(request)
            latencies.append((time.perf_counter() - began) * 1000)
            if rate:
                due = max(due + 1 / rate, time.monotonic())
                time.sleep(max(0, due - time.monotonic()))
    return latencies
