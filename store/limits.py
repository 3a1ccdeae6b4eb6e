"""Limits of memory, threads, time and rows for the engine on this machine."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_CGROUPS: Final = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one query (`query_*`, `seconds`, rows) and of the engine as a whole.

    `id_memory_bytes` limits the Bloom filters of client ids of one table. `body_bytes` limits the
    bodies of all requests without a response, `answer_bytes` the answers that are not sent.
    `readers` short statements run at once, `long_readers` of each longer kind, and `store_readers`
    of the store itself. `wait_seconds` limits the wait for a connection and for rows to be loaded.
    A key may spend `budget_per_second` of cost; 0 is without limit.
    """

    memory_bytes: int
    query_memory_bytes: int
    id_memory_bytes: int
    body_bytes: int
    answer_bytes: int
    threads: int
    readers: int = 4
    long_readers: int = 1
    store_readers: int = 2
    seconds: float = 20.0
    rows_to_read: int = 10_000_000_000
    result_rows: int = 1_000_000
    wait_seconds: float = 10.0
    budget_per_second: float = 0.0

    @classmethod
    def of_this_machine(cls) -> "Limits":
        """Derive the limits from the memory and cores available to this process."""
        memory = available_memory()
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2
        return cls(
            memory_bytes=memory * 7 // 10,
            query_memory_bytes=memory // 4,
            id_memory_bytes=memory // 32,
            body_bytes=max(2**25, memory // 32),
            answer_bytes=memory // 8,
            threads=cores,
            long_readers=max(1, cores // 2),
            budget_per_second=500.0 * cores,
        )


def available_memory(
    cgroups: Path = _CGROUPS, own_cgroups: Path = Path("/proc/self/cgroup")
) -> int:
    """Return the memory limit in bytes of this process's cgroup (v1 or v2), or of the machine.

    The engine looks at the machine only, so inside a container it would grow until it is killed.
    """
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for file in _limit_files(cgroups, own_cgroups):
        with contextlib.suppress(OSError, ValueError):  # absent, or "max"
            limits.append(int(file.read_text()))
    return min(limits)


def _limit_files(cgroups: Path, own_cgroups: Path) -> list[Path]:
    """List the limit files of this process's cgroup and of every parent."""
    files = [cgroups / "memory.max", cgroups / "memory" / "memory.limit_in_bytes"]
    with contextlib.suppress(OSError):
        for line in own_cgroups.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            v2 = not controllers
            if not v2 and "memory" not in controllers.split(","):
                continue
            group = Path(path.lstrip("/"))
            for part in (group, *group.parents):
                base = cgroups / part if v2 else cgroups / "memory" / part
                files.append(base / ("memory.max" if v2 else "memory.limit_in_bytes"))
    return files
