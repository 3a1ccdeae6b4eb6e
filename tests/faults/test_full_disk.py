"""A full disk: writes are refused for now, reads are answered, and room is all that it takes."""

import contextlib
import os
import time
from pathlib import Path

import httpx
import pytest

from tests.faults.disks import free_bytes, mount_in_memory, resize
from tests.faults.writers import Writers, assert_exactly_once, await_true, count_rows
from tests.harness.process import Process
from tests.harness.run_profile import print_figure, seeded_random, short_or_long
from tests.harness.stores import leave_segments, open_store, stored_keys

READS = ("/metrics", "/metrics/fault", "/events", "/dashboard", "/health", "/livez")


def fill(data: Path, left: int) -> None:
    """Take what is free on a disk, but for some bytes."""
    with (data / "ballast").open("wb") as file:
        while (free := free_bytes(data)) > left + 4096:
            with contextlib.suppress(OSError):  # a writer was quicker
                os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), free - left)


def assert_full(service: Process) -> None:
    """Reads are answered, and it is told why writes are not.

    Which part tells it depends on where the disk ran full: the journal may find room again for
    small groups while the engine, which reserves 1 MiB for any part, has none.
    """
    await_true(lambda: lacks_space(service), 5, "/readyz names what is missing")
    for path in READS:
        assert service.http.get(path).status_code == 200, path
    assert service.graphql("{ overview { metricCount eventCount } }")["overview"]


def lacks_space(service: Process) -> bool:
    """Say whether the service is not ready, and names the disk as the reason."""
    readyz = service.http.get("/readyz")
    reasons = ("No space left on device", "not enough space")
    return readyz.status_code == 503 and any(reason in readyz.text for reason in reasons)


def is_ready(service: Process) -> bool:
    """Say whether the service is ready for writes."""
    return service.http.get("/readyz").status_code == 200


@pytest.mark.parametrize("turn", range(short_or_long(1, 5)))
def test_full_disk_is_survived_without_a_restart(tmp_path: Path, turn: int) -> None:
    """Full under writers, then larger: ready again by itself, 0 lost, 0 twice, nothing refused."""
    dice = seeded_random()
    data = tmp_path / "data"
    with mount_in_memory(data, "96m"):
        with Process(data) as service:
            service.await_ready()
            with Writers(service.port, dice, sizes=(2, 50, 2000)) as writers:
                writers.await_answers("acknowledged", 50)
                for path in READS:  # the engine has some rows before it can't take any
                    assert service.http.get(path).status_code == 200, path
                fill(data, dice.choice((0, dice.randrange(4 * 2**20))))
                writers.await_answers("refused", 20)
                await_true(lambda: not is_ready(service), 10, "/readyz tells")
                assert_full(service)
                time.sleep(short_or_long(0.5, 10))
                assert_full(service)
                resize(data, "256m")
                began = time.monotonic()
                await_true(lambda: is_ready(service), 60, "ready after there is room")
                print_figure(
                    f"turn {turn}: ready {time.monotonic() - began:.2f} s after there was room"
                )
                writers.await_answers("acknowledged", 50)
            found = count_rows(service)
            service.kill()
        assert_exactly_once(data, writers.batches, found)


def test_crash_on_a_full_disk_is_survived(tmp_path: Path) -> None:
    """Killed and started while the disk is full; once there is room: 0 lost, 0 twice."""
    dice = seeded_random()
    data = tmp_path / "data"
    with mount_in_memory(data, "96m"):
        with Process(data) as service:
            service.await_ready()
            with Writers(service.port, dice, sizes=(2, 50, 2000)) as writers:
                writers.await_answers("acknowledged", 50)
                fill(data, dice.choice((0, dice.randrange(4 * 2**20))))
                writers.await_answers("refused", 20)
                service.kill()
        with Process(data):
            time.sleep(1)
        resize(data, "256m")
        with Process(data) as service:
            service.await_ready()
            found = count_rows(service)
            assert service.post("/metrics", {"metric_name": "more", "value": 1}).status_code == 200
            assert service.http.delete("/metrics/more").status_code == 200
            service.kill()
        assert_exactly_once(data, writers.batches, found)


async def test_start_with_a_torn_segment_on_a_full_disk(tmp_path: Path) -> None:
    """No room to set the torn end aside: what is whole is answered, nothing is thrown away."""
    data = tmp_path / "data"
    with mount_in_memory(data, "96m"):
        with Process(data) as service:
            service.await_ready()
            service.kill()
        segments = await leave_segments(data / "journal" / "metrics", ["a", "b"])
        ((path, content),) = segments.items()
        path.write_bytes(content + content[:-5])
        fill(data, 0)
        with Process(data) as service:
            await_true(lambda: answers(service) or not service.group_commands(), 30, "it answers")
            assert answers(service)
            assert service.http.get("/readyz").status_code == 503
            resize(data, "256m")
            await_true(lambda: is_ready(service), 60, "ready after there is room")
            assert service.http.get("/dashboard").json()["total_metrics_tracked"] == 2
            service.kill()
        async with open_store(data) as store:
            assert await stored_keys(store) == ["a", "b"]


def answers(service: Process) -> bool:
    """Say whether the service is alive."""
    with contextlib.suppress(httpx.TransportError):
        return service.http.get("/livez").status_code == 200
    return False
