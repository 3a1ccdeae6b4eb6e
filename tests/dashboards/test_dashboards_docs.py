"""Execution of docs/dashboards.md: its file and its operations; the JSON Schema is current."""

import json
import re
from pathlib import Path
from typing import Final

import jsonschema_rs
import msgspec

import dashboard_commands
from schema.dashboards.content import DashboardContent
from schema.limits import DASHBOARD_LIMITS
from tests.harness.apis import record
from tests.harness.dashboards import content, panel, save_content
from tests.harness.service import Service

TEXT: Final = Path("docs/dashboards.md").read_text()
SECURITY: Final = Path("docs/security.md").read_text()
SCHEMA: Final = Path("docs/dashboard.schema.json")
(FILE,) = re.findall(r"```json file\n(.*?)```", TEXT, re.DOTALL)
OPERATIONS: Final = re.findall(r"```graphql\n(.*?)```", TEXT, re.DOTALL)
COMMANDS: Final = re.findall(r"^analytics-service dashboards (\w+)", TEXT, re.MULTILINE)


async def test_every_example_works(service: Service) -> None:
    """The file is saved, and each operation succeeds; the panels have the numbers of the rows."""
    order = {"event_name": "order", "properties": {"country": "DE"}}
    await record(service, "/events", order, order, {"event_name": "order"})
    await record(service, "/metrics", {"metric_name": "latency", "value": 20})
    answers = []
    for operation in OPERATIONS:
        variables = {"source": json.loads(FILE)} if "$source" in operation else {}
        answer = await service.graphql(operation, **variables)
        assert "errors" not in answer, answer
        answers.append(answer["data"])
    dashboard = next(answer["dashboard"] for answer in answers if "dashboard" in answer)
    assert [entry["errors"] for entry in dashboard["data"]] == [[], [], []]
    orders = dashboard["data"][0]["data"]["eventTrend"]["series"]
    assert orders == [{"total": {"count": 2}}]
    (annotations,) = (answer["annotations"] for answer in answers if "annotations" in answer)
    assert [entry["title"] for entry in annotations] == ["v2.1"]


def test_every_command_exists() -> None:
    """The commands of the text are those of the program."""
    (nouns,) = (action for action in dashboard_commands._parser()._actions if action.choices)
    assert nouns.choices
    (commands,) = (action for action in nouns.choices["dashboards"]._actions if action.choices)  # type: ignore[index]
    assert commands.choices
    assert set(COMMANDS) == set(commands.choices)


async def test_the_json_schema_is_current(service: Service) -> None:
    """The JSON Schema is that of the code; it takes what the service saves, and refuses others."""
    schema = json.loads(msgspec.json.encode(msgspec.json.schema(DashboardContent)))
    assert json.loads(SCHEMA.read_text()) == schema, "rewrite docs/dashboard.schema.json"
    validator = jsonschema_rs.validator_for(schema)
    assert validator.is_valid(json.loads(FILE))
    await save_content(service, content("Valid", panel(), slug="valid"))
    answer = await service.graphql('{dashboard(slug: "valid") {source}}')
    assert validator.is_valid(answer["data"]["dashboard"]["source"])
    for wrong in ({}, {"title": 1}, {"title": "a", "panels": [{"kind": "PIE"}]}):
        assert not validator.is_valid(wrong)


def test_every_limit_is_documented() -> None:
    """The table of docs/security.md has each limit of dashboards, in order."""
    section = SECURITY.partition("\n## Dashboards\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| ([\d,]+)(, fixed)? \| (.*) \|$", section, re.MULTILINE)
    assert [
        (name, int(value.replace(",", "")), bool(is_fixed), description)
        for name, value, is_fixed, description in rows
    ] == [
        (limit.name, limit.value, limit.is_fixed, limit.description) for limit in DASHBOARD_LIMITS
    ]
