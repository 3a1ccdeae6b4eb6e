"""A service that is stopped or stands still under load keeps its books."""

import signal
import time
from pathlib import Path

from tests.faults.form import either, thrown
from tests.faults.writers import Sent, Writers, assert_exactly_once, counted
from tests.harness.process import Process


def test_standing_still_under_load_loses_nothing(tmp_path: Path) -> None:
    """SIGSTOP, SIGCONT: the clocks have jumped, callers have waited, and all goes on."""
    dice = thrown()
    data = tmp_path / "data"
    with Process(data) as service:
        service.await_ready()
        with Writers(service.port, dice) as writers:
            for _ in range(either(1, 5)):
                writers.await_answers("acknowledged", 20)
                service.signal(signal.SIGSTOP)
                time.sleep(either(1.5, 3))
                service.signal(signal.SIGCONT)
                writers.await_answers("acknowledged", 20)
            assert service.http.get("/readyz").status_code == 200
        assert writers.number("acknowledged") == len(writers.sent)
        found = counted(service)
        service.kill()
    assert_exactly_once(data, writers.sent, found)


def test_stops_under_load_keep_batches_whole(tmp_path: Path) -> None:
    """SIGTERM, and a start, again and again: batches of both doors are stored or were refused."""
    dice = thrown()
    data = tmp_path / "data"
    sent: dict[str, Sent] = {}
    for turn in range(either(2, 20)):
        with Process(data) as service:
            service.await_ready()
            with Writers(service.port, dice, f"{turn}") as writers:
                writers.await_answers("acknowledged", 4)
                time.sleep(dice.uniform(0, 0.5))
                assert service.stop() == 0
            sent |= writers.sent
    assert_exactly_once(data, sent)
