"""OpenAPI, probes, unknown paths and CORS, in development."""

import pytest

from tests.harness.apis import error_summary
from tests.harness.service import Service

METHODS = {
    "/health": {"get"},
    "/health-check": {"get"},
    "/metrics": {"get", "post"},
    "/metrics/batch": {"post"},
    "/metrics/series": {"post"},
    "/metrics/{metric_name}": {"get", "delete"},
    "/events": {"get", "post", "delete"},
    "/events/batch": {"post"},
    "/dashboard": {"get"},
}
BODIES = {
    "/metrics": {"metric_name", "value", "tags", "timestamp", "id"},
    "/events": {"event_name", "user_id", "session_id", "properties", "timestamp", "id"},
}


async def test_openapi_has_every_documented_path(service: Service) -> None:
    """OpenAPI has exactly the documented paths and methods, each with its answer."""
    content = (await service.http.get("/openapi.json")).json()
    paths = content["paths"]
    assert {path: set(methods) for path, methods in paths.items()} == METHODS
    for path, methods in paths.items():
        for method, operation in methods.items():
            assert operation["summary"], (method, path)
            assert set(operation["tags"]) < {tag["name"] for tag in content["tags"]}
            schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
            assert schema["$ref"].rpartition("/")[2] in content["components"]["schemas"]
            assert ("requestBody" in operation) == (method == "post")
    ids = [op["operationId"] for methods in paths.values() for op in methods.values()]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(("path", "fields"), BODIES.items())
async def test_openapi_has_request_bodies(service: Service, path: str, fields: set[str]) -> None:
    """OpenAPI has each field of the recorded rows, also in both forms of a batch."""
    paths = (await service.http.get("/openapi.json")).json()["paths"]
    body = paths[path]["post"]["requestBody"]
    assert body["required"] is True
    row = body["content"]["application/json"]["schema"]
    assert set(row["properties"]) == fields
    assert set(row["required"]) == fields & {"metric_name", "event_name", "value"}
    batch = paths[f"{path}/batch"]["post"]["requestBody"]["content"]
    assert batch["application/json"]["schema"] == {
        "type": "array",
        "items": row,
        "minItems": 1,
        "maxItems": 50_000,
        "examples": [row["examples"]],
    }
    assert batch["application/x-ndjson"]["schema"] == row


async def test_openapi_shows_defaults_and_bounds(service: Service) -> None:
    """OpenAPI has the documented defaults and bounds of the parameters."""
    paths = (await service.http.get("/openapi.json")).json()["paths"]
    schemas = {
        parameter["name"]: parameter["schema"]
        for path in ("/metrics/{metric_name}", "/events")
        for parameter in paths[path]["get"]["parameters"]
    }
    bounds = {
        name: (schema.get("minimum"), schema.get("maximum"), schema.get("default"))
        for name, schema in schemas.items()
    }
    assert bounds["hours"] == (1, 87_600, 24)
    assert bounds["limit"] == (1, 1000, 100)
    assert bounds.keys() == {"metric_name", "hours", "event_name", "limit"}


async def test_probes(service: Service) -> None:
    """A service that works is alive and ready."""
    live, ready = await service.http.get("/livez"), await service.http.get("/readyz")
    assert (live.status_code, live.json()) == (200, {"alive": True})
    assert (ready.status_code, ready.json()) == (200, {"ready": True, "problems": {}})


@pytest.mark.parametrize("path", ["/nope", "/nope/", "/Health", "/events/x", "/metric"])
async def test_unknown_path(service: Service, path: str) -> None:
    """An unknown path is a 404 in the shape of all errors."""
    assert error_summary(await service.http.get(path)) == (404, "NOT_FOUND", None, None)


@pytest.mark.parametrize(
    ("method", "path", "methods"),
    [
        ("POST", "/health", {"GET", "HEAD"}),
        ("PUT", "/metrics/x", {"GET", "HEAD", "DELETE"}),
        ("POST", "/metrics/x", {"GET", "HEAD", "DELETE"}),
        ("PUT", "/metrics", {"GET", "HEAD", "POST"}),
        ("PATCH", "/events", {"GET", "HEAD", "POST", "DELETE"}),
        ("PATCH", "/graphql", {"GET", "HEAD", "POST", "PUT", "DELETE"}),
        ("DELETE", "/metrics", {"GET", "HEAD", "POST"}),
        ("OPTIONS", "/metrics", {"GET", "HEAD", "POST"}),
        ("OPTIONS", "/metrics/x", {"GET", "HEAD", "DELETE"}),
        ("OPTIONS", "/metrics/batch", {"POST"}),
        ("PUT", "/metrics/series", {"POST"}),
        ("PUT", "/metrics/batch/x", {"GET", "HEAD", "DELETE"}),
    ],
)
async def test_wrong_method(service: Service, method: str, path: str, methods: set[str]) -> None:
    """A method that a path does not have is a 405 with the allowed methods."""
    answer = await service.http.request(method, path)
    assert error_summary(answer) == (405, "METHOD_NOT_ALLOWED", None, None)
    assert set(answer.headers["allow"].split(", ")) == methods


async def test_metrics_with_the_name_of_a_route(service: Service) -> None:
    """A metric may be called like a route that records: it is read and deleted as any other."""
    for name in ("batch", "series"):
        await service.post("/metrics", {"metric_name": name, "value": 1})
        assert (await service.http.get(f"/metrics/{name}")).json()["count"] == 1
        assert (await service.http.delete(f"/metrics/{name}")).json()["deleted"] == 1


@pytest.mark.parametrize("origin", ["http://localhost:3000", "https://anywhere.example", "null"])
async def test_cors_admits_any_origin(service: Service, origin: str) -> None:
    """In development a page of any origin may read answers and errors."""
    for path, status in (("/health", 200), ("/metrics/nobody", 404), ("/events?limit=0", 422)):
        answer = await service.http.get(path, headers={"origin": origin})
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == "*"
        shown_headers = answer.headers["access-control-expose-headers"]
        assert shown_headers == "Retry-After, RateLimit, RateLimit-Policy"
        assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("path", ["/metrics", "/events/batch", "/graphql"])
async def test_cors_preflight(service: Service, path: str) -> None:
    """The preflight of a browser allows a POST of JSON."""
    headers = {
        "origin": "https://anywhere.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,authorization",
    }
    answer = await service.http.options(path, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "POST" in answer.headers["access-control-allow-methods"].split(", ")
    assert answer.headers["access-control-allow-headers"] == "content-type,authorization"
