"""Load generators in Python: a few processes with blocking connections, as a back end sends.

The bodies are prepared before the clock starts; each request gets new ids and times. No request is
cut off at the end: each connection waits for its last response.
"""

import json
import select
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any, Final

from bench.client import CheckError
from bench.load import Load, Totals, row_numbers
from bench.report import quantile
from bench.sender_process import Job, JobLoad, Result
from bench.service import ROOT, Service

_MAX_PROCESSES: Final = 4
_ROWS_PER_SECOND: Final = 10_000_000
"""More rows than all connections send in a second."""


@dataclass(frozen=True, slots=True)
class MixedTotals:
    """The acknowledged requests of each load, and the refusals with status 503."""

    responses: list[int]
    refusals: int
    seconds: float
    latencies: list[float]


class Senders:
    """Processes that send some loads; each connection sends them in turn."""

    def __init__(
        self, service: Service, loads: Sequence[Load], seconds: float, *, resends: bool = False
    ) -> None:
        """Start the processes and let them prepare; `start` lets them send.

        All loads have the same number of connections and the same rate.
        """
        self._service = service
        self._seconds = seconds
        self._stack = ExitStack()
        count = min(loads[0].connections, _MAX_PROCESSES)
        job = Job(
            port=service.port,
            loads=[],
            connections=[],
            all_connections=loads[0].connections,
            seconds=seconds,
            rate=loads[0].rate / loads[0].connections,
            first_row=row_numbers().take(round(seconds * _ROWS_PER_SECOND)),
            request_rows=max(load.rows for load in loads),
            base_ms=row_numbers().base_ms,
            resends=resends,
        )
        self._processes: list[subprocess.Popen[str]] = []
        try:
            for n in range(count):
                self._processes.append(self._start(job, loads, n, count))
            for process in self._processes:
                _read_line(process)
        except BaseException:
            self._stack.close()
            raise

    def _start(
        self, job: Job, loads: Sequence[Load], number: int, count: int
    ) -> subprocess.Popen[str]:
        """Start one process with its share of the connections and of the bodies."""
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.sender_process"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._stack.enter_context(process)
        self._stack.callback(process.kill)
        share = {
            **asdict(job),
            "connections": list(range(number, job.all_connections, count)),
            "loads": [asdict(_job_load(load, number, count)) for load in loads],
        }
        assert process.stdin
        process.stdin.write(json.dumps(share) + "\n")
        process.stdin.flush()
        return process

    def start(self) -> None:
        """Let the processes send."""
        self._write_line("start")

    def stop(self) -> None:
        """Let the processes end before their time; requests that were due are still sent."""
        self._write_line("stop")

    def _write_line(self, line: str) -> None:
        for process in self._processes:
            assert process.stdin
            process.stdin.write(f"{line}\n")
            process.stdin.flush()

    def are_running(self) -> bool:
        """Say whether no process has ended or printed its result."""
        outputs = [process.stdout for process in self._processes if process.stdout]
        return not select.select(outputs, [], [], 0)[0]

    def kill(self) -> None:
        """Kill the processes that still run."""
        self._stack.close()

    def totals(self) -> MixedTotals:
        """Wait for the end of the run; fail unless every request succeeded."""
        results: list[Result] = []
        with self._stack:
            for process in self._processes:
                content: Any = json.loads(_read_line(process))
                if isinstance(content, dict):
                    log = self._service.log_tail()
                    raise CheckError(f"{self._service.name}: {content['problem']}\n{log}")
                results += [Result(**result) for result in content]
        if not any(result.latencies for result in results):
            raise CheckError(f"{self._service.name}: no response in {self._seconds} s")
        return MixedTotals(
            [sum(counts) for counts in zip(*(r.responses for r in results), strict=True)],
            sum(result.refusals for result in results),
            max(result.end for result in results) - min(result.began for result in results),
            [latency for result in results for latency in result.latencies],
        )


def run(service: Service, load: Load, seconds: float) -> Totals:
    """Run a load for `seconds`; fail unless every request succeeded."""
    senders = Senders(service, [load], seconds)
    senders.start()
    totals = senders.totals()
    return Totals(
        sum(totals.responses),
        totals.seconds,
        quantile(totals.latencies, 0.5),
        quantile(totals.latencies, 0.99),
    )


def _job_load(load: Load, number: int, count: int) -> JobLoad:
    """Return a load with the share of its bodies for one of `count` processes."""
    bodies = load.bodies[number::count] or load.bodies
    outcome = list(load.outcome) if load.outcome else None
    return JobLoad(
        load.path, load.content_type, list(map(str, bodies)), load.interleaved_rows, outcome
    )


def _read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    line = process.stdout.readline()
    if not line:
        raise CheckError("a process of senders ended early")
    return line
