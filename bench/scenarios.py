"""What takes its turn in a round of bulk writes: one format, sent to one program."""

import time
from dataclasses import dataclass, field

from bench import load
from bench.load import Load, Totals
from bench.peers import Peer
from bench.service import Service
from bench.workspace import RowCheck, settled_count, settled_total, stored_total

_WARM_UP_SECONDS = 1
_PEER_PAUSE_SECONDS = 1.5
"""VictoriaMetrics shows new points a second late."""


@dataclass(slots=True)
class Scenario:
    """A load, and what became of it in each round."""

    name: str
    service: Service
    load: Load
    points: int
    totals: list[Totals] = field(default_factory=list)
    warm_up_points: int = 0
    """Points acknowledged before the first round."""

    @property
    def rates(self) -> list[float]:
        """Points acknowledged a second, in each round."""
        return [totals.rate * self.points for totals in self.totals]

    @property
    def acknowledged_points(self) -> int:
        """Points acknowledged in all rounds."""
        return sum(totals.responses for totals in self.totals) * self.points

    def warm_up(self) -> None:
        """Run it for a moment that counts for nothing."""
        load.check_response(self.service, self.load)
        totals = load.run(self.service, self.load, _WARM_UP_SECONDS)
        self.warm_up_points = (1 + totals.responses) * self.points

    def run_round(self, seconds: int) -> None:
        """Run it once."""
        self.totals.append(load.run(self.service, self.load, seconds))

    def check_rows(self) -> str:
        """Fail unless all that was acknowledged is there; return the numbers."""
        raise NotImplementedError

    def _max_cut_off_points(self, runs: int) -> int:
        return runs * self.load.connections * self.points


@dataclass(slots=True)
class ServiceScenario(Scenario):
    """One of this service's formats: what is acknowledged must be in the next answer."""

    row_checks: list[RowCheck] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    """Seconds to the first answer after each round."""

    @property
    def readable_rates(self) -> list[float]:
        """Points a second from the first byte sent until all of them could be read."""
        return [
            row_check.acknowledged_rows / (totals.seconds + wait)
            for row_check, totals, wait in zip(
                self.row_checks, self.totals, self.waits, strict=True
            )
        ]

    def run_round(self, seconds: int) -> None:
        """Run it once, and count before and after."""
        before = settled_total(self.service)
        totals = load.run(self.service, self.load, seconds)
        began = time.perf_counter()
        first_read = stored_total(self.service) - before
        self.waits.append(time.perf_counter() - began)
        after = settled_total(self.service) - before
        row_check = RowCheck(
            totals.responses * self.points, first_read, after, self._max_cut_off_points(1)
        )
        row_check.check(f"{self.name}, {self.points:,} points a request")
        self.totals.append(totals)
        self.row_checks.append(row_check)

    def check_rows(self) -> str:
        """Return the numbers of all rounds, each of which was checked."""
        return (
            f"{self.name}: {self.acknowledged_points:,} points acknowledged, "
            f"{sum(a.first_read_rows for a in self.row_checks):,} in the first answer, "
            f"{sum(a.settled_rows for a in self.row_checks):,} at last"
        )


@dataclass(slots=True)
class PeerScenario(Scenario):
    """One of a peer's formats, with a metric of its own."""

    peer: Peer = field(kw_only=True)
    metric: str = field(kw_only=True)

    def check_rows(self) -> str:
        """Count the points after all rounds: each must be there, and once."""
        total = settled_count(lambda: self.peer.count(self.metric), self.name, _PEER_PAUSE_SECONDS)
        found_points = total - self.peer.last_counts.get(self.metric, 0)
        self.peer.last_counts[self.metric] = total
        acknowledged_points = self.warm_up_points + self.acknowledged_points
        row_check = RowCheck(
            acknowledged_points,
            found_points,
            found_points,
            self._max_cut_off_points(len(self.totals) + 1),
        )
        row_check.check(f"{self.name}, {self.points:,} points a request")
        return f"{self.name}: {acknowledged_points:,} points acknowledged, {found_points:,} found"
