"""The benchmark of large batches: 50,000 rows through GraphQL and REST, with a small sender beside.

A large batch must not pause others. So one more connection sends single points meanwhile.
"""

import statistics
import time
from dataclasses import dataclass, field, replace
from typing import Final

from bench import data, load
from bench.client import CheckError, Client
from bench.load import Load
from bench.outcomes import Outcome, read_outcome
from bench.python_senders import Senders
from bench.report import Section, median_ratio, quantile
from bench.service import SERVICE, Service, run_program
from bench.spellings import bodies, spelling
from bench.workspace import EVENTS, POINTS, RowCheck, Workspace, settled_total

ROWS: Final = 50_000

_GOAL_RATIO: Final = 2.0
_MAX_SECONDS: Final = 120
_SMALL_RATE: Final = 100
"""Requests per second of the small sender."""

_PAIRS: Final = {
    "recordMetrics": ("graphql-metrics", "rfc3339"),
    "recordEvents": ("graphql-events", "events"),
}
"""Mutations, with their spelling and the spelling of the same rows in REST."""


@dataclass(slots=True)
class _Api:
    """A spelling, with the results of its rounds in ms."""

    load: Load
    total: str
    times: list[float] = field(default_factory=list)
    """Median time of a large batch, for each round."""
    latencies: list[float] = field(default_factory=list)
    """Latencies of the small requests, in all rounds."""
    batches: int = 0


@dataclass(frozen=True, slots=True)
class _Measurement:
    """The service, and the load of the small sender."""

    space: Workspace
    service: Service
    small_load: Load

    def measure(self, section: Section, mutation: str) -> None:
        """Send batches of both APIs in turn; add the figures of a mutation to the section."""
        graphql, rest = (self._api(name) for name in _PAIRS[mutation])
        totals_before = {total: settled_total(self.service, total) for total in (POINTS, EVENTS)}
        with Client(self.service.port) as client:
            for api in (graphql, rest):
                _send_batch(client, api)
            for _ in range(self.space.rounds):
                for api in (graphql, rest):
                    self._run_round(client, api)
        rows_by_total = {POINTS: len(graphql.latencies) + len(rest.latencies), EVENTS: 0}
        rows_by_total[graphql.total] += ROWS * (graphql.batches + rest.batches)
        for total, rows in rows_by_total.items():
            stored_rows = settled_total(self.service, total) - totals_before[total]
            RowCheck(rows, stored_rows, stored_rows, 0).check(mutation)
        section.compare(mutation, "ms", graphql.times, rest.times)
        for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
            figures = (quantile(api.latencies, share) for api in (graphql, rest))
            section.add(f"  {name} of small requests meanwhile", "ms", *figures)
        is_met = median_ratio(graphql.times, rest.times) <= _GOAL_RATIO
        section.notes.append(
            f"{mutation}: at most {_GOAL_RATIO} of REST {'met' if is_met else 'MISSED'}; "
            f"{graphql.batches} batches by GraphQL, {rest.batches} by REST, each row stored once"
        )

    def idle_latencies(self) -> list[float]:
        """Return the latencies of the small requests without other requests."""
        senders = Senders(self.service, [self.small_load], self.space.bulk.seconds)
        senders.start()
        return senders.totals().latencies

    def _api(self, name: str) -> _Api:
        entry = spelling(name)
        batch_load = load.prepare(
            self.space.folder, entry.path, entry.content_type, bodies(name, ROWS), 1
        )
        return _Api(replace(batch_load, rows=ROWS), entry.total)

    def _run_round(self, client: Client, api: _Api) -> None:
        """Send one batch after another for the time of a round, beside the small sender."""
        senders = Senders(self.service, [self.small_load], _MAX_SECONDS)
        try:
            senders.start()
            end = time.monotonic() + self.space.bulk.seconds
            times = [_send_batch(client, api)]
            while time.monotonic() < end:
                times.append(_send_batch(client, api))
            senders.stop()
            api.latencies += senders.totals().latencies
        finally:
            senders.kill()
        api.times.append(statistics.median(times))


def measure(space: Workspace) -> Section:
    """Compare the times of large batches, and the latencies of small requests meanwhile."""
    section = Section(f"Batches of {ROWS:,} rows, one connection", "GraphQL", "REST")
    with run_program(SERVICE, space.new_folder("large-batches")) as service:
        small_load = load.prepare(space.folder, "/metrics", data.JSON, data.metric_bodies(), 1)
        measurement = _Measurement(space, service, replace(small_load, rate=_SMALL_RATE))
        measurement.idle_latencies()  # a warm-up
        idle = measurement.idle_latencies()
        for mutation, names in _PAIRS.items():
            if space.bulk.has_any(*names[:1]):
                measurement.measure(section, mutation)
        section.add("memory after the run", "MiB RSS", service.resident_mib())
    section.notes.append(
        f"small requests: POST /metrics, {_SMALL_RATE} per second, on a connection of their own; "
        f"without batches p50 {quantile(idle, 0.5):.1f}, p99 {quantile(idle, 0.99):.1f}, "
        f"max {max(idle):.1f} ms"
    )
    return section


def _send_batch(client: Client, api: _Api) -> float:
    """Send one batch; fail unless all rows are accepted, and return its time in ms."""
    request = api.load.request(api.batches)
    began = time.perf_counter()
    status, body = client.send(request)
    milliseconds = (time.perf_counter() - began) * 1000
    if status != 200 or read_outcome(body) != Outcome(ROWS):
        text = body[:500].decode(errors="replace")
        raise CheckError(f"POST {api.load.path} returned {status}: {text}")
    api.batches += 1
    return milliseconds
