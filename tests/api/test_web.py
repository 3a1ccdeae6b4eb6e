"""What browsers, tools and operators see beside the API proper, in development."""

import pytest

from tests.harness.apis import error_summary
from tests.harness.service import Service

DOCUMENTED = {
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
    """OpenAPI shows the documented paths and methods, no others, each with its answers."""
    content = (await service.http.get("/openapi.json")).json()
    paths = content["paths"]
    assert {path: set(methods) for path, methods in paths.items()} == DOCUMENTED
    for path, methods in paths.items():
        for method, operation in methods.items():
            assert operation["summary"], (method, path)
            assert set(operation["tags"]) < {tag["name"] for tag in content["tags"]}
            shown = operation["responses"]["200"]["content"]["application/json"]["schema"]
            assert shown["$ref"].rpartition("/")[2] in content["components"]["schemas"]
            assert ("requestBody" in operation) == (method == "post")
    ids = [op["operationId"] for methods in paths.values() for op in methods.values()]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(("path", "fields"), BODIES.items())
async def test_openapi_has_request_bodies(service: Service, path: str, fields: set[str]) -> None:
    """The bodies of what records are described field by field, in both forms of a batch too."""
    paths = (await service.http.get("/openapi.json")).json()["paths"]
    one = paths[path]["post"]["requestBody"]
    assert one["required"] is True
    row = one["content"]["application/json"]["schema"]
    assert set(row["properties"]) == fields
    assert set(row["required"]) == fields & {"metric_name", "event_name", "value"}
    many = paths[f"{path}/batch"]["post"]["requestBody"]["content"]
    assert many["application/json"]["schema"] == {"type": "array", "items": row, "maxItems": 50_000}
    assert many["application/x-ndjson"]["schema"] == row


async def test_openapi_shows_defaults_and_bounds(service: Service) -> None:
    """The parameters of the queries are described with the documented defaults."""
    paths = (await service.http.get("/openapi.json")).json()["paths"]
    shown = {
        parameter["name"]: parameter["schema"]
        for path in ("/metrics/{metric_name}", "/events")
        for parameter in paths[path]["get"]["parameters"]
    }
    bounds = {
        name: (schema.get("minimum"), schema.get("maximum"), schema.get("default"))
        for name, schema in shown.items()
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
    """A path that is none gets a 404 in the one shape of errors."""
    assert error_summary(await service.http.get(path)) == (404, "NOT_FOUND", None, None)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/health", {"GET", "HEAD"}),
        ("PUT", "/metrics/x", {"GET", "HEAD", "DELETE"}),
        ("POST", "/metrics/x", {"GET", "HEAD", "DELETE"}),
        ("PUT", "/metrics", {"GET", "HEAD", "POST"}),
        ("PATCH", "/events", {"GET", "HEAD", "POST", "DELETE"}),
        ("DELETE", "/graphql", {"GET", "HEAD", "POST"}),
        ("DELETE", "/metrics", {"GET", "HEAD", "POST"}),
    ],
)
async def test_wrong_method(service: Service, method: str, path: str, allowed: set[str]) -> None:
    """A method that a path hasn't got a 405 in the one shape, which names those it has."""
    answer = await service.http.request(method, path)
    assert error_summary(answer) == (405, "METHOD_NOT_ALLOWED", None, None)
    assert set(answer.headers["allow"].split(", ")) == allowed


@pytest.mark.parametrize("origin", ["http://localhost:3000", "https://anywhere.example", "null"])
async def test_cors_admits_any_origin(service: Service, origin: str) -> None:
    """In development a page of any origin may ask, and read answers and refusals."""
    for path, status in (("/health", 200), ("/metrics/nobody", 404), ("/events?limit=0", 422)):
        answer = await service.http.get(path, headers={"origin": origin})
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["access-control-expose-headers"] == "Retry-After"
        assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("path", ["/metrics", "/events/batch", "/graphql"])
async def test_cors_preflight(service: Service, path: str) -> None:
    """A browser's question whether it may POST JSON is answered with yes."""
    asked = {
        "origin": "https://anywhere.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,authorization",
    }
    answer = await service.http.options(path, headers=asked)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "POST" in answer.headers["access-control-allow-methods"].split(", ")
    assert answer.headers["access-control-allow-headers"] == "content-type,authorization"
