"""wrk as the load generator: one thread, prepared bodies, exact counts."""

import json
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.client import CheckFailed, Client, post

if TYPE_CHECKING:
    from bench.service import Service

_SCRIPT = Path(__file__).with_name("post.lua")
_MARK = "TOTALS "


@dataclass(frozen=True, slots=True)
class Load:
    """What one run sends: the bodies in turn, as fast as answers come, on every connection."""

    path: str
    content_type: str
    bodies: tuple[Path, ...]
    connections: int


@dataclass(frozen=True, slots=True)
class Totals:
    """What one run of wrk counted.

    Latencies are wrk's, in milliseconds, "corrected" for coordinated omission: one stall of half a
    second while 64 connections open at the start is counted as thirty, so p99 is an upper bound.
    """

    answered: int
    refused: int
    broken: int
    late: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def rate(self) -> float:
        return self.answered / self.seconds


def find_wrk() -> str:
    """Return the path of wrk, or say how to get it."""
    found = shutil.which("wrk")
    if found is None:
        raise CheckFailed(
            "wrk is not installed, and the sections 'single' and 'bulk' need it "
            "(Debian, Ubuntu: apt-get install wrk; macOS: brew install wrk)"
        )
    return found


def prepare(
    folder: Path, path: str, content_type: str, bodies: list[bytes], connections: int
) -> Load:
    """Write the bodies where wrk's script reads them."""
    stem = f"{path.strip('/').replace('/', '-')}-{len(bodies[0])}"
    files = []
    for n, body in enumerate(bodies):
        file = folder / f"{stem}-{n}.body"
        file.write_bytes(body)
        files.append(file)
    return Load(path, content_type, tuple(files), connections)


def try_once(service: "Service", load: Load) -> None:
    """Send one body and fail unless the answer is 200: wrk itself lets 3xx pass."""
    with Client(service.port) as client:
        client.ask(post(load.path, load.bodies[0].read_bytes(), load.content_type))


def run(service: "Service", load: Load, seconds: int) -> Totals:
    """Run wrk for ``seconds``; fail unless every request was answered with success."""
    command = [
        find_wrk(),
        "--threads=1",
        f"--connections={load.connections}",
        f"--duration={seconds}s",
        "--timeout=20s",
        f"--script={_SCRIPT}",
        f"http://127.0.0.1:{service.port}{load.path}",
        "--",
        load.content_type,
        *map(str, load.bodies),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=seconds + 60, check=False
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith(_MARK)]
    if done.returncode or not lines:
        raise CheckFailed(f"wrk ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    totals = Totals(**json.loads(lines[0].removeprefix(_MARK)))
    if totals.refused or totals.broken or totals.late or not totals.answered:
        raise CheckFailed(
            f"POST {load.path} on {service.name}: {totals.answered} answers in "
            f"{totals.seconds:.1f} s, of them {totals.refused} with status 4xx or 5xx; "
            f"{totals.broken} broken connections, {totals.late} answers after 20 s\n"
            f"{service.log_tail()}"
        )
    return totals


def run_probed(service: "Service", load: Load, seconds: int) -> tuple[Totals, list[float]]:
    """Run wrk, and time the answers to one more connection beside it.

    The milliseconds are what a client sees that is not itself the load: no correction, and the
    first fifth of the run, when wrk opens its connections, is left out.
    """
    with ThreadPoolExecutor(1) as pool:
        probe = pool.submit(_probe, service, load, seconds)
        totals = run(service, load, seconds)
        return totals, probe.result()


def _probe(service: "Service", load: Load, seconds: int) -> list[float]:
    requests = [post(load.path, file.read_bytes(), load.content_type) for file in load.bodies]
    end = time.monotonic() + seconds - 0.1
    time.sleep(seconds / 5)
    latencies: list[float] = []
    with Client(service.port) as client:
        while time.monotonic() < end:
            request = requests[len(latencies) % len(requests)]
            started = time.perf_counter()
            client.ask(request)
            latencies.append((time.perf_counter() - started) * 1000)
    return latencies
