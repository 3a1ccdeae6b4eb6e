"""Limits as a table: each is documented, shown by `viewer`, and set by `ANALYTICS_LIMITS`."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from api.edge.limits import EdgeLimits
from app import create_app
from schema import limits
from schema.limits import (
    DASHBOARD_LIMITS,
    DEFAULT_LIMITS,
    LIMITS,
    STORED_DOCUMENT_LIMITS,
    SUBSCRIPTION_LIMITS,
    Limit,
    LimitTable,
    limit_fields,
)
from settings import InvalidSettingError, from_environment
from store.limits import Limits
from tests.harness.apis import error_summary, first_error
from tests.harness.service import Service, use_context
from tests.harness.sized_documents import BUILDERS, VARIABLES

TEXT: Final = Path("docs/security.md").read_text()
SECTION: Final = TEXT.partition("\n## Limits of queries\n")[2].partition("\n## ")[0]


def test_every_limit_is_documented() -> None:
    """The table has each limit with its default, unit and description, in order."""
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \| (.*) \|$", SECTION, re.MULTILINE)
    fields = limit_fields(Limits)
    assert [name for name, *_ in rows] == [*fields]
    machine = {*_machine_limits()}
    for name, default, unit, description in rows:
        metadata = fields[name].metadata
        assert (unit, description) == (metadata["unit"], metadata["description"])
        if name not in machine:
            assert float(default.replace(",", "")) == fields[name].default, name


def _machine_limits() -> list[str]:
    """Return the limits that depend on the machine, which have words as their default."""
    return re.findall(r"^\| `(\w+)` \| [^|]*(?:memory|core)", SECTION, re.MULTILINE)


async def test_viewer_has_every_limit(service: Service) -> None:
    """`viewer` lists the limits of queries, edge, documents and dashboards, with their values."""
    query = "{viewer {limits {name value unit description}}}"
    shown_limits = (await service.graphql(query))["data"]["viewer"]["limits"]
    values = {limit["name"]: limit["value"] for limit in shown_limits}
    tables = (
        Limits.of_this_machine().table(),
        EdgeLimits().table(),
        LIMITS,
        STORED_DOCUMENT_LIMITS,
        DASHBOARD_LIMITS,
        SUBSCRIPTION_LIMITS,
    )
    assert values == {limit.name: limit.value for table in tables for limit in table}
    assert len(shown_limits) == len(values), "two limits have one name"
    assert all(limit["unit"] and limit["description"] for limit in shown_limits)


@pytest.mark.parametrize("limits", [Limits, EdgeLimits], ids=["queries", "edge"])
def test_every_limit_can_be_set(limits: Any) -> None:
    """A setting replaces the value of any limit, and of no other."""
    make = Limits.of_this_machine if limits is Limits else EdgeLimits.from_settings
    for name, field in limit_fields(limits).items():
        settings = from_environment({"ANALYTICS_LIMITS": f" {name}=7 ,"})
        changed_limits, usual_limits = make(settings.limits), make({})
        assert getattr(changed_limits, field.name) == 7
        for entry in limit_fields(limits).values():
            if entry is not field:
                assert getattr(changed_limits, entry.name) == getattr(usual_limits, entry.name)


@pytest.mark.parametrize(
    "limit",
    [*LIMITS, *STORED_DOCUMENT_LIMITS, *DASHBOARD_LIMITS, *SUBSCRIPTION_LIMITS],
    ids=lambda limit: limit.name,
)
def test_limits_of_documents_can_be_set(limit: Limit) -> None:
    """A setting replaces the value of a limit, and of no other; those of messages are fixed."""
    settings = from_environment({"ANALYTICS_LIMITS": f"{limit.name}=7"})
    if limit.is_fixed:
        with pytest.raises(InvalidSettingError, match=f"has no limit '{limit.name}'"):
            create_app(settings)
        return
    create_app(settings)
    changed_table = LimitTable(settings.limits)
    assert changed_table[limit].value == 7
    for entry in DEFAULT_LIMITS:
        assert entry.name == limit.name or changed_table[entry] == entry


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("answerBytes", "must be limits like"),
        ("answerBytes=", "must be limits like"),
        ("answerBytes=-1", "must be limits like"),
        ("answerBytes=1e9", "must be limits like"),
        ("answerBytes=٣", "must be limits like"),
        ("answerBytes=1.5", "needs a whole number for answerBytes"),
        ("answerBytes=0", "needs more than 0 for answerBytes"),
        ("headBytes=0", "needs more than 0 for headBytes"),
        ("aliases=0", "needs more than 0 for aliases"),
        ("aliases=1.5", "needs a whole number for aliases"),
        ("messageCharacters=1", "has no limit 'messageCharacters'"),
        ("answer_bytes=1", "must be limits like"),
        ("bytes=1", "has no limit 'bytes'; there are memoryBytes"),
    ],
)
def test_wrong_limits_are_refused(text: str, message: str) -> None:
    """A wrong setting ends the start, and the message names the setting and the fault."""
    with pytest.raises(InvalidSettingError, match=f"ANALYTICS_LIMITS.*{re.escape(message)}"):
        create_app(from_environment({"ANALYTICS_LIMITS": text}))


def test_a_budget_of_zero_is_no_limit() -> None:
    """Only `budgetPerSecond` may be 0."""
    assert Limits.of_this_machine({"budgetPerSecond": 0}).budget_per_second == 0
    assert Limits.of_this_machine({"requestSeconds": 0.5}).request_seconds == 0.5


@pytest.mark.parametrize(
    "limit",
    [limit for limit in (*BUILDERS, *VARIABLES) if not limit.is_fixed],
    ids=lambda limit: limit.name,
)
async def test_limits_that_were_set(service: Service, limit: Limit) -> None:
    """A service whose limit was set to less keeps to that, also for a document that it knows."""

    def body(size: int) -> dict[str, Any]:
        if limit in VARIABLES:
            return {"query": "{health{status}}", "variables": VARIABLES[limit](size)}
        operation = "Q0" if limit is limits.OPERATIONS else None
        return {"query": BUILDERS[limit](size), "operationName": operation}

    value = limit.value * 4 // 5
    size = value + (2 if limit is limits.COMPARISONS else 1)
    assert (await service.post("/graphql", body(size))).status_code == 200
    context = replace(service.context, limits=LimitTable({limit.name: value}))
    with use_context(service, context):
        assert (await service.post("/graphql", body(value))).status_code == 200
        answer = await service.post("/graphql", body(size))
    assert error_summary(answer)[3] == value
    assert limit.name in first_error(answer)["message"]
