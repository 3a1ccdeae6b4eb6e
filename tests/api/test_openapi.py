"""Promises of the OpenAPI document: statuses, headers, keys, and what rows must be like."""

from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator

from app import create_app
from schema.errors import STATUS
from settings import Settings
from tests.harness.apis import error_summary
from tests.harness.service import Service

ROWS: dict[str, dict[str, object]] = {
    "/metrics": {"metric_name": "m", "value": 1},
    "/events": {"event_name": "e"},
    "/metrics/series": {"metric_name": "m", "timestamps": ["2025-10-30T00:00:00Z"], "values": [1]},
}
"""A valid row of each kind, by the path that records it."""


def operations(document: Any) -> Iterator[tuple[str, Any]]:
    """Yield each operation of a document, with its method and path."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


async def test_statuses(service: Service) -> None:
    """Each operation names its statuses one by one; 401, 429 and 503 have their headers."""
    document = (await service.http.get("/openapi.json")).json()
    for name, operation in operations(document):
        responses = operation["responses"]
        statuses = {int(status) for status in responses}
        assert statuses - {200} <= set(STATUS.values()), name
        assert statuses >= {200, 400, 401, 403, 404, 408, 414, 431, 503}, name
        assert (413 in statuses) == (415 in statuses) == ("requestBody" in operation), name
        headers = {status: set(responses[status].get("headers", {})) for status in responses}
        assert headers["503"] == headers.get("429", {"Retry-After"}) == {"Retry-After"}, name
        assert headers["401"] == {"WWW-Authenticate"}, name
        spends_budget = 429 in statuses and "requestBody" not in operation
        assert ("RateLimit" in headers["200"]) == spends_budget, name


@pytest.mark.parametrize("production", [False, True])
def test_keys(production: bool) -> None:
    """Production needs a key, but for health; only recording takes one in the address."""
    document = create_app(Settings(production=production)).openapi()
    optional: list[dict[str, list[str]]] = [] if production else [{}]
    keys: list[dict[str, list[str]]] = [{"bearer": []}, {"basic": []}]
    assert document["security"] == [*optional, *keys]
    for name, operation in operations(document):
        security = operation.get("security", document["security"])
        if "health" in name:
            assert security == [{}, *keys]
        elif name.startswith("post"):
            assert security == [*optional, *keys, {"publicKey": []}]
        else:
            assert security == [*optional, *keys]


async def test_links_lead_to_operations(service: Service) -> None:
    """Each link has an operation of the document, and a member of the answer."""
    document = (await service.http.get("/openapi.json")).json()
    links = document["paths"]["/metrics"]["post"]["responses"]["200"]["links"]
    assert links.keys() == {"aggregate", "delete"}
    members = document["components"]["schemas"]["MetricRecorded"]["properties"]
    for link in links.values():
        _, paths, path, method = link["operationRef"].split("/")
        operation = document[paths][path.replace("~1", "/")][method]
        (name,) = link["parameters"]
        assert name in {parameter["name"] for parameter in operation["parameters"]}
        assert link["parameters"][name].removeprefix("$response.body#/") in members


@pytest.mark.parametrize(
    ("path", "field", "value"),
    [
        ("/metrics", "metric_name", "a\u0000b"),
        ("/metrics", "metric_name", "\x7f"),
        ("/metrics", "tags", {"a\nb": "1"}),
        ("/metrics", "value", "1"),
        ("/metrics", "timestamp", ""),
        ("/metrics", "timestamp", "1969-12-30T23:59:59Z"),
        ("/metrics", "timestamp", "2100-01-02T00:00:00Z"),
        ("/metrics", "timestamp", -1),
        ("/events", "event_name", "\u001f"),
        ("/events", "timestamp", "2200-01-01T00:00:00+01:00"),
        ("/metrics/series", "timestamps", []),
        ("/metrics/series", "values", []),
        ("/metrics/series", "values", ["1"]),
    ],
)
async def test_rows_that_the_document_excludes(
    service: Service, path: str, field: str, value: object
) -> None:
    """The schema of a row excludes values that the service rejects, and the service does."""
    schema = row_schema((await service.http.get("/openapi.json")).json(), path)
    assert accepts(schema, ROWS[path])
    row = {**ROWS[path], field: value}
    assert not accepts(schema, row)
    assert error_summary(await service.post(f"{path}?precision=ms", row))[0] == 422


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("timestamp", "1969-12-31T23:00:00-01:00"),
        ("timestamp", "2100-01-01T00:30:00+01:00"),
        ("timestamp", 0),
        ("timestamp", 4_102_444_799_999),
        ("value", -(2**53) + 1),
        ("value", 1e308),
        ("metric_name", "\u0085 é\u2028"),
    ],
)
async def test_rows_that_the_document_includes(service: Service, field: str, value: object) -> None:
    """The schema of a row includes values at the edges that the service accepts."""
    row = {**ROWS["/metrics"], field: value}
    assert accepts(row_schema((await service.http.get("/openapi.json")).json(), "/metrics"), row)
    assert (await service.post("/metrics?precision=ms", row)).status_code == 200


async def test_empty_batches(service: Service) -> None:
    """A batch without rows is refused, and the document says so."""
    document = (await service.http.get("/openapi.json")).json()
    for path in ("/metrics/batch", "/metrics/series", "/events/batch"):
        content = document["paths"][path]["post"]["requestBody"]["content"]
        assert content["application/json"]["schema"]["minItems"] == 1
        assert error_summary(await service.post(path, []))[0] == 422


def row_schema(document: Any, path: str) -> Any:
    """Return the schema of a row that a path records."""
    schema = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    return schema.get("items", schema)


def accepts(schema: Any, row: object) -> bool:
    """Say whether a row is valid by a JSON Schema."""
    return Draft202012Validator(schema, validate_formats=True).is_valid(row)
