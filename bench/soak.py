"""The soak: all spellings from 20 senders beside dashboards, for ten minutes.

It samples the memory, and fails unless each acknowledged row is stored once.
"""

import json
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from bench import load, monitoring
from bench.client import CheckError, Client, get, post
from bench.load import Load
from bench.python_senders import MixedTotals, Senders
from bench.query_client import QueryClient
from bench.report import Section, print_sample, quantile
from bench.service import SERVICE, Service, run_program
from bench.spellings import SPELLINGS, Spelling, bodies
from bench.workspace import (
    EVENTS,
    POINTS,
    RowCheck,
    Workspace,
    load_dataset,
    settled_total,
    stored_total,
)

CONNECTIONS: Final = 20
ROWS: Final = 1_000

_SAMPLE_SECONDS: Final = 10
_VIEW_SECONDS: Final = 1.0
"""Pause of a dashboard between two queries."""

_FLAT_RATIO: Final = 1.1
_LONG_SECONDS: Final = 300
"""Time after which memory is judged: caches fill in the first minutes."""

_QUERIES: Final = (
    """{metric(name: "cpu_load") {query(range: {last: "30m"}, granularity: MINUTE)
        {series {columns {count avg max}}}}}""",
    """{metric(name: "page_views") {query(range: {last: "6h"}, groupBy: ["user_type"])
        {series {label total {count avg}}}}}""",
    """{eventTrend(range: {last: "6h"}, groupBy: [{property: "page"}], limit: 10)
        {series {label total {count uniqueUsers}}}}""",
)
"""Queries of the rows that the senders add."""

_VIEWS: Final = (
    get("/dashboard"),
    *(post("/graphql", json.dumps({"query": query}).encode()) for query in _QUERIES),
)


def _view_dashboards(port: int, closing: threading.Event) -> list[float]:
    """Send the queries of dashboards in turn until `closing`; return their latencies in ms."""
    latencies: list[float] = []
    with Client(port) as client:
        while not closing.wait(_VIEW_SECONDS):
            began = time.perf_counter()
            response: Any = client.get_json(_VIEWS[len(latencies) % len(_VIEWS)])
            latencies.append((time.perf_counter() - began) * 1000)
            if "errors" in response:
                raise CheckError(f"a dashboard got {response['errors']}")
    return latencies


def measure(space: Workspace) -> Section:
    """Send all spellings for the time of the soak; report memory, latencies and counts."""
    section = Section(f"Soak: all spellings, {CONNECTIONS} senders in Python", "service", "other")
    spellings = [
        entry
        for entry in SPELLINGS
        if entry.program == SERVICE.name and space.bulk.has_any(entry.name)
    ]
    folder = space.new_folder("soak")
    with run_program(SERVICE, folder) as service:
        load_dataset(service)
        loads = [_load(space, entry) for entry in spellings]
        for prepared_load in loads:
            load.check_response(service, prepared_load)  # the dashboards need rows
        rows_before = {total: settled_total(service, total) for total in (POINTS, EVENTS)}
        senders = Senders(service, loads, space.soak.seconds, resends=True)
        query_client, closing = QueryClient(service.port), threading.Event()
        with ThreadPoolExecutor(1) as pool:
            senders.start()
            views = pool.submit(_view_dashboards, service.port, closing)
            try:
                _take_samples(section, service, folder, senders, query_client)
                totals = senders.totals()
            finally:
                closing.set()
                senders.kill()
        _check_rows(section, service, spellings, totals, rows_before)
    rate = sum(totals.responses) * ROWS / totals.seconds
    section.add("rate / target", "rows/s", rate, space.soak.rate or None)
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        section.add(f"{name} of a request", "ms", quantile(totals.latencies, share))
    section.add("p95 of queries of the dataset", "ms", quantile(query_client.latencies, 0.95))
    section.add("p95 of queries of new rows", "ms", quantile(views.result(), 0.95))
    _add_memory(section, is_long=space.soak.seconds >= _LONG_SECONDS)
    section.notes.append(
        f"{totals.refusals:,} requests got a 503 and were sent again; "
        "with a rate, a latency counts from the time when the request was due"
    )
    return section


def _load(space: Workspace, entry: Spelling) -> Load:
    prepared_load = load.prepare(
        space.folder, entry.path, entry.content_type, bodies(entry.name, ROWS), CONNECTIONS
    )
    return replace(
        prepared_load,
        interleaved_rows=entry.interleaved_rows,
        rate=space.soak.rate / ROWS,
        rows=ROWS,
        outcome=entry.outcome(ROWS),
    )


def _take_samples(
    section: Section, service: Service, folder: Path, senders: Senders, query_client: QueryClient
) -> None:
    """Add a sample every ten seconds while the senders run, and query the dataset meanwhile."""
    start = time.monotonic()
    while senders.are_running():
        latencies = query_client.query_until(time.monotonic() + _SAMPLE_SECONDS)
        sample = {
            "seconds": round(time.monotonic() - start),
            "points": stored_total(service, POINTS),
            "events": stored_total(service, EVENTS),
            **monitoring.sample(service, folder),
            "query p95 ms": quantile(latencies, 0.95) if latencies else None,
        }
        section.samples.append(sample)
        print_sample("soak", sample)


def _check_rows(
    section: Section,
    service: Service,
    spellings: list[Spelling],
    totals: MixedTotals,
    rows_before: dict[str, int],
) -> None:
    """Fail unless each acknowledged row is stored, once."""
    for total, count_before in rows_before.items():
        rows = sum(
            responses * entry.accepted(ROWS)
            for entry, responses in zip(spellings, totals.responses, strict=True)
            if entry.total == total
        )
        first_read = stored_total(service, total) - count_before
        stored_rows = settled_total(service, total) - count_before
        RowCheck(rows, first_read, stored_rows, 0).check(f"soak, {total}")
        section.notes.append(f"{total}: {rows:,} rows acknowledged, {stored_rows:,} stored")


def _add_memory(section: Section, *, is_long: bool) -> None:
    """Compare the memory of the last quarter of the soak with the second quarter."""
    memory = [value for sample in section.samples if (value := sample[monitoring.RSS])]
    quarter = len(memory) // 4
    if not quarter:
        section.notes.append("too short to compare the memory of its quarters")
        return
    last, second = (
        statistics.median(values) for values in (memory[-quarter:], memory[quarter : 2 * quarter])
    )
    section.add("memory, last quarter / second quarter", monitoring.RSS, last, second)
    section.add("memory, maximum", monitoring.RSS, max(memory))
    if is_long:
        verdict = "flat" if last / second <= _FLAT_RATIO else "NOT FLAT"
        section.notes.append(
            f"memory is {verdict}: goal at most {_FLAT_RATIO} of the second quarter"
        )
