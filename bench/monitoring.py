"""Gauges, memory and part folders of a running service, read from outside its process."""

import re
from collections import defaultdict
from pathlib import Path

from bench.client import Client, get
from bench.service import Service

RSS = "MiB RSS"
ACTIVE_PARTS = "active parts"
"""Keys of a sample."""

_WAITING_ROWS = "analytics_rows_waiting"
_WAITING_BYTES = "analytics_journal_bytes"
_MIB = 2**20

_PART = re.compile(r"(all|\d{6})_(\d+)_(\d+)_\d+(?:_\d+)?")
_TABLE = "store/data/default/metrics"


def sample(service: Service, folder: Path) -> dict[str, float | None]:
    """Return the memory of a service, its waiting rows, and the parts of the metrics."""
    values = _gauges(service)
    waiting = values.get(_WAITING_BYTES)
    folders, active = _parts(folder)
    return {
        RSS: service.resident_mib(),
        "rows waiting": values.get(_WAITING_ROWS),
        "MiB waiting": None if waiting is None else waiting / _MIB,
        "part folders": folders,
        ACTIVE_PARTS: active,
    }


def _gauges(service: Service) -> dict[str, float]:
    """Return the sum of each metric at ``/internal/metrics``, empty if the path is missing."""
    with Client(service.port) as client:
        status, body = client.send(get("/internal/metrics"))
    sums: defaultdict[str, float] = defaultdict(float)
    if status == 200:
        for line in body.decode().splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                sums[name.split("{", 1)[0]] += float(value)
    return dict(sums)


def _parts(data: Path) -> tuple[int, int]:
    """Return the number of part folders of the metrics, and the number of active parts.

    A part is active if no other part covers it. The engine keeps merged parts for a while.
    """
    by_partition: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for folder in (data / _TABLE).iterdir():
        if match := _PART.fullmatch(folder.name):
            partition, first, last = match.groups()
            by_partition[partition].append((int(first), -int(last)))
    total = active = 0
    for ranges in by_partition.values():
        total += len(ranges)
        end = -1
        for _, last in sorted(ranges):
            if -last > end:
                active += 1
                end = -last
    return total, active
