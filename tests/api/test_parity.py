"""Parity of REST and GraphQL: the same answers and the same errors."""

import dataclasses
from typing import Any

import httpx
import pytest

from schema.access import NO_RIGHTS
from schema.scalars import Instant, rfc3339
from tests.harness.apis import (
    ask,
    canonical_json,
    delete_all,
    first_error,
    get,
    metric_path,
    record,
    stored_totals,
)
from tests.harness.service import NOON, Service

pytestmark = pytest.mark.usefixtures("frozen")  # both APIs answer at one instant

GRAPHQL_NAMES = {
    "metric_name": "name",
    "event_name": "name",
    "user_id": "userId",
    "timestamp": "time",
    "session_id": "sessionId",
}
"""The name in GraphQL of a field of REST."""

METRICS = """
mutation($rows: [MetricInput!]!) {
  recordMetrics(input: {metrics: $rows}) {
    accepted rejected errors {index id field code message}
  }
}"""
EVENTS = (
    METRICS.replace("Metrics", "Events")
    .replace("metrics", "events")
    .replace("MetricInput", "EventInput")
)
AGGREGATES = """
query($name: String!, $last: Duration!) {
  metric(name: $name) {
    query(range: {last: $last}) {
      series {total {count sum average: avg min max}}
      meta {range {period_start: from period_end: to}}
    }
  }
}"""


@pytest.fixture
def production(service: Service) -> None:
    """Switch the service to production."""
    transport: Any = service.http._transport
    state = transport.app.state
    state.context = dataclasses.replace(state.context, grant=NO_RIGHTS)


def translate(message: str) -> str:
    """Return a message of REST with the names of GraphQL."""
    for rest_name, graphql_name in GRAPHQL_NAMES.items():
        message = message.replace(rest_name, graphql_name)
    return message


def graphql_row(row: dict[str, Any]) -> dict[str, Any]:
    """Return a REST row as GraphQL input."""
    return {GRAPHQL_NAMES.get(key, key): value for key, value in row.items()}


async def fill(service: Service) -> None:
    """Record a few points and events."""
    await delete_all(service)
    values: dict[str, list[float]] = {
        "a": [1, 2.5, -7],
        "b": [150, 150],
        "c/é": [5e-324],
        "old": [1],
    }
    rows = [
        {"metric_name": name, "value": value, "timestamp": 0 if name == "old" else NOON - 1000}
        for name, numbers in values.items()
        for value in numbers
    ]
    await record(service, "/metrics", *rows)
    events = [
        {"event_name": f"e{n % 2}", "user_id": f"u{n}" if n % 3 else None, "timestamp": n // 2}
        | {"properties": {"n": n, "deep": [{"é": 1.0}]}}
        for n in range(12)
    ]
    await record(service, "/events", *events)


async def test_health(service: Service) -> None:
    """Health: the same service, the same Python, OK where REST says ok."""
    rest = await get(service, "/health")
    data = await ask(service, "{health {ok: status service python_version: pythonVersion}}")
    assert data["health"] == {**rest, "ok": "OK"}
    assert rest["ok"] is True


async def test_dashboard(service: Service) -> None:
    """The dashboard is the overview."""
    await fill(service)
    rest = await get(service, "/dashboard")
    query = """
    {overview {
      total_metrics_tracked: metricCount metric_names: metricNames
      total_events_tracked: eventCount timestamp: time
    }}"""
    overview = (await ask(service, query))["overview"]
    assert rest == {**overview, "unique_metric_types": len(overview["metric_names"])}
    assert rest["timestamp"] == rfc3339(NOON)


async def test_metric_names(service: Service) -> None:
    """The list of metrics is the connection's first page."""
    await fill(service)
    data = await ask(service, "{metrics {nodes {name} totalCount}}")
    names = [node["name"] for node in data["metrics"]["nodes"]]
    expected = {"metrics": names, "count": data["metrics"]["totalCount"]}
    assert await get(service, "/metrics") == expected
    assert names == ["a", "b", "c/é", "old"]


@pytest.mark.parametrize("name", ["a", "b", "c/é", "old"])
@pytest.mark.parametrize("hours", [1, 24, 87_600])
async def test_aggregates(service: Service, name: str, hours: int) -> None:
    """The aggregates of a metric are the same numbers over the same period."""
    if "c/é" not in (await get(service, "/metrics"))["metrics"]:
        await fill(service)
    rest = await get(service, metric_path(name), hours=hours)
    data = await ask(service, AGGREGATES, name=name, last=f"PT{hours}H")
    result = data["metric"]["query"]
    (series,) = result["series"]
    assert rest == {"metric_name": name, **series["total"], **result["meta"]["range"]}


@pytest.mark.parametrize(("name", "limit"), [(None, 100), ("e0", 100), ("e1", 4), ("nobody", 1)])
async def test_events(service: Service, name: str | None, limit: int) -> None:
    """The list of events is the connection's first page, with the same total."""
    await fill(service)
    filters = {"event_name": name} if name else {}
    rest = await get(service, "/events", limit=limit, **filters)
    query = """
    query($where: EventFilter, $limit: Int) {events(where: $where, first: $limit) {
      events: nodes {id event_name: name user_id: userId properties timestamp: time}
      total: totalCount
    }}"""
    data = await ask(service, query, where=name and {"name": {"eq": name}}, limit=limit)
    events = data["events"]
    assert canonical_json(rest) == canonical_json({**events, "count": len(events["events"])})
    assert rest["total"] == {None: 12, "e0": 6, "e1": 6, "nobody": 0}[name]


async def test_recording_one(service: Service) -> None:
    """A row is the same row through both APIs."""
    await delete_all(service)
    metric = {"metric_name": "one", "value": 2.5, "tags": {"a": "b"}, "timestamp": NOON - 5}
    event = {"event_name": "one", "user_id": "u", "properties": {"a": [1, 1.0]}, "timestamp": NOON}
    event["session_id"] = "s"
    assert (await service.post("/metrics", metric)).status_code == 200
    assert (await service.post("/events", event)).status_code == 200
    for row in (metric, event):
        row["timestamp"] = rfc3339(Instant(int(str(row["timestamp"]))))
    await ask(service, METRICS, rows=[graphql_row(metric)])
    await ask(service, EVENTS, rows=[graphql_row(event)])
    content = await get(service, "/metrics/one")
    assert [content[key] for key in ("count", "sum", "min", "max")] == [2, 5, 2.5, 2.5]
    first, second = (await get(service, "/events"))["events"]
    assert first["id"] > second["id"]
    assert canonical_json({**first, "id": ""}) == canonical_json({**second, "id": ""})


BAD_METRICS: list[dict[str, Any]] = [
    {"metric_name": "", "value": 1},
    {"metric_name": "x" * 201, "value": 1, "id": "own"},
    {"metric_name": "a\nb", "value": 1, "id": "own"},
    {"metric_name": "a\x7f", "value": 1},
    {"metric_name": "t", "value": 1, "tags": {"k": 1}, "id": "own"},
    {"metric_name": "t", "value": 1, "tags": {"k": None}},
    {"metric_name": "t", "value": 1, "tags": {"k": ["v"]}},
    {"metric_name": "t", "value": 1, "tags": {"": "v"}},
    {"metric_name": "t", "value": 1, "tags": {"\0": "v"}},
    {"metric_name": "t", "value": 1, "tags": {"k": "v" * 1001}},
    {"metric_name": "t", "value": 1, "tags": {str(n): "v" for n in range(65)}},
    {"metric_name": "t", "value": 1, "tags": ["k", "v"]},
    {"metric_name": "t", "value": 1, "tags": "k=v"},
    {"metric_name": "t", "value": 1, "id": ""},
    {"metric_name": "t", "value": 1, "id": "i" * 201},
    {"metric_name": "t", "value": 1, "timestamp": "1969-12-31T23:59:59.999Z"},
    {"metric_name": "t", "value": 1, "timestamp": "2100-01-01T00:00:00Z", "id": "own"},
    {"metric_name": "t", "value": 1, "timestamp": "yesterday", "id": "own"},
    {"metric_name": "t", "value": 1, "timestamp": "2016-12-31T23:59:60Z"},
    {"metric_name": "t", "value": 1, "timestamp": "2025-02-30T00:00:00Z"},
]
BAD_EVENTS: list[dict[str, Any]] = [
    {"event_name": ""},
    {"event_name": "x" * 201, "id": "own"},
    {"event_name": "\x00"},
    {"event_name": "e", "user_id": ""},
    {"event_name": "e", "user_id": "u" * 201},
    {"event_name": "e", "session_id": ""},
    {"event_name": "e", "session_id": "s" * 201, "id": "own"},
    {"event_name": "e", "properties": []},
    {"event_name": "e", "properties": "text", "id": "own"},
    {"event_name": "e", "properties": 7},
    {"event_name": "e", "properties": {str(n): n for n in range(256)}},
    {"event_name": "e", "properties": {"text": "x" * 32_768}, "id": "own"},
    {"event_name": "e", "timestamp": "9999-12-31T23:59:59Z"},
    {"event_name": "e", "timestamp": "", "id": "own"},
    {"event_name": "e", "timestamp": "2025-10-30T12:34Z"},
    {"event_name": "e", "timestamp": "2025-10-30T12:34:56"},
    {"event_name": "e", "timestamp": "1767225600"},
]


@pytest.mark.parametrize(
    ("path", "mutation", "good", "bad"),
    [
        ("/metrics", METRICS, {"metric_name": "good", "value": 1}, BAD_METRICS),
        ("/events", EVENTS, {"event_name": "good"}, BAD_EVENTS),
    ],
)
async def test_bad_rows(
    service: Service, path: str, mutation: str, good: dict[str, Any], bad: list[dict[str, Any]]
) -> None:
    """Both APIs report the bad rows of a batch, with their own names; all rows may be bad."""
    rows = [row for pair in zip([good] * len(bad), bad, strict=True) for row in pair]
    rest = (await service.post(f"{path}/batch", rows)).json()
    data = await ask(service, mutation, rows=[graphql_row(row) for row in rows])
    (result,) = data.values()
    assert (result["accepted"], result["rejected"]) == (len(bad), len(bad))
    assert (rest["accepted"], rest["rejected"]) == (len(bad), len(bad))
    assert [error["index"] for error in result["errors"]] == list(range(1, 2 * len(bad), 2))
    assert result["errors"] == [graphql_error(error) for error in rest["errors"]]
    before = await stored_totals(service)
    rest_refusal = await service.post(f"{path}/batch", bad)
    body = {"query": mutation, "variables": {"rows": [graphql_row(row) for row in bad]}}
    assert_same_error(rest_refusal, await service.post("/graphql", body))
    assert await stored_totals(service) == before


def graphql_error(error: dict[str, Any]) -> dict[str, Any]:
    """Return the error of a bad row with the names of GraphQL."""
    field = error["field"]
    return {
        **error,
        "field": GRAPHQL_NAMES.get(field, field),
        "message": translate(error["message"]),
    }


def assert_same_error(rest: httpx.Response, graphql: httpx.Response) -> None:
    """Fail unless two errors have the same code, limit, message and rows.

    The code decides the status, except for GraphQL's 200 with `data`.
    """
    rest_error, error = first_error(rest), first_error(graphql)
    for parts in (rest_error["extensions"], error["extensions"]):
        parts.pop("field", None)
    rest_error["extensions"]["rows"] = [
        graphql_error(row) for row in rest_error["extensions"].get("rows", ())
    ]
    error["extensions"].setdefault("rows", [])
    assert rest_error["extensions"] == error["extensions"]
    assert translate(rest_error["message"]) == error["message"]


@pytest.mark.parametrize("name", ["nobody", "\0", "é" * 300, "'; DROP TABLE metrics"])
async def test_unknown_metric(service: Service, name: str) -> None:
    """An unknown metric is the same error for aggregates, its name and its deletion."""
    path = metric_path(name)
    rest = await service.http.get(path)
    body: dict[str, Any] = {"query": AGGREGATES, "variables": {"name": name, "last": "PT24H"}}
    assert_same_error(rest, await service.post("/graphql", body))
    body = {
        "query": "query($name: String!) {metric(name: $name) {name}}",
        "variables": {"name": name},
    }
    assert_same_error(rest, await service.post("/graphql", body))
    query = "mutation($name: String!) {deleteMetrics(input: {name: $name}) {matchedRows}}"
    deleted = await service.post("/graphql", {"query": query, "variables": {"name": name}})
    assert_same_error(await service.http.delete(path), deleted)
    assert first_error(rest)["message"] == first_error(deleted)["message"]


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/events?limit=0", "{events(first: 0) {nodes {id}}}"),
        ("/events?limit=1001", "{events(first: 1001) {nodes {id}}}"),
        (
            "/metrics/a?hours=87601",
            '{metric(name: "a") {query(range: {last: "87601h"}) {meta {range {to}}}}}',
        ),
        (
            "/metrics/a?hours=0",
            '{metric(name: "a") {query(range: {last: "0h"}) {meta {range {to}}}}}',
        ),
    ],
)
async def test_bounds(service: Service, path: str, query: str) -> None:
    """Pages and periods out of bounds have the same code on both APIs."""
    await service.post("/metrics", {"metric_name": "a", "value": 1})
    rest, graphql = await service.http.get(path), await service.post("/graphql", {"query": query})
    assert rest.status_code == 422
    assert first_error(rest)["extensions"]["code"] == first_error(graphql)["extensions"]["code"]


@pytest.mark.parametrize("name", ["gone", "a/b é"])
async def test_deleting_a_metric(service: Service, name: str) -> None:
    """Deleting a metric returns the same count, and both APIs have no such metric then."""
    for api in ("rest", "graphql"):
        await delete_all(service)
        await record(service, "/metrics", *({"metric_name": name, "value": n} for n in range(3)))
        if api == "rest":
            deleted = (await service.http.delete(metric_path(name))).json()["deleted"]
        else:
            query = "mutation($name: String!) {deleteMetrics(input: {name: $name}) {matchedRows}}"
            deleted = (await ask(service, query, name=name))["deleteMetrics"]["matchedRows"]
        assert deleted == 3
        assert await get(service, "/metrics") == {"metrics": [], "count": 0}
        assert (await ask(service, "{overview {metricCount}}"))["overview"]["metricCount"] == 0


async def test_deleting_events(service: Service) -> None:
    """Deleting events returns the same count."""
    query = "mutation {deleteEvents(input: {all: true}) {deleted: matchedRows}}"
    await delete_all(service)
    await record(service, "/events", *({"event_name": "gone"} for _ in range(3)))
    assert (await service.http.delete("/events")).json()["deleted"] == 3
    await record(service, "/events", *({"event_name": "gone"} for _ in range(3)))
    assert (await ask(service, query))["deleteEvents"] == {"deleted": 3}
    assert (await service.http.delete("/events")).json()["deleted"] == 0
    assert (await ask(service, query))["deleteEvents"] == {"deleted": 0}


@pytest.mark.usefixtures("production")
@pytest.mark.parametrize(
    ("path", "mutation"),
    [
        ("/metrics/a", 'deleteMetrics(input: {name: "a"})'),
        ("/metrics/nobody", 'deleteMetrics(input: {name: "nobody"})'),
        ("/events", "deleteEvents(input: {all: true})"),
    ],
)
async def test_deleting_in_production(service: Service, path: str, mutation: str) -> None:
    """Without a key, deleting is the same 401 on both APIs."""
    rest = await service.http.delete(path)
    query = f"mutation {{{mutation} {{matchedRows}}}}"
    assert_same_error(rest, await service.post("/graphql", {"query": query}))
    assert rest.status_code == 401
