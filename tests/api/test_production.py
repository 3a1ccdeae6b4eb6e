"""Restrictions of production: a key for each request, and CORS for known origins only."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from settings import from_environment
from tests.harness.access import as_caller, bearer, make_keys
from tests.harness.apis import ask, error_summary, get, record, stored_totals
from tests.harness.service import Service, run_service

OURS = "https://app.example"


@pytest_asyncio.fixture(scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """Start a service in production, by its environment."""
    environment = {
        "ANALYTICS_ENV": "production",
        "ANALYTICS_DATA": str(tmp_path_factory.mktemp("data")),
        "ANALYTICS_CORS_ORIGINS": f"{OURS}, https://other.example",
    }
    async with run_service(from_environment(environment)) as production_service:
        yield production_service


@pytest_asyncio.fixture(scope="module")
async def secrets(service: Service) -> dict[str, str]:
    """Make keys of each kind."""
    return await make_keys(service)


@pytest.mark.parametrize("caller", ["public", "secret"])
async def test_only_admins_delete(service: Service, secrets: dict[str, str], caller: str) -> None:
    """Without an admin key every way to delete, on both APIs, is a 403 and deletes nothing."""
    service = as_caller(service, secrets["secret"])
    await record(service, "/metrics", {"metric_name": "kept", "value": 1})
    await record(service, "/events", {"event_name": "kept"})
    before = await stored_totals(service)
    headers = bearer(secrets[caller])
    refusal = (403, "FORBIDDEN", None, None)
    for path in ("/metrics/kept", "/metrics/nobody", "/events"):
        assert error_summary(await service.http.delete(path, headers=headers)) == refusal
    for mutation in (
        'deleteMetrics(input: {name: "kept"})',
        'deleteMetrics(input: {name: "nobody"})',
        "deleteEvents(input: {all: true})",
        "deleteEvents(input: {where: {}})",
        'deleteEvents(input: {where: {name: {eq: "kept"}}})',
    ):
        query = {"query": f"mutation {{{mutation} {{matchedRows}}}}"}
        answer = await service.post("/graphql", query, **headers)
        assert error_summary(answer) == refusal
    assert await stored_totals(service) == before
    admin = as_caller(service, secrets["admin"])
    for path in ("/metrics/kept", "/events"):
        assert (await admin.http.delete(path)).json()["deleted"] == 1


async def test_recording_and_reading_work(service: Service, secrets: dict[str, str]) -> None:
    """With a key, production records and answers on both APIs, like development."""
    service = as_caller(service, secrets["secret"])
    await record(service, "/metrics", {"metric_name": "live", "value": 2})
    assert (await get(service, "/metrics/live"))["sum"] == 2
    data = await ask(service, '{metrics(search: "live") {nodes {name}}}')
    assert data["metrics"]["nodes"] == [{"name": "live"}]


@pytest.mark.parametrize("origin", [OURS, "https://other.example"])
async def test_cors_admits_configured_origins(service: Service, origin: str) -> None:
    """A page of a configured origin may send requests and read answers."""
    answer = await service.http.get("/health", headers={"origin": origin})
    assert answer.headers["access-control-allow-origin"] == origin
    assert answer.headers["vary"] == "Origin"
    headers = {"origin": origin, "access-control-request-method": "POST"}
    preflight = await service.http.options("/metrics", headers=headers)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == origin


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "http://app.example", f"{OURS}.evil.example", f"{OURS}:8443", "null"],
)
async def test_cors_admits_no_other_origin(service: Service, origin: str) -> None:
    """No other origin is admitted, even if it looks like a configured one."""
    answer = await service.http.get("/health", headers={"origin": origin})
    assert "access-control-allow-origin" not in answer.headers
    headers = {"origin": origin, "access-control-request-method": "POST"}
    preflight = await service.http.options("/metrics", headers=headers)
    assert preflight.status_code == 400
    assert "access-control-allow-origin" not in preflight.headers
