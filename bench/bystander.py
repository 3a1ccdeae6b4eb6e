"""The benchmark of fairness: a short query alone, and beside clients with heavy queries."""

import itertools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.client import Client, post
from bench.report import Section, quantile
from bench.service import SERVICE, run_program
from bench.workspace import Workspace

_HEAVY_CLIENTS = 4
_HEAVY = """{eventTrend(range: {last: "P30D"}, groupBy: [{property: "path"}], limit: %d) {series {
    label total {uniqueUsers unique(property: "amount") quantile(property: "amount", q: 0.95)}}}}"""
_SHORT = """{metric(name: "m07") {query(range: {last: "P30D"}) {
    series {total {count sum avg min max}}}}}"""
_QUERIES = 100
_WARM_UP = 20
_PAUSE_SECONDS = 0.01
_TIMEOUT_SECONDS = 60.0


def measure(space: Workspace) -> Section:
    """Measure the short query on one connection; rounds alone and beside others take turns."""
    section = Section(
        f"A short query beside {_HEAVY_CLIENTS} clients with heavy ones", "beside", "alone"
    )
    latencies: tuple[list[float], list[float]] = ([], [])
    answers: list[int] = []
    with run_program(SERVICE, space.large_dataset()) as service:
        _short_latencies(service.port, _WARM_UP)
        for _ in range(space.rounds):
            latencies[1].extend(_short_latencies(service.port, _QUERIES))
            with _heavy_clients(service.port, answers):
                time.sleep(1)
                latencies[0].extend(_short_latencies(service.port, _QUERIES))
    for name, share in (("p50", 0.5), ("p95", 0.95), ("max", 1.0)):
        section.add(name, "ms", *(quantile(sample, share) for sample in latencies))
    counts = ", ".join(f"{answers.count(status)} x {status}" for status in sorted(set(answers)))
    section.notes.append(f"answers to heavy queries: {counts}")
    return section


def _short_latencies(port: int, count: int) -> list[float]:
    body = json.dumps({"query": _SHORT}).encode()
    latencies = []
    with Client(port, _TIMEOUT_SECONDS) as client:
        for _ in range(count):
            began = time.perf_counter()
            client.get_json(post("/graphql", body))
            latencies.append((time.perf_counter() - began) * 1000)
            time.sleep(_PAUSE_SECONDS)
    return latencies


@contextmanager
def _heavy_clients(port: int, answers: list[int]) -> Iterator[None]:
    """Let clients send heavy queries one after another during a block."""
    is_over = threading.Event()
    limits = itertools.count(100)  # equal queries would be executed once

    def send() -> None:
        with Client(port, _TIMEOUT_SECONDS) as client:
            while not is_over.is_set():
                body = json.dumps({"query": _HEAVY % next(limits)}).encode()
                answers.append(client.send(post("/graphql", body))[0])

    threads = [threading.Thread(target=send) for _ in range(_HEAVY_CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
