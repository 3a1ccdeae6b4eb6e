"""A wall clock and a steady clock that a test sets, in place of the machine's."""

import time
from typing import Final

import pytest

HOUR: Final = 3_600_000
DAY: Final = 24 * HOUR


class ManualClock:
    """The machine's clocks, each moved by an offset in milliseconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Replace the machine's clocks."""
        now, steady = time.time_ns, time.monotonic_ns
        self._now = now
        self.wall_offset = 0
        self.steady_offset = 0
        monkeypatch.setattr(time, "time_ns", lambda: now() + self.wall_offset * 1_000_000)
        monkeypatch.setattr(time, "monotonic_ns", lambda: steady() + self.steady_offset * 1_000_000)

    def now(self) -> int:
        """Return the time of the wall clock, in milliseconds since 1970."""
        return self._now() // 1_000_000 + self.wall_offset

    def set(self, ms: int) -> None:
        """Set the wall clock to a moment, in milliseconds since 1970."""
        self.wall_offset = ms - self._now() // 1_000_000

    def wait(self, ms: int) -> None:
        """Let time pass on both clocks."""
        self.wall_offset += ms
        self.steady_offset += ms
