"""Stops and pauses of the service under load."""

import signal
import time
from pathlib import Path

from tests.faults.writers import SentBatch, Writers, assert_exactly_once, count_rows
from tests.harness.process import Process
from tests.harness.run_profile import seeded_random, short_or_long


def test_standing_still_under_load_loses_nothing(tmp_path: Path) -> None:
    """After SIGSTOP and SIGCONT, when clocks have jumped, each request is acknowledged."""
    dice = seeded_random()
    data = tmp_path / "data"
    with Process(data) as service:
        service.await_ready()
        with Writers(service.port, dice) as writers:
            for _ in range(short_or_long(1, 5)):
                writers.await_answers("acknowledged", 20)
                service.signal(signal.SIGSTOP)
                time.sleep(short_or_long(1.5, 3))
                service.signal(signal.SIGCONT)
                writers.await_answers("acknowledged", 20)
            assert service.http.get("/readyz").status_code == 200
        assert writers.answer_count("acknowledged") == len(writers.batches)
        counts = count_rows(service)
        service.kill()
    assert_exactly_once(data, writers.batches, counts)


def test_stops_under_load_keep_batches_whole(tmp_path: Path) -> None:
    """Over stops by SIGTERM and starts, a batch of either API is stored whole or unavailable."""
    dice = seeded_random()
    data = tmp_path / "data"
    batches: dict[str, SentBatch] = {}
    for turn in range(short_or_long(2, 20)):
        with Process(data) as service:
            service.await_ready()
            with Writers(service.port, dice, f"{turn}") as writers:
                writers.await_answers("acknowledged", 4)
                time.sleep(dice.uniform(0, 0.5))
                assert service.stop() == 0
            batches |= writers.batches
    assert_exactly_once(data, batches)
