"""Dashboards of tests: contents, and the mutations that save them."""

from typing import Any, Final

import httpx

from tests.harness.service import Service

SAVE: Final = """
mutation Save($input: SaveDashboardInput!) {
  saveDashboard(input: $input) {dashboard {id slug versionNumber}}
}"""
DATA: Final = """
query Data($slug: String, $range: TimeRangeInput, $where: EventFilter, $pointWhere: MetricFilter,
  $timezone: TimeZone, $compare: CompareInput) {
  dashboard(slug: $slug) {
    data(range: $range, where: $where, pointWhere: $pointWhere, timezone: $timezone,
      compare: $compare) {key data errors {code message field limit path} elapsedMs}
  }
}"""
CONTENT_MEMBERS: Final = ("dashboard", "source")
"""Members of the input of `saveDashboard` that have a content."""

COUNT: Final = (
    "query($range: TimeRangeInput!, $where: EventFilter)"
    " {eventTrend(range: $range, where: $where) {series {total {count}}}}"
)


def panel(document: str = COUNT, **members: Any) -> dict[str, Any]:
    """Return a panel with a document."""
    return {"kind": "NUMBER", "title": "Count", "document": document, **members}


def content(title: str, *panels: dict[str, Any], **members: Any) -> dict[str, Any]:
    """Return the content of a dashboard."""
    return {"title": title, "panels": list(panels), **members}


async def save(
    service: Service,
    dashboard: object,
    *,
    headers: dict[str, str] | None = None,
    member: str = "dashboard",
    **members: Any,
) -> httpx.Response:
    """Send `saveDashboard` with a content."""
    variables = {"input": {member: dashboard, **members}}
    request = {"query": SAVE, "variables": variables}
    return await service.post("/graphql", request, **headers or {})


async def save_content(service: Service, dashboard: object, **members: Any) -> dict[str, Any]:
    """Save a content; return the dashboard."""
    answer = (await save(service, dashboard, **members)).json()
    assert "errors" not in answer, answer
    node: dict[str, Any] = answer["data"]["saveDashboard"]["dashboard"]
    return node


async def panel_data(service: Service, slug: str, **overrides: object) -> Any:
    """Return the data of all panels of a dashboard."""
    answer = await service.graphql(DATA, slug=slug, **overrides)
    assert "errors" not in answer, answer
    return answer["data"]["dashboard"]["data"]
