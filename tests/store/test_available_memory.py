"""Memory that the service may use: the cgroup's limit, or the machine's memory."""

import os
from pathlib import Path
from typing import Final

import pytest

from store.limits import available_memory

MACHINE: Final = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
UNLIMITED_V1: Final = 9223372036854771712


@pytest.mark.parametrize(
    ("own_cgroups", "files", "expected"),
    [
        ("0::/\n", {"memory.max": "1000000"}, 1_000_000),
        ("0::/a/b\n", {"a/b/memory.max": "2000000"}, 2_000_000),
        ("0::/a/b\n", {"a/b/memory.max": "max", "a/memory.max": "3000000"}, 3_000_000),
        ("0::/a/b\n", {"a/b/memory.max": "5000000", "a/memory.max": "4000000"}, 4_000_000),
        ("0::/a\n", {"a/memory.max": "max"}, MACHINE),
        ("0::/a\n", {"a/memory.max": f"{MACHINE * 2}"}, MACHINE),
        ("5:memory:/\n", {"memory/memory.limit_in_bytes": "6000000"}, 6_000_000),
        ("4:cpu:/x\n5:memory:/d/e\n", {"memory/d/e/memory.limit_in_bytes": "7000000"}, 7_000_000),
        ("5:hugetlb,memory:/d/e\n", {"memory/d/memory.limit_in_bytes": "8000000"}, 8_000_000),
        ("5:memory:/gone\n", {"memory/memory.limit_in_bytes": "9000000"}, 9_000_000),
        ("5:memory:/\n", {"memory/memory.limit_in_bytes": f"{UNLIMITED_V1}"}, MACHINE),
        ("5:memory:/m\n0::/u\n", {"memory/m/memory.limit_in_bytes": "1500000"}, 1_500_000),
        ("4:cpu:/d\n", {"memory/d/memory.limit_in_bytes": "1000"}, MACHINE),
        ("0::/with:colon\n", {"with:colon/memory.max": "2500000"}, 2_500_000),
        (None, {"memory.max": "3500000"}, 3_500_000),
        (None, {}, MACHINE),
        ("0::/a\n", {"a/memory.max": "nonsense"}, MACHINE),
    ],
)
def test_memory_is_that_of_the_cgroup(
    tmp_path: Path, own_cgroups: str | None, files: dict[str, str], expected: int
) -> None:
    """The memory is the cgroup's limit, at any level of the hierarchy, or the machine's."""
    groups = tmp_path / "cgroup"
    for name, content in files.items():
        (groups / name).parent.mkdir(parents=True, exist_ok=True)
        (groups / name).write_text(f"{content}\n")
    if own_cgroups is not None:
        (tmp_path / "own").write_text(own_cgroups)
    assert available_memory(cgroups=groups, own_cgroups=tmp_path / "own") == expected
