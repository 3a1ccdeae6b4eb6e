"""The audits of graphql-http: the service follows GraphQL over HTTP in every point."""

from collections import Counter
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from tests.conformance import services
from tests.harness import javascript

LEVELS: Final = {"MUST": 13, "SHOULD": 23, "MAY": 25}
"""Number of the audits of each level."""


def audit(port: int, secret: str = "") -> list[dict[str, Any]]:
    """Run the audits on a service; return their results."""
    assert javascript.are_installed(), "the JavaScript clients are not installed: make clients"
    code, output = javascript.run("audits.ts", service=f"http://127.0.0.1:{port}", KEY=secret)
    assert code == 0, output
    return [msgspec.json.decode(line) for line in output.splitlines()]


def check(results: list[dict[str, Any]], subtests: pytest.Subtests) -> None:
    """Check that no audit is missing, and each one by its name."""
    assert Counter(result["name"].partition(" ")[0] for result in results) == LEVELS
    assert len({result["id"] for result in results}) == sum(LEVELS.values())
    for result in results:
        with subtests.test(msg=f"{result['id']} {result['name']}"):
            assert result["status"] == "ok", result["reason"]


def test_development(tmp_path: Path, subtests: pytest.Subtests) -> None:
    """Without a key every audit passes."""
    with services.development(tmp_path) as process:
        check(audit(process.port), subtests)


def test_production(tmp_path: Path, subtests: pytest.Subtests) -> None:
    """With a key every audit passes in production."""
    with services.production(tmp_path) as production:
        check(audit(production.process.port, production.secrets["secret"]), subtests)
