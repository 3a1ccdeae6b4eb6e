"""The JavaScript clients of `tests/clients/`, run by the Node that `make clients` installs."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from tests.harness.sample_operations import FOLDER as OPERATIONS

CLIENTS: Final = Path(__file__).parent.parent / "clients"
GENERATED_FOLDER: Final = CLIENTS / "generated"

_LOCK: Final = CLIENTS / "package-lock.json"
_INSTALLED_LOCK: Final = CLIENTS / "node_modules" / ".installed"
NODE: Final = Path(sys.executable).with_name("node")
_CODEGEN: Final = "node_modules/@graphql-codegen/cli/cjs/bin.js"
_TSC: Final = "node_modules/typescript/bin/tsc"
_RELAY: Final = "node_modules/relay-compiler/cli.js"


def are_installed() -> bool:
    """Say whether Node and exactly the locked packages are installed."""
    is_current = _INSTALLED_LOCK.exists() and _INSTALLED_LOCK.read_bytes() == _LOCK.read_bytes()
    return is_current and NODE.exists()


def run(script: str, *arguments: str, service: str = "", **environment: str) -> tuple[int, str]:
    """Run a script, with more variables of its environment; return its exit code and output."""
    result = subprocess.run(
        [NODE, script, *arguments],
        cwd=CLIENTS,
        env=os.environ | {"SERVICE": service, "NO_COLOR": "1"} | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )
    return result.returncode, result.stdout


def generate() -> None:
    """Generate TypeScript from the committed SDL and the sample operations."""
    shutil.rmtree(GENERATED_FOLDER, ignore_errors=True)
    code, output = run(_CODEGEN, "--config", "codegen.ts")
    assert code == 0, output


def check_types(project: str = ".") -> list[str]:
    """Return the complaints of `tsc --strict` about the programs of a folder and their imports."""
    code, output = run(_TSC, "--pretty", "false", "--project", project)
    lines = output.splitlines()
    assert bool(code) == bool(lines), output
    return lines


def compile_for_relay(modules: Sequence[str]) -> dict[str, str]:
    """Compile modules of `relay/` and the sample operations; return operation texts by name.

    Raises AssertionError with the output of Relay's compiler if it fails.
    """
    folder = GENERATED_FOLDER / "relay"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "artifacts").mkdir(parents=True)
    operations_file = folder / "persisted.json"
    operations_file.write_text("{}")
    for module in modules:
        shutil.copy(CLIENTS / "relay" / module, folder)
    for path in OPERATIONS.glob("*.graphql"):
        (folder / f"{path.stem}.ts").write_text(f"graphql`\n{path.read_text()}`;\n")
    code, output = run(_RELAY)
    assert code == 0, output
    texts: dict[str, Any] = msgspec.json.decode(operations_file.read_bytes())
    return {_name(text): text for text in texts.values()}


def _name(operation: str) -> str:
    return operation.replace("(", " ").split()[1]
