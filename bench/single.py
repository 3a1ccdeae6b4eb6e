"""The benchmark of single writes: one row per request, on 64 connections.

It compares the service with the naive service. It then measures the latency at half of the
throughput that the service reached.
"""

import statistics
from dataclasses import dataclass, field

from bench import data, load
from bench.client import CheckError
from bench.load import Load
from bench.report import Section, quantile
from bench.service import NAIVE, SERVICE, Service, run_program
from bench.workspace import (
    EVENTS,
    POINTS,
    RowCheck,
    Workspace,
    settled_total,
    stored_total,
    suspend_all,
)

CONNECTIONS = 64

_WARM_UP_SECONDS = 1
_HALF_LOAD_SECONDS = 5
_HALF_LOAD_TRIES = 3
_PROBE_RATE = 200


@dataclass(frozen=True, slots=True)
class _Endpoint:
    path: str
    bodies: list[bytes]
    total: str


@dataclass(slots=True)
class _Rounds:
    """The requests per second of each round, and the latencies (ms) of all rounds together."""

    rates: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)

    def run(self, service: Service, request_load: Load, seconds: int) -> int:
        """Run one round; return the number of acknowledged requests."""
        probe_rate = _PROBE_RATE if request_load.rate else 0
        totals, latencies = load.run_with_probe(service, request_load, seconds, probe_rate)
        self.rates.append(totals.rate)
        self.latencies += latencies
        return totals.responses + len(latencies)


def measure(space: Workspace) -> Section:
    """Measure throughput and latency in alternating turns: service, naive, service, naive, ...

    The other program is suspended meanwhile. The run fails if an acknowledged row is missing.
    """
    section = Section("Single writes, 64 connections", "service", "naive")
    endpoints = (
        _Endpoint("/metrics", data.metric_bodies(), POINTS),
        _Endpoint("/events", data.event_bodies(), EVENTS),
    )
    with (
        run_program(SERVICE, space.new_folder("single")) as service,
        run_program(NAIVE, space.new_folder("naive")) as naive,
    ):
        for endpoint in endpoints:
            _compare(space, section, endpoint, service, naive)
        section.notes.append(
            "naive: FastAPI, pydantic, lists in memory; both run on uvicorn, uvloop and httptools"
        )
        section.add("memory after the run", "MiB RSS", service.resident_mib(), naive.resident_mib())
    return section


def _compare(
    space: Workspace, section: Section, endpoint: _Endpoint, service: Service, naive: Service
) -> None:
    request_load = load.prepare(
        space.folder, endpoint.path, data.JSON, endpoint.bodies, CONNECTIONS
    )
    for measured_service, paused_service in ((service, naive), (naive, service)):
        with suspend_all([paused_service]):
            load.check_response(measured_service, request_load)
            load.run(measured_service, request_load, _WARM_UP_SECONDS)
    service_rounds, naive_rounds = _Rounds(), _Rounds()
    counts = []
    for _ in range(space.rounds):
        with suspend_all([naive]):
            counts.append(
                _run_counted_round(endpoint, service, service_rounds, request_load, space.seconds)
            )
        with suspend_all([service]):
            naive_rounds.run(naive, request_load, space.seconds)
    with suspend_all([naive]):
        target_rate = statistics.median(service_rounds.rates) / 2
        half, rate_reached = _half_load(space, endpoint, service, request_load, target_rate)
    name = f"POST {endpoint.path}"
    section.compare(name, "requests/s", service_rounds.rates, naive_rounds.rates)
    for share in (50, 99):
        section.add(
            f"  latency p{share} of an extra connection",
            "ms",
            quantile(service_rounds.latencies, share / 100),
            quantile(naive_rounds.latencies, share / 100),
        )
    section.add("  at half of this rate", "requests/s", rate_reached)
    for share in (50, 99):
        section.add(
            f"    latency p{share} of an extra connection",
            "ms",
            quantile(half.latencies, share / 100),
        )
    acknowledged_rows, stored_rows = (
        sum(count.acknowledged_rows for count in counts),
        sum(count.settled_rows for count in counts),
    )
    section.notes.append(
        f"{name}: {acknowledged_rows:,} acknowledged, {stored_rows:,} stored, "
        "every request succeeded; "
        f"half load: {len(half.latencies):,} latencies, at most {_PROBE_RATE} per second"
    )


def _half_load(
    space: Workspace, endpoint: _Endpoint, service: Service, peak_load: Load, target_rate: float
) -> tuple[_Rounds, float]:
    """Run a round at ``target_rate``, which includes the requests of the extra connection.

    Fail unless one of three tries reaches the target rate within 10 %.
    """
    paced_load = peak_load.at_rate(max(1, target_rate - _PROBE_RATE))
    seconds = max(space.seconds, _HALF_LOAD_SECONDS)
    rates_reached = []
    for _ in range(_HALF_LOAD_TRIES):
        half = _Rounds()
        count = _run_counted_round(
            endpoint, service, half, paced_load, seconds + load.QUIET_SECONDS
        )
        rates_reached.append(count.acknowledged_rows / seconds)
        if 0.9 < rates_reached[-1] / target_rate < 1.1:
            return half, rates_reached[-1]
    rates = ", ".join(f"{rate:,.0f}" for rate in rates_reached)
    raise CheckError(
        f"POST {endpoint.path}: half load is {target_rate:,.0f}/s, but the tries reached {rates}/s"
    )


def _run_counted_round(
    endpoint: _Endpoint, service: Service, rounds: _Rounds, request_load: Load, seconds: int
) -> RowCheck:
    """Run one round of the service; fail if an acknowledged row is missing."""
    before = settled_total(service, endpoint.total)
    count = rounds.run(service, request_load, seconds)
    first_read = stored_total(service, endpoint.total) - before
    after = settled_total(service, endpoint.total) - before
    row_check = RowCheck(count, first_read, after, 0 if request_load.rate else CONNECTIONS)
    row_check.check(f"POST {endpoint.path}")
    return row_check
