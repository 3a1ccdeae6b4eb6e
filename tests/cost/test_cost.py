"""The cost of statements: estimates against the rows that the engine reads, and their growth."""

from typing import Any, Final

import pytest
import pytest_asyncio

from schema.access import KeyKind
from store.access.registry import KeyRequest
from store.cost.cost import FUNCTION_WORK, GROUP_WORK, actual_cost, estimated_cost, row_work
from store.query.sql import Scan, Statement
from store.query.statements import GRANULE_ROWS
from tests.harness.access import bearer
from tests.harness.service import NOON, Service

pytestmark = pytest.mark.usefixtures("frozen")

ROWS: Final = 60_000
STEP_MS: Final = 1_000
LAST_TENTH: Final = '{last: "PT100M"}'
ALL: Final = '{last: "P1D"}'


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def full_service(service: Service) -> Service:
    """Record many points and events of one name, and one of another, up to noon."""
    times = [NOON - number * STEP_MS for number in range(ROWS)]
    for start in range(0, ROWS, 20_000):
        part = times[start : start + 20_000]
        points = [{"metric_name": "large", "value": 1, "timestamp": time} for time in part]
        events = [{"event_name": "large", "timestamp": time} for time in part]
        for path, rows in (("/metrics/batch", points), ("/events/batch", events)):
            answer = await service.post(path, rows)
            assert answer.json()["accepted"] == len(part)
    await service.post("/metrics", {"metric_name": "small", "value": 1, "timestamp": NOON})
    await service.post("/events", {"event_name": "small", "timestamp": NOON})
    await service.graphql("{metrics {totalCount} events {totalCount}}")
    await service.context.store.estimates.refresh()
    return service


def points(name: str, range_text: str, total: str = "sum") -> str:
    """Query a total of a metric."""
    query = f"query(range: {range_text}) {{series {{total {{{total}}}}}}}"
    return f'{{metric(name: "{name}") {{{query}}}}}'


def samples(name: str) -> str:
    """List points of a metric."""
    return f'{{metric(name: "{name}") {{samples(range: {ALL}) {{nodes {{value}}}}}}}}'


def events(arguments: str, total: str = "count") -> str:
    """Query a total of events."""
    return f"{{eventTrend({arguments}) {{series {{total {{{total}}}}}}}}}"


async def cost_of(service: Service, query: str, **headers: str) -> dict[str, float]:
    """Return the cost of a query, with the rows that it read."""
    content: dict[str, Any] = (await service.post("/graphql", {"query": query}, **headers)).json()
    assert "errors" not in content, content
    extensions = content["extensions"]
    return {**extensions["cost"], "rows": extensions["rowsRead"]}


QUERIES: Final = (
    points("large", ALL),
    points("large", LAST_TENTH),
    points("small", ALL),
    events(f"range: {ALL}"),
    events(f'range: {ALL}, where: {{name: {{eq: "large"}}}}'),
    events(f'range: {LAST_TENTH}, where: {{name: {{in: ["large", "small"]}}}}'),
    events(f'range: {ALL}, where: {{name: {{eq: "small"}}}}'),
    "{metrics {nodes {name firstSeenAt}}}",
    "{events(first: 10) {nodes {id}}}",
    '{metric(name: "large") {samples(range: {last: "PT1H"}) {nodes {value}}}}',
)


@pytest.mark.parametrize("query", QUERIES)
async def test_an_estimate_is_what_the_engine_reads(full_service: Service, query: str) -> None:
    """The cost before a query is at most the cost of two granules of a scan from that after it."""
    cost = await cost_of(full_service, query)
    assert cost["requested"] >= 1
    assert cost["rows"] > 0
    scans = 3
    tolerance = 1_000 * scans * 2 * GRANULE_ROWS / 1e6
    assert abs(cost["requested"] - cost["actual"]) <= tolerance


async def test_cost_grows_with_the_question(full_service: Service) -> None:
    """A longer range, a larger name, more work on a row and more cells each cost more."""
    pairs = (
        (points("large", LAST_TENTH), points("large", ALL)),
        (points("small", ALL), points("large", ALL)),
        (points("large", ALL, "count"), points("large", ALL, "p: quantile(q: 0.9)")),
        (events(f"range: {ALL}"), events(f"range: {ALL}", 'sum(property: "a")')),
        (events(f"range: {ALL}"), events(f'range: {ALL}, groupBy: [{{property: "p"}}]')),
        (samples("small"), samples("large")),
        (
            events(f'range: {ALL}, where: {{name: {{eq: "small"}}}}'),
            events(f'range: {ALL}, where: {{name: {{eq: "large"}}}}'),
        ),
    )
    for cheap, dear in pairs:
        costs = [await cost_of(full_service, query) for query in (cheap, dear)]
        assert costs[0]["requested"] < costs[1]["requested"], (cheap, dear, costs)
        # The engine counts whole granules of a name without reading them.
        assert costs[0]["actual"] <= costs[1]["actual"], (cheap, dear, costs)


async def test_each_alias_costs(full_service: Service) -> None:
    """Ten fields over different ranges cost about ten times one of them."""
    trends = [events(f'range: {{last: "PT{900 + number}M"}}') for number in range(10)]
    fields = " ".join(f"a{number}: {trend[1:-1]}" for number, trend in enumerate(trends))
    first_cost, tenfold_cost = [
        await cost_of(full_service, query)
        for query in (events('range: {last: "PT900M"}'), f"{{{fields}}}")
    ]
    assert tenfold_cost["requested"] > 5 * (first_cost["requested"] - 1)


async def test_cost_shows_no_other_project(full_service: Service) -> None:
    """In an empty project a query costs what it costs in an empty store."""
    keys = full_service.context.store.keys
    await keys.create_project("empty")
    _, secret = await keys.create(KeyRequest("empty", KeyKind.SECRET, project="empty"))
    cost = await cost_of(full_service, events(f"range: {ALL}"), **bearer(secret))
    assert cost["requested"] <= 1 + row_work("sum(") * 2 * GRANULE_ROWS / 1e6


def test_every_function_has_its_work() -> None:
    """The work on a row is that of its functions, each time that they are in the text."""
    scan = row_work("SELECT value FROM metrics")
    for name, work in FUNCTION_WORK.items():
        assert row_work(f"SELECT {name}(x) AS a, {name}OrNull(x)") == scan + 2 * work, name
    assert row_work("SELECT name FROM metrics GROUP BY name") == scan + GROUP_WORK
    assert row_work("SELECT quantileDD(0.1)(value), uniqExact(x)") == scan + 30 + 50
    assert row_work("SELECT p1 AS summary, minimum") == scan


def test_the_formula() -> None:
    """A cost is one, and the work on each row of all scans, and the cells."""
    statement = Statement("SELECT sum(value)", scans=(Scan("metrics", cells=5_000), Scan("events")))
    work = row_work(statement.text)
    assert estimated_cost(statement, lambda _: 1e6) == pytest.approx(1 + work + 1)
    assert actual_cost(statement, 4_000_000) == pytest.approx(1 + 2 * work + 1)
