"""Projects: rows, names, ids, counts, set-aside rows and deletions of one are of no other."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Final

import pytest
import pytest_asyncio

from schema.access import PROJECT, KeyKind
from settings import Settings
from store.access.registry import KeyRequest
from tests.harness.access import as_caller, error_code
from tests.harness.service import Service, run_service
from tests.harness.spellings import SPELLINGS, body_of

PROJECTS: Final = (PROJECT, "shop", "x-1_y")
TREND: Final = 'range: {last: "P1D"}'


@pytest_asyncio.fixture(scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """Start a service in production, with three projects."""
    data = tmp_path_factory.mktemp("data")
    settings = Settings(data=data, store=data / "store", production=True)
    async with run_service(settings) as production_service:
        for project in PROJECTS[1:]:
            await production_service.context.store.keys.create_project(project)
        yield production_service


@pytest_asyncio.fixture(scope="module")
async def tenants(service: Service) -> dict[str, Service]:
    """Return a caller with a secret key for each project, and one with an admin key."""
    keys = service.context.store.keys
    requests = {name: KeyRequest("k", KeyKind.SECRET, project=name) for name in PROJECTS}
    requests["admin"] = KeyRequest("k", KeyKind.ADMIN)
    return {
        name: as_caller(service, (await keys.create(request))[1])
        for name, request in requests.items()
    }


def marker(project: str) -> str:
    """Return a text that only the rows of one project have."""
    return f"marker-of-{project}-q7"


async def fill(tenants: dict[str, Service]) -> None:
    """Record rows of every kind for each project, by both APIs, at the same time."""

    async def record(project: str) -> None:
        tenant, text = tenants[project], marker(project)
        metric = {"metric_name": text, "value": 1, "tags": {text: text}, "id": "same"}
        event = {"event_name": text, "user_id": text, "properties": {text: text}, "id": "same"}
        series = {"metric_name": f"{text}-series", "timestamps": [1_795_000_000_000], "values": [2]}
        graphql = (
            "mutation($m: [MetricInput!]!, $e: [EventInput!]!) {"
            " recordMetrics(input: {metrics: $m}) {accepted}"
            " recordEvents(input: {events: $e}) {accepted}"
            f' describeMetric(input: {{name: "common", description: "{text}"}}) {{name}}}}'
        )
        rows = [{"name": "common", "value": len(project)}], [{"name": "common", "userId": text}]
        for answer in await asyncio.gather(
            tenant.post("/metrics", metric),
            tenant.post("/events", event),
            tenant.post("/metrics/batch", [metric | {"id": "batch"}] * 2),
            tenant.post("/events/batch", [event | {"id": "batch"}] * 2),
            tenant.post("/metrics/series", series),
            tenant.post("/graphql", {"query": graphql, "variables": {"m": rows[0], "e": rows[1]}}),
        ):
            assert answer.status_code == 200, answer.text
            assert error_code(answer) is None

    await asyncio.gather(*map(record, PROJECTS))


QUERIES: Final = (
    "{overview {metricCount metricNames eventCount eventNames}}",
    "{metrics {totalCount nodes {id name description seriesCount tags {key values {value}}}}}",
    "{events {totalCount nodes {id name userId properties}}}",
    "{eventTypes {id name count properties {key values {value}}}}",
    f"{{eventTrend({TREND}, groupBy: [{{field: NAME}}]) {{series {{label total {{count}}}}}}}}",
    f'{{metric(name: "common") {{name description query({TREND}) {{series {{total {{sum}}}}}}}}}}',
    '{eventTrend(range: {last: "P1D"}, where: {name: {eq: "nam"}}) {meta {warnings {message}}}}',
    "{viewer {project}}",
    "{setAside {text}}",
    "{projects {name}}",
    "{apiKeys {name}}",
    "{nowhere}",
)


async def test_no_answer_has_a_marker_of_another_project(tenants: dict[str, Service]) -> None:
    """Lists, counts, values, warnings and errors of a project have its own rows only."""
    await fill(tenants)
    for project in PROJECTS:
        tenant = tenants[project]
        texts = [(await tenant.post("/graphql", {"query": query})).text for query in QUERIES]
        paths = ("/metrics", "/events", "/dashboard", "/metrics/common", "/metrics/nobody")
        texts += [(await tenant.http.get(path)).text for path in paths]
        for text, name in itertools.product(texts, PROJECTS):
            assert name == project or marker(name) not in text
        assert sum(marker(project) in text for text in texts) >= 8
        assert (await tenant.http.get("/dashboard")).json()["total_metrics_tracked"] == 4
        assert (await tenant.http.get("/metrics/common")).json()["sum"] == len(project)
        assert (await tenant.http.get("/events")).json()["total"] == 3


async def test_ids_and_cursors_of_another_project(tenants: dict[str, Service]) -> None:
    """The id of another project's row or name is not found, and its cursor shows no row of it."""
    await fill(tenants)
    query = "{events {nodes {id} pageInfo {endCursor}} metrics {nodes {id}} eventTypes {id}}"
    shop, stranger = tenants["shop"], tenants["x-1_y"]
    data = (await shop.post("/graphql", {"query": query})).json()["data"]
    ids = [node["id"] for node in data["events"]["nodes"] + data["eventTypes"]]
    ids += [node["id"] for node in data["metrics"]["nodes"]]
    names = " ".join(f"... on {kind} {{name}}" for kind in ("Event", "Metric", "EventType"))
    find = f"query($id: ID!) {{node(id: $id) {{id {names}}}}}"
    for id_ in ids:
        body = {"query": find, "variables": {"id": id_}}
        assert id_ in (await shop.post("/graphql", body)).text
        text = (await stranger.post("/graphql", body)).text
        assert marker("shop") not in text
        assert '"node":null' in text or '"name":"common"' in text
    page = "query($c: String!) {events(after: $c) {nodes {name}}}"
    body = {"query": page, "variables": {"c": data["events"]["pageInfo"]["endCursor"]}}
    assert marker("shop") not in (await stranger.post("/graphql", body)).text


async def test_client_ids_count_once_in_each_project(tenants: dict[str, Service]) -> None:
    """The same client id is new in each project, and a duplicate in its own."""
    row = {"metric_name": "ids", "value": 1, "id": "id-of-all"}
    for _ in range(2):
        answers = await asyncio.gather(
            *(tenants[project].post("/metrics/batch", [row, row]) for project in PROJECTS)
        )
    assert [answer.json()["duplicates"] for answer in answers] == [2, 2, 2]
    singles = [await tenants[project].post("/metrics", row) for project in PROJECTS]
    assert [answer.json()["duplicate"] for answer in singles] == [True] * 3
    assert len({answer.json()["metric_id"] for answer in singles}) == 3
    for project in PROJECTS:
        assert (await tenants[project].http.get("/metrics/ids")).json()["count"] == 1


async def test_many_rows_by_graphql(tenants: dict[str, Service]) -> None:
    """Rows that are parsed before the execution are stored in the caller's project, too."""
    query = (
        "mutation($m: [MetricInput!]!, $e: [EventInput!]!) {"
        " recordMetrics(input: {metrics: $m}) {accepted}"
        " recordEvents(input: {events: $e}) {accepted}}"
    )
    rows = [{"name": "many", "value": 1} for _ in range(200)]
    variables = {"m": rows, "e": [{"name": "many"} for _ in range(200)]}
    answer = await tenants["shop"].post("/graphql", {"query": query, "variables": variables})
    assert answer.json()["data"]["recordMetrics"] == {"accepted": 200}
    assert (await tenants["shop"].http.get("/metrics/many")).json()["count"] == 200
    assert (await tenants["shop"].http.get("/events?event_name=many")).json()["total"] == 200
    assert (await tenants[PROJECT].http.get("/metrics/many")).status_code == 404
    assert (await tenants[PROJECT].http.get("/events?event_name=many")).json()["total"] == 0


async def test_an_admin_names_the_project(tenants: dict[str, Service]) -> None:
    """A request with an admin key is about the project in its header, else about its own."""
    await fill(tenants)
    admin = tenants["admin"].http
    for project in PROJECTS:
        headers = {"Analytics-Project": project}
        assert marker(project) in (await admin.get("/metrics", headers=headers)).text
        body = {"query": "{viewer {project}}"}
        answer = await admin.post("/graphql", json=body, headers=headers)
        assert answer.json()["data"]["viewer"]["project"] == project
    assert marker(PROJECT) in (await admin.get("/metrics")).text
    answer = await admin.get("/metrics", headers={"Analytics-Project": "nobody"})
    assert (answer.status_code, error_code(answer)) == (404, "NOT_FOUND")


async def test_another_key_names_no_other_project(tenants: dict[str, Service]) -> None:
    """With a secret key, another project is not found, whether it exists or not."""
    shop = tenants["shop"].http
    assert (await shop.get("/metrics", headers={"Analytics-Project": "shop"})).status_code == 200
    texts = set()
    for name in (PROJECT, "x-1_y", "nobody"):
        answer = await shop.get("/metrics", headers={"Analytics-Project": name})
        assert (answer.status_code, error_code(answer)) == (404, "NOT_FOUND")
        texts.add(answer.text.replace(name, ""))
    assert len(texts) == 1


async def test_strangers_learn_no_project(service: Service) -> None:
    """Without a key, an existing and a missing project get the same answer."""
    for path in ("/metrics", "/graphql?query={__typename}", "/health"):
        answers = [
            await service.http.get(path, headers={"Analytics-Project": name})
            for name in ("shop", "nobody", "default")
        ]
        assert {answer.status_code for answer in answers} == {200 if path == "/health" else 401}
        assert len({answer.text for answer in answers}) == 1


async def test_deletion_is_of_one_project(tenants: dict[str, Service]) -> None:
    """An admin deletes in the project that he names; the rows of the others stay."""
    await fill(tenants)
    admin, headers = tenants["admin"].http, {"Analytics-Project": "shop"}
    assert (await admin.delete("/events", headers=headers)).json()["deleted"] > 0
    assert (await admin.delete("/metrics/common", headers=headers)).status_code == 200
    for project in PROJECTS:
        is_left = project != "shop"
        events = (await tenants[project].http.get("/events")).json()["total"]
        assert bool(events) is is_left
        answer = await tenants[project].http.get("/metrics/common")
        assert answer.status_code == (200 if is_left else 404)


@pytest.mark.parametrize(
    "name", ["", "A", "a b", "-a", "a" * 65, 'a"', "ä", "a\n", "default", "shop"]
)
async def test_names_of_projects(tenants: dict[str, Service], name: str) -> None:
    """A wrong name and an existing one are refused; the limit is named."""
    query = "mutation($n: String!) {createProject(input: {name: $n}) {project {name}}}"
    body = {"query": query, "variables": {"n": name}}
    answer = await tenants["admin"].post("/graphql", body)
    assert answer.json()["errors"][0]["extensions"]["field"] == "name"


async def test_a_key_needs_an_existing_project(tenants: dict[str, Service]) -> None:
    """A key for a project that does not exist is refused, so that no typing error makes one."""
    call = 'createApiKey(input: {name: "k", kind: SECRET, project: "shpo"}) {secret}'
    answer = await tenants["admin"].post("/graphql", {"query": f"mutation {{{call}}}"})
    assert answer.json()["errors"][0]["extensions"]["field"] == "project"


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_every_spelling_is_stored_in_its_project(
    tenants: dict[str, Service], spelling: str
) -> None:
    """A batch of any spelling, also one that matches templates, is stored in its project."""
    name = f"spelling {spelling}"
    rows = [
        {"metric_name": name, "value": n, "tags": {"b": "1", "a": "{"}, "id": f"{spelling}-{n}"}
        for n in range(50)
    ]
    body = body_of(rows, spelling)
    for _ in range(2):
        for project in ("shop", "x-1_y"):
            answer = await tenants[project].post("/metrics/batch", body)
            assert answer.json()["accepted"] + answer.json()["duplicates"] == 50, answer.text
    for project in ("shop", "x-1_y"):
        counts = (await tenants[project].http.get(f"/metrics/{name}")).json()
        assert (counts["count"], counts["sum"]) == (50, sum(range(50)))
    assert (await tenants[PROJECT].http.get(f"/metrics/{name}")).status_code == 404
