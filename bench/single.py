"""Single writes: one point or event a request over 64 connections, against the naive service."""

from dataclasses import dataclass, field

from bench import data, load
from bench.load import Load
from bench.report import Section, quantile
from bench.service import NAIVE, SERVICE, Service, running
from bench.workspace import EVENTS, POINTS, Account, Workspace, alone, settled, stored

CONNECTIONS = 64

_WARM_UP_SECONDS = 2


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
        totals, latencies = load.run_probed(service, sent, seconds)
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
    acknowledged = found = 0
    for _ in range(space.rounds):
        with alone([naive]):
            before = settled(service, endpoint.total)
            count = ours.run(service, sent, space.seconds)
            at_once = stored(service, endpoint.total) - before
            after = settled(service, endpoint.total) - before
        Account(count, at_once, after, CONNECTIONS).check(f"POST {endpoint.path}")
        acknowledged += count
        found += after
        with alone([service]):
            theirs.run(naive, sent, space.seconds)
    name = f"POST {endpoint.path}"
    section.compare(name, "requests/s", ours.rates, theirs.rates)
    for share in (50, 99):
        section.add(
            f"  latency p{share} of one more connection",
            "ms",
            quantile(ours.latencies, share / 100),
            quantile(theirs.latencies, share / 100),
        )
    section.notes.append(
        f"{name}: {acknowledged:,} acknowledged, {found:,} found, every answer a success"
    )
