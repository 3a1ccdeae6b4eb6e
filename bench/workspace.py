"""The workspace of a run: options, new folders, datasets and checks of row counts."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import data
from bench.client import CheckError, Client, get, post
from bench.service import ROOT, SERVICE, Service, run_program

POINTS = "total_metrics_tracked"
EVENTS = "total_events_tracked"

_SETTLE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class BulkOptions:
    """The options of bulk writes; no spelling means all of them."""

    seconds: int
    spellings: frozenset[str]
    senders: tuple[str, ...]
    sizes: tuple[int, ...]

    def has_any(self, *spellings: str) -> bool:
        """Say whether one of the spellings is measured."""
        return not self.spellings or not self.spellings.isdisjoint(spellings)


@dataclass(frozen=True, slots=True)
class SoakOptions:
    """The length of a soak, and its rate in rows per second; 0: no limit."""

    seconds: float
    rate: float


@dataclass(slots=True)
class Workspace:
    """The options of a run, and its temporary folder."""

    folder: Path
    seconds: int
    rounds: int
    minutes: float
    bulk: BulkOptions
    soak: SoakOptions
    _dataset: Path | None = field(default=None)
    _large_dataset: Path | None = field(default=None)
    _folders: int = field(default=0)

    def new_folder(self, name: str) -> Path:
        """Return the path of a folder that does not exist yet."""
        self._folders += 1
        return self.folder / f"{name}-{self._folders}"

    def dataset(self) -> Path:
        """Return a data folder with the dataset of a million points."""
        if self._dataset is None:
            folder = self.new_folder("dataset")
            with run_program(SERVICE, folder) as service:
                load_dataset(service)
            self._dataset = folder
        return self._dataset

    def large_dataset(self) -> Path:
        """Return a data folder with ten million points and two million events."""
        if self._large_dataset is None:
            folder = self.new_folder("large")
            command = (sys.executable, "-m", "bench.large_dataset", str(folder))
            subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
            self._large_dataset = folder
        return self._large_dataset


def stored_total(service: Service, field: str = POINTS) -> int:
    """Return the total of points or events on the dashboard of the service."""
    with Client(service.port) as client:
        total: int = client.get_json(get("/dashboard"))[field]
        return total


def settled_total(service: Service, field: str = POINTS) -> int:
    """Return the total after the service has finished all cut-off requests."""
    return settled_count(lambda: stored_total(service, field), f"{field} of {service.name}")


def settled_count(count: Callable[[], int], name: str, pause: float = 0.2) -> int:
    """Count until two results, ``pause`` seconds apart, are equal; return the result."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    last = count()
    while time.monotonic() < deadline:
        time.sleep(pause)
        now = count()
        if now == last:
            return now
        last = now
    raise CheckError(f"{name} still changes {_SETTLE_SECONDS} s after the load ended")


@dataclass(frozen=True, slots=True)
class RowCheck:
    """Counts of acknowledged and readable rows.

    Rows of cut-off requests are not acknowledged, but may be readable.
    """

    acknowledged_rows: int
    first_read_rows: int
    settled_rows: int
    max_cut_off_rows: int

    def check(self, name: str) -> None:
        """Fail if an acknowledged row is missing, or if there are more rows than were sent."""
        text = (
            f"{name}: {self.acknowledged_rows:,} rows acknowledged, "
            f"{self.first_read_rows:,} in the first read after the load, "
            f"{self.settled_rows:,} in the last read"
        )
        if self.settled_rows < self.acknowledged_rows:
            raise CheckError(f"{text}: acknowledged rows are lost")
        if self.first_read_rows < self.acknowledged_rows:
            raise CheckError(f"{text}: the first read missed acknowledged rows")
        if self.settled_rows > self.acknowledged_rows + self.max_cut_off_rows:
            raise CheckError(f"{text}: more rows than were sent")


@contextmanager
def suspend_all(services: list[Service]) -> Iterator[None]:
    """Suspend the services for the length of the block."""
    if not services:
        yield
        return
    with services[0].suspend(), suspend_all(services[1:]):
        yield


def load_dataset(service: Service) -> None:
    """Send a million points of ten metrics; fail unless the service has them all."""
    with Client(service.port) as client:
        for body in data.dataset_bodies():
            client.get_json(post("/metrics/batch", body, data.NDJSON))
    total = stored_total(service)
    if total != data.DATASET_POINTS:
        raise CheckError(
            f"{data.DATASET_POINTS:,} points were acknowledged, but {total:,} are stored"
        )
