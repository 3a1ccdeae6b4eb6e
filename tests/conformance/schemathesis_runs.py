"""Runs of Schemathesis on a service, as its users start it, and what they report."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from tests.harness.process import ROOT
from tests.harness.run_profile import LONG

SECONDS: Final = 1800
"""Time for one run. The short form takes 5 to 20 seconds, the long form minutes."""

_PROGRAM: Final = Path(sys.executable).with_name("st")
_FOLDER: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Report:
    """Result of a run: its output, its exit code, and the numbers of its JSON report."""

    output: str
    code: int
    content: dict[str, Any]

    def assert_no_finding(self) -> None:
        """Fail with the output of the run if a check failed or an operation was left out."""
        operations = self.content["operations"]
        assert self.code == 0, self.output
        assert self.content["stop_reason"] == "completed", self.output
        assert operations["tested"] == operations["total"] > 0, self.output

    @property
    def operations(self) -> int:
        """The number of the operations that were tested."""
        count: int = self.content["operations"]["tested"]
        return count

    def answering(self) -> set[str]:
        """Return the operations that accepted a request which their schema allows."""
        return {
            operation
            for operation, phases in self.content["valid_rates"].items()
            if sum(counts["accepted"] for counts in phases.values())
        }


def run_schemathesis(
    api: str, url: str, folder: Path, options: Sequence[str], secret: str = ""
) -> Report:
    """Run Schemathesis on an API, `openapi` or `graphql`, whose document is at a URL.

    The short form draws the same requests each time, the long form others.
    """
    report = folder / f"{api}.json"
    header = ("--header", f"Authorization: Bearer {secret}") if secret else ()
    form = () if LONG else ("--generation-deterministic",)
    result = subprocess.run(
        [
            *(_PROGRAM, "--config-file", _FOLDER / f"{api}.toml", "run", url, "--no-color"),
            *("--checks", "all", "--report", "json", "--report-json-path", report),
            *(*header, *form, *options),
        ],
        cwd=folder,  # it leaves files where it runs
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "default"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert report.exists(), result.stdout
    return Report(result.stdout, result.returncode, msgspec.json.decode(report.read_bytes()))
