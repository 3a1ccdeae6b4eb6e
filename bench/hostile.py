"""The benchmark of hostile requests: each one's answer, and the longest pause beside it."""

import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.client import Client, get
from bench.hostile_inputs import hostile_inputs
from bench.report import Table
from bench.service import SERVICE, run_program
from bench.workspace import Workspace

_PROBE_PAUSE_SECONDS = 0.002
_SETTLE_SECONDS = 0.3
_TIMEOUT_SECONDS = 300.0


def measure(space: Workspace) -> Iterator[Table]:
    """Send each hostile request of GraphQL once, and probe `/livez` on another connection."""
    table = Table(
        "Hostile requests of GraphQL",
        ("request", "wire bytes", "status", "bytes back", "ms", "longest pause, ms"),
    )
    with run_program(SERVICE, space.new_folder("hostile")) as service:
        all_waits: list[float] = []
        for hostile_input in hostile_inputs():
            body = hostile_input.wire_body()
            with probe(service.port) as waits:
                status, answer, ms = send(service.port, body)
                time.sleep(_SETTLE_SECONDS)
            all_waits += waits
            figures = (len(body), status, len(answer), ms, max(waits))
            table.rows.append((hostile_input.name, *(f"{figure:,.0f}" for figure in figures)))
            table.figures.append(
                dict(zip(table.headings, (hostile_input.name, *figures), strict=True))
            )
        percentile = statistics.quantiles(all_waits, n=100)[98]
        table.notes.append(
            f"/livez: {len(all_waits):,} probes, p99 {percentile:.1f} ms, max"
            f" {max(all_waits):.0f} ms; memory {service.resident_mib():,.0f} MiB RSS"
        )
    yield table


def send(port: int, body: bytes) -> tuple[int, bytes, float]:
    """Send a body compressed by gzip to GraphQL; return status, answer and milliseconds."""
    head = (
        "POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        "Accept: application/graphql-response+json\r\nContent-Encoding: gzip\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with Client(port, _TIMEOUT_SECONDS) as client:
        began = time.perf_counter()
        status, answer = client.send(head.encode() + body)
        return status, answer, (time.perf_counter() - began) * 1000


@contextmanager
def probe(port: int) -> Iterator[list[float]]:
    """Ask `/livez` without end during a block; fill a list with the waits in milliseconds."""
    waits: list[float] = []
    is_over = threading.Event()

    def ask() -> None:
        with Client(port, _TIMEOUT_SECONDS) as client:
            while not waits or not is_over.wait(_PROBE_PAUSE_SECONDS):
                began = time.perf_counter()
                client.send(get("/livez"))
                waits.append((time.perf_counter() - began) * 1000)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield waits
    finally:
        is_over.set()
        thread.join()
