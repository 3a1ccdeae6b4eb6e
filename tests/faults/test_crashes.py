"""Crashes: acknowledged rows are stored once; other batches are whole or absent."""

import time
from pathlib import Path

from tests.faults.writers import (
    SentBatch,
    Writers,
    assert_counts_cover,
    assert_exactly_once,
    count_rows,
)
from tests.harness.process import Process
from tests.harness.run_profile import print_figure, seeded_random, short_or_long

CYCLES = short_or_long(4, 50)


def test_crashes_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    """Under four writers and kill -9 at random moments no row is lost, twice or torn.

    REST, GraphQL and the tables themselves count the same rows.
    """
    dice = seeded_random()
    data = tmp_path / "data"
    batches: dict[str, SentBatch] = {}
    for cycle in range(CYCLES):
        if dice.random() < 0.2:  # a crash in the middle of the recovery from a crash
            with Process(data):
                time.sleep(dice.uniform(0.3, 1.5))
        with Process(data) as service:
            seconds = service.await_ready()
            print_figure(f"cycle {cycle}: ready {seconds:.2f} s after the start of the process")
            assert_counts_cover(count_rows(service), batches)
            with Writers(service.port, dice, f"{cycle}") as writers:
                time.sleep(dice.uniform(0.05, 1.2))
                service.kill()
            batches |= writers.batches
    with Process(data) as service:
        service.await_ready()
        counts = count_rows(service)
        service.kill()
    assert_exactly_once(data, batches, counts)
