"""What every resolver is given: who asks, and of what."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from resolvers.query_batch import QueryBatch
from schema.ranges import TimeRange
from schema.scalars import Instant
from store import Store
from store.clock import wall_ms
from store.ingest.streams import PROJECT


def _clock() -> Instant:
    return Instant(wall_ms())


@dataclass(frozen=True, slots=True)
class Context:
    """One for the service until keys tell callers apart, and one for each request that asks."""

    store: Store
    production: bool = False
    project: str = PROJECT
    now: Callable[[], Instant] = _clock
    latest: Instant | None = None
    batch: QueryBatch = field(init=False)

    def __post_init__(self) -> None:
        """Begin without questions."""
        object.__setattr__(self, "batch", QueryBatch(self.store))

    def up_to_latest(self, time_range: TimeRange) -> TimeRange:
        """Return a range; one that ends now ends with the newest arrival, if that is later.

        It is later after the wall clock was put back.
        """
        now = self.now()
        if time_range.to != now + 1:
            return time_range
        latest = self.store.arrivals.latest(now) if self.latest is None else self.latest
        return replace(time_range, to=Instant(latest + 1))

    def for_request(self) -> "Context":
        """Return the context of one request: its questions are its own, and its time stands."""
        moment = self.now()
        return replace(self, now=lambda: moment, latest=self.store.arrivals.latest(moment))
