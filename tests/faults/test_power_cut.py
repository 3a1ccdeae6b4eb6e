"""Power cuts: acknowledged rows are stored after the restart, though other data is unsynced.

Journal and engine are on one ext4 disk, from the first start of the service on.
"""

import signal
import time
from pathlib import Path

from tests.faults.disks import Disk
from tests.faults.writers import (
    SentBatch,
    Writers,
    assert_counts_cover,
    assert_exactly_once,
    count_rows,
)
from tests.harness.process import Process
from tests.harness.run_profile import print_figure, seeded_random, short_or_long

CUTS = short_or_long(3, 20)
OPTIONS = ("data=ordered", "data=writeback,nodelalloc")


def test_power_cuts_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    """Under four writers and power cuts at random moments no row is lost, twice or torn.

    REST, GraphQL and the tables themselves count the same rows.
    """
    dice = seeded_random()
    disk = Disk(tmp_path / "image", tmp_path / "data")
    batches: dict[str, SentBatch] = {}
    for cut in range(CUTS):
        if cut and dice.random() < 0.3:  # a power cut in the middle of the recovery from one
            with disk.mount(dice.choice(OPTIONS)) as data, Process(data) as service:
                time.sleep(dice.uniform(0.3, 1.5))
                disk.cut_power(service)
        with disk.mount(dice.choice(OPTIONS)) as data, Process(data) as service:
            seconds = service.await_ready()
            print_figure(f"cut {cut}: ready {seconds:.2f} s after the start of the process")
            assert_counts_cover(count_rows(service), batches)
            with Writers(service.port, dice, f"{cut}") as writers:
                time.sleep(dice.uniform(0.05, 1.5))
                if dice.random() < 0.4:
                    disk.write_back()
                    time.sleep(dice.uniform(0, 0.1))
                disk.cut_power(service)
                service.kill()
            batches |= writers.batches
    with disk.mount() as data:
        with Process(data) as service:
            service.await_ready()
            counts = count_rows(service)
            service.kill()
        assert_exactly_once(data, batches, counts)


def test_power_cut_at_the_first_start_is_survived(tmp_path: Path) -> None:
    """After a power cut during the first start, the next start makes folders and tables."""
    dice = seeded_random()
    for n in range(short_or_long(1, 15)):
        disk = Disk(tmp_path / f"image-{n}", tmp_path / "data")
        with disk.mount() as data, Process(data) as service:
            seconds = dice.uniform(0.05, 1)
            time.sleep(seconds)
            disk.cut_power(service)
        with disk.mount() as data, Process(data) as service:
            service.await_ready()
            print_figure(f"cut {seconds:.2f} s after the start")
            assert service.post("/metrics", {"metric_name": "fault", "value": 1}).status_code == 200
            assert count_rows(service) == {"metrics": 1, "events": 0}
        (tmp_path / f"image-{n}").unlink()


def test_dead_disk_is_reported_and_nothing_hangs(tmp_path: Path) -> None:
    """On a disk that dies, each write gets a 503, and no acknowledged row is lost."""
    dice = seeded_random()
    disk = Disk(tmp_path / "image", tmp_path / "data")
    with disk.mount() as data, Process(data) as service:
        service.await_ready()
        with Writers(service.port, dice) as writers:
            writers.await_answers("acknowledged", 50)
            disk.cut_power(service, between_calls=True)
            service.signal(signal.SIGCONT)
            writers.await_answers("unavailable", 50)
            assert service.http.get("/livez").status_code == 200
            assert "Input/output error" in service.http.get("/readyz").text
            acknowledged_count = writers.answer_count("acknowledged")
            writers.await_answers("unavailable", 50)
            assert writers.answer_count("acknowledged") == acknowledged_count
        service.kill()
    with disk.mount() as data:
        assert_exactly_once(data, writers.batches)
