"""A service in a memory cgroup of 1 GiB, as in a small container."""

import contextlib
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_GROUPS: Final = Path("/sys/fs/cgroup/memory")

GROUP_BYTES: Final = 2**30
HAS_GROUPS: Final = os.geteuid() == 0 and (_GROUPS / "memory.limit_in_bytes").exists()
"""Whether this process may make memory cgroups of version 1."""


@contextlib.contextmanager
def memory_group() -> Iterator[Path]:
    """Make a cgroup with 1 GiB of memory."""
    group = _GROUPS / f"analytics-test-{os.getpid()}-{random.getrandbits(32)}"
    group.mkdir()
    try:
        (group / "memory.limit_in_bytes").write_text(str(GROUP_BYTES))
        yield group
    finally:
        group.rmdir()


def group_command(group: Path) -> list[str]:
    """Return the command that serves from inside the group."""
    enter = f"open({str(group / 'cgroup.procs')!r}, 'w').write(str(os.getpid()))"
    serve = f"os.execv({sys.executable!r}, [{sys.executable!r}, 'app.py'])"
    return [sys.executable, "-c", f"import os; {enter}; {serve}"]


def peak_bytes(group: Path) -> int:
    """Return the most memory that the group had at one time, with files in the page cache."""
    return int((group / "memory.max_usage_in_bytes").read_text())


def oom_kills(group: Path) -> int:
    """Return the number of processes that the kernel killed, as the group had no memory left."""
    counters = dict(
        line.split() for line in (group / "memory.oom_control").read_text().splitlines()
    )
    return int(counters["oom_kill"])
