"""Rights: each kind and state of a key, on every route and root field, in production."""

import time
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
from starlette.routing import Route

from api import rest
from api.graphql.schema import schema
from app import create_app
from schema.access import Scope
from settings import Settings
from tests.harness.access import CALLERS, SCOPES, bearer, error_code, make_keys
from tests.harness.service import Service, run_service

METRIC = {"metric_name": "m", "value": 1}
EVENT = {"event_name": "e"}
SERIES = {"metric_name": "m", "timestamps": [1_795_000_000_000], "values": [1]}


class Call(NamedTuple):
    """A request of a route, and the scope that it needs; None: no key is needed."""

    scope: Scope | None
    path: str
    body: Any = None


ROUTES = {
    "POST /metrics": Call(Scope.RECORD, "/metrics", METRIC),
    "POST /events": Call(Scope.RECORD, "/events", EVENT),
    "POST /metrics/batch": Call(Scope.RECORD, "/metrics/batch", [METRIC]),
    "POST /metrics/series": Call(Scope.RECORD, "/metrics/series", [SERIES]),
    "POST /events/batch": Call(Scope.RECORD, "/events/batch", [EVENT]),
    "GET /metrics": Call(Scope.QUERY, "/metrics"),
    "GET /metrics/{metric_name:text}": Call(Scope.QUERY, "/metrics/m"),
    "DELETE /metrics/{metric_name:text}": Call(Scope.DELETE, "/metrics/m"),
    "GET /events": Call(Scope.QUERY, "/events"),
    "DELETE /events": Call(Scope.DELETE, "/events"),
    "GET /dashboard": Call(Scope.QUERY, "/dashboard"),
    "GET /health": Call(None, "/health"),
    "GET /health-check": Call(None, "/health-check"),
    "GET /livez": Call(None, "/livez"),
    "GET /readyz": Call(None, "/readyz"),
    "GET /internal/metrics": Call(Scope.OPERATE, "/internal/metrics"),
    "GET /openapi.json": Call(None, "/openapi.json"),
    "GET /graphql": Call(Scope.QUERY, "/graphql?query={__typename}"),
    "POST /graphql": Call(Scope.QUERY, "/graphql", {"query": "{__typename}"}),
    "PUT /graphql": Call(Scope.QUERY, "/graphql"),
    "DELETE /graphql": Call(Scope.QUERY, "/graphql?token=t&operationId=o"),
    "GET /": Call(None, "/"),
    "GET /sign-in": Call(None, "/sign-in"),
    "GET /dashboards": Call(None, "/dashboards"),
    "GET /dashboards/{view}": Call(None, "/dashboards/traffic"),
    "GET /docs": Call(None, "/docs"),
    "GET /redoc": Call(None, "/redoc"),
    "GET /redoc/logo-mini.svg": Call(None, "/redoc/logo-mini.svg"),
    "GET /static/{path:path}": Call(None, "/static/pages.css"),
    "GET /session": Call(None, "/session"),
    "POST /session": Call(None, "/session", {}),
    "DELETE /session": Call(None, "/session"),
    "POST /session/openid": Call(None, "/session/openid", {}),
    "GET /session/openid/callback": Call(None, "/session/openid/callback"),
}

TREND = 'range: {last: "PT1H"}'
LOOKS_AT_KEYS = {"GET /health", "GET /health-check", "GET /session", "DELETE /session"}
"""Routes that need no key, and refuse a wrong one."""

QUERIES = {
    "health": "health {status}",
    "overview": "overview {metricCount}",
    "node": 'node(id: "metric:bQ") {id}',
    "metrics": "metrics {nodes {name}}",
    "metric": 'metric(name: "m") {name}',
    "events": "events {nodes {name}}",
    "eventTypes": "eventTypes {name}",
    "eventType": 'eventType(name: "e") {name}',
    "eventTrend": f"eventTrend({TREND}) {{series {{total {{count}}}}}}",
    "metricFormula": (
        f'metricFormula({TREND}, formula: "a", inputs: {{as: "a", metric: "m", aggregate: SUM}})'
        " {series {total}}"
    ),
    "ingestion": "ingestion {stream}",
    "setAside": "setAside {id}",
    "viewer": "viewer {project}",
    "apiKeys": "apiKeys {id}",
    "sessions": "sessions {id}",
    "projects": "projects {name}",
    "documents": "documents {id}",
    "dashboards": "dashboards {nodes {id}}",
    "dashboard": 'dashboard(slug: "nobody") {id}',
    "annotations": f"annotations({TREND}) {{id}}",
    "__schema": "__schema {queryType {name}}",
    "__type": '__type(name: "Query") {name}',
}
MUTATIONS = {
    "recordMetrics": (Scope.RECORD, 'input: {metrics: [{name: "m", value: 1}]}', "accepted"),
    "recordEvents": (Scope.RECORD, 'input: {events: [{name: "e"}]}', "accepted"),
    "describeMetric": (Scope.DESCRIBE, 'input: {name: "m", unit: "s"}', "name"),
    "deleteMetrics": (Scope.DELETE, 'input: {name: "m"}', "matchedRows"),
    "deleteEvents": (Scope.DELETE, "input: {all: true}", "matchedRows"),
    "replaySetAside": (Scope.OPERATE, "", "left"),
    "createApiKey": (Scope.MANAGE_ACCESS, 'input: {name: "k", kind: PUBLIC}', "secret"),
    "createProject": (Scope.MANAGE_ACCESS, 'input: {name: "x"}', "project {name}"),
    "saveDocuments": (
        Scope.MANAGE_ACCESS,
        'input: {documents: [{text: "{health {status}}"}]}',
        "documents {id}",
    ),
    "deleteDocument": (Scope.MANAGE_ACCESS, 'input: {id: "nobody"}', "id"),
    "saveDashboard": (Scope.DESCRIBE, 'input: {dashboard: {title: "d"}}', "dashboard {id}"),
    "restoreDashboard": (Scope.DESCRIBE, 'input: {id: "nobody", version: 1}', "dashboard {id}"),
    "deleteDashboard": (Scope.DESCRIBE, 'input: {id: "nobody"}', "id"),
    "annotate": (Scope.RECORD, 'input: {title: "a"}', "accepted"),
    "revokeApiKey": (Scope.MANAGE_ACCESS, 'input: {id: "nobody"}', "apiKey {id}"),
    "revokeSession": (Scope.MANAGE_ACCESS, 'input: {id: "nobody"}', "session {id}"),
}
NEEDS_MORE = {
    "ingestion": Scope.OPERATE,
    "setAside": Scope.OPERATE,
    "apiKeys": Scope.MANAGE_ACCESS,
    "sessions": Scope.MANAGE_ACCESS,
    "projects": Scope.MANAGE_ACCESS,
    "documents": Scope.MANAGE_ACCESS,
}
"""The fields of queries that need another scope besides QUERY."""


@pytest_asyncio.fixture(scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """Start a service in production."""
    data = tmp_path_factory.mktemp("data")
    settings = Settings(data=data, store=data / "store", production=True)
    async with run_service(settings) as production_service:
        yield production_service


@pytest_asyncio.fixture(scope="module")
async def secrets(service: Service) -> dict[str, str]:
    """Make a key for each caller; the expired one is expired."""
    secrets = await make_keys(service)
    time.sleep(0.002)  # noqa: ASYNC251 - the expired key lives for a millisecond
    return secrets


def refusal(caller: str, *scopes: Scope) -> str | None:
    """Return the error code that a caller gets where some scopes are needed; None: no refusal."""
    if caller not in SCOPES:
        return "UNAUTHENTICATED"
    return None if SCOPES[caller] >= set(scopes) else "FORBIDDEN"


def test_every_route_is_tested() -> None:
    """The table has each route of the application."""
    app = create_app(Settings())
    routes = [*app.routes, *rest.recording_routes.routes, *rest.routes.routes, *rest.probes.routes]
    names = {
        f"{method} {route.path}"
        for route in routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert names == set(ROUTES)


def test_every_root_field_is_tested() -> None:
    """The tables have each field of Query and Mutation."""
    core = schema._schema
    assert core.query_type is not None
    assert core.mutation_type is not None
    assert set(core.query_type.fields) == {name for name in QUERIES if not name.startswith("__")}
    assert set(core.mutation_type.fields) == set(MUTATIONS)


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("route", ROUTES)
async def test_routes(service: Service, secrets: dict[str, str], route: str, caller: str) -> None:
    """A route answers callers with its scope; 401 without a valid key, 403 without the scope."""
    call = ROUTES[route]
    method = route.partition(" ")[0]
    headers = bearer(secrets.get(caller))
    answer = await service.http.request(method, call.path, json=call.body, headers=headers)
    if call.scope is None:
        looks_at_keys = route in LOOKS_AT_KEYS
        is_refused = looks_at_keys and caller in {"wrong", "revoked", "expired"}
        assert (answer.status_code == 401) is is_refused
        return
    code = refusal(caller, call.scope)
    assert (error_code(answer) == code) if code else (answer.status_code in {200, 201, 404})
    if code:
        assert answer.status_code == {"UNAUTHENTICATED": 401, "FORBIDDEN": 403}[code]
    assert ("www-authenticate" in answer.headers) is (answer.status_code == 401)


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("field", QUERIES)
async def test_queries(service: Service, secrets: dict[str, str], field: str, caller: str) -> None:
    """A root field of Query answers callers with QUERY, and some need another scope."""
    headers = bearer(secrets.get(caller))
    answer = await service.post("/graphql", {"query": f"{{{QUERIES[field]}}}"}, **headers)
    code = refusal(caller, Scope.QUERY, NEEDS_MORE.get(field, Scope.QUERY))
    assert error_code(answer) in ({code} if code else {None, "NOT_FOUND"})
    if code:
        assert not (answer.json().get("data") or {}).get(field)


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("field", MUTATIONS)
async def test_mutations(
    service: Service, secrets: dict[str, str], field: str, caller: str
) -> None:
    """A mutation needs its scope, and no other."""
    scope, arguments, selection = MUTATIONS[field]
    call = f"{field}({arguments})" if arguments else field
    query = f"mutation {{{call} {{{selection}}}}}"
    answer = await service.post("/graphql", {"query": query}, **bearer(secrets.get(caller)))
    code = refusal(caller, scope)
    assert error_code(answer) in ({code} if code else {None, "NOT_FOUND"})


async def test_public_keys_learn_nothing_of_the_schema(
    service: Service, secrets: dict[str, str]
) -> None:
    """A key without QUERY sees no name of the schema: neither by introspection nor by hints."""
    headers = bearer(secrets["public"])
    for query in (
        "{__schema {types {name}}}",
        'query {...f} fragment f on Query {__type(name: "Query") {name}}',
        "mutation {recordMetrix {accepted}}",
        "mutation {recordMetrics(input: {metricz: []}) {accepted}}",
    ):
        text = (await service.post("/graphql", {"query": query}, **headers)).text
        assert "Did you mean" not in text
        assert "deleteMetrics" not in text
        assert '"data"' not in text
    answer = await service.post("/graphql", {"query": "mutation {recordMetrix}"})
    assert answer.status_code == 401


async def test_sql_is_for_operators(service: Service, secrets: dict[str, str]) -> None:
    """`meta.sql` has the statements for a caller with OPERATE, and is null for others."""
    query = f"{{eventTrend({TREND}) {{meta {{sql}}}}}}"
    for caller, is_visible in (("admin", True), ("secret", False), ("reader", False)):
        answer = await service.post("/graphql", {"query": query}, **bearer(secrets[caller]))
        assert bool(answer.json()["data"]["eventTrend"]["meta"]["sql"]) is is_visible
