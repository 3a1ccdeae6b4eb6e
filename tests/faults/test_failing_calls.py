"""System calls that fail under load: exactly the acknowledged rows are stored."""

import time
from pathlib import Path

import httpx
import pytest

from tests.faults.strace import inject_faults, needs_strace
from tests.faults.writers import Writers, assert_exactly_once, await_true, count_rows
from tests.harness.process import Process
from tests.harness.run_profile import seeded_random, short_or_long
from tests.harness.stores import open_store, stored_keys

pytestmark = needs_strace
NUMBERS = short_or_long((1, 2, 3, 7, 20), tuple(range(1, 51)))
FOLDER_NUMBERS = short_or_long((1, 2), tuple(range(1, 6)))  # there is one for each segment
POINT = {"metric_name": "fault", "value": 1}


@pytest.mark.parametrize(
    ("calls", "error", "numbers"),
    [
        ("fdatasync", "EIO", NUMBERS),
        ("fdatasync,ftruncate", "EIO", NUMBERS),
        ("fsync", "EIO", FOLDER_NUMBERS),
        ("writev", "ENOSPC", NUMBERS),
    ],
)
def test_failing_call_refuses_exactly_what_is_not_stored(
    tmp_path: Path, calls: str, error: str, numbers: tuple[int, ...]
) -> None:
    """The Nth call of each thread of journal and engine fails, and every fifth call after it.

    The service heals without a restart. After a restart, acknowledged rows are stored once and
    unavailable rows are not.
    """
    dice = seeded_random()
    data = tmp_path / "data"
    with Process(data) as service:
        service.await_ready()
        with Writers(service.port, dice, sizes=(2, 10, 50)) as writers:
            for number in numbers:
                with inject_faults(service, f"{calls}:error={error}:when={number}+5"):
                    writers.await_answers("unavailable", 2)
                    time.sleep(short_or_long(0.0, 0.3))
                writers.await_answers("acknowledged", 4)
        await_true(lambda: service.http.get("/readyz").status_code == 200, 30, "ready again")
        counts = count_rows(service)
        service.kill()
    assert_exactly_once(data, writers.batches, counts)


@pytest.mark.parametrize("number", short_or_long((4,), tuple(range(1, 21))))
async def test_failed_sync_refuses_in_order(tmp_path: Path, number: int) -> None:
    """With one request after the other, the acknowledged rows are stored in their order."""
    data = tmp_path / "data"
    statuses: dict[str, int] = {}
    with Process(data) as service:
        service.await_ready()
        with inject_faults(service, f"fdatasync:error=EIO:when={number}+3"):
            for n in range(number + 8):
                answer = service.post("/metrics", POINT | {"tags": {"k": str(n)}})
                statuses[str(n)] = answer.status_code
        service.kill()
    assert set(statuses.values()) == {200, 503}
    async with open_store(data) as store:
        assert await stored_keys(store) == [
            key for key, status in statuses.items() if status == 200
        ]


def assert_refused_then_healed(service: Process, *faults: str) -> None:
    """Check that requests get a 503 at once while calls fail, and succeed afterwards."""
    assert service.post("/metrics", POINT).status_code == 200
    assert service.http.get("/metrics/fault").json()["count"] == 1  # seals the segment
    service.http.timeout = httpx.Timeout(4)
    with inject_faults(service, *faults):
        for _ in range(3):
            answer = service.post("/metrics", POINT)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert service.http.get("/readyz").status_code == 503
    await_true(lambda: service.http.get("/readyz").status_code == 200, 30, "ready again")
    assert service.post("/metrics", POINT).status_code == 200
    assert service.http.get("/metrics/fault").json()["count"] == 2


def test_nothing_hangs_when_nothing_can_be_undone(tmp_path: Path) -> None:
    """On a disk without sync, truncation and deletion, writes still get a 503 at once."""
    with Process(tmp_path / "data") as service:
        service.await_ready()
        assert_refused_then_healed(service, "fdatasync,ftruncate,unlink,unlinkat:error=EIO")


def test_failing_close_of_a_segment_hides_no_row(tmp_path: Path) -> None:
    """If `close` fails, as on NFS, the acknowledged rows are in the next answer."""
    with Process(tmp_path / "data") as service:
        service.await_ready()
        assert service.post("/metrics", POINT).status_code == 200
        assert service.http.get("/metrics/fault").json()["count"] == 1
        service.http.timeout = httpx.Timeout(4)
        with inject_faults(service, "close:error=EIO:when=1"):  # the folder's, then the segment's
            acknowledged_count = sum(service.post("/metrics", POINT).is_success for _ in range(5))
            time.sleep(1)
        assert service.post("/metrics", POINT).status_code == 200
        assert service.http.get("/metrics/fault").json()["count"] == acknowledged_count + 2
