"""The real store, with everything that can break under it, against a plain dict.

MODEL_SEED in the environment repeats a run.
"""

import asyncio
import logging
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import hypothesis
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from store.journal import journal
from tests.harness.clock import ManualClock
from tests.harness.fault_injection import Bench
from tests.harness.run_profile import print_figure, short_or_long
from tests.store.store_machine import StoreMachine

STEPS: Final = 40
RUNS: Final = short_or_long(8, 600)
SETTINGS: Final = settings(
    max_examples=RUNS,
    stateful_step_count=STEPS,
    deadline=None,
    print_blob=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Put the faults in front of the system calls."""
    with asyncio.Runner() as runner:
        runner.get_loop().set_exception_handler(lambda *_: None)  # the dead tell no tales
        made = Bench(runner, tmp_path, ManualClock(monkeypatch))
        monkeypatch.setattr(logging.getLogger("analytics"), "disabled", True)
        for part in ("loader", "store", "ids", "journal"):
            monkeypatch.setattr(logging.getLogger(f"analytics.{part}"), "disabled", True)
        monkeypatch.setattr(journal, "_sync_data", made.faults.sync)
        monkeypatch.setattr(journal, "sync_folder", made.faults.sync_folder)
        monkeypatch.setattr(os, "writev", made.faults.writev)
        monkeypatch.setattr(journal, "PROBE_SECONDS", 0.001)
        monkeypatch.setattr("store.loader._BACKOFF", (0.001, 0.001, 0.001, 0.02))
        monkeypatch.setattr("store.ingest.client_ids._RETRY_SECONDS", 0.001)
        yield made
        made.engine.stays_open = False
        runner.run(made.engine.close())


@pytest.mark.slow
def test_store_does_what_a_dict_does(bench: Bench) -> None:
    """Whatever is recorded, resent, deleted, broken, stopped and killed, in whatever order."""
    seed = int(os.environ.get("MODEL_SEED") or random.randrange(2**32))
    print_figure(f"MODEL_SEED={seed}")
    machine: Any = hypothesis.seed(seed)(lambda: StoreMachine(bench))
    run_state_machine_as_test(machine, settings=SETTINGS)
    print_figure(f"{bench.steps} steps in {bench.runs} runs")
