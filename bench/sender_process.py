"""One process of senders in Python, as the back end of a user sends.

`python_senders.py` starts it. The process reads its job as a line of JSON, prepares the requests,
prints a line when it is ready, and sends after the next line. At the end of its time, or after one
more line, or when its input ends, it prints its result as JSON.
"""

import itertools
import json
import select
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.client import CheckError, Client, post
from bench.outcomes import Outcome, read_outcome
from bench.placeholders import RequestTemplate

STRETCH: Final = 50
"""Requests that a connection sends of one load before it goes on to the next."""

_RETRY_SECONDS: Final = 1.0
_MAX_RETRIES: Final = 60
_MAX_OVERDUE_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class JobLoad:
    """A load, with the files of the bodies of this process."""

    path: str
    content_type: str
    bodies: list[str]
    interleaved_rows: int
    outcome: list[int] | None

    def templates(self, base_ms: int) -> list[RequestTemplate]:
        return [
            RequestTemplate(
                post(self.path, Path(file).read_bytes(), self.content_type),
                base_ms,
                self.interleaved_rows,
            )
            for file in self.bodies
        ]


@dataclass(frozen=True, slots=True)
class Job:
    """The work of one process: its connections are some of all connections of the run.

    `rate` is in requests per second and connection; 0: no pauses. `request_rows` numbers are
    reserved for each request. With `resends`, requests that get a 503 are sent again.
    """

    port: int
    loads: list[JobLoad]
    connections: list[int]
    all_connections: int
    seconds: float
    rate: float
    first_row: int
    request_rows: int
    base_ms: int
    resends: bool


@dataclass(slots=True)
class Result:
    """The acknowledged requests of each load, the latencies in ms, and the time of the run.

    With a rate, a latency counts from the time when the request was due.
    """

    responses: list[int]
    latencies: list[float] = field(default_factory=list)
    refusals: int = 0
    began: float = 0.0
    end: float = 0.0


def main() -> int:
    """Run one job; a connection that fails ends the others."""
    content: dict[str, Any] = json.loads(sys.stdin.readline())
    job = Job(**{**content, "loads": [JobLoad(**load) for load in content["loads"]]})
    templates = [load.templates(job.base_ms) for load in job.loads]
    with ExitStack() as stack, ThreadPoolExecutor(len(job.connections)) as pool:
        clients = [stack.enter_context(Client(job.port)) for _ in job.connections]
        print("ready", flush=True)
        sys.stdin.readline()
        deadline = _Deadline(time.monotonic() + job.seconds)
        results = [
            pool.submit(_Connection(job, templates, deadline, client, number).run)
            for client, number in zip(clients, job.connections, strict=True)
        ]
        while not all(result.done() for result in results):
            if select.select([sys.stdin], [], [], _POLL_SECONDS)[0]:
                deadline.end = min(deadline.end, time.monotonic())
                break
        try:
            print(json.dumps([asdict(result.result()) for result in results]))
        except (CheckError, OSError) as problem:
            print(json.dumps({"problem": str(problem)}))
    return 0


@dataclass(slots=True)
class _Deadline:
    """The time after which no request is due."""

    end: float

    def is_over(self, due: float) -> bool:
        """Say whether a request is due too late, or is a long time overdue."""
        return due >= self.end or time.monotonic() >= self.end + _MAX_OVERDUE_SECONDS


@dataclass(frozen=True, slots=True)
class _Connection:
    """A connection that sends the loads in turn, a request after a response."""

    job: Job
    templates: list[list[RequestTemplate]]
    deadline: _Deadline
    client: Client
    number: int

    def run(self) -> Result:
        """Send until the end of the time; a failure ends all connections of the process."""
        try:
            return self._send_all()
        except BaseException:
            self.deadline.end = 0
            raise

    def _send_all(self) -> Result:
        """Send until the end of the time; fail unless each outcome is as promised."""
        job = self.job
        result = Result([0] * len(job.loads), began=time.monotonic())
        expected: dict[int, bytes] = {}
        for due, number in zip(self._due_times(result.began), itertools.count(), strict=False):
            if self.deadline.is_over(due if job.rate else time.monotonic()):
                break
            index = (self.number + number // STRETCH) % len(job.loads)
            templates = self.templates[index]
            first_row = job.first_row + job.request_rows * (
                number * job.all_connections + self.number
            )
            request = templates[number % len(templates)].fill(first_row)
            time.sleep(max(0, due - time.monotonic()))
            began = due if job.rate else time.monotonic()
            response = self._send(request, job.loads[index], result)
            result.latencies.append(round((time.monotonic() - began) * 1000, 3))
            if response != expected.get(index):
                _check_outcome(response, job.loads[index])
                expected[index] = response
            result.responses[index] += 1
        result.end = time.monotonic()
        return result

    def _due_times(self, start: float) -> Iterator[float]:
        """Yield the time when each request is due: the connections of a run alternate."""
        if not self.job.rate:
            return itertools.repeat(start)
        offset = self.number / self.job.all_connections
        return (start + (n + offset) / self.job.rate for n in itertools.count())

    def _send(self, request: bytes, load: JobLoad, result: Result) -> bytes:
        for _ in range(_MAX_RETRIES):
            status, body = self.client.send(request)
            if status in {200, 204}:
                return body
            if status != 503 or not self.job.resends:
                break
            result.refusals += 1
            time.sleep(_RETRY_SECONDS)
        text = body[:500].decode(errors="replace")
        raise CheckError(f"POST {load.path} returned {status}: {text}")


def _check_outcome(response: bytes, load: JobLoad) -> None:
    if load.outcome is not None and (outcome := read_outcome(response)) != Outcome(*load.outcome):
        raise CheckError(f"POST {load.path}: {outcome}, not {Outcome(*load.outcome)}")


if __name__ == "__main__":
    sys.exit(main())
