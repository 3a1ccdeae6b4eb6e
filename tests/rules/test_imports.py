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
from tests.rules.sources import ALL_FOLDERS, SERVICE, imported_packages, modules, texts

LINT_IMPORTS: Final = (
    sys.executable,
    "-c",
    "from importlinter.cli import lint_imports_command as run; run()",
)
ROOT_MODULES: Final = {
    "app",
    "access_commands",
    "dashboard_commands",
    "demo_command",
    "document_commands",
    "server",
    "settings",
}
OURS: Final = {*SERVICE, *ROOT_MODULES}

ALLOWED_IMPORTS: Final = {
    "app": OURS - {"app"},
    "server": {
        *("api", "access_commands", "dashboard_commands", "demo_command", "document_commands"),
        *("settings", "store"),
    },
    "access_commands": {"schema", "settings", "store"},
    "dashboard_commands": {"api", "resolvers", "schema", "settings", "store"},
    "demo_command": {"demo", "settings", "store"},
    "document_commands": {"api", "resolvers", "schema", "settings", "store"},
    "settings": set(),
}
"""Packages of the project that each module at the root may import."""


@pytest.fixture(scope="module")
def skeleton(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the service's Python files and the contracts."""
    root = tmp_path_factory.mktemp("skeleton")
    for folder in SERVICE:
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", *(f"{name}.py" for name in ROOT_MODULES)):
        shutil.copy(ROOT / file, root / file)
    return root


VIOLATIONS: Final = [
    ("demo/days.py", "import schema.errors", "the demo is a client"),
    ("demo/places.py", "import demo.story", "rooms of demo"),
    ("store/limits.py", "import demo.rows", "nothing needs the demo"),
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


@pytest.mark.parametrize(("file", "content", "contract"), VIOLATIONS)
def test_contract_finds_a_planted_violation(
    skeleton: Path, file: str, content: str, contract: str
) -> None:
    """An import against a contract breaks it, and a module that it does not have."""
    path = skeleton / file
    before = path.read_text() if path.exists() else None
    path.write_text(f"{before or ''}\n{content}\n")
    try:
        environment = os.environ | {"PYTHONPATH": str(skeleton)}
        result = subprocess.run(
            (*LINT_IMPORTS, "--no-logo", "--no-cache"),
            cwd=skeleton,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_text(before)
    broken_contracts = [line for line in result.stdout.splitlines() if line.endswith("BROKEN")]
    assert f"{contract} BROKEN" in broken_contracts or f"Contract '{contract}'" in result.stdout, (
        result.stdout
    )
    assert result.returncode == 1


def backward_imports(root: Path) -> set[str]:
    """Return the imports of the modules at the root that are not allowed."""
    return {
        f"{file}: {package}"
        for file, tree in modules(root, ())
        for package in imported_packages(tree)
        & OURS - ALLOWED_IMPORTS.get(file.removesuffix(".py"), set())
    }


def test_modules_at_the_root_import_in_one_direction() -> None:
    """`app` is above `server`, then the commands, then `settings`; there are no others."""
    assert backward_imports(ROOT) == set()
    assert {path.stem for path in ROOT.glob("*.py")} == ROOT_MODULES


def test_rule_for_the_root_finds_a_planted_violation(tmp_path: Path) -> None:
    """The rule finds each import that is not allowed, and each unknown module."""
    (tmp_path / "settings.py").write_text("from store import Store\n")
    (tmp_path / "server.py").write_text("import settings\nimport app\n")
    (tmp_path / "helpers.py").write_text("def f():\n    import schema.errors\n")
    assert backward_imports(tmp_path) == {
        *("settings.py: store", "server.py: app", "helpers.py: schema"),
    }


def test_every_package_has_a_contract() -> None:
    """Each package at the top level is in the service, with a contract, or in `ALL_FOLDERS`."""
    packages = {
        path.relative_to(ROOT).parts[0]
        for path in ROOT.glob("*/**/*.py")
        if not path.relative_to(ROOT).parts[0].startswith(".")
    }
    assert packages - {"data"} == set(ALL_FOLDERS)


def missing_modules(root: Path) -> set[str]:
    """Return the missing modules of the project that scripts in texts import."""
    ours = "|".join(sorted({*ALL_FOLDERS, *ROOT_MODULES}))
    pattern = re.compile(rf"^(?:from|import) ((?:{ours})(?:\.\w+)*)", re.MULTILINE)
    names = {
        name
        for _, tree in modules(root, ALL_FOLDERS)
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
    """Scripts in texts import existing modules, which no other tool checks when one moves."""
    assert missing_modules(ROOT) == set()


def test_rule_for_scripts_finds_a_planted_violation(tmp_path: Path) -> None:
    """The rule finds a missing module in a text."""
    script = "\n".join(["", "from " + "store.sql import Statement", ""])
    (tmp_path / "planted.py").write_text(f'X = """{script}"""')
    assert missing_modules(tmp_path) == {"store.sql"}
