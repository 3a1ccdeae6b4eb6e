"""A full disk: writes are unavailable, reads are answered, and free space heals it."""

import contextlib
import functools
import os
import random
import resource
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.faults.disks import free_bytes, mount_in_memory, resize
from tests.faults.writers import (
    SentBatch,
    Writers,
    assert_counts_cover,
    assert_exactly_once,
    await_true,
    count_rows,
)
from tests.harness.process import Process
from tests.harness.run_profile import print_figure, seeded_random, short_or_long
from tests.harness.stores import leave_segments, open_store, stored_keys

READS = ("/metrics", "/metrics/fault", "/events", "/dashboard", "/health", "/livez")


def fill(data: Path, spare_bytes: int) -> None:
    """Fill a disk, except for some bytes."""
    with (data / "ballast").open("wb") as file:
        while (free := free_bytes(data)) > spare_bytes + 4096:
            with contextlib.suppress(OSError):  # a writer was quicker
                os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), free - spare_bytes)


@contextlib.contextmanager
def fill_again_and_again(data: Path, dice: random.Random) -> Iterator[None]:
    """Take the whole disk at random moments, in a thread, and give up to 4 MiB of it back."""
    is_over = threading.Event()

    def run() -> None:
        while not is_over.wait(dice.choice((0.0, 0.003, 0.03, 0.1))):
            fill(data, 0)
            if not is_over.wait(dice.choice((0.01, 0.1))):
                size = (data / "ballast").stat().st_size
                os.truncate(data / "ballast", max(0, size - dice.randrange(2**20, 2**22)))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def assert_full(service: Process) -> None:
    """Check that reads are answered and `/readyz` names the full disk.

    The journal or the loader may report it: the journal may have room again for small groups
    while the engine, which reserves 1 MiB for any part, has none.
    """
    await_true(lambda: lacks_space(service), 5, "/readyz names what is missing")
    for path in READS:
        assert service.http.get(path).status_code == 200, path
    assert service.graphql("{ overview { metricCount eventCount } }")["overview"]


def assert_served(service: Process) -> None:
    """Check that reads, writes and deletions are answered or unavailable."""
    for path in READS:
        answer = service.http.get(path)
        assert answer.status_code in {200, 503}, (path, answer.text)
    service.post("/metrics", {"metric_name": "short", "value": 1})
    answer = service.http.delete("/metrics/short")
    assert answer.status_code in {200, 404, 503}, answer.text


def assert_served_until(event: threading.Event, service: Process) -> None:
    """Check again and again that all requests are answered, until an event."""
    while not event.is_set():
        assert_served(service)


def count_rows_without_short(service: Process) -> dict[str, int]:
    """Delete the metric `short`, and count the rows of each table."""
    delete = functools.partial(service.http.delete, "/metrics/short")
    await_true(lambda: delete().status_code in {200, 404}, 10, "deleted")
    return count_rows(service)


def lacks_space(service: Process) -> bool:
    """Say whether the service is not ready and names the full disk as the reason."""
    readyz = service.http.get("/readyz")
    reasons = ("No space left on device", "not enough space")
    return readyz.status_code == 503 and any(reason in readyz.text for reason in reasons)


def is_ready(service: Process) -> bool:
    """Say whether the service is ready for writes."""
    return service.http.get("/readyz").status_code == 200


@pytest.mark.parametrize("turn", range(short_or_long(1, 5)))
def test_full_disk_is_survived_without_a_restart(tmp_path: Path, turn: int) -> None:
    """A disk that fills under writers, and then grows, loses and repeats no row."""
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
                writers.await_answers("unavailable", 20)
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
            counts = count_rows(service)
            service.kill()
        assert_exactly_once(data, writers.batches, counts)


@pytest.mark.parametrize("turn", range(short_or_long(1, 20)))
def test_writes_that_the_engine_ignores_lose_no_row(tmp_path: Path, turn: int) -> None:
    """A disk that fills during inserts and merges damages parts; reads are answered all the time.

    The engine reports success for these parts.
    """
    dice = seeded_random()
    data = tmp_path / "data"
    with mount_in_memory(data, "96m"):
        with Process(data) as service:
            service.await_ready()
            with Writers(service.port, dice, sizes=(2, 50, 2000)) as writers:
                writers.await_answers("acknowledged", 50)
                with fill_again_and_again(data, dice):
                    deadline = time.monotonic() + short_or_long(5, 20)
                    while time.monotonic() < deadline:
                        assert_served(service)
                resize(data, "512m")
                await_true(lambda: is_ready(service), 60, "ready after there is room")
                writers.await_answers("acknowledged", 50)
            counts = count_rows_without_short(service)
            repairs = service.output().count("its tables were opened again")
            print_figure(f"turn {turn}: {repairs} repairs")
            service.kill()
        assert_exactly_once(data, writers.batches, counts)


def test_quota_that_the_engine_ignores_loses_no_row(tmp_path: Path) -> None:
    """Files can't grow, while the disk has space: all rows are stored once, without a restart.

    A query that waits for rows is answered when files can grow again.
    """
    dice = seeded_random()
    data = tmp_path / "data"
    with Process(data) as service, ThreadPoolExecutor(1) as reader:
        service.await_ready()
        with Writers(service.port, dice, sizes=(2, 50, 2000)) as writers:
            for _ in range(short_or_long(4, 40)):
                writers.await_answers("acknowledged", 20)
                size = dice.randrange(2**12, 2**17)
                resource.prlimit(service.pid, resource.RLIMIT_FSIZE, (size, -1))
                can_grow = threading.Event()
                queries = reader.submit(assert_served_until, can_grow, service)
                time.sleep(dice.uniform(0.1, 1))
                resource.prlimit(service.pid, resource.RLIMIT_FSIZE, (-1, -1))
                can_grow.set()
                queries.result()
            writers.await_answers("acknowledged", 20)
        await_true(lambda: is_ready(service), 60, "ready after files can grow")
        counts = count_rows_without_short(service)
        service.kill()
    assert_exactly_once(data, writers.batches, counts)


@pytest.mark.parametrize("turn", range(short_or_long(1, 20)))
def test_crash_after_an_ignored_write_loses_no_row(tmp_path: Path, turn: int) -> None:
    """A kill at any moment on a disk that fills again and again loses and repeats no row."""
    dice = seeded_random()
    data = tmp_path / "data"
    batches: dict[str, SentBatch] = {}
    with mount_in_memory(data, "96m"):
        for life in range(4):
            with Process(data) as service:
                service.await_ready()
                name = f"{turn}-{life}"
                with Writers(service.port, dice, name, sizes=(2, 50, 2000)) as writers:
                    writers.await_answers("acknowledged", 30)
                    with fill_again_and_again(data, dice):
                        deadline = time.monotonic() + dice.uniform(0.1, 2)
                        while time.monotonic() < deadline:
                            assert_served(service)
                        service.kill()
                batches |= writers.batches
            (data / "ballast").unlink()
        with Process(data) as service:
            service.await_ready()
            counts = count_rows_without_short(service)
            assert_counts_cover(counts, batches)
            service.kill()
        assert_exactly_once(data, batches, counts)


def test_crash_on_a_full_disk_is_survived(tmp_path: Path) -> None:
    """A kill and a start on a full disk, which then grows, lose and repeat no row."""
    dice = seeded_random()
    data = tmp_path / "data"
    with mount_in_memory(data, "96m"):
        with Process(data) as service:
            service.await_ready()
            with Writers(service.port, dice, sizes=(2, 50, 2000)) as writers:
                writers.await_answers("acknowledged", 50)
                fill(data, dice.choice((0, dice.randrange(4 * 2**20))))
                writers.await_answers("unavailable", 20)
                service.kill()
        with Process(data):
            time.sleep(1)
        resize(data, "256m")
        with Process(data) as service:
            service.await_ready()
            counts = count_rows(service)
            assert service.post("/metrics", {"metric_name": "more", "value": 1}).status_code == 200
            assert service.http.delete("/metrics/more").status_code == 200
            service.kill()
        assert_exactly_once(data, writers.batches, counts)


async def test_start_with_a_torn_segment_on_a_full_disk(tmp_path: Path) -> None:
    """Without room to set a torn end aside, the whole rows are answered and no byte is lost."""
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
            await_true(lambda: is_alive(service) or not service.group_commands(), 30, "alive")
            assert is_alive(service)
            assert service.http.get("/readyz").status_code == 503
            resize(data, "256m")
            await_true(lambda: is_ready(service), 60, "ready after there is room")
            assert service.http.get("/dashboard").json()["total_metrics_tracked"] == 2
            service.kill()
        async with open_store(data) as store:
            assert await stored_keys(store) == ["a", "b"]


def is_alive(service: Process) -> bool:
    """Say whether the service is alive."""
    with contextlib.suppress(httpx.TransportError):
        return service.http.get("/livez").status_code == 200
    return False
