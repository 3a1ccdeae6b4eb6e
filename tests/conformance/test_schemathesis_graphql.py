"""Schemathesis on GraphQL: each root field answers, or refuses with a typed error."""

from pathlib import Path
from typing import Final

import pytest
from graphql import build_schema

from tests.conformance import services
from tests.conformance.schemathesis_runs import Report, run_schemathesis
from tests.harness.process import ROOT, Process
from tests.harness.run_profile import short_or_long
from tests.harness.sample_operations import EVENTS, METRICS

EXAMPLES: Final = ("--max-examples", short_or_long("20", "150"))
ENVIRONMENTS: Final = short_or_long(["development"], ["development", "production"])
SAVE: Final = (
    "mutation {saveDocuments(input: {documents: ["
    '{id: "Health", text: "{health {status}}"}]}) {documents {id}}}'
)
UNGUESSABLE: Final = {
    *("Mutation.revokeApiKey", "Mutation.revokeSession"),
    *("Mutation.deleteDashboard", "Mutation.restoreDashboard", "Query.dashboard"),
}
"""Root fields that need an id which is random: they answer that it is not found."""


def run(process: Process, folder: Path, secret: str = "") -> Report:
    """Record the rows of the samples, then run Schemathesis."""
    headers = {"authorization": f"Bearer {secret}"} if secret else {}
    for path, body in (
        ("/metrics/batch", METRICS),
        ("/events/batch", EVENTS),
        ("/graphql", {"query": SAVE}),
    ):
        assert process.http.post(path, json=body, headers=headers).status_code == 200
    url = f"http://127.0.0.1:{process.port}/graphql"
    return run_schemathesis("graphql", url, folder, EXAMPLES, secret)


def check(report: Report) -> None:
    """Check that nothing is found, and that each root field is tested and answers."""
    report.assert_no_finding()
    schema = build_schema((ROOT / "schema" / "schema.graphql").read_text())
    roots = [root for root in (schema.query_type, schema.mutation_type) if root]
    fields = {f"{root.name}.{field}" for root in roots for field in root.fields}
    assert report.operations == len(fields)
    assert report.answering() == fields - UNGUESSABLE


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_root_field(tmp_path: Path, environment: str) -> None:
    """Nothing is found, without a key and with an admin key, and every root field is reached."""
    if environment == "production":
        with services.production(tmp_path) as production:
            check(run(production.process, tmp_path, production.secrets["admin"]))
    else:
        with services.development(tmp_path) as process:
            check(run(process, tmp_path))
