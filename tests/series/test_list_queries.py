"""Lists of metrics with a query on each metric, run as one statement."""

from typing import Final

import pytest
import pytest_asyncio

from tests.harness.apis import ask, delete_all, record
from tests.harness.service import NOON, Service
from tests.harness.statements import collect_statements

RANGE: Final = 'range: {between: {from: "2025-10-09T00:00:00Z", to: "2025-10-10T00:00:00Z"}}'
NAMES: Final = [f"m{n:02}" for n in range(12)]
QUERIES: Final = {
    "totals": f"query({RANGE}) {{series {{label total {{count avg p: quantile(q: 0.5)}}}}}}",
    "columns": f"query({RANGE}, granularity: HOUR) {{times series {{columns {{sum}}}}}}",
    "compared": f"""query({RANGE}, compare: {{mode: PREVIOUS_PERIOD}}, granularity: HOUR) {{
        series {{change {{previous absolute}} points {{values {{max}} previous {{max}}}}}}}}""",
    "filtered": f"""query({RANGE}, where: {{tag: {{key: "h", string: {{eq: "a"}}}}}}) {{
        series {{total {{count}}}}}}""",
    "two": f"a: query({RANGE}) {{series {{total {{min}}}}}}"
    f" b: query({RANGE}) {{series {{total {{max}}}}}}",
    "grouped": f'query({RANGE}, groupBy: ["h"], limit: 1) {{series {{label total {{count}}}}}}',
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service_with_metrics(service: Service) -> Service:
    """Record some metrics, one of which has no points in the range."""
    await delete_all(service)
    rows = [
        {
            "metric_name": name,
            "value": number * 10 + n,
            "timestamp": NOON - (n + 1) * 1_800_000 - (86_400_000 if name == "m03" else 0),
            "tags": {"h": "ab"[n % 2]},
        }
        for number, name in enumerate(NAMES)
        for n in range(number + 1)
    ]
    await record(service, "/metrics", *rows)
    return service


@pytest.mark.parametrize("kind", QUERIES)
@pytest.mark.parametrize("page", ["first: 5", "last: 4", "first: 50", 'search: "1", first: 2'])
async def test_list_answers_as_single_metrics_do(
    service_with_metrics: Service, kind: str, page: str
) -> None:
    """Each metric of a page has the result it has alone, and the page is one statement."""
    fields = QUERIES[kind]
    with collect_statements() as statements:
        data = await ask(
            service_with_metrics, f"{{metrics({page}) {{nodes {{name kind {fields}}}}}}}"
        )
    assert len(statements) == 1
    assert len(data["metrics"]["nodes"]) >= 2
    for node in data["metrics"]["nodes"]:
        alone = await ask(
            service_with_metrics, f'{{metric(name: "{node["name"]}") {{name kind {fields}}}}}'
        )
        assert node == alone["metric"]


async def test_list_by_edges_and_fragments(service_with_metrics: Service) -> None:
    """A list selected by edges and fragments is one statement."""
    query = f"""
    query($n: Int) {{metrics(first: $n) {{...page edges {{cursor node {{...one}}}}}}}}
    fragment page on MetricConnection {{pageInfo {{endCursor hasNextPage}} edges {{node {{name}}}}}}
    fragment one on Metric {{query({RANGE}) {{series {{total {{count}}}}}}}}"""
    with collect_statements() as statements:
        data = await ask(service_with_metrics, query, n=3)
    assert len(statements) == 1
    nodes = [edge["node"] for edge in data["metrics"]["edges"]]
    assert [node["query"]["series"][0]["total"]["count"] for node in nodes] == [1, 2, 3]
    assert data["metrics"]["pageInfo"]["hasNextPage"]


async def test_a_bad_query_is_refused_at_each_metric(service_with_metrics: Service) -> None:
    """A bad query is an error at each metric, and the list has its metrics."""
    query = f"{{metrics(first: 2) {{nodes {{name query({RANGE}, limit: 0) {{times}}}}}}}}"
    answer = await service_with_metrics.graphql(query)
    assert answer["data"]["metrics"]["nodes"] == [
        {"name": "m00", "query": None},
        {"name": "m01", "query": None},
    ]
    paths = [error["path"] for error in answer["errors"]]
    assert paths == [["metrics", "nodes", n, "query"] for n in (0, 1)]
    assert {error["extensions"]["field"] for error in answer["errors"]} == {"limit"}


async def test_a_metric_beside_the_list(service_with_metrics: Service) -> None:
    """A metric beside the list has its own result, though the query is the same."""
    query = f"query({RANGE}) {{series {{total {{count}}}}}}"
    data = await ask(
        service_with_metrics,
        f"""{{metrics(first: 1) {{nodes {{{query}}}}}
        slow: metric(name: "m11") {{kind {query}}} m05: metric(name: "m05") {{{query}}}}}""",
    )
    nodes = [data["metrics"]["nodes"][0], data["slow"], data["m05"]]
    assert [node["query"]["series"][0]["total"]["count"] for node in nodes] == [1, 12, 6]


async def test_a_list_without_metrics(service: Service) -> None:
    """A list without metrics is empty, with a query on its metrics too."""
    await delete_all(service)
    query = f"{{metrics {{nodes {{query({RANGE}) {{times}}}} totalCount}}}}"
    assert (await ask(service, query))["metrics"] == {"nodes": [], "totalCount": 0}
