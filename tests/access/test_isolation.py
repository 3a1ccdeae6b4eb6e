"""Isolation of projects: whatever others store, the answers of a project are the same."""

from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import quote

import msgspec
import pytest
import pytest_asyncio

from api.graphql.schema import schema
from schema.access import PROJECT, KeyKind
from settings import Settings
from store.access.registry import KeyRequest
from tests.harness.access import as_caller
from tests.harness.documents import Documents
from tests.harness.run_profile import print_figure, seeded_random, short_or_long
from tests.harness.service import NOON, Service, run_service, stop_clock

PROJECTS: Final = (PROJECT, "shop", "neighbour")
QUERIES: Final = short_or_long(200, 10_000)
SECRET: Final = "marker-q7"
"""A text in each place of the rows of other projects, and in no request."""

COMMON: Final = ("common", "orders", "k", "plan", "u1", "s1")
ROWS: Final = 40


@pytest_asyncio.fixture(scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """Start a service in production, with three projects."""
    data = tmp_path_factory.mktemp("data")
    settings = Settings(
        data=data, store=data / "store", production=True, limits={"budgetPerSecond": 0}
    )
    async with run_service(settings) as production_service:
        for project in PROJECTS[1:]:
            await production_service.context.store.keys.create_project(project)
        with stop_clock(production_service, NOON):
            yield production_service


async def tenant_of(service: Service, project: str) -> Service:
    """Return a caller with a secret key of a project."""
    _, secret = await service.context.store.keys.create(
        KeyRequest("k", KeyKind.SECRET, project=project)
    )
    return as_caller(service, secret)


async def fill(tenant: Service, text: str, turn: str = "first") -> dict[str, Any]:
    """Record rows with common names and with a text in each place; return ids and cursors.

    The client ids depend on the turn only, so that they are the same in all projects.
    """
    points, events = [], []
    for number in range(ROWS):
        time = NOON - number * 300_000
        names = ("common", "orders", text)
        tags = {"k": f"{text}-{number % 3}", text: "x"}
        points.append(
            {"metric_name": names[number % 3], "value": number, "tags": tags, "timestamp": time}
        )
        properties = {"plan": f"{text}-{number % 4}", text: {"deep": text}, "n": number}
        event = {"event_name": names[number % 3], "user_id": f"{text}-u", "session_id": text}
        events.append(
            {**event, "properties": properties, "timestamp": time, "id": f"{turn}-{number}"}
        )
    for path, rows in (("/metrics/batch", points), ("/events/batch", events)):
        assert (await tenant.post(path, rows)).json()["accepted"] == ROWS
    describe = f'mutation {{describeMetric(input: {{name: "common", unit: "{text}"}}) {{name}}}}'
    assert "errors" not in await tenant.graphql(describe)
    query = "{events(first: 3) {edges {cursor node {id}}} metrics {nodes {id} edges {cursor}}}"
    data: dict[str, Any] = (await tenant.graphql(query))["data"]
    return data


def handles(data: dict[str, Any]) -> list[str]:
    """Return the ids and cursors of a project's rows."""
    edges = data["events"]["edges"]
    return [
        *(edge["cursor"] for edge in edges),
        *(edge["node"]["id"] for edge in edges),
        *(node["id"] for node in data["metrics"]["nodes"]),
    ]


async def answers(tenant: Service, queries: list[str], paths: list[str]) -> list[bytes]:
    """Send all queries and paths; return the answers without their costs."""
    texts = []
    for query in queries:
        content = await tenant.graphql(query)
        texts.append(msgspec.json.encode(content))
    texts.extend([(await tenant.http.get(path)).content for path in paths])
    return texts


async def test_no_answer_depends_on_another_project(service: Service) -> None:
    """Random queries over the whole schema, with ids and cursors of a neighbour, answer the same.

    They are asked before and after the others record rows with the same names and client ids.
    """
    shop = await tenant_of(service, "shop")
    neighbour = await tenant_of(service, "neighbour")
    own_handles = await fill(shop, "mine")
    foreign = await fill(neighbour, SECRET)
    pool = [*COMMON, "mine", "marker", "", *handles(own_handles), *handles(foreign)]
    documents = Documents(schema._schema, seeded_random(), pool)
    queries = [documents.query() for _ in range(QUERIES)]
    names = ("common", "orders", "mine", "nothing")
    paths = [
        *("/metrics", "/dashboard", "/events?limit=1000", "/health"),
        *(f"/metrics/{name}?hours=24" for name in names),
        *(f"/events?event_name={quote(name)}" for name in names),
    ]
    before = await answers(shop, queries, paths)
    await fill(await tenant_of(service, PROJECT), SECRET)
    await fill(neighbour, f"{SECRET}-2", "second")
    after = await answers(shop, queries, paths)
    valid = 0
    for question, first, second in zip([*queries, *paths], before, after, strict=True):
        assert first == second, question
        assert SECRET.encode() not in second, question
        valid += b'"errors"' not in second
    print_figure(f"{valid} of {len(after)} answers have no error")
    assert valid > len(after) // 6
