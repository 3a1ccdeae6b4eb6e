"""Schemathesis on the REST API: the service keeps each promise of its OpenAPI document.

All checks are on, in development, and in production with a key of each kind.
"""

from pathlib import Path
from typing import Final

import pytest

from tests.conformance import services
from tests.conformance.schemathesis_runs import Report, run_schemathesis
from tests.harness.process import Process
from tests.harness.run_profile import LONG, short_or_long

pytestmark = pytest.mark.slow

EXAMPLES: Final = ("--max-examples", short_or_long("5", "100"))
PHASES: Final = () if LONG else ("--phases", "examples,fuzzing")
"""Phases in production. The others send the same 750 requests each time, and wait for deletions."""

RECORDING: Final = frozenset(
    f"POST /{path}"
    for path in ("metrics", "metrics/batch", "metrics/series", "events", "events/batch")
)
QUERIES: Final = frozenset(
    f"GET /{path}" for path in ("dashboard", "events", "metrics", "metrics/{metric_name}")
)
DELETIONS: Final = frozenset({"DELETE /events", "DELETE /metrics/{metric_name}"})
PROBES: Final = frozenset({"GET /health", "GET /health-check"})
ALL: Final = RECORDING | QUERIES | DELETIONS | PROBES
ANSWERS: Final = {
    "admin": ALL,
    "secret": RECORDING | QUERIES | PROBES,
    "public": RECORDING | PROBES,
}
"""The operations that a key of each kind may use."""


def run(process: Process, folder: Path, *options: str, secret: str = "") -> Report:
    """Run Schemathesis on the document of a service."""
    url = f"http://127.0.0.1:{process.port}/openapi.json"
    return run_schemathesis("openapi", url, folder, (*EXAMPLES, *options), secret)


def test_development(tmp_path: Path) -> None:
    """Without a key nothing is found, every operation is tested, and each answers valid data."""
    with services.development(tmp_path) as process:
        report = run(process, tmp_path)
    report.assert_no_finding()
    assert report.operations == len(ALL)
    assert report.answering() == ALL
    assert not report.content["warnings"]["validation_mismatch"]  # of a route that refuses most


def test_production(tmp_path: Path) -> None:
    """With a key of any kind nothing is found, and the key does what it may and no more."""
    with services.production(tmp_path) as production:
        for kind, secret in production.secrets.items():
            report = run(production.process, tmp_path, *PHASES, secret=secret)
            report.assert_no_finding()
            assert report.operations == len(ALL)
            assert report.answering() == ANSWERS[kind], kind
