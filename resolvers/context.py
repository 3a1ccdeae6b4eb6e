"""What every resolver is given: who asks, and of what."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from resolvers.questions import Questions
from schema.scalars import Instant
from store import Store
from store.tables import PROJECT


def _clock() -> Instant:
    return Instant(time.time_ns() // 1_000_000)


@dataclass(frozen=True, slots=True)
class Context:
    """One for the service until keys tell callers apart, and one for each request that asks."""

    store: Store
    production: bool = False
    project: str = PROJECT
    now: Callable[[], Instant] = _clock
    questions: Questions = field(init=False)

    def __post_init__(self) -> None:
        """Begin without questions."""
        object.__setattr__(self, "questions", Questions(self.store))

    def for_request(self) -> "Context":
        """Return the context of one request: its questions are its own, and its time stands."""
        moment = self.now()
        return replace(self, now=lambda: moment)
