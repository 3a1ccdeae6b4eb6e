"""Answers of the REST API: they have exactly the members of their schemas in OpenAPI."""

import json
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from typing import Any, Final

import pytest
import pytest_asyncio

from api.responses import error_answer
from api.rest_models import COMPONENTS
from schema.errors import AnalyticsError
from tests.harness.service import Service

Operation = tuple[str, str]
Schema = Mapping[str, Any]
Requests = tuple[tuple[str, object], ...]

POINT: Final = {"metric_name": "cpu", "value": 1, "id": "a"}
EVENT: Final = {"event_name": "signup", "session_id": "s", "properties": {"plan": "pro"}}
SERIES: Final = {"metric_name": "load", "timestamps": [1_760_000_000_000], "values": [1]}

SUCCESSES: Final[Mapping[Operation, Requests]] = {
    ("post", "/metrics"): (("/metrics", POINT), ("/metrics", POINT)),
    ("post", "/events"): (("/events", EVENT | {"id": "a"}), ("/events", EVENT | {"id": "a"})),
    ("post", "/metrics/batch"): (("/metrics/batch", [POINT, {"value": 1}]),),
    ("post", "/metrics/series"): (("/metrics/series", [SERIES, {}]),),
    ("post", "/events/batch"): (("/events/batch", [{"event_name": "click"}, {}]),),
    ("get", "/health"): (("/health", None),),
    ("get", "/health-check"): (("/health-check", None),),
    ("get", "/metrics"): (("/metrics", None),),
    ("get", "/metrics/{metric_name}"): (("/metrics/cpu", None),),
    ("get", "/events"): (("/events", None),),
    ("get", "/dashboard"): (("/dashboard", None),),
    ("delete", "/metrics/{metric_name}"): (("/metrics/cpu", None),),
    ("delete", "/events"): (("/events", None),),
}
"""Requests of each route, in order: together their answers have every optional member."""

ERRORS: Final[Mapping[Operation, Requests]] = {
    ("post", "/metrics"): (("/metrics", POINT | {"id": ""}),),
    ("post", "/events"): (("/events", {}),),
    ("post", "/metrics/batch"): (("/metrics/batch", [{}]),),
    ("post", "/metrics/series"): (("/metrics/series", [{}]),),
    ("post", "/events/batch"): (("/events/batch", [{}]),),
    ("get", "/metrics"): (("/metrics?limit=0", None),),
    ("get", "/metrics/{metric_name}"): (("/metrics/none", None), ("/metrics/cpu?hours=0", None)),
    ("get", "/events"): (("/events?limit=1001", None),),
    ("get", "/dashboard"): (("/dashboard?hours=1", None),),
    ("delete", "/metrics/{metric_name}"): (("/metrics/none", None),),
    ("delete", "/events"): (("/events?limit=1", None),),
}
"""Requests that each route refuses."""


def objects(value: object, schema: Schema, components: Schema) -> Iterable[tuple[str, Any]]:
    """List the objects in a JSON value that have a named schema, each with this name."""
    name = schema.get("$ref", "").rpartition("/")[2]
    schema = components[name] if name else schema
    if name:
        yield name, value
    if isinstance(value, dict):
        for member, content in value.items():
            yield from objects(content, schema.get("properties", {}).get(member, {}), components)
    elif isinstance(value, list):
        for content in value:
            yield from objects(content, schema.get("items", {}), components)


def check_members(answers: Iterable[tuple[object, Schema]], components: Schema) -> set[str]:
    """Compare all answers with their schemas; return the names of the schemas they have.

    Each object has its members in the documented order and no others. A required member is in all
    objects of a schema, an optional one in some but not in all.
    """
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for content, schema in answers:
        for name, value in objects(content, schema, components):
            groups[name].append(value)
    for name, values in groups.items():
        members = list(components[name]["properties"])
        for value in values:
            assert list(value) == [member for member in members if member in value], name
        assert set().union(*values) == set(members), name
        assert set(values[0]).intersection(*values) == set(components[name]["required"]), name
    return set(groups)


async def send(
    service: Service, operation: Operation, requests: Requests, statuses: Container[int]
) -> list[tuple[object, Schema]]:
    """Send the requests of a route; return each answer with the schema of its own status."""
    method, path = operation
    paths = (await service.http.get("/openapi.json")).json()["paths"]
    responses = paths[path][method]["responses"]
    answers = []
    for url, body in requests:
        response = await service.http.request(method, url, json=body)
        assert response.status_code in statuses
        content = responses[str(response.status_code)]["content"]
        answers.append((response.json(), content["application/json"]["schema"]))
    return answers


@pytest_asyncio.fixture(scope="module")
async def successes(service: Service) -> list[tuple[object, Schema]]:
    """Return the answers of every route with status 200, with their schemas."""
    answers = []
    for operation, requests in SUCCESSES.items():
        answers += await send(service, operation, requests, {200})
    return answers


async def test_examples_cover_every_route(service: Service) -> None:
    """Every documented route has an example here, and every route that checks input a refusal."""
    paths = (await service.http.get("/openapi.json")).json()["paths"]
    operations = {
        (method, path): operation["responses"]
        for path, methods in paths.items()
        for method, operation in methods.items()
    }
    assert operations.keys() == SUCCESSES.keys()
    assert {name for name, responses in operations.items() if "422" in responses} == ERRORS.keys()


async def test_answers_have_exactly_the_documented_members(
    service: Service, successes: list[tuple[object, Schema]]
) -> None:
    """Answers and errors of every route have the documented members, required and optional."""
    refusals: list[tuple[object, Schema]] = []
    for operation, requests in ERRORS.items():
        refusals += await send(service, operation, requests, {404, 422})
    unavailable = error_answer(AnalyticsError("UNAVAILABLE", "Not now.", retry_after=1))
    content = json.loads(bytes(unavailable.body))
    names = check_members([*successes, *refusals, (content, refusals[0][1])], COMPONENTS)
    assert names == set(COMPONENTS)


@pytest.mark.parametrize(
    ("schema", "member"),
    [
        (name, member)
        for name, schema in COMPONENTS.items()
        if not name.startswith("Error")
        for member in schema["properties"]
    ],
)
async def test_comparison_finds_a_renamed_member(
    successes: list[tuple[object, Schema]], schema: str, member: str
) -> None:
    """The comparison fails for each member with another name in the documentation."""
    component = COMPONENTS[schema]
    renamed_component = {
        **component,
        "properties": {
            f"{name}2" if name == member else name: content
            for name, content in component["properties"].items()
        },
    }
    with pytest.raises(AssertionError):
        check_members(successes, {**COMPONENTS, schema: renamed_component})
