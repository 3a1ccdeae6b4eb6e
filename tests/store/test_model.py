"""The state machine of the store, run on the real engine.

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

from store.journal import journal, open_segment
from tests.harness.clock import ManualClock
from tests.harness.fault_injection import FaultRig
from tests.harness.run_profile import print_figure, short_or_long
from tests.store.store_machine import StoreMachine

STEPS: Final = 40
RUNS: Final = short_or_long(3, 600)
SETTINGS: Final = settings(
    max_examples=RUNS,
    stateful_step_count=STEPS,
    deadline=None,
    print_blob=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultRig]:
    """Replace the system calls by calls that can fail."""
    with asyncio.Runner() as runner:
        runner.get_loop().set_exception_handler(lambda *_: None)  # killed tasks report errors
        rig = FaultRig(runner, tmp_path, ManualClock(monkeypatch))
        # Names and estimates take the engine of the store when it is made.
        monkeypatch.setattr("store.store.Engine", lambda *_: rig.engine)
        monkeypatch.setattr(logging.getLogger("analytics"), "disabled", True)
        for part in ("loader", "store", "ids", "journal"):
            monkeypatch.setattr(logging.getLogger(f"analytics.{part}"), "disabled", True)
        monkeypatch.setattr(open_segment, "_sync_data", rig.faults.sync)
        monkeypatch.setattr(journal, "sync_folder", rig.faults.sync_folder)
        monkeypatch.setattr(os, "writev", rig.faults.writev)
        monkeypatch.setattr(journal, "PROBE_SECONDS", 0.001)
        monkeypatch.setattr("store.loader._BACKOFF", (0.001, 0.001, 0.001, 0.02))
        monkeypatch.setattr("store.ingest.client_ids._RETRY_SECONDS", 0.001)
        yield rig
        rig.engine.stays_open = False
        runner.run(rig.engine.close())


@pytest.mark.slow
def test_store_does_what_a_dict_does(rig: FaultRig) -> None:
    """The store agrees with a dict over any order of writes, deletions, faults and crashes."""
    seed = int(os.environ.get("MODEL_SEED") or random.randrange(2**32))
    print_figure(f"MODEL_SEED={seed}")
    machine: Any = hypothesis.seed(seed)(lambda: StoreMachine(rig))
    run_state_machine_as_test(machine, settings=SETTINGS)
    print_figure(f"{rig.steps} steps in {rig.runs} runs")
