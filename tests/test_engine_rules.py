"""What the engine must never be given, and never take: rules that the code itself is read for."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Final

import pytest

from store.limits import available_memory
from tests.process import ROOT

MACHINE: Final = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
UNLIMITED_V1: Final = 9223372036854771712


@pytest.mark.parametrize(
    ("own", "files", "expected"),
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
    tmp_path: Path, own: str | None, files: dict[str, str], expected: int
) -> None:
    """In a container the limit counts, wherever it is written; the engine would not look."""
    groups = tmp_path / "cgroup"
    for name, content in files.items():
        (groups / name).parent.mkdir(parents=True, exist_ok=True)
        (groups / name).write_text(f"{content}\n")
    if own is not None:
        (tmp_path / "own").write_text(own)
    assert available_memory(cgroups=groups, own=tmp_path / "own") == expected


def sources(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    """Parse our Python files: those at the root and in these folders."""
    for folder in (".", *folders):
        for path in sorted((ROOT / folder).glob("*.py")):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def imported(tree: ast.Module) -> Iterator[str]:
    """List the top packages that a file imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield ast.unparse(node.args[0]).strip("'\"").partition(".")[0]


def test_one_file_touches_the_driver() -> None:
    """Only `store/engine.py` imports chDB, or another ClickHouse driver."""
    drivers = {"chdb", "_chdb", "clickhouse_connect", "clickhouse_driver"}
    found = {
        file
        for file, tree in sources("schema", "store", "resolvers", "bench", "tests")
        if drivers & set(imported(tree))
    }
    assert found == {"store/engine.py"}


def test_nothing_forks() -> None:
    """A process that is forked after the engine was imported hangs for ever: we never fork."""
    forking = {"multiprocessing", "pty"}
    for file, tree in sources("schema", "store", "resolvers"):
        assert not forking & set(imported(tree)), file
        calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        assert not calls & {"os.fork", "os.forkpty"}, file


def test_engine_is_not_loaded_before_it_is_opened() -> None:
    """Importing the service loads no engine: a reloader's parent process has none to hold."""
    code = "import sys, app; sys.exit('chdb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_only_the_store_writes_sql() -> None:
    """There is no other way to the engine than the store's own statements: no raw-SQL door."""
    makers = {
        file
        for file, tree in sources("schema", "store", "resolvers")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Statement")
    }
    assert {str(Path(file).parent) for file in makers} == {"store"}


def texts(tree: ast.Module) -> Iterator[str]:
    """List the texts of a file, without those that only document."""
    documents = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if id(node) not in documents:
                yield text


def sql() -> dict[str, str]:
    """Return all texts of the store's files, and its migrations."""
    found = {file: "\n".join(texts(tree)) for file, tree in sources("store", "resolvers")}
    for path in sorted((ROOT / "store" / "migrations").glob("*.sql")):
        found[path.name] = path.read_text()
    return found


def test_sql_takes_the_time_from_us() -> None:
    """No `now()` or `today()` in SQL: the service's clock decides, and tests can move it."""
    clock = re.compile(r"\b(now|now64|nowInBlock|today|yesterday|UTCTimestamp)\s*\(", re.IGNORECASE)
    assert {file: clock.findall(text) for file, text in sql().items() if clock.search(text)} == {}


def test_sql_reaches_no_file_but_the_journal() -> None:
    """Functions that read files or sockets are not used, but for `file` where segments load."""
    doors = re.compile(
        r"\b(file|fileCluster|url|s3|remote|remoteSecure|cluster|executable|hdfs|mysql|postgresql"
        r"|mongodb|redis|sqlite|jdbc|odbc|input|Python|azureBlobStorage|gcs)\s*\(|\bINTO\s+OUTFILE\b"
    )
    found = {file: set(doors.findall(text)) for file, text in sql().items() if doors.search(text)}
    assert found == {"store/tables.py": {"file"}}


def test_driver_is_pinned_exactly() -> None:
    """An unpinned chdb-core would resolve to an empty stub where there is no wheel."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (pinned,) = (d for d in project["project"]["dependencies"] if d.startswith("chdb"))
    assert re.fullmatch(r"chdb-core==\d+\.\d+\.\d+", pinned)
    for lock in ("requirements.lock", "requirements-dev.lock"):
        lines = (ROOT / lock).read_text().splitlines()
        assert [line.split()[0] for line in lines if line.startswith("chdb")] == [pinned], lock
    assert pinned == f"chdb-core=={version('chdb-core')}"
