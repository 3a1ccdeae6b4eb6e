"""What takes its turn in a round of bulk writes: one format, sent to one program."""

import time
from dataclasses import dataclass, field

from bench import load
from bench.load import Load, Totals
from bench.peers import Peer
from bench.service import Service
from bench.workspace import Account, settled, settled_count, stored

_WARM_UP_SECONDS = 1
_PEER_PAUSE_SECONDS = 1.5
"""VictoriaMetrics shows new points a second late."""


@dataclass(slots=True)
class Lane:
    """A load, and what became of it in each round."""

    name: str
    service: Service
    sent: Load
    points: int
    totals: list[Totals] = field(default_factory=list)
    warm: int = 0
    """Points acknowledged before the first round."""

    @property
    def rates(self) -> list[float]:
        """Points acknowledged a second, in each round."""
        return [totals.rate * self.points for totals in self.totals]

    @property
    def acknowledged(self) -> int:
        """Points acknowledged in all rounds."""
        return sum(totals.answered for totals in self.totals) * self.points

    def warm_up(self) -> None:
        """Run it for a moment that counts for nothing."""
        load.try_once(self.service, self.sent)
        totals = load.run(self.service, self.sent, _WARM_UP_SECONDS)
        self.warm = (1 + totals.answered) * self.points

    def turn(self, seconds: int) -> None:
        """Run it once."""
        self.totals.append(load.run(self.service, self.sent, seconds))

    def close(self) -> str:
        """Fail unless all that was acknowledged is there; return the numbers."""
        raise NotImplementedError

    def _cut_off(self, runs: int) -> int:
        return runs * self.sent.connections * self.points


@dataclass(slots=True)
class OwnLane(Lane):
    """One of this service's formats: what is acknowledged must be in the next answer."""

    accounts: list[Account] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    """Seconds to the first answer after each round."""

    @property
    def readable_rates(self) -> list[float]:
        """Points a second from the first byte sent until all of them could be read."""
        return [
            account.acknowledged / (totals.seconds + wait)
            for account, totals, wait in zip(self.accounts, self.totals, self.waits, strict=True)
        ]

    def turn(self, seconds: int) -> None:
        """Run it once, and count before and after."""
        before = settled(self.service)
        totals = load.run(self.service, self.sent, seconds)
        started = time.perf_counter()
        at_once = stored(self.service) - before
        self.waits.append(time.perf_counter() - started)
        after = settled(self.service) - before
        account = Account(totals.answered * self.points, at_once, after, self._cut_off(1))
        account.check(f"{self.name}, {self.points:,} points a request")
        self.totals.append(totals)
        self.accounts.append(account)

    def close(self) -> str:
        """Return the numbers of all rounds, each of which was checked."""
        return (
            f"{self.name}: {self.acknowledged:,} points acknowledged, "
            f"{sum(a.found_at_once for a in self.accounts):,} in the first answer, "
            f"{sum(a.found_at_last for a in self.accounts):,} at last"
        )


@dataclass(slots=True)
class PeerLane(Lane):
    """One of a peer's formats, with a metric of its own."""

    peer: Peer = field(kw_only=True)
    metric: str = field(kw_only=True)

    def close(self) -> str:
        """Count the points after all rounds: each must be there, and once."""
        total = settled_count(lambda: self.peer.count(self.metric), self.name, _PEER_PAUSE_SECONDS)
        found = total - self.peer.counted.get(self.metric, 0)
        self.peer.counted[self.metric] = total
        sent = self.warm + self.acknowledged
        account = Account(sent, found, found, self._cut_off(len(self.totals) + 1))
        account.check(f"{self.name}, {self.points:,} points a request")
        return f"{self.name}: {sent:,} points acknowledged, {found:,} found"
