"""Dashboards over GraphQL: saved, listed, found, restored, deleted; refusals name the part."""

import json
from typing import Any, Final

import pytest
from strawberry.types import get_object_definition

from schema.access import KeyKind, Scope
from schema.dashboards.content import (
    DashboardContent,
    PanelContent,
    Place,
    Threshold,
    VariableDefaults,
)
from schema.dashboards.inputs import (
    DashboardInput,
    DashboardVariablesInput,
    PanelInput,
    PlaceInput,
    ThresholdInput,
)
from store.access.registry import KeyRequest
from store.dashboards.dashboards import SaveRequest
from store.dashboards.versions import spend_nothing
from tests.harness.access import as_caller, bearer
from tests.harness.apis import error_summary
from tests.harness.dashboards import (
    CONTENT_MEMBERS,
    COUNT,
    content,
    panel,
    panel_data,
    save,
    save_content,
)
from tests.harness.service import Service

FULL: Final[dict[str, Any]] = {
    "title": "Shop, today",
    "slug": "shop",
    "description": "What *sells*",
    "variables": {
        "range": {"last": "P7D"},
        "timezone": "Europe/Berlin",
        "where": {"AND": [{"name": {"eq": "a"}}, {"time": {"gte": "2025-01-01T00:00:00.000Z"}}]},
        "pointWhere": {"tag": {"key": "k", "string": {"in": ["x", "y"]}}},
        "compare": {"mode": "PREVIOUS_PERIOD"},
    },
    "panels": [
        {
            "kind": "LINE",
            "title": "Latency",
            "key": "latency",
            "description": "p95",
            "document": COUNT,
            "variables": {"where": {"name": {"eq": "b"}}},
            "unit": "ms",
            "thresholds": [{"value": 300.5, "level": "CRITICAL"}],
            "place": {"x": 2, "y": 3, "width": 10, "height": 5},
        },
        {
            "kind": "TEXT",
            "key": "p1",
            "text": "# Hello",
            "place": {"x": 6, "y": 0, "width": 6, "height": 4},
        },
    ],
}


@pytest.mark.parametrize("member", CONTENT_MEMBERS)
async def test_a_source_comes_back(service: Service, member: str) -> None:
    """A whole content comes back as it was saved, by inputs and by JSON, and can be saved again."""
    slug = f"full-{member}"
    full = FULL | {"slug": slug}
    dashboard = await save_content(service, full, member=member, message="first")
    query = """query($slug: String!) {dashboard(slug: $slug) {id slug title description source
        variables {range timezone where pointWhere compare} isReadOnly problems {field}
        panels {id key title description kind document text variables unit
          thresholds {value level} place {x y width height}}
        versions {number message title source savedBy} createdAt updatedAt}}"""
    node = (await service.graphql(query, slug=slug))["data"]["dashboard"]
    assert node["source"] == full
    assert node["variables"] == full["variables"]
    assert (node["isReadOnly"], node["problems"]) == (False, [])
    assert node["createdAt"] == node["updatedAt"]
    first, second = node["panels"]
    assert first["id"] == f"panel:{_hex_id(service, slug)}/latency"
    assert {name: first[name] for name in full["panels"][0]} == full["panels"][0]
    assert (second["document"], second["text"]) == (None, "# Hello")
    assert node["versions"] == [
        {"number": 1, "message": "first", "title": "Shop, today", "source": full, "savedBy": None}
    ]
    edit = await save_content(
        service, node["source"], member="source", id=dashboard["id"], version=1
    )
    assert edit == dashboard | {"versionNumber": 2}


def _hex_id(service: Service, slug: str) -> str:
    indexes = service.context.store.dashboards._indexes
    return next(h.id for h in indexes["default"].headers.values() if h.slug == slug)


def test_inputs_and_contents_agree() -> None:
    """What is stored has the members of the inputs, by their names in JSON."""
    for input_type, stored_type in (
        (DashboardInput, DashboardContent),
        (DashboardVariablesInput, VariableDefaults),
        (PanelInput, PanelContent),
        (PlaceInput, Place),
        (ThresholdInput, Threshold),
    ):
        definition = get_object_definition(input_type, strict=True)
        names = {field.python_name for field in definition.fields}
        assert names == set(stored_type.__struct_fields__)


async def test_defaults(service: Service) -> None:
    """A bare content gets a slug of its own, keys and places; an edit keeps the slug."""
    bare = content("Ünique & bare", panel(), panel(key="p1"), panel())
    dashboard = await save_content(service, bare)
    assert dashboard["slug"] == "unique-bare"
    assert (await save_content(service, bare))["slug"] == "unique-bare-2"
    edit = content("Other title", panel())
    dashboard = await save_content(service, edit, id=dashboard["id"], version=1)
    assert dashboard["slug"] == "unique-bare"
    query = '{dashboard(slug: "unique-bare-2") {panels {key place {x y width height}}}}'
    panels = (await service.graphql(query))["data"]["dashboard"]["panels"]
    assert [(entry["key"], *entry["place"].values()) for entry in panels] == [
        *(("p2", 0, 0, 6, 4), ("p1", 6, 0, 6, 4), ("p3", 0, 4, 6, 4))
    ]
    assert (await save_content(service, content("日本")))["slug"] == "dashboard"


async def test_pages_and_search(service: Service) -> None:
    """Dashboards are a connection in the order of titles, in both directions, with a search."""
    await service.context.store.keys.create_project("pages")
    project = {"analytics-project": "pages"}
    for number in (3, 1, 4, 0, 2):
        await save_content(service, content(f"T{number}", slug=f"s{4 - number}"), headers=project)
    query = """query($f: Int, $a: String, $l: Int, $b: String, $s: String) {
        dashboards(first: $f, after: $a, last: $l, before: $b, search: $s) {
        totalCount edges {cursor node {title}} nodes {title}
        pageInfo {hasNextPage hasPreviousPage startCursor endCursor}}}"""

    async def page(**variables: object) -> dict[str, Any]:
        body = {"query": query, "variables": variables}
        answer: dict[str, Any] = (await service.post("/graphql", body, **project)).json()
        connection: dict[str, Any] = answer["data"]["dashboards"]
        return connection

    def titles(connection: dict[str, Any]) -> str:
        assert [edge["node"] for edge in connection["edges"]] == connection["nodes"]
        return "".join(node["title"][1] for node in connection["nodes"])

    first = await page(f=2)
    assert (titles(first), first["totalCount"]) == ("01", 5)
    assert (first["pageInfo"]["hasNextPage"], first["pageInfo"]["hasPreviousPage"]) == (True, False)
    cursor = first["pageInfo"]["endCursor"]
    assert titles(await page(f=2, a=cursor)) == "23"
    assert titles(await page(f=9, a=cursor)) == "234"
    last = await page(l=2)
    assert (titles(last), last["pageInfo"]["hasPreviousPage"]) == ("34", True)
    assert titles(await page(l=1, b=last["pageInfo"]["startCursor"])) == "2"
    assert titles(await page(s="t3")) == "3"
    assert titles(await page(s="S0")) == "4"
    assert titles(await page(s="s9")) == ""
    for wrong in ({"a": "x"}, {"f": 0}, {"f": 1, "l": 1}, {"a": "WyJtIiwieCJd"}):
        body = {"query": query, "variables": wrong}
        answer = await service.post("/graphql", body, **project)
        assert error_summary(answer)[1] == "BAD_USER_INPUT"


async def test_edits_and_history(service: Service) -> None:
    """Each save makes a version; an edit of an older one is a CONFLICT; an earlier one returns."""
    node = await save_content(service, content("H1", panel()))
    dashboard_id = node["id"]
    for number in (2, 3):
        await save_content(service, content(f"H{number}"), id=dashboard_id, version=number - 1)
    for version in (1, 2, 4, None):
        refusal = await save(service, content("late"), id=dashboard_id, version=version)
        code, field = error_summary(refusal)[1:3]
        assert (code, field) == ("BAD_USER_INPUT" if version is None else "CONFLICT", "version")
    restore = (
        "mutation($id: ID!, $version: Int!) {restoreDashboard(input: {id: $id, version: $version})"
        " {dashboard {title versionNumber panels {title} versions {number message}"
        " version(number: 2) {title} }}}"
    )
    answer = await service.graphql(restore, id=dashboard_id, version=1)
    dashboard = answer["data"]["restoreDashboard"]["dashboard"]
    assert (dashboard["title"], dashboard["versionNumber"]) == ("H1", 4)
    assert dashboard["versions"][0] == {"number": 4, "message": "Restored version 1"}
    assert [version["number"] for version in dashboard["versions"]] == [4, 3, 2, 1]
    assert dashboard["version"] == {"title": "H2"}
    answer = await service.graphql(restore, id=dashboard_id, version=9)
    assert answer["errors"][0]["extensions"]["code"] == "NOT_FOUND"
    delete = "mutation($id: ID!) {deleteDashboard(input: {id: $id}) {id}}"
    assert (await service.graphql(delete, id=dashboard_id))["data"]["deleteDashboard"]
    for query in ("query($id: ID!) {dashboard(id: $id) {id}}", delete):
        answer = await service.graphql(query, id=dashboard_id)
        assert answer["errors"][0]["extensions"] == {"code": "NOT_FOUND", "field": "id"}
    assert await service.graphql("query($id: ID!) {node(id: $id) {id}}", id=dashboard_id) == {
        "data": {"node": None}
    }


async def test_who_saved(service: Service) -> None:
    """A version has the key that saved it; readers may not save, and public keys see nothing."""
    keys = service.context.store.keys
    key, secret = await keys.create(KeyRequest("editor", KeyKind.SECRET))
    node = await save_content(as_caller(service, secret), content("Mine"))
    query = f'{{dashboard(id: "{node["id"]}") {{updatedBy}} node(id: "{node["id"]}") {{id}}}}'
    answer = await service.graphql(query)
    assert answer["data"] == {"dashboard": {"updatedBy": key.id}, "node": {"id": node["id"]}}
    _, reader = await keys.create(KeyRequest("reader", KeyKind.SECRET, scopes=[Scope.QUERY]))
    refusal = await save(as_caller(service, reader), content("Mine"))
    assert error_summary(refusal)[1] == "FORBIDDEN"
    _, public = await keys.create(KeyRequest("public", KeyKind.PUBLIC))
    body = {"query": "{dashboards {totalCount}}"}
    refusal = await service.post("/graphql", body, **bearer(public))
    assert error_summary(refusal)[1] == "FORBIDDEN"


async def test_projects_share_no_dashboard(service: Service) -> None:
    """What one project saved is not found in another: by id, slug, list, edit or deletion."""
    await service.context.store.keys.create_project("apart")
    node = await save_content(service, content("Apart", slug="apart"))
    project = {"analytics-project": "apart"}
    for query in (
        '{dashboard(slug: "apart") {id}}',
        f'{{dashboard(id: "{node["id"]}") {{id}}}}',
        f'mutation {{deleteDashboard(input: {{id: "{node["id"]}"}}) {{id}}}}',
        f'mutation {{restoreDashboard(input: {{id: "{node["id"]}", version: 1}}) {{__typename}}}}',
    ):
        answer = await service.post("/graphql", {"query": query}, **project)
        assert error_summary(answer)[1] == "NOT_FOUND"
    answer = await save(service, content("x"), id=node["id"], version=1, headers=project)
    assert error_summary(answer)[1] == "NOT_FOUND"
    query = f'{{dashboards {{totalCount}} node(id: "{node["id"]}") {{id}}}}'
    answer = await service.post("/graphql", {"query": query}, **project)
    assert answer.json()["data"] == {"dashboards": {"totalCount": 0}, "node": None}
    same_slug = await save_content(service, content("Apart", slug="apart"), headers=project)
    assert same_slug["slug"] == "apart"


async def test_what_an_upgrade_breaks(service: Service) -> None:
    """A stored panel that this version refuses is among the problems; the others still work."""
    panels = json.loads(json.dumps([panel(key="old"), panel(key="good")]))
    node = await save_content(service, content("Old", *panels, slug="old"))
    store = service.context.store.dashboards
    header = await store.find_by_slug("default", "old")
    assert header is not None
    version = await store.read("default", header.id, 1, spend_nothing)
    assert version is not None
    first, second = version.content.panels
    old_panels = [
        PanelContent(first.kind, key="old", document="{gone {x}}", place=first.place),
        second,
    ]
    stored_content = DashboardContent("Old", "old", panels=tuple(old_panels))
    await store.save("default", SaveRequest(stored_content, id=header.id, version=1))
    query = '{dashboard(slug: "old") {problems {field code} panels {key problems {message}}}}'
    dashboard = (await service.graphql(query))["data"]["dashboard"]
    assert dashboard["problems"] == [
        {"field": "panels[0].document", "code": "GRAPHQL_VALIDATION_FAILED"}
    ]
    assert [len(entry["problems"]) for entry in dashboard["panels"]] == [1, 0]
    data = await panel_data(service, "old")
    assert data[0]["data"] is None
    assert data[0]["errors"][0]["code"] == "GRAPHQL_VALIDATION_FAILED"
    assert data[1]["data"]["eventTrend"]["series"]
    await save_content(service, content("Old", *panels), id=node["id"], version=2)
    dashboard = (await service.graphql(query))["data"]["dashboard"]
    assert dashboard["problems"] == []
