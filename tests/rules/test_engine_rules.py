"""Rules about the engine, which read the code at any depth of its folders."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Final

import pytest

from tests.harness.process import ROOT
from tests.rules.sources import ALL_FOLDERS, calls, imported_packages, modules, texts

DRIVERS: Final = {"chdb", "_chdb", "clickhouse_connect", "clickhouse_driver"}
CLOCKS: Final = re.compile(
    r"\b(now|now64|nowInBlock|today|yesterday|UTCTimestamp)\s*\(", re.IGNORECASE
)
READERS: Final = re.compile(
    r"\b(file|fileCluster|url|s3|remote|remoteSecure|cluster|executable|hdfs|mysql|postgresql"
    r"|mongodb|redis|sqlite|jdbc|odbc|input|Python|azureBlobStorage|gcs)\s*\(|\bINTO\s+OUTFILE\b"
)


def files_with_a_driver(root: Path) -> set[str]:
    """Return the files that import a driver of the engine."""
    return {file for file, tree in modules(root, ALL_FOLDERS) if DRIVERS & imported_packages(tree)}


def files_that_fork(root: Path) -> set[str]:
    """Return the service's files that may fork the process."""
    return {
        file
        for file, tree in modules(root)
        if {"multiprocessing", "pty"} & imported_packages(tree)
        or {"os.fork", "os.forkpty"} & set(calls(tree))
    }


def files_with_statements(root: Path) -> set[str]:
    """Return the service's files that make SQL statements."""
    return {
        file
        for file, tree in modules(root)
        if any(call.endswith("Statement") for call in calls(tree))
    }


def sql_texts(root: Path) -> dict[str, str]:
    """Return the texts of the files that may have SQL, and the migrations."""
    texts_by_file = {
        file: "\n".join(texts(tree)) for file, tree in modules(root, ("resolvers", "store"))
    }
    for path in sorted((root / "store").rglob("*.sql")):
        texts_by_file[str(path.relative_to(root))] = path.read_text()
    return texts_by_file


def files_with_a_clock_in_sql(root: Path) -> set[str]:
    """Return the files whose SQL asks the engine for the time."""
    return {file for file, text in sql_texts(root).items() if CLOCKS.search(text)}


def files_with_a_reader_in_sql(root: Path) -> set[str]:
    """Return the files whose SQL reads files or sockets."""
    return {file for file, text in sql_texts(root).items() if READERS.search(text)}


def test_one_file_touches_the_driver() -> None:
    """Only `store/driver.py` imports chDB, or another ClickHouse driver."""
    assert files_with_a_driver(ROOT) == {"store/driver.py"}


def test_nothing_forks() -> None:
    """Nothing forks: a process that is forked after the import of the engine hangs for ever."""
    assert files_that_fork(ROOT) == set()


def test_only_the_store_makes_statements() -> None:
    """The store's statements are the only way to the engine: no API takes raw SQL."""
    assert {Path(file).parts[0] for file in files_with_statements(ROOT)} == {"store"}


def test_sql_takes_the_time_from_us() -> None:
    """No `now()` or `today()` in SQL: the service's clock decides, and tests can move it."""
    assert files_with_a_clock_in_sql(ROOT) == set()


def test_sql_reads_no_file_but_the_journal() -> None:
    """No SQL function reads files or sockets, except `file`, which loads the journal's segments."""
    assert files_with_a_reader_in_sql(ROOT) == {"store/ingest/streams.py"}
    readers = READERS.findall(sql_texts(ROOT)["store/ingest/streams.py"])
    assert set(readers) == {"file"}


VIOLATIONS: Final[list[tuple[Callable[[Path], set[str]], str, str]]] = [
    (files_with_a_driver, "store/query/deep/planted.py", "import chdb"),
    (files_with_a_driver, "tests/deep/planted.py", "from clickhouse_connect import driver"),
    (files_with_a_driver, "planted.py", 'import importlib\nimportlib.import_module("chdb.x")'),
    (files_that_fork, "api/graphql/planted.py", "def f():\n    import multiprocessing"),
    (files_that_fork, "store/journal/planted.py", "import os\nos.fork()"),
    (files_with_statements, "resolvers/series/planted.py", 'sql.Statement("SELECT 1")'),
    (files_with_statements, "planted.py", 'Statement("SELECT 1")'),
    (files_with_a_clock_in_sql, "store/query/deep/planted.py", 'X = "SELECT now64(3)"'),
    (files_with_a_clock_in_sql, "store/migrations/deep/planted.sql", "SELECT TODAY()"),
    (files_with_a_reader_in_sql, "resolvers/series/planted.py", "X = \"FROM url('x')\""),
    (files_with_a_reader_in_sql, "store/migrations/planted.sql", "SELECT 1 INTO OUTFILE 'x'"),
]


@pytest.mark.parametrize(("rule", "file", "content"), VIOLATIONS)
def test_rule_finds_a_planted_violation(
    tmp_path: Path, rule: Callable[[Path], set[str]], file: str, content: str
) -> None:
    """Each rule looks into every folder at any depth, and at the root: a violation is found."""
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "innocent.py").write_text('"""SELECT now() FROM url(\'x\')."""\n')
    path.write_text(content)
    assert rule(tmp_path) == {file}


def test_engine_is_not_loaded_before_it_is_opened() -> None:
    """Importing the service loads no engine: the parent process of a reloader has none."""
    code = "import sys, app; sys.exit('chdb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_driver_is_pinned_exactly() -> None:
    """An unpinned chdb-core would resolve to an empty stub where there is no wheel."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (requirement,) = (d for d in project["project"]["dependencies"] if d.startswith("chdb"))
    assert re.fullmatch(r"chdb-core==\d+\.\d+\.\d+", requirement)
    for lock in ("requirements.lock", "requirements-dev.lock"):
        lines = (ROOT / lock).read_text().splitlines()
        assert [line.split()[0] for line in lines if line.startswith("chdb")] == [requirement], lock
    assert requirement == f"chdb-core=={version('chdb-core')}"
