"""The benchmark of exact sums: the same query with a sum and with a maximum."""

import time

from bench.client import CheckError, Client, post
from bench.graphql_queries import body
from bench.large_dataset import NAMES
from bench.report import Section
from bench.service import SERVICE, run_program
from bench.workspace import Workspace

_TURNS = 15
_WARM_UP = 4
_MONTH = 'range: {last: "30d"}'
_SELECTIONS = {
    "one total, 200,000 points": f"{_MONTH}) {{series {{total {{%s}}}}}}",
    "300 buckets, 200,000 points": f"{_MONTH}) {{series {{columns {{%s}}}}}}",
    "20 hosts, 200,000 points": f'{_MONTH}, groupBy: ["host"]) {{series {{total {{%s}}}}}}',
}


def measure(space: Workspace) -> Section:
    """Measure the cost of exact sums over a maximum, in alternating turns."""
    section = Section("Exact sums, and the maximum", "sum", "max")
    with run_program(SERVICE, space.large_dataset()) as service, Client(service.port) as client:
        for selection, text in _SELECTIONS.items():
            for field in ("sum", "avg", "stddev", "increase"):
                query = f'{{metric(name: "{NAMES[3]}") {{query({text}}}}}'
                sum_times, max_times = _time_queries(client, query % field, query % "max")
                section.compare(f"{field}: {selection}", "ms", sum_times, max_times)
    section.notes.append(f"medians of {_TURNS} alternating turns; complete responses over HTTP")
    return section


def _time_queries(client: Client, *queries: str) -> tuple[list[float], ...]:
    requests = [post("/graphql", body(query).encode()) for query in queries]
    latencies: tuple[list[float], ...] = tuple([] for _ in requests)
    for _ in range(_WARM_UP + _TURNS):
        for request, request_latencies in zip(requests, latencies, strict=True):
            began = time.perf_counter()
            status, response = client.send(request)
            request_latencies.append((time.perf_counter() - began) * 1000)
            if status != 200 or b'"errors"' in response[:20]:
                raise CheckError(f"a read returned {status}: {response[:500]!r}")
    return tuple(request_latencies[_WARM_UP:] for request_latencies in latencies)
