"""Refusals of contents: each names the wrong part, and nothing is saved."""

import json
from typing import Any, Final

import pytest

from schema.limits import (
    DASHBOARD_BYTES,
    DASHBOARD_PANELS,
    DASHBOARD_TEXT_CHARACTERS,
    DASHBOARD_TITLE_CHARACTERS,
    VARIABLE_BYTES,
)
from tests.harness.apis import error_summary
from tests.harness.dashboards import CONTENT_MEMBERS, COUNT, content, panel, save
from tests.harness.service import Service

TOO_LONG: Final = "x" * (DASHBOARD_TITLE_CHARACTERS.value + 1)
DEEP: Final[dict[str, Any]] = json.loads('{"NOT":' * 150 + "{}" + "}" * 150)


@pytest.mark.parametrize("member", CONTENT_MEMBERS)
@pytest.mark.parametrize(
    ("dashboard", "field", "words"),
    [
        (content(" "), "title", "empty"),
        (content(TOO_LONG), "title", "dashboardTitleCharacters"),
        (content("a\0b"), "title", "control"),
        (content("a\nb"), "title", "control"),
        (content("a", slug="A b"), "slug", "words"),
        (content("a", slug="../x"), "slug", "words"),
        (content("a", slug="a--b"), "slug", "words"),
        (content("a", slug="x" * 101), "slug", "100"),
        (content("a", description="a\0b"), "description", "NUL"),
        (
            content("a", description="x" * (DASHBOARD_TEXT_CHARACTERS.value + 1)),
            "description",
            "dashboardTextCharacters",
        ),
        (content("a", panel("")), "panels[0].document", "needs a document"),
        (content("a", panel(), panel("{")), "panels[1].document", "Syntax"),
        (content("a", panel("{nope}")), "panels[0].document", "Cannot query"),
        (content("a", panel("{health {status}}" * 2)), "panels[0].document", "anonymous"),
        (content("a", panel("query A {health {status}} query B {health {status}}")),
         "panels[0].document", "one operation"),
        (content("a", panel('mutation {deleteMetrics(input: {name: "m"}) {matchedRows}}')),
         "panels[0].document", "a query"),
        (content("a", panel("{__schema {queryType {name}}}")), "panels[0].document", "__schema"),
        (content("a", panel('{... {__type(name: "Query") {name}}}')),
         "panels[0].document", "__type"),
        (content("a", panel('{dashboard(slug: "a") {id}}')), "panels[0].document", "dashboard"),
        (content("a", panel("{...F} fragment F on Query {dashboards {totalCount}}")),
         "panels[0].document", "dashboards"),
        (content("a", panel('{node(id: "x") {... on Dashboard {data {data}}}}')),
         "panels[0].document", "Dashboard"),
        (content("a", panel('{node(id: "x") {...F}} fragment F on Dashboard {data {data}}')),
         "panels[0].document", "Dashboard"),
        (content("a", panel("{health {status}}" + "#" * 100_000)), "panels[0].document",
         "documentBytes"),
        (content("a", panel("query($a: Int!) {metrics(first: $a) {totalCount}}")),
         "panels[0].variables.a", "non-null"),
        (content("a", panel("query($a: Int!) {metrics(first: $a) {totalCount}}",
                            variables={"a": "x"})), "panels[0].variables.a", "Int"),
        (content("a", panel(variables={"other": 1})), "panels[0].variables.other", "no variable"),
        (content("a", panel("query($range: Int) {metrics(first: $range) {totalCount}}")),
         "panels[0].document", "TimeRangeInput"),
        (content("a", panel(key="a b")), "panels[0].key", "letters"),
        (content("a", panel(key="a"), panel(key="a")), "panels[1].key", "two panels"),
        (content("a", panel(place={"x": 8, "y": 0, "width": 5, "height": 1})),
         "panels[0].place.width", "from 1 to 4"),
        (content("a", panel(place={"x": 12, "y": 0, "width": 1, "height": 1})),
         "panels[0].place.x", "from 0 to 11"),
        (content("a", panel(place={"x": 0, "y": 0, "width": 1, "height": 0})),
         "panels[0].place.height", "from 1"),
        (content("a", {"kind": "TEXT", "text": "a", "document": COUNT}), "panels[0].document",
         "TEXT"),
        (content("a", panel(text="a")), "panels[0].text", "TEXT"),
        (content("a", panel(thresholds=[{"value": 1, "level": "GOOD"}] * 21)),
         "panels[0].thresholds", "20"),
        (content("a", *[panel("{health {status}}")] * (DASHBOARD_PANELS.value + 1)), "panels",
         "dashboardPanels"),
        (content("a", *[panel("{" + " ".join(f"a{n}: health {{status}}" for n in range(60)) + "}")]
                 * 2), "panels", "rootFields"),
        (content("a", *[{"kind": "TEXT", "text": "x" * 10_000}] * 30), "dashboard",
         DASHBOARD_BYTES.name),
    ],
)  # fmt: skip
async def test_refused_contents(
    service: Service, dashboard: object, field: str, words: str, member: str
) -> None:
    """A wrong part is refused with its field, and nothing is saved."""
    before = await _titles(service)
    answer = await save(service, dashboard, member=member)
    assert error_summary(answer)[1:3] == ("BAD_USER_INPUT", field), answer.text
    assert words in answer.json()["errors"][0]["message"]
    assert await _titles(service) == before


async def _titles(service: Service) -> list[str]:
    answer = await service.graphql("{dashboards(first: 1000) {nodes {title}}}")
    return [node["title"] for node in answer["data"]["dashboards"]["nodes"]]


@pytest.mark.parametrize(
    ("source", "field"),
    [
        (None, "dashboard"),
        ([], "source"),
        ("x", "source"),
        ({}, "source.title"),
        ({"title": 1}, "source.title"),
        ({"title": "a", "colour": "red"}, "source.colour"),
        ({"title": "a", "panels": [1]}, "source.panels[0]"),
        ({"title": "a", "panels": [{"kind": "PIE"}]}, "source.panels[0].kind"),
        ({"title": "a", "variables": {"range": {"last": "soon"}}}, "source.variables.range.last"),
        ({"title": "a", "variables": {"range": {}}}, "source.variables.range"),
        ({"title": "a", "variables": {"where": {"nme": {}}}}, "source.variables.where.nme"),
        ({"title": "a", "variables": {"timezone": "Mars"}}, "source.variables.timezone"),
        ({"title": "a", "variables": {"range": {"between": {"from": "noon"}}}}, "source"),
        ({"title": "a", "panels": [panel(variables=[1])]}, "source"),
        ({"title": "a", "panels": [panel(variables={"range": {"between": {"from": "noon"}}})]},
         "panels[0].variables.range"),
    ],
)  # fmt: skip
async def test_refused_sources(service: Service, source: object, field: str) -> None:
    """JSON of another form than `DashboardInput` is refused, with the path of the wrong part."""
    answer = await save(service, source, member="source")
    assert error_summary(answer)[1:3] == ("BAD_USER_INPUT", field), answer.text


@pytest.mark.parametrize("member", CONTENT_MEMBERS)
@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("where", DEEP),
        ("pointWhere", {"AND": [{"NOT": DEEP}]}),
        ("where", {"OR": [{"name": {"in": ["x"] * 2000}}]}),
    ],
)
async def test_refused_filters(
    service: Service, name: str, where: dict[str, Any], member: str
) -> None:
    """A filter that no query would accept is refused when it is saved."""
    answer = await save(service, content("a", variables={name: where}), member=member)
    _, code, field, _ = error_summary(answer)
    assert (code, (field or "").startswith(f"variables.{name}")) == ("BAD_USER_INPUT", True)


async def test_huge_requests(service: Service) -> None:
    """Contents of 10 MB, of 1,000 panels and of endless depth are refused, none with a 500."""
    for dashboard in (
        content("a", panel("{health {status}}" + " " * 10_000_000)),
        content("a", *[panel("{health {status}}")] * 1000),
        content("a", variables={"where": DEEP}),
    ):
        for member in CONTENT_MEMBERS:
            answer = await save(service, dashboard, member=member)
            assert answer.status_code < 500, answer.text
            assert answer.json()["errors"][0]["extensions"]["code"] != "INTERNAL_SERVER_ERROR"
    big = content("a", panel("{health {status}}" + " " * VARIABLE_BYTES.value))
    assert error_summary(await save(service, big))[3] == VARIABLE_BYTES.value
