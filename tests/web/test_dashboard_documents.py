"""The GraphQL documents of the dashboards, against the committed SDL."""

import re
from pathlib import Path
from typing import Final

import pytest
from graphql import build_schema, parse, validate

from tests.harness.process import ROOT

DASHBOARDS: Final = ROOT / "web/dashboards"
DOCUMENTS: Final = sorted((DASHBOARDS / "documents").glob("*.graphql"))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_document_is_valid(path: Path) -> None:
    """Each document of the dashboards is valid in the schema of the service."""
    schema = build_schema((ROOT / "schema/schema.graphql").read_text())
    assert validate(schema, parse(path.read_text())) == []


def test_each_document_has_types() -> None:
    """Each document is imported once, together with the types of its variables and data."""
    text = (DASHBOARDS / "model/documents.ts").read_text()
    imports = re.findall(r'"\.\./documents/(\w+)\.graphql\?raw"', text)
    assert sorted(imports) == [path.stem for path in DOCUMENTS]
