"""Imports run one way: api, resolvers, store, schema. The contracts are in pyproject.toml."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.harness.process import ROOT
from tests.rules.sources import EVERYTHING, SERVICE, imported_packages, modules, texts

LINT_IMPORTS: Final = (
    sys.executable,
    "-c",
    "from importlinter.cli import lint_imports_command as run; run()",
)
ROOT_MODULES: Final = {"app", "server", "settings"}
OURS: Final = {*SERVICE, *ROOT_MODULES}

ALLOWED: Final = {"app": OURS - {"app"}, "server": {"api", "settings"}, "settings": set()}
"""Packages of ours that each module at the root may import."""


@pytest.fixture(scope="module")
def skeleton(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the service's Python files and the contracts."""
    root = tmp_path_factory.mktemp("skeleton")
    for folder in SERVICE:
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", *(f"{name}.py" for name in ROOT_MODULES)):
        shutil.copy(ROOT / file, root / file)
    return root


PLANTED: Final = [
    ("store/limits.py", "import api.bodies", "api -> resolvers -> store -> schema"),
    ("schema/errors.py", "import resolvers.context", "api -> resolvers -> store -> schema"),
    ("schema/scalars.py", "import schema.ranges", "rooms of schema"),
    ("schema/funnel.py", "", "rooms of schema"),
    ("resolvers/context.py", "import api.rest", "api -> resolvers -> store -> schema"),
    ("store/query/sql.py", "import settings", "nothing imports the modules at the root"),
    ("api/bodies.py", "import app", "nothing imports the modules at the root"),
    ("api/bodies.py", "import api.rest", "rooms of api"),
    ("api/funnel.py", "", "rooms of api"),
    ("api/graphql/connections.py", "import api.graphql.query", "rooms of api.graphql"),
    ("api/graphql/funnel.py", "", "rooms of api.graphql"),
    ("resolvers/pages.py", "import resolvers.metrics", "rooms of resolvers"),
    ("resolvers/funnel.py", "", "rooms of resolvers"),
    ("resolvers/series/request.py", "import resolvers.series.run", "stages of a series query"),
    ("store/query/sql.py", "import store.engine", "rooms of store"),
    ("store/journal/journal.py", "import store.ingest.rows", "rooms of store"),
    ("store/rollups.py", "", "rooms of store"),
    ("store/query/time/zones.py", "import store.query.filters.conditions", "rooms of store.query"),
    ("store/query/rollups.py", "", "rooms of store.query"),
]


@pytest.mark.parametrize(("file", "content", "contract"), PLANTED)
def test_contract_finds_a_planted_violation(
    skeleton: Path, file: str, content: str, contract: str
) -> None:
    """Each contract is broken by an import against it, or by a module that has no place in it."""
    planted = skeleton / file
    before = planted.read_text() if planted.exists() else None
    planted.write_text(f"{before or ''}\n{content}\n")
    try:
        environment = os.environ | {"PYTHONPATH": str(skeleton)}
        done = subprocess.run(
            (*LINT_IMPORTS, "--no-logo", "--no-cache"),
            cwd=skeleton,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        if before is None:
            planted.unlink()
        else:
            planted.write_text(before)
    broken = [line for line in done.stdout.splitlines() if line.endswith("BROKEN")]
    assert f"{contract} BROKEN" in broken or f"Contract '{contract}'" in done.stdout, done.stdout
    assert done.returncode == 1


def backward_imports(root: Path) -> set[str]:
    """Return what the modules at the root import of ours and may not."""
    return {
        f"{file}: {package}"
        for file, tree in modules(root, ())
        for package in imported_packages(tree) & OURS - ALLOWED.get(file.removesuffix(".py"), set())
    }


def test_modules_at_the_root_import_in_one_direction() -> None:
    """`app` is above `server`, `server` above `settings`; there are no other modules."""
    assert backward_imports(ROOT) == set()
    assert {path.stem for path in ROOT.glob("*.py")} == ROOT_MODULES


def test_rule_for_the_root_finds_a_planted_violation(tmp_path: Path) -> None:
    """The rule above sees each import that is not allowed, and a module that it doesn't know."""
    (tmp_path / "settings.py").write_text("from store import Store\n")
    (tmp_path / "server.py").write_text("import settings\nimport app\n")
    (tmp_path / "helpers.py").write_text("def f():\n    import schema.errors\n")
    assert backward_imports(tmp_path) == {
        *("settings.py: store", "server.py: app", "helpers.py: schema"),
    }


def test_every_package_has_a_contract() -> None:
    """A new package at the top level is either the service's, and has a contract, or known here."""
    packages = {
        path.relative_to(ROOT).parts[0]
        for path in ROOT.glob("*/**/*.py")
        if not path.relative_to(ROOT).parts[0].startswith(".")
    }
    assert packages - {"data"} == set(EVERYTHING)


def missing_modules(root: Path) -> set[str]:
    """Return the imports of ours, also those inside of texts, whose module does not exist."""
    ours = "|".join(sorted({*EVERYTHING, *ROOT_MODULES}))
    pattern = re.compile(rf"^(?:from|import) ((?:{ours})(?:\.\w+)*)", re.MULTILINE)
    names = {
        name
        for _, tree in modules(root, EVERYTHING)
        for text in texts(tree)
        for name in pattern.findall(text)
    }
    return {
        name
        for name in names
        if not (root / name.replace(".", "/")).is_dir()
        and not (root / f"{name.replace('.', '/')}.py").exists()
    }


def test_scripts_in_texts_import_what_exists() -> None:
    """A script that a test runs as text is seen by no other tool when a module moves."""
    assert missing_modules(ROOT) == set()


def test_rule_for_scripts_finds_a_planted_violation(tmp_path: Path) -> None:
    """A module that is not there is found in a text."""
    script = "\n".join(["", "from " + "store.sql import Statement", ""])
    (tmp_path / "planted.py").write_text(f'X = """{script}"""')
    assert missing_modules(tmp_path) == {"store.sql"}
