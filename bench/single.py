"""Single writes: one point or event a request over 64 connections, against the naive service.

Then the latency at half of the rate that the service has just reached.
"""

import statistics
from dataclasses import dataclass, field

from bench import data, load
from bench.client import CheckFailed
from bench.load import Load
from bench.report import Section, quantile
from bench.service import NAIVE, SERVICE, Service, running
from bench.workspace import EVENTS, POINTS, Account, Workspace, alone, settled, stored

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
    """The figures of one side: requests a second of each round, latencies (ms) of all of them."""

    rates: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)

    def run(self, service: Service, sent: Load, seconds: int) -> int:
        """Run one round and return how many requests were acknowledged."""
        probe_rate = _PROBE_RATE if sent.rate else 0
        totals, latencies = load.run_probed(service, sent, seconds, probe_rate)
        self.rates.append(totals.rate)
        self.latencies += latencies
        return totals.answered + len(latencies)


def measure(space: Workspace) -> Section:
    """Measure requests a second and latency, in turns: service, naive, service, naive, ...

    The one whose turn it is not is suspended. Every row the service acknowledged is counted.
    """
    section = Section("Single writes, 64 connections", "service", "naive")
    endpoints = (
        _Endpoint("/metrics", data.metric_bodies(), POINTS),
        _Endpoint("/events", data.event_bodies(), EVENTS),
    )
    with (
        running(SERVICE, space.fresh("single")) as service,
        running(NAIVE, space.fresh("naive")) as naive,
    ):
        for endpoint in endpoints:
            _compare(space, section, endpoint, service, naive)
        section.notes.append(
            "naive: FastAPI and pydantic on lists in memory; uvicorn, uvloop and httptools on both"
        )
        section.add("memory after it", "MiB RSS", service.resident_mib(), naive.resident_mib())
    return section


def _compare(
    space: Workspace, section: Section, endpoint: _Endpoint, service: Service, naive: Service
) -> None:
    sent = load.prepare(space.folder, endpoint.path, data.JSON, endpoint.bodies, CONNECTIONS)
    for one, other in ((service, naive), (naive, service)):
        with alone([other]):
            load.try_once(one, sent)
            load.run(one, sent, _WARM_UP_SECONDS)
    ours, theirs = _Rounds(), _Rounds()
    counts = []
    for _ in range(space.rounds):
        with alone([naive]):
            counts.append(_counted(endpoint, service, ours, sent, space.seconds))
        with alone([service]):
            theirs.run(naive, sent, space.seconds)
    with alone([naive]):
        wanted = statistics.median(ours.rates) / 2
        half, reached = _half_load(space, endpoint, service, sent, wanted)
    name = f"POST {endpoint.path}"
    section.compare(name, "requests/s", ours.rates, theirs.rates)
    for share in (50, 99):
        section.add(
            f"  latency p{share} of one more connection",
            "ms",
            quantile(ours.latencies, share / 100),
            quantile(theirs.latencies, share / 100),
        )
    section.add("  at half of that rate", "requests/s", reached)
    for share in (50, 99):
        section.add(
            f"    latency p{share} of one more connection",
            "ms",
            quantile(half.latencies, share / 100),
        )
    acknowledged, found = (
        sum(count.acknowledged for count in counts),
        sum(count.found_at_last for count in counts),
    )
    section.notes.append(
        f"{name}: {acknowledged:,} acknowledged, {found:,} found, every answer a success; "
        f"half load: {len(half.latencies):,} latencies, {_PROBE_RATE} a second at most"
    )


def _half_load(
    space: Workspace, endpoint: _Endpoint, service: Service, sent: Load, wanted: float
) -> tuple[_Rounds, float]:
    """Send ``wanted`` requests a second, the probe's included; fail if they do not go through."""
    paced = sent.at(max(1, wanted - _PROBE_RATE))
    seconds = max(space.seconds, _HALF_LOAD_SECONDS)
    tried = []
    for _ in range(_HALF_LOAD_TRIES):
        half = _Rounds()
        count = _counted(endpoint, service, half, paced, seconds + load.QUIET_SECONDS)
        tried.append(count.acknowledged / seconds)
        if 0.9 < tried[-1] / wanted < 1.1:
            return half, tried[-1]
    rates = ", ".join(f"{rate:,.0f}" for rate in tried)
    raise CheckFailed(
        f"POST {endpoint.path}: half load is {wanted:,.0f}/s, but {rates}/s went through"
    )


def _counted(
    endpoint: _Endpoint, service: Service, rounds: _Rounds, sent: Load, seconds: int
) -> Account:
    """Run one round of the service and check that all it acknowledged is there."""
    before = settled(service, endpoint.total)
    count = rounds.run(service, sent, seconds)
    at_once = stored(service, endpoint.total) - before
    after = settled(service, endpoint.total) - before
    account = Account(count, at_once, after, 0 if sent.rate else CONNECTIONS)
    account.check(f"POST {endpoint.path}")
    return account
