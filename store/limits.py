"""Limits of memory, threads, time and rows for the engine on this machine."""

import contextlib
import os
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from schema.limits import Limit, limit_table, replaced_fields

_CGROUPS: Final = Path("/sys/fs/cgroup")


def _limit(unit: str, description: str, default: Any = MISSING, **metadata: bool) -> Any:  # noqa: ANN401 - as `field`
    metadata_of_limit = {"unit": unit, "description": description, **metadata}
    return field(default=default, metadata=metadata_of_limit)


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of queries, and of the engine as a whole; an operator may set each one."""

    memory_bytes: int = _limit("bytes", "Memory of the engine, for all that it does.")
    query_memory_bytes: int = _limit("bytes", "Memory of one statement in the engine.")
    id_memory_bytes: int = _limit("bytes", "Memory of the client ids of metrics, and of events.")
    body_bytes: int = _limit("bytes", "Bodies of all requests without an answer.")
    answers_bytes: int = _limit("bytes", "Answers of all requests that are not sent yet.")
    threads: int = _limit("threads", "Threads of one statement.")
    readers: int = _limit("statements", "Short statements at once: of a cost up to 100.", 4)
    long_readers: int = _limit(
        "statements", "Longer statements at once: of a cost up to 2,000, and above.", 1
    )
    store_readers: int = _limit("statements", "Statements of the service itself at once.", 4)
    request_seconds: float = _limit("seconds", "Time for all statements of a request.", 20.0)
    wait_seconds: float = _limit("seconds", "Wait for a reader, and for rows to be loaded.", 10.0)
    rows_to_read: int = _limit("rows", "Rows that a statement reads.", 10_000_000_000)
    result_rows: int = _limit("rows", "Rows that a statement returns.", 1_000_000)
    answer_bytes: int = _limit(
        "bytes", "Bytes of an answer, and of the rows that it is made of, with each alias.", 2**25
    )
    answer_values: int = _limit(
        "values",
        "Fields of objects and entries of lists in an answer, with each alias, without `points`,"
        " `columns` and pages of events and samples.",
        250_000,
    )
    budget_per_second: float = _limit(
        "cost a second", "Cost of queries that a key may spend; 0: without a limit.", 0.0, zero=True
    )
    names_per_project: int = _limit(
        "names", "Names of metrics, and names of events, that a project may have.", 100_000
    )
    budget_seconds: int = _limit(
        "seconds", "Time after which a spent budget, of cost or of rows, is full again.", 60
    )
    key_rows_per_second: float = _limit(
        "rows a second", "Rows that a key may record; 0: without a limit.", 0.0, zero=True
    )
    address_rows_per_second: float = _limit(
        "rows a second",
        "Rows that an address may record with a public key; 0: without a limit.",
        1_000.0,
        zero=True,
    )
    session_hours: int = _limit("hours", "Time after which a person must sign in again.", 168)

    @classmethod
    def of_this_machine(cls, settings: Mapping[str, float] = MappingProxyType({})) -> "Limits":
        """Derive the limits from the memory and cores of this process; `settings` replace some."""
        memory = available_memory()
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2
        values: dict[str, Any] = {
            "memory_bytes": memory * 7 // 10,
            "query_memory_bytes": memory // 4,
            "id_memory_bytes": memory // 32,
            "body_bytes": max(2**25, memory // 32),
            "answers_bytes": memory // 16,
            "threads": cores,
            "long_readers": max(1, cores // 2),
            "budget_per_second": 500.0 * cores,
        }
        return cls(**values | replaced_fields(cls, settings))

    def table(self) -> list[Limit]:
        """Return all limits with their values here."""
        return limit_table(self)


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
