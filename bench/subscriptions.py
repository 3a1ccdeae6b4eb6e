"""The benchmark of subscriptions: viewers of live charts while rows come in."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.client import CheckError
from bench.report import Section, quantile
from bench.service import ROOT, SERVICE, Service, run_program
from bench.workspace import Workspace

_PROCESSES: Final = 2
"""Processes of viewers. More of them take CPU from the service on a small machine."""

_WARMUP_SECONDS: Final = 8
_SECONDS: Final = 10
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Case:
    """Sockets with operations each, over distinct charts at a throttle, beside rows a second."""

    sockets: int
    operations: int
    charts: int
    throttle: str
    rate: int

    @property
    def title(self) -> str:
        """Heading of the table."""
        return (
            f"Subscriptions: {self.sockets:,} x {self.operations} of {self.charts} charts,"
            f" {self.throttle}, {self.rate:,} rows/s"
        )


CASES: Final = (
    Case(1, 1, 1, "PT1S", 100_000),
    Case(1_000, 1, 1, "PT1S", 100_000),
    Case(1_000, 20, 400, "PT1S", 100_000),
    Case(1_000, 20, 400, "PT0.1S", 100_000),
    Case(5_000, 4, 400, "PT1S", 100_000),
)


def measure(space: Workspace) -> Iterator[Section]:
    """Measure messages, delays of rows, and the rate of rows with viewers and without."""
    for number, case in enumerate(CASES):
        yield _measure_case(space, case, f"subscriptions{number}")


def _measure_case(space: Workspace, case: Case, name: str) -> Section:
    section = Section(case.title, "with viewers", "without")
    with run_program(SERVICE, space.new_folder(name)) as service:
        quiet_rows = _result(_start(service, case, "send", seconds=_WARMUP_SECONDS))
        quiet_rate = quiet_rows["rows"] / quiet_rows["seconds"]
        sender = _start(service, case, "send", seconds=_WARMUP_SECONDS + _SECONDS)
        viewers = [
            _start(service, case, "view", sockets=count, seconds=_SECONDS)
            for count in _shares(case.sockets)
        ]
        before = _cpu_seconds(service)
        results = [_result(viewer) for viewer in viewers]
        cpu_seconds = _cpu_seconds(service) - before
        memory = service.resident_mib()
        rows = _result(sender)
    delays = sorted(delay for result in results for delay in result["delays"])
    seconds = results[0]["seconds"]
    messages = sum(result["messages"] for result in results) / seconds
    section.add("messages", "1/s", messages)
    section.add("bytes", "MB/s", sum(result["bytes"] for result in results) / seconds / 1e6)
    for share in (0.5, 0.95):
        delay = quantile(delays, share) if delays else None
        section.add(f"from sending a row to its message, p{share * 100:.0f}", "ms", delay)
    section.add("rows acknowledged", "1/s", rows["rows"] / rows["seconds"], quiet_rate)
    section.add("CPU of the service, all in", "cores", cpu_seconds / (_WARMUP_SECONDS + seconds))
    section.add("memory", "MiB", memory)
    return section


def _shares(sockets: int) -> list[int]:
    """Divide sockets among processes."""
    if sockets < _PROCESSES:
        return [sockets]
    return [sockets // _PROCESSES] * _PROCESSES


def _start(service: Service, case: Case, kind: str, **members: int) -> subprocess.Popen[bytes]:
    job = {
        "kind": kind,
        "port": service.port,
        "operations": case.operations,
        "charts": case.charts,
        "throttle": case.throttle,
        "rate": case.rate,
        "warmup": _WARMUP_SECONDS,
        **members,
    }
    command = [sys.executable, "-m", "bench.subscription_client", json.dumps(job)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)


def _result(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    try:
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    if process.returncode:
        raise CheckError(f"a client of the benchmark ended with {process.returncode}")
    result: dict[str, Any] = json.loads(output)
    return result


def _cpu_seconds(service: Service) -> float:
    """Return the CPU time of the service until now (Linux only)."""
    fields = Path(f"/proc/{service.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
