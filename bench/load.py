"""Loads, and the load generator wrk: one thread, prepared bodies and exact counts."""

import functools
import json
import shutil
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.client import CheckError, Client, post
from bench.data import HOSTS
from bench.outcomes import Outcome, read_outcome
from bench.placeholders import RequestTemplate, RowNumbers

if TYPE_CHECKING:
    from bench.service import Service

_SCRIPT = Path(__file__).with_name("post.lua")
_TOTALS = "TOTALS "
_PROGRESS = "PROGRESS "
_TIMEOUT_SECONDS = 60
_PROBLEMS = ("failures", "broken_connections", "late_responses")

QUIET_SECONDS = 1
"""Seconds without requests at the end of a paced run, so that every response arrives."""


@dataclass(frozen=True, slots=True)
class Load:
    """The requests of one run: the bodies in turn, on every connection.

    With `rate` 0, each connection sends its next request as soon as a response arrives. Otherwise
    all connections share a schedule of `rate` requests per second. `interleaved_rows` consecutive
    rows belong to different series and may have the same time. `outcome` has the counts that the
    response to a batch must have. `key` is an API key; without one no header is sent.
    """

    path: str
    content_type: str
    bodies: tuple[Path, ...]
    connections: int
    interleaved_rows: int = HOSTS
    rate: float = 0
    rows: int = 1
    outcome: Outcome | None = None
    key: str = ""

    def at_rate(self, rate: float) -> "Load":
        """Return this load at `rate` requests per second."""
        return replace(self, rate=rate)

    def request(self, number: int = 0) -> bytes:
        """Return the request of one body, with new ids and times."""
        body = self.bodies[number % len(self.bodies)].read_bytes()
        template = RequestTemplate(
            post(self.path, body, self.content_type, self.key),
            row_numbers().base_ms,
            self.interleaved_rows,
        )
        return template.fill(row_numbers().take(self.rows))


@dataclass(frozen=True, slots=True)
class Totals:
    """The count and the latencies of one run, in which every request succeeded.

    wrk corrects the latencies, in milliseconds, for coordinated omission. It counts one stall of
    half a second, while 64 connections open at the start, as thirty. p99 is thus an upper bound.
    """

    responses: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def rate(self) -> float:
        return self.responses / self.seconds


@functools.cache
def row_numbers() -> RowNumbers:
    """Return the numbers of the rows that have ids or times; each load continues from them."""
    return RowNumbers()


def find_wrk() -> str:
    """Return the path of wrk, or fail with the command that installs it."""
    path = shutil.which("wrk")
    if path is None:
        raise CheckError(
            "the sections 'single', 'bulk' and 'sustained' need wrk, which is not installed "
            "(Debian, Ubuntu: apt-get install wrk; macOS: brew install wrk)"
        )
    return path


def prepare(
    folder: Path, path: str, content_type: str, bodies: list[bytes], connections: int
) -> Load:
    """Write the bodies into files for the script of wrk, and return the load."""
    body_folder = Path(tempfile.mkdtemp(prefix="bodies-", dir=folder))
    files = []
    for n, body in enumerate(bodies):
        file = body_folder / f"{n}.body"
        file.write_bytes(body)
        files.append(file)
    return Load(path, content_type, tuple(files), connections)


def check_response(service: "Service", load: Load) -> int:
    """Send one request; return the size of the body.

    Fail unless the status is 200 or 204, and the outcome as promised.

    wrk counts a status 3xx as a success, and it does not read the outcome.
    """
    with Client(service.port) as client:
        status, body = client.send(load.request())
    if status not in {200, 204}:
        text = body[:500].decode(errors="replace")
        raise CheckError(f"POST {load.path} on {service.name} returned {status}: {text}")
    if load.outcome and (outcome := read_outcome(body)) != load.outcome:
        raise CheckError(f"POST {load.path}: {outcome}, not {load.outcome}")
    return len(body)


class Run:
    """A process of wrk that runs a load."""

    def __init__(
        self, service: "Service", load: Load, seconds: int, progress_interval: float = 0
    ) -> None:
        """Start wrk.

        Every ``progress_interval`` seconds wrk prints its number of responses 200; 0: never.
        """
        self._service, self._load, self._seconds = service, load, seconds
        self._output = Path(tempfile.mkdtemp(prefix="wrk-", dir=load.bodies[0].parent)) / "out"
        settings = (
            load.content_type,
            load.rate,
            seconds - QUIET_SECONDS,
            progress_interval,
            row_numbers().base_ms,
            load.interleaved_rows,
            row_numbers().take(0),
            load.key,
        )
        command = [
            find_wrk(),
            "--threads=1",
            f"--connections={load.connections}",
            f"--duration={seconds}s",
            f"--timeout={_TIMEOUT_SECONDS}s",
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
        """The number of responses with status 200, in the last progress line of wrk."""
        progress_lines = [
            line
            for line in self._output.read_text().splitlines(keepends=True)
            if line.startswith(_PROGRESS) and line.endswith("\n")
        ]
        return int(progress_lines[-1].removeprefix(_PROGRESS)) if progress_lines else 0

    def kill(self) -> None:
        """Kill the process if it still runs."""
        self._process.kill()
        self._process.wait()

    def totals(self) -> Totals:
        """Wait for the end of the run; fail unless every request succeeded."""
        try:
            status = self._process.wait(self._seconds + 60)
        finally:
            self.kill()
        lines = self._output.read_text(errors="replace").splitlines()
        results = [line for line in lines if line.startswith(_TOTALS)]
        if status or not results:
            raise CheckError("\n".join([f"wrk ended with {status}", *lines[-20:]]))
        counts: dict[str, int | float] = json.loads(results[0].removeprefix(_TOTALS))
        row_numbers().next_row = int(counts["next_row"])
        if any(counts[problem] for problem in _PROBLEMS) or not counts["responses"]:
            raise CheckError(
                f"POST {self._load.path} on {self._service.name}: {counts['responses']} responses "
                f"in {counts['seconds']:.1f} s, {counts['failures']} with status 4xx or 5xx; "
                f"{counts['broken_connections']} broken connections, "
                f"{counts['late_responses']} responses after {_TIMEOUT_SECONDS} s\n"
                f"{self._service.log_tail()}"
            )
        return Totals(
            int(counts["responses"]), counts["seconds"], counts["p50_ms"], counts["p99_ms"]
        )


def run(service: "Service", load: Load, seconds: int) -> Totals:
    """Run a load for ``seconds``; fail unless every request succeeded."""
    return Run(service, load, seconds).totals()


def run_with_probe(
    service: "Service", load: Load, seconds: int, probe_rate: float = 0
) -> tuple[Totals, list[float]]:
    """Run a load, and measure the latencies of one more connection meanwhile.

    The latencies, in milliseconds, are uncorrected. The first fifth of the run, when wrk opens
    its connections, is not measured. The extra connection sends at most ``probe_rate`` requests
    per second. With ``probe_rate`` 0 it sends each request after the previous response.
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
