"""Single writes: one point or event a request over 64 connections, against the naive service."""

from dataclasses import dataclass

from bench import data, load
from bench.report import Section
from bench.service import NAIVE, SERVICE, Service, running
from bench.workspace import EVENTS, POINTS, Account, Workspace, alone, settled, stored

CONNECTIONS = 64

_WARM_UP_SECONDS = 2


@dataclass(frozen=True, slots=True)
class _Endpoint:
    path: str
    bodies: list[bytes]
    total: str


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
    ours, theirs = [], []
    acknowledged = found = 0
    for _ in range(space.rounds):
        with alone([naive]):
            before = settled(service, endpoint.total)
            totals = load.run(service, sent, space.seconds)
            at_once = stored(service, endpoint.total) - before
            after = settled(service, endpoint.total) - before
        Account(totals.answered, at_once, after, CONNECTIONS).check(f"POST {endpoint.path}")
        acknowledged += totals.answered
        found += after
        ours.append(totals)
        with alone([service]):
            theirs.append(load.run(naive, sent, space.seconds))
    name = f"POST {endpoint.path}"
    section.compare(name, "requests/s", [t.rate for t in ours], [t.rate for t in theirs])
    section.compare("  latency p50", "ms", [t.p50_ms for t in ours], [t.p50_ms for t in theirs])
    section.compare("  latency p99", "ms", [t.p99_ms for t in ours], [t.p99_ms for t in theirs])
    section.notes.append(
        f"{name}: {acknowledged:,} acknowledged, {found:,} found, every answer a success"
    )
