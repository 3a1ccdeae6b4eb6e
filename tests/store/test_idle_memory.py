"""Memory that goes back to the system after a peak."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from store.idle_memory import IdleMemory
from tests.harness.process import Process

ROWS: Final = [
    {"metric_name": f"m{n % 100}", "value": n, "tags": {"k": "x" * 100}} for n in range(20_000)
]


class Looks:
    """The looks of a process at its CPU seconds."""

    def __init__(self) -> None:
        """Begin with none."""
        self._cpu_seconds = self._moment = 0.0
        self._memory = IdleMemory(lambda: None, lambda: self._cpu_seconds, lambda: self._moment)

    def due(self, shares: Sequence[float], seconds: float = 1) -> list[int]:
        """Return the looks, counted from 1, at which memory is given back."""
        due_looks = []
        for number, share in enumerate(shares, 1):
            self._cpu_seconds += share * seconds
            self._moment += seconds
            if self._memory.is_due():
                due_looks.append(number)
        return due_looks


def test_memory_is_given_back_once_after_each_peak() -> None:
    """The fifth idle second after a busy one gives memory back, and none before the next peak."""
    looks = Looks()
    assert looks.due([0.01] * 20) == []
    assert looks.due([1.5, 0.3] + [0.05] * 20) == [7]
    assert looks.due([0.01] * 20) == []
    assert looks.due([0.3] + [0.01] * 20) == [6]


def test_memory_is_not_given_back_under_load() -> None:
    """Each second of work begins the wait anew, and light work alone gives nothing back."""
    looks = Looks()
    assert looks.due([2.0] * 50) == []
    assert looks.due(([0.01] * 4 + [0.15]) * 20) == []
    assert looks.due([0.15] * 50 + [0.01] * 5) == [55]
    assert looks.due([0.2] * 50 + [0.01] * 20) == []


def test_a_late_look_is_not_a_busy_one() -> None:
    """A look after a pause of the event loop counts the work of the whole pause."""
    looks = Looks()
    assert looks.due([0.05] * 10, seconds=10) == []
    assert looks.due([0.01] * 10) == []
    assert looks.due([0.5], seconds=10) == []
    assert looks.due([0.01] * 5) == [5]


def test_a_service_gives_memory_back(tmp_path: Path) -> None:
    """After batches the service logs how much memory went back, and it answers as before."""
    with Process(tmp_path / "data") as process:
        process.await_ready()
        for _ in range(10):
            assert process.post("/metrics/batch", ROWS).status_code == 200
        process.await_output('"message":"gave memory back"')
        record = next(entry for entry in process.log_records() if "gave" in entry["message"])
        assert record["mib"] >= 1
        assert process.graphql("{overview {metricCount}}")["overview"]["metricCount"] == 200_000
        assert process.stop() == 0


async def test_another_c_library_keeps_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without glibc's function nothing is done, and nothing fails."""
    monkeypatch.setattr("ctypes.CDLL", lambda _: object())
    await IdleMemory().run()
