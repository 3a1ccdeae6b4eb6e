"""An engine that cannot write: only the newest rows are missing from the answers."""

import time
from pathlib import Path

from tests.faults.strace import inject_faults, needs_strace
from tests.faults.writers import Writers, assert_exactly_once, await_true, count_rows
from tests.harness.process import Process
from tests.harness.run_profile import print_figure, seeded_random, short_or_long

SECONDS = short_or_long(3, 60)
RENAMES = "rename,renameat,renameat2"  # the last step of an insert; the journal has none


@needs_strace
def test_engine_that_fails_for_a_while_delays_and_loses_nothing(tmp_path: Path) -> None:
    """While no insert succeeds, writes and reads are answered and `/readyz` names the loader.

    Afterwards all acknowledged rows are stored.
    """
    dice = seeded_random()
    data = tmp_path / "data"
    with Process(data) as service:
        service.await_ready()
        with Writers(service.port, dice) as writers:
            writers.await_answers("acknowledged", 20)
            await_true(lambda: "fault" in service.http.get("/metrics").text, 10, "rows are loaded")
            with inject_faults(service, f"{RENAMES}:error=EIO"):
                deadline = time.monotonic() + SECONDS
                await_true(
                    lambda: "loader." in service.http.get("/readyz").text, 30, "loader reported"
                )
                while time.monotonic() < deadline:
                    for path in ("/metrics/fault", "/events", "/dashboard"):
                        assert service.http.get(path).status_code == 200
                    writers.await_answers("acknowledged", 1)
            assert writers.answer_count("unavailable") == 0
            began = time.monotonic()
            await_true(lambda: service.http.get("/readyz").status_code == 200, 60, "ready again")
            print_figure(
                f"ready {time.monotonic() - began:.2f} s after the engine could write again"
            )
        counts = count_rows(service)
        service.kill()
    assert_exactly_once(data, writers.batches, counts)
