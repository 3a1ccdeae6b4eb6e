"""Partial data over HTTP: unknown metrics and unavailable fields are null next to others."""

import pytest

from schema.errors import AnalyticsError
from tests.harness.apis import record
from tests.harness.service import Service

GRAPHQL_JSON = "application/graphql-response+json"
UNKNOWN_METRIC = 'metric(name: "nobody") {%s}'
SELECTIONS = [
    *("id", "name", "__typename", "kind", "unit description", "seriesCount", "firstSeenAt"),
    *("tags {name}", "tags {values {value}}", 'samples(range: {last: "P1D"}) {nodes {value}}'),
    'query(range: {last: "P1D"}) {series {total {count}}}',
    'query(range: {last: "P1D"}) {__typename}',
    'query(range: {last: "P1D"}) {meta {range {from}}}',
    "query(range: {preset: ALL_TIME}) {times series {columns {sum}}}",
    'query(range: {last: "P1D"} groupBy: ["a"]) {series {label columns {sum}}}',
    'query(range: {last: "P1D"} compare: {mode: PREVIOUS_PERIOD}) {series {previousTotal {sum}}}',
    'query(range: {last: "0s"}) {series {label}}',
    'query(range: {last: "P1D"} where: {value: {gt: 1}}) {series {total {quantile(q: 7)}}}',
    'a: query(range: {last: "P1D"}) {series {total {sum}}} b: query(range: {last: "P2D"}) {times}',
    'name query(range: {last: "P1D"}) {series {total {count}}} tags {name}',
    '... on Metric {query(range: {last: "P1D"}) {times}} kind',
]


@pytest.mark.parametrize("typename", ["", "__typename "])
@pytest.mark.parametrize("selection", SELECTIONS)
async def test_an_unknown_metric_is_null(service: Service, selection: str, typename: str) -> None:
    """With each selection: null at its path, NOT_FOUND, and status 200, as there is `data`."""
    await record(service, "/metrics", {"metric_name": "known", "value": 1})
    query = {"query": f"{{{typename}{UNKNOWN_METRIC % selection} health {{status}}}}"}
    for accept in ("*/*", GRAPHQL_JSON, "application/json"):
        answer = await service.post("/graphql", query, accept=accept)
        assert answer.status_code == 200
        data = answer.json()["data"]
        assert data.pop("__typename", "Query") == "Query"
        assert data == {"metric": None, "health": {"status": "OK"}}
        (error,) = answer.json()["errors"]
        assert (error["path"], error["extensions"]) == (["metric"], {"code": "NOT_FOUND"})
    answer = await service.post(
        "/graphql", {"query": f"{{{typename}{UNKNOWN_METRIC % selection}}}"}
    )
    assert (answer.status_code, answer.json()["data"]["metric"]) == (200, None)


DAY = 'range: {last: "P1D"}'
LONG_AGO = 'range: {between: {from: "1980-01-01T00:00:00Z", to: "1980-01-02T00:00:00Z"}}'


@pytest.mark.parametrize(
    ("selection", "max_statements"),
    [
        (f"query({DAY}) {{series {{total {{sum}}}}}}", 1),
        (f"query({DAY} compare: {{mode: PREVIOUS_PERIOD}}) {{series {{label}}}}", 1),
        (f'query({DAY} groupBy: ["a"]) {{series {{total {{sum}}}}}}', 1),
        (f"a: query({DAY}) {{times}} b: query({DAY}) {{series {{label}}}}", 1),
        (f"query({LONG_AGO}) {{times}}", 2),
        ("query(range: {preset: ALL_TIME}) {series {columns {sum}}}", 3),
        ("id", 1),
    ],
)
async def test_statements_of_a_metric(
    service: Service, selection: str, max_statements: int
) -> None:
    """The statement that answers also finds the metric; a range without data costs a second."""
    await record(service, "/metrics", {"metric_name": "known", "value": 1})
    text = f'metric(name: "known") {{{selection}}}'
    content = (await service.post("/graphql", {"query": f"{{{text}}}"})).json()
    assert "errors" not in content
    assert content["extensions"]["statementCount"] <= max_statements
    if max_statements == 1 and selection != "id":
        query = f"{{a: {text} b: {text} c: {text.replace('known', 'metric')}}}"
        content = (await service.post("/graphql", {"query": query})).json()
        assert content["extensions"]["statementCount"] <= 2


async def test_partial_data_has_a_retry_after(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `data` the status is 200 even if a field is UNAVAILABLE; Retry-After is there, too."""

    async def refuse(*_: object) -> None:
        raise AnalyticsError("UNAVAILABLE", "Not now.", retry_after=7)

    monkeypatch.setattr("resolvers.events.page", refuse)
    for text, status in (("{events {totalCount}}", 200), ("{events {totalCount} __typename}", 200)):
        answer = await service.post("/graphql", {"query": text})
        assert (answer.status_code, answer.headers["retry-after"]) == (status, "7")
        assert answer.json()["data"]["events"] is None
        (error,) = answer.json()["errors"]
        assert error["extensions"] == {"code": "UNAVAILABLE", "retryAfter": 7}
    monkeypatch.setattr("resolvers.overview.overview", refuse)
    answer = await service.post("/graphql", {"query": "{overview {metricCount} __typename}"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
    assert answer.json()["data"] is None
    answer = await service.post(
        "/graphql", {"query": "{overview {metricCount}}"}, accept="application/json"
    )
    assert (answer.status_code, answer.headers["retry-after"]) == (200, "7")
