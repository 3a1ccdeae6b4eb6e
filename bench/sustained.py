"""The benchmark of a sustained load: bulk writes at 70 % of the peak, with queries."""

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench import data, load, monitoring
from bench.client import CheckError, Client, get
from bench.load import Run
from bench.report import Section, number, quantile
from bench.service import SERVICE, Service, run_program
from bench.spellings import COMPACT_MS, bodies
from bench.workspace import RowCheck, Workspace, load_dataset, settled_total, stored_total

CONNECTIONS = 4
ROWS = 1_000
SHARE = 0.7

_PEAK_SECONDS = 5
_QUERY_SECONDS = 0.5
_IDLE_QUERIES = 100
_IDLE_PAUSE_SECONDS = 0.02
_SAMPLES = 10
_MIB = 2**20
_RSS = "MiB RSS"
_ACTIVE = "active parts"


@dataclass(slots=True)
class _QueryClient:
    """A client that queries ten metrics in turn. The load writes to other metrics."""

    port: int
    latencies: list[float] = field(default_factory=list)

    def idle_p95(self) -> float:
        """Send 100 queries without a load; return the 95th percentile of their latencies in ms."""
        with Client(self.port) as client:
            latencies = []
            for turn in range(_IDLE_QUERIES):
                latencies.append(_time_query(client, turn))
                time.sleep(_IDLE_PAUSE_SECONDS)
        return quantile(latencies, 0.95)

    def query_until(self, end: float) -> list[float]:
        """Send a query every half second until ``end``; return the latencies in ms."""
        first = len(self.latencies)
        with Client(self.port) as client:
            while (due := time.monotonic() + _QUERY_SECONDS) <= end:
                self.latencies.append(_time_query(client, len(self.latencies)))
                time.sleep(max(0, due - time.monotonic()))
        time.sleep(max(0, end - time.monotonic()))
        return self.latencies[first:]


def _time_query(client: Client, turn: int) -> float:
    """Send one query and return its latency in ms; fail if a point of the metric is missing."""
    name = data.NAMES[turn % len(data.NAMES)]
    began = time.perf_counter()
    count = client.get_json(get(f"/metrics/{name}?hours=24"))["count"]
    latency = (time.perf_counter() - began) * 1000
    if count != data.POINTS_PER_NAME:
        raise CheckError(f"{name} has {count:,} points, not {data.POINTS_PER_NAME:,}")
    return latency


def measure(space: Workspace) -> Section:
    """Measure memory, parts, waiting rows and query latency over the time of the load."""
    section = Section("Sustained bulk writes, NDJSON, 4 connections", "service", "other")
    folder = space.new_folder("sustained")
    with run_program(SERVICE, folder) as service:
        load_dataset(service)
        request_load = load.prepare(
            space.folder, "/metrics/batch", data.NDJSON, bodies(COMPACT_MS, ROWS), CONNECTIONS
        )
        load.check_response(service, request_load)
        query_client = _QueryClient(service.port)
        query_client.idle_p95()  # a warm-up, and time for merges
        idle = query_client.idle_p95()
        peak = load.run(service, request_load, _PEAK_SECONDS).rate
        before = settled_total(service)
        seconds = max(_SAMPLES, round(space.minutes * 60))
        run = Run(
            service,
            request_load.at_rate(peak * SHARE),
            seconds + load.QUIET_SECONDS,
            progress_interval=0.25,
        )
        try:
            for sample_number in range(1, _SAMPLES + 1):
                latencies = query_client.query_until(
                    run.start_time + seconds * sample_number / _SAMPLES
                )
                sample = _sample(service, folder, run.response_count * ROWS, latencies)
                section.samples.append({"% of the run": sample_number * 100 / _SAMPLES, **sample})
                sys.stderr.write(f"... sustained {_line(section.samples[-1])}\n")
            totals = run.totals()
        finally:
            run.kill()
        first_read = stored_total(service) - before
        row_check = RowCheck(
            totals.responses * ROWS, first_read, settled_total(service) - before, 0
        )
        row_check.check("sustained")
        after = query_client.idle_p95()
    rate = row_check.acknowledged_rows / seconds
    section.add("rate / peak in the first seconds", "rows/s", rate, peak * ROWS)
    section.add(
        "query p95 / idle before the load", "ms", quantile(query_client.latencies, 0.95), idle
    )
    section.add("query p95 idle after the load / before it", "ms", after, idle)
    first, last = section.samples[1], section.samples[-1]
    for name in (_RSS, _ACTIVE):
        section.add(f"{name} at 100 % / at 20 %", "", last[name], first[name])
    section.notes.append(
        f"{row_check.acknowledged_rows:,} rows acknowledged in {seconds} s, "
        f"{first_read:,} in the first read, "
        f"{row_check.settled_rows:,} in the last read; target {peak * SHARE * ROWS:,.0f} rows/s"
    )
    section.notes.append(
        f"{len(query_client.latencies):,} queries of ten metrics, outside the load; "
        f"each query read all {data.POINTS_PER_NAME:,} points of its metric"
    )
    section.notes.append(
        "part folders: of the table of metrics; active parts: covered by no other part"
    )
    return section


def _sample(
    service: Service, folder: Path, acknowledged_rows: int, latencies: list[float]
) -> dict[str, float | None]:
    gauges = monitoring.gauges(service)
    waiting = gauges.get(monitoring.WAITING_BYTES)
    folders, active = monitoring.parts(folder)
    return {
        "acknowledged": acknowledged_rows,
        _RSS: service.resident_mib(),
        "rows waiting": gauges.get(monitoring.WAITING_ROWS),
        "MiB waiting": None if waiting is None else waiting / _MIB,
        "part folders": folders,
        _ACTIVE: active,
        "query p95 ms": quantile(latencies, 0.95) if latencies else None,
    }


def _line(sample: dict[str, float | None]) -> str:
    return ", ".join(f"{name} {number(value)}" for name, value in sample.items())
