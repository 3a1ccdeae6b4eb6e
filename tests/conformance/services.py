"""Services for foreign suites: in development, and in production with a key of each kind."""

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import access_commands
from tests.harness.process import Process

KINDS: Final = ("admin", "secret", "public")


@dataclass(frozen=True, slots=True)
class Production:
    """A running service in production, and a key of each kind."""

    process: Process
    secrets: dict[str, str]


@contextlib.contextmanager
def development(folder: Path) -> Iterator[Process]:
    """Run a service in development."""
    with Process(folder / "data") as process:
        process.await_ready()
        yield process


@contextlib.contextmanager
def production(folder: Path) -> Iterator[Production]:
    """Make keys, and run a service in production."""
    data = folder / "data"
    secrets = {kind: _make_key(data, kind) for kind in KINDS}
    with Process(data, settings={"ANALYTICS_ENV": "production"}) as process:
        process.await_ready()
        yield Production(process, secrets)


def _make_key(data: Path, kind: str) -> str:
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        code = access_commands.main(["keys", "create", kind, "--name", kind, "--data", str(data)])
    assert code == 0
    return output.getvalue().strip()
