"""What every resolver is given: who asks, and of what."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from schema.scalars import Instant
from store import Store
from store.tables import PROJECT


def _clock() -> Instant:
    return Instant(time.time_ns() // 1_000_000)


@dataclass(frozen=True, slots=True)
class Context:
    """One per service until keys tell callers apart."""

    store: Store
    production: bool = False
    project: str = PROJECT
    now: Callable[[], Instant] = _clock
