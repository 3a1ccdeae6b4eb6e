"""Scenarios of bulk writes: one format sent to one program, with the results by round."""

import time
from dataclasses import dataclass, field

from bench import load
from bench.load import Load, Totals
from bench.peers import Peer
from bench.service import Service
from bench.workspace import RowCheck, settled_count, settled_total, stored_total

_WARM_UP_SECONDS = 1
_PEER_PAUSE_SECONDS = 1.5
"""Pause between two counts: VictoriaMetrics returns new points one second late."""


@dataclass(slots=True)
class Scenario:
    """A load on a program, with the totals of each round.

    `points` is the number of points per request.
    """

    name: str
    service: Service
    load: Load
    points: int
    totals: list[Totals] = field(default_factory=list)
    warm_up_points: int = 0
    """Number of points acknowledged before the first round."""

    @property
    def rates(self) -> list[float]:
        """Acknowledged points per second, for each round."""
        return [totals.rate * self.points for totals in self.totals]

    @property
    def acknowledged_points(self) -> int:
        """Number of acknowledged points in all rounds."""
        return sum(totals.responses for totals in self.totals) * self.points

    def warm_up(self) -> None:
        """Run the load for one second, without a measurement."""
        load.check_response(self.service, self.load)
        totals = load.run(self.service, self.load, _WARM_UP_SECONDS)
        self.warm_up_points = (1 + totals.responses) * self.points

    def run_round(self, seconds: int) -> None:
        """Run the load once."""
        self.totals.append(load.run(self.service, self.load, seconds))

    def check_rows(self) -> str:
        """Fail unless the program has every acknowledged point; return the counts as text."""
        raise NotImplementedError

    def _max_cut_off_points(self, runs: int) -> int:
        return runs * self.load.connections * self.points


@dataclass(slots=True)
class ServiceScenario(Scenario):
    """A format of this service: the next read must return all acknowledged points."""

    row_checks: list[RowCheck] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    """Seconds of the first read after each round."""

    @property
    def readable_rates(self) -> list[float]:
        """Points per second, from the first byte of the load to the end of the first read."""
        return [
            row_check.acknowledged_rows / (totals.seconds + wait)
            for row_check, totals, wait in zip(
                self.row_checks, self.totals, self.waits, strict=True
            )
        ]

    def run_round(self, seconds: int) -> None:
        """Run the load once; count the points before and after."""
        before = settled_total(self.service)
        totals = load.run(self.service, self.load, seconds)
        began = time.perf_counter()
        first_read = stored_total(self.service) - before
        self.waits.append(time.perf_counter() - began)
        after = settled_total(self.service) - before
        row_check = RowCheck(
            totals.responses * self.points, first_read, after, self._max_cut_off_points(1)
        )
        row_check.check(f"{self.name}, {self.points:,} points per request")
        self.totals.append(totals)
        self.row_checks.append(row_check)

    def check_rows(self) -> str:
        """Return the counts of all rounds as text; each round was checked at its end."""
        first_read = sum(row_check.first_read_rows for row_check in self.row_checks)
        settled_points = sum(row_check.settled_rows for row_check in self.row_checks)
        return (
            f"{self.name}: {self.acknowledged_points:,} points acknowledged, "
            f"{first_read:,} in the first read, "
            f"{settled_points:,} in the last read"
        )


@dataclass(slots=True)
class PeerScenario(Scenario):
    """A format of a peer; the points go into a metric of this scenario."""

    peer: Peer = field(kw_only=True)
    metric: str = field(kw_only=True)

    def check_rows(self) -> str:
        """Fail unless the peer has each acknowledged point exactly once; return the counts."""
        total = settled_count(lambda: self.peer.count(self.metric), self.name, _PEER_PAUSE_SECONDS)
        stored_points = total - self.peer.last_counts.get(self.metric, 0)
        self.peer.last_counts[self.metric] = total
        acknowledged_points = self.warm_up_points + self.acknowledged_points
        row_check = RowCheck(
            acknowledged_points,
            stored_points,
            stored_points,
            self._max_cut_off_points(len(self.totals) + 1),
        )
        row_check.check(f"{self.name}, {self.points:,} points per request")
        return f"{self.name}: {acknowledged_points:,} points acknowledged, {stored_points:,} stored"
