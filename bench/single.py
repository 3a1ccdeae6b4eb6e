"""The benchmark of single writes: one row per request, on 64 connections.

It compares the service with a raw ASGI application, the upper bound, and with the naive service. It
then measures the latency at half of the throughput that the service reached.
"""

import statistics
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from bench import data, load
from bench.client import CheckError
from bench.load import Load
from bench.report import Section, quantile
from bench.service import NAIVE, RAW, SERVICE, Service, run_program
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
_MAX_SIZE_DIFFERENCE = 0.05


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


@dataclass(frozen=True, slots=True)
class _Programs:
    """The service, and the two programs that it is compared with."""

    service: Service
    raw: Service
    naive: Service

    def all(self) -> list[Service]:
        return [self.service, self.raw, self.naive]

    def suspend_others(self, service: Service) -> AbstractContextManager[None]:
        """Suspend all programs but one."""
        return suspend_all([program for program in self.all() if program is not service])


def measure(space: Workspace) -> list[Section]:
    """Measure throughput and latency in alternating turns: service, raw, naive, service, ...

    The other programs are suspended meanwhile. The run fails if an acknowledged row is missing.
    """
    raw_section = Section("Single writes, 64 connections", "service", "raw ASGI")
    naive_section = Section("Single writes, 64 connections", "service", "naive")
    endpoints = (
        _Endpoint("/metrics", data.metric_bodies(), POINTS),
        _Endpoint("/events", data.event_bodies(), EVENTS),
    )
    with (
        run_program(SERVICE, space.new_folder("single")) as service,
        run_program(RAW, space.new_folder("raw")) as raw,
        run_program(NAIVE, space.new_folder("naive")) as naive,
    ):
        programs = _Programs(service, raw, naive)
        for endpoint in endpoints:
            _compare(space, raw_section, naive_section, endpoint, programs)
        for section, program in ((raw_section, raw), (naive_section, naive)):
            section.add(
                "memory after the run", "MiB RSS", service.resident_mib(), program.resident_mib()
            )
    raw_section.notes.append("raw ASGI: reads the body, returns a constant of the same size")
    naive_section.notes.append("naive: FastAPI, pydantic, lists in memory")
    for section in (raw_section, naive_section):
        section.notes.append("all programs run on uvicorn, uvloop and httptools")
    return [raw_section, naive_section]


def _compare(
    space: Workspace,
    raw_section: Section,
    naive_section: Section,
    endpoint: _Endpoint,
    programs: _Programs,
) -> None:
    request_load = load.prepare(
        space.folder, endpoint.path, data.JSON, endpoint.bodies, CONNECTIONS
    )
    sizes = {}
    for program in programs.all():
        with programs.suspend_others(program):
            sizes[program.name] = load.check_response(program, request_load)
            load.run(program, request_load, _WARM_UP_SECONDS)
    if abs(sizes[programs.raw.name] / sizes[programs.service.name] - 1) > _MAX_SIZE_DIFFERENCE:
        raise CheckError(f"POST {endpoint.path}: the responses have different sizes: {sizes}")
    service_rounds, raw_rounds, naive_rounds = _Rounds(), _Rounds(), _Rounds()
    counts = []
    for _ in range(space.rounds):
        with programs.suspend_others(programs.service):
            counts.append(
                _run_counted_round(
                    endpoint, programs.service, service_rounds, request_load, space.seconds
                )
            )
        for program, rounds in ((programs.raw, raw_rounds), (programs.naive, naive_rounds)):
            with programs.suspend_others(program):
                rounds.run(program, request_load, space.seconds)
    with programs.suspend_others(programs.service):
        target_rate = statistics.median(service_rounds.rates) / 2
        half, rate_reached = _half_load(
            space, endpoint, programs.service, request_load, target_rate
        )
    name = f"POST {endpoint.path}"
    for section, rounds in ((raw_section, raw_rounds), (naive_section, naive_rounds)):
        section.compare(name, "requests/s", service_rounds.rates, rounds.rates)
        for share in (50, 99):
            section.add(
                f"  latency p{share} of an extra connection",
                "ms",
                quantile(service_rounds.latencies, share / 100),
                quantile(rounds.latencies, share / 100),
            )
    raw_section.add("  at half of this rate", "requests/s", rate_reached)
    for share in (50, 99):
        raw_section.add(
            f"    latency p{share} of an extra connection",
            "ms",
            quantile(half.latencies, share / 100),
        )
    acknowledged_rows, stored_rows = (
        sum(count.acknowledged_rows for count in counts),
        sum(count.settled_rows for count in counts),
    )
    raw_section.notes.append(
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
