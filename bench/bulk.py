"""Bulk writes: points a second through ``POST /metrics/batch``, and when they can be read."""

import time
from dataclasses import dataclass

from bench import data, load
from bench.load import Load, Totals
from bench.report import Section
from bench.service import SERVICE, Service, running
from bench.workspace import Account, Workspace, settled, stored

CONNECTIONS = 4
SIZES = (1_000, 10_000)

_WARM_UP_SECONDS = 2


@dataclass(frozen=True, slots=True)
class _Round:
    """One run: what wrk counted, and the rows that were there afterwards."""

    totals: Totals
    account: Account
    seconds_to_first_answer: float

    @property
    def acknowledged_rate(self) -> float:
        """Return points acknowledged a second."""
        return self.account.acknowledged / self.totals.seconds

    @property
    def readable_rate(self) -> float:
        """Return points a second from the first byte sent until all of them could be read."""
        return self.account.acknowledged / (self.totals.seconds + self.seconds_to_first_answer)


def measure(space: Workspace) -> Section:
    """Measure acknowledged points a second, 1,000 and 10,000 to a request, NDJSON."""
    section = Section("Bulk writes, NDJSON, 4 connections")
    with running(SERVICE, space.fresh("bulk")) as service:
        idle = service.resident_mib()
        for size in SIZES:
            _measure_size(space, section, service, size)
        section.add("memory before it", "MiB RSS", idle)
        section.add("memory after it", "MiB RSS", service.resident_mib())
        section.add("points in the store", "points", stored(service))
    section.notes.append("(requests cut off at the end of a round are stored, not acknowledged)")
    return section


def _measure_size(space: Workspace, section: Section, service: Service, size: int) -> None:
    sent = load.prepare(
        space.folder, "/metrics/batch", data.NDJSON, data.bulk_bodies(size), CONNECTIONS
    )
    load.try_once(service, sent)
    load.run(service, sent, _WARM_UP_SECONDS)
    rounds = [_run(service, sent, size, space.seconds) for _ in range(space.rounds)]
    section.compare(
        f"{size:,} points a request: acknowledged",
        "points/s",
        [r.acknowledged_rate for r in rounds],
    )
    section.compare("  until all are readable", "points/s", [r.readable_rate for r in rounds])
    section.compare("  latency p50", "ms", [r.totals.p50_ms for r in rounds])
    section.compare("  latency p99", "ms", [r.totals.p99_ms for r in rounds])
    section.compare(
        "  first read after the burst",
        "ms",
        [r.seconds_to_first_answer * 1000 for r in rounds],
    )
    accounts = [r.account for r in rounds]
    section.notes.append(
        f"{size:,} a request: {sum(a.acknowledged for a in accounts):,} points acknowledged, "
        f"{sum(a.found_at_once for a in accounts):,} in the first answer, "
        f"{sum(a.found_at_last for a in accounts):,} at last"
    )


def _run(service: Service, sent: Load, rows: int, seconds: int) -> _Round:
    before = settled(service)
    totals = load.run(service, sent, seconds)
    started = time.perf_counter()
    at_once = stored(service) - before
    waited = time.perf_counter() - started
    account = Account(
        acknowledged=totals.answered * rows,
        found_at_once=at_once,
        found_at_last=settled(service) - before,
        cut_off_at_most=CONNECTIONS * rows,
    )
    account.check(f"POST /metrics/batch with {rows:,} rows")
    return _Round(totals, account, waited)
