"""Scenarios of bulk writes: one spelling sent to one program, with the results by round."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from bench import load, python_senders
from bench.bulk_bodies import METRIC
from bench.load import Load, Totals
from bench.peers import Peer
from bench.service import Service
from bench.spellings import Spelling, bodies
from bench.workspace import RowCheck, settled_count, stored_total

CONNECTIONS: Final = 4

_WARM_UP_SECONDS: Final = 1
_READABLE_SECONDS: Final = 30
_READ_PAUSE_SECONDS: Final = 0.01
_COUNT_PAUSE_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Sender:
    """A load generator. wrk cuts off its requests at the end of a round."""

    name: str
    title: str
    run: Callable[[Service, Load, int], Totals]
    cuts_off: bool = False


SENDERS: Final = (
    Sender("python", "senders in Python", python_senders.run),
    Sender("wrk", "wrk", load.run, cuts_off=True),
)


@dataclass(frozen=True, slots=True)
class Round:
    """The figures of a round; `wait` is the seconds from its end until all rows were readable."""

    totals: Totals
    rows: int
    stored_rows: int
    wait: float

    @property
    def rate(self) -> float:
        """Acknowledged rows per second."""
        return self.rows / self.totals.seconds

    @property
    def readable_rate(self) -> float:
        """Rows per second, from the first byte to the response that has all rows."""
        return self.rows / (self.totals.seconds + self.wait)


@dataclass(slots=True)
class Scenario:
    """A spelling with a number of rows per request, sent to this service or to a peer.

    The points of each round go into a metric of their own in a peer: so the query that needs all of
    them reads no others. The response of this service has the count of all rows.
    """

    spelling: Spelling
    size: int
    sender: Sender
    service: Service
    folder: Path
    peer: Peer | None = None
    rounds: list[Round] = field(default_factory=list)
    _service_load: Load | None = None
    _request_seconds: float = 0.0
    """Time of the first request."""

    @property
    def row_bytes(self) -> float:
        """Mean bytes of a row in the bodies."""
        all_bodies = bodies(self.spelling.name, self.size)
        return sum(map(len, all_bodies)) / len(all_bodies) / self.size

    def warm_up(self) -> None:
        """Run the load for a second, without a measurement; a slow request makes it longer."""
        warm_up_load = self._load(f"{METRIC}_warm_up")
        began = time.monotonic()
        load.check_response(self.service, warm_up_load)
        self._request_seconds = time.monotonic() - began
        self._send(warm_up_load, _WARM_UP_SECONDS)

    def run_round(self, seconds: int) -> None:
        """Run the load once; fail unless each acknowledged row can be read, once."""
        metric = f"{METRIC}_{self.spelling.name.replace('-', '_')}_{len(self.rounds)}"
        round_load = self._load(metric)
        rows_before = self._settled_count(metric) if self.peer is None else 0
        totals = self._send(round_load, seconds)
        rows = totals.responses * self.spelling.accepted(self.size)
        began = time.perf_counter()
        first_read = self._first_read(metric, rows_before + rows) - rows_before
        wait = time.perf_counter() - began
        stored_rows, cut_off_rows = first_read, 0
        if self.sender.cuts_off:
            stored_rows = self._settled_count(metric) - rows_before
            cut_off_rows = CONNECTIONS * self.size
        row_check = RowCheck(rows, first_read, stored_rows, cut_off_rows)
        row_check.check(f"{self.spelling.name}, {self.size:,} per request, {self.sender.title}")
        self.rounds.append(Round(totals, rows, stored_rows, wait))

    def counts(self) -> str:
        """Return the counts of rows in all rounds as text; each round was checked at its end."""
        rows = sum(result.rows for result in self.rounds)
        stored_rows = sum(result.stored_rows for result in self.rounds)
        return f"{self.spelling.name}: {rows:,} rows acknowledged, {stored_rows:,} stored"

    def _send(self, round_load: Load, seconds: int) -> Totals:
        """Run a load for some seconds; for longer if wrk would cut off all its requests."""
        min_seconds = math.ceil(2 * CONNECTIONS * self._request_seconds)
        return self.sender.run(
            self.service, round_load, max(seconds, min_seconds) if self.sender.cuts_off else seconds
        )

    def _load(self, metric: str) -> Load:
        """Prepare a load; a peer gets points of another metric."""
        request_bodies = bodies(self.spelling.name, self.size)
        if self.peer:
            own_name, metric_name = METRIC.encode(), metric.encode()
            request_bodies = [body.replace(own_name, metric_name) for body in request_bodies]
        elif self._service_load:
            return self._service_load
        spelling = self.spelling
        prepared_load = load.prepare(
            self.folder, spelling.path, spelling.content_type, request_bodies, CONNECTIONS
        )
        self._service_load = replace(
            prepared_load,
            interleaved_rows=spelling.interleaved_rows,
            rows=self.size,
            outcome=spelling.outcome(self.size),
        )
        return self._service_load

    def _count(self, metric: str) -> int:
        if self.peer:
            return self.peer.count(f"{metric}{self.spelling.metric_suffix}")
        return stored_total(self.service, self.spelling.total)

    def _settled_count(self, metric: str) -> int:
        pause = max(_COUNT_PAUSE_SECONDS, self._request_seconds)
        return settled_count(lambda: self._count(metric), self.spelling.name, pause)

    def _first_read(self, metric: str, rows: int) -> int:
        """Return the first count; ask a peer again until it has all rows."""
        deadline = time.monotonic() + _READABLE_SECONDS
        while (count := self._count(metric)) < rows and self.peer:
            if time.monotonic() > deadline:
                break
            time.sleep(_READ_PAUSE_SECONDS)
        return count
