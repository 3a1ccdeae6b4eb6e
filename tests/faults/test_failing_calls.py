"""System calls that fail under load: what is acknowledged is what is stored."""

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
    """The Nth call of each thread, journal's and engine's, fails, and every fifth after it.

    It heals without a restart; after one, what was acknowledged is there once and what was
    refused is not.
    """
    dice = seeded_random()
    data = tmp_path / "data"
    with Process(data) as service:
        service.await_ready()
        with Writers(service.port, dice, sizes=(2, 10, 50)) as writers:
            for number in numbers:
                with inject_faults(service, f"{calls}:error={error}:when={number}+5"):
                    writers.await_answers("refused", 2)
                    time.sleep(short_or_long(0.0, 0.3))
                writers.await_answers("acknowledged", 4)
        await_true(lambda: service.http.get("/readyz").status_code == 200, 30, "ready again")
        found = count_rows(service)
        service.kill()
    assert_exactly_once(data, writers.batches, found)


@pytest.mark.parametrize("number", short_or_long((4,), tuple(range(1, 21))))
async def test_failed_sync_refuses_in_order(tmp_path: Path, number: int) -> None:
    """One caller after the other: what is stored is what was acknowledged, in that order."""
    data = tmp_path / "data"
    answered: dict[str, int] = {}
    with Process(data) as service:
        service.await_ready()
        with inject_faults(service, f"fdatasync:error=EIO:when={number}+3"):
            for n in range(number + 8):
                answer = service.post("/metrics", POINT | {"tags": {"k": str(n)}})
                answered[str(n)] = answer.status_code
        service.kill()
    assert set(answered.values()) == {200, 503}
    async with open_store(data) as store:
        assert await stored_keys(store) == [
            key for key, status in answered.items() if status == 200
        ]


def assert_refused_then_healed(service: Process, *faults: str) -> None:
    """While everything fails callers get a 503 at once; then all is well by itself."""
    assert service.post("/metrics", POINT).status_code == 200
    assert service.http.get("/metrics/fault").json()["count"] == 1  # so the next segment is new
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
    """A disk on which neither sync nor truncation nor deletion succeeds: still 503, at once."""
    with Process(tmp_path / "data") as service:
        service.await_ready()
        assert_refused_then_healed(service, "fdatasync,ftruncate,unlink,unlinkat:error=EIO")


def test_failing_close_of_a_segment_hides_no_row(tmp_path: Path) -> None:
    """`close` may tell of a failure (NFS does): what was acknowledged is in the next answer."""
    with Process(tmp_path / "data") as service:
        service.await_ready()
        assert service.post("/metrics", POINT).status_code == 200
        assert service.http.get("/metrics/fault").json()["count"] == 1
        service.http.timeout = httpx.Timeout(4)
        with inject_faults(service, "close:error=EIO:when=1"):  # the folder's, then the segment's
            acknowledged = sum(service.post("/metrics", POINT).is_success for _ in range(5))
            time.sleep(1)
        assert service.post("/metrics", POINT).status_code == 200
        assert service.http.get("/metrics/fault").json()["count"] == acknowledged + 2
