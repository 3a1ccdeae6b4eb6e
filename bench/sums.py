"""Exact sums by themselves: the same question about a sum and about the largest value."""

import time

from bench.client import CheckFailed, Client, post
from bench.large import NAMES
from bench.questions import body
from bench.report import Section
from bench.service import SERVICE, run_program
from bench.workspace import Workspace

_TURNS = 15
_WARM_UP = 4
_MONTH = 'range: {last: "30d"}'
_WAYS = {
    "one total, 200,000 points": f"{_MONTH}) {{series {{total {{%s}}}}}}",
    "300 buckets, 200,000 points": f"{_MONTH}) {{series {{columns {{%s}}}}}}",
    "20 hosts, 200,000 points": f'{_MONTH}, groupBy: ["host"]) {{series {{total {{%s}}}}}}',
}


def measure(space: Workspace) -> Section:
    """Measure what a sum costs more than a maximum, in turns."""
    section = Section("Exact sums, and the largest value", "sum", "max")
    with run_program(SERVICE, space.large()) as service, Client(service.port) as client:
        for way, text in _WAYS.items():
            for field in ("sum", "avg", "stddev", "increase"):
                query = f'{{metric(name: "{NAMES[3]}") {{query({text}}}}}'
                exact, plain = _in_turns(client, query % field, query % "max")
                section.compare(f"{field}: {way}", "ms", exact, plain)
    section.notes.append(f"medians of {_TURNS} in turns, whole answers over HTTP")
    return section


def _in_turns(client: Client, *queries: str) -> tuple[list[float], ...]:
    requests = [post("/graphql", body(query).encode()) for query in queries]
    latencies: tuple[list[float], ...] = tuple([] for _ in requests)
    for _ in range(_WARM_UP + _TURNS):
        for request, request_latencies in zip(requests, latencies, strict=True):
            began = time.perf_counter()
            status, answer = client.send(request)
            request_latencies.append((time.perf_counter() - began) * 1000)
            if status != 200 or b'"errors"' in answer[:20]:
                raise CheckFailed(f"a read answered {status}: {answer[:500]!r}")
    return tuple(request_latencies[_WARM_UP:] for request_latencies in latencies)
