"""Bulk writes for minutes at 70 % of the peak, and queries beside them."""

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench import bodies, data, load, watch
from bench.client import CheckFailed, Client, get
from bench.load import Run
from bench.report import Section, number, quantile
from bench.service import SERVICE, Service, run_program
from bench.workspace import RowCheck, Workspace, load_million, settled_total, stored_total

CONNECTIONS = 4
ROWS = 1_000
SHARE = 0.7

_PEAK_SECONDS = 5
_QUERY_SECONDS = 0.5
_IDLE_QUERIES = 100
_IDLE_PAUSE_SECONDS = 0.02
_TENTHS = 10
_MIB = 2**20
_RSS = "MiB RSS"
_ACTIVE = "active parts"


@dataclass(slots=True)
class _QueryClient:
    """One client that asks for one of ten metrics, which the load leaves alone."""

    port: int
    latencies: list[float] = field(default_factory=list)

    def idle(self) -> float:
        """Ask for a while and return the 95th percentile; it counts for nothing else."""
        with Client(self.port) as client:
            latencies = []
            for turn in range(_IDLE_QUERIES):
                latencies.append(_ask(client, turn))
                time.sleep(_IDLE_PAUSE_SECONDS)
        return quantile(latencies, 0.95)

    def query_until(self, end: float) -> list[float]:
        """Ask every half second, and return what it took."""
        first = len(self.latencies)
        with Client(self.port) as client:
            while (due := time.monotonic() + _QUERY_SECONDS) <= end:
                self.latencies.append(_ask(client, len(self.latencies)))
                time.sleep(max(0, due - time.monotonic()))
        time.sleep(max(0, end - time.monotonic()))
        return self.latencies[first:]


def _ask(client: Client, turn: int) -> float:
    """Ask once and return the milliseconds; all points of the metric must be there."""
    name = data.NAMES[turn % len(data.NAMES)]
    began = time.perf_counter()
    count = client.get_json(get(f"/metrics/{name}?hours=24"))["count"]
    latency = (time.perf_counter() - began) * 1000
    if count != data.POINTS_PER_NAME:
        raise CheckFailed(f"{name} has {count:,} points, not {data.POINTS_PER_NAME:,}")
    return latency


def measure(space: Workspace) -> Section:
    """Measure whether memory, parts, and what waits stay bounded, and what a query takes."""
    section = Section("Sustained bulk writes, NDJSON, 4 connections", "service", "other")
    folder = space.fresh("sustained")
    with run_program(SERVICE, folder) as service:
        load_million(service)
        request_load = load.prepare(
            space.folder, "/metrics/batch", data.NDJSON, bodies.ndjson(ROWS), CONNECTIONS
        )
        load.try_once(service, request_load)
        asker = _QueryClient(service.port)
        asker.idle()  # a warm-up, and time for the merges of what was loaded
        idle = asker.idle()
        peak = load.run(service, request_load, _PEAK_SECONDS).rate
        before = settled_total(service)
        seconds = max(_TENTHS, round(space.minutes * 60))
        run = Run(
            service, request_load.at_rate(peak * SHARE), seconds + load.QUIET_SECONDS, telling=0.25
        )
        try:
            for tenth in range(1, _TENTHS + 1):
                latencies = asker.query_until(run.start_time + seconds * tenth / _TENTHS)
                sample = _sample(service, folder, run.answer_count * ROWS, latencies)
                section.samples.append({"% of the run": tenth * 100 / _TENTHS, **sample})
                sys.stderr.write(f"... sustained {_line(section.samples[-1])}\n")
            totals = run.totals()
        finally:
            run.kill()
        at_once = stored_total(service) - before
        account = RowCheck(totals.answers * ROWS, at_once, settled_total(service) - before, 0)
        account.check("sustained")
        after = asker.idle()
    rate = account.acknowledged_rows / seconds
    section.add("rate / peak in the first seconds", "rows/s", rate, peak * ROWS)
    section.add("query p95 / idle before it", "ms", quantile(asker.latencies, 0.95), idle)
    section.add("query p95 idle after it / before it", "ms", after, idle)
    first, last = section.samples[1], section.samples[-1]
    for name in (_RSS, _ACTIVE):
        section.add(f"{name} at 100 % / at 20 %", "", last[name], first[name])
    section.notes.append(
        f"{account.acknowledged_rows:,} rows acknowledged in {seconds} s, "
        f"{at_once:,} found at once, "
        f"{account.found_at_last:,} at last; aimed at {peak * SHARE * ROWS:,.0f} rows/s"
    )
    section.notes.append(
        f"{len(asker.latencies):,} queries, of ten metrics with {data.POINTS_PER_NAME:,} points, "
        "which the load leaves alone; each saw all of them"
    )
    section.notes.append("part folders: of the metrics; active: those that no other covers")
    return section


def _sample(
    service: Service, folder: Path, acknowledged_rows: int, latencies: list[float]
) -> dict[str, float | None]:
    gauges = watch.gauges(service)
    waiting = gauges.get(watch.WAITING_BYTES)
    folders, active = watch.parts(folder)
    return {
        "acknowledged": acknowledged_rows,
        _RSS: service.resident_mib(),
        "rows waiting": gauges.get(watch.WAITING_ROWS),
        "MiB waiting": None if waiting is None else waiting / _MIB,
        "part folders": folders,
        _ACTIVE: active,
        "query p95 ms": quantile(latencies, 0.95) if latencies else None,
    }


def _line(sample: dict[str, float | None]) -> str:
    return ", ".join(f"{name} {number(value)}" for name, value in sample.items())
