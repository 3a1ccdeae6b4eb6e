"""The benchmark of the idle service: time to start, and resident memory."""

import time
from collections.abc import Callable
from pathlib import Path

from bench.report import Section
from bench.service import NAIVE, SERVICE, Program, run_program
from bench.workspace import Workspace

_STARTS = 5
_REST_SECONDS = 2


def measure(space: Workspace) -> Section:
    """Measure the median of five start times in milliseconds, and the idle memory."""
    loaded = space.dataset()
    naive_times, naive_memory = _starts(NAIVE, lambda: space.new_folder("naive"))
    empty_times, empty_memory = _starts(SERVICE, lambda: space.new_folder("empty"))
    full_times, full_memory = _starts(SERVICE, lambda: loaded)
    section = Section("Footprint", "service", "naive")
    section.compare("start to ready, empty", "ms", empty_times, naive_times)
    section.compare("start to ready, 1,000,000 points", "ms", full_times, naive_times)
    section.add("idle memory, empty", "MiB RSS", empty_memory, naive_memory)
    section.add("idle memory, 1,000,000 points", "MiB RSS", full_memory, naive_memory)
    return section


def _starts(program: Program, folder: Callable[[], Path]) -> tuple[list[float], float | None]:
    """Return the times of five starts, and the idle memory after the last one.

    A first start warms the caches and is not counted.
    """
    times = []
    memory = None
    for n in range(_STARTS + 1):
        with run_program(program, folder()) as service:
            times.append(service.seconds_to_start * 1000)
            if n == _STARTS:
                time.sleep(_REST_SECONDS)
                memory = service.resident_mib()
    return times[1:], memory
