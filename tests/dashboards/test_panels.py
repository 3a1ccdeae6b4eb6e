"""Panels: all documents of a dashboard run in one request, and each may fail alone."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio

from schema.access import KeyKind, RowFilter, Scope
from schema.filters import EventFilter, MetricFilter, PropertyFilter, StringFilter, TagFilter
from schema.limits import ROOT_FIELDS
from settings import Settings
from store.access.documents import NewDocument
from store.access.registry import KeyRequest
from store.cost.budgets import Budgets
from tests.harness.access import as_caller, bearer
from tests.harness.apis import record
from tests.harness.dashboards import COUNT, DATA, content, panel, panel_data, save_content
from tests.harness.service import Service, run_service
from tests.harness.statements import collect_statements

METRIC: Final = (
    "query($range: TimeRangeInput!, $pointWhere: MetricFilter, $timezone: TimeZone!,"
    " $compare: CompareInput, $name: String!) {metric(name: $name) {query(range: $range, where:"
    " $pointWhere, timezone: $timezone, compare: $compare, granularity: HOUR)"
    " {times series {columns {sum} total {sum count} previousTotal {sum}}}}}"
)
TREND: Final = (
    "query($range: TimeRangeInput!, $where: EventFilter, $key: String!) {eventTrend(range: $range,"
    " where: $where, groupBy: [{property: $key}]) {times series {key {value} columns {count}}}}"
)
DAY: Final = {"last": "P1D"}


@pytest_asyncio.fixture(scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """Start a service with rows of two customers."""
    data = tmp_path_factory.mktemp("data")
    settings = Settings(data=data, store=data / "store", limits={"budgetPerSecond": 1_000_000})
    async with run_service(settings) as filled_service:
        for customer, count in (("ours", 2), ("theirs", 3)):
            tags = {"customer": customer}
            await record(
                filled_service,
                "/metrics",
                *[{"metric_name": "m", "value": 1, "tags": tags}] * count,
            )
            await record(
                filled_service,
                "/events",
                *[{"event_name": f"{customer} e", "properties": {"customer": customer, "k": "x"}}]
                * count,
            )
        yield filled_service


def counts(panels: list[dict[str, Any]]) -> list[int]:
    """Return the counts that COUNT panels have."""
    return [entry["data"]["eventTrend"]["series"][0]["total"]["count"] for entry in panels]


async def statement_count(service: Service, query: str, **variables: object) -> int:
    """Return the number of statements of a request that succeeds."""
    with collect_statements() as statements:
        answer = (await service.post("/graphql", {"query": query, "variables": variables})).json()
    assert "errors" not in answer, answer
    assert answer["extensions"]["statementCount"] == len(statements)
    return len(statements)


async def test_twelve_panels_take_the_statements_of_one_document(service: Service) -> None:
    """Twelve panels of series need as many statements as one document with their twelve fields."""
    properties = ("customer", "k", "a", "b")
    panels = [panel(METRIC, variables={"name": "m"}) for _ in range(4)]
    panels += [panel(TREND, kind="BAR", variables={"key": key}) for key in properties]
    panels += [panel(COUNT) for _ in range(4)]
    await save_content(service, content("Twelve", *panels, variables={"range": DAY}))
    fields = [
        *(f'm{n}: metric(name: "m") {{query(range: {{last: "P1D"}}, granularity: HOUR)'
          " {times series {columns {sum} total {sum count}}}}" for n in range(4)),
        *(f't{n}: eventTrend(range: {{last: "P1D"}}, groupBy: [{{property: "{key}"}}])'
          " {times series {columns {count}}}" for n, key in enumerate(properties)),
        *(f'c{n}: eventTrend(range: {{last: "P1D"}}) {{series {{total {{count}}}}}}'
          for n in range(4)),
    ]  # fmt: skip
    one_document = await statement_count(service, "{" + " ".join(fields) + "}")
    panels_together = await statement_count(service, DATA, slug="twelve")
    assert (panels_together, one_document) == (2, 2)
    data = await panel_data(service, "twelve")
    assert [entry["errors"] for entry in data] == [[]] * 12


async def test_data_are_those_of_the_document(service: Service) -> None:
    """The data of a panel equal the answer to its document alone, with the same variables."""
    variables = {"range": DAY, "timezone": "Europe/Berlin", "compare": {"mode": "PREVIOUS_WEEK"}}
    await save_content(
        service,
        content("Same", panel(METRIC, variables={"name": "m"}), panel(COUNT), variables=variables),
    )
    alone = await service.graphql(METRIC, name="m", **variables)
    data = await panel_data(service, "same")
    assert data[0]["data"] == alone["data"]
    assert data[1]["data"] == (await service.graphql(COUNT, range=DAY))["data"]
    query = '{dashboard(slug: "same") {panel(key: "p1") {data {key data}} panels {data {data}}}}'
    dashboard = (await service.graphql(query))["data"]["dashboard"]
    assert dashboard["panel"]["data"] == {"key": "p1", "data": alone["data"]}
    assert [entry["data"]["data"] for entry in dashboard["panels"]] == [
        *(data[0]["data"], data[1]["data"])
    ]


async def test_a_viewer_overrides(service: Service) -> None:
    """A viewer's range and zone replace the dashboard's, his filters are added to its filters."""
    of_ours = {"property": {"key": "customer", "string": {"eq": "ours"}}}
    tag = {"tag": {"key": "customer", "string": {"eq": "ours"}}}
    sums = panel(METRIC, variables={"name": "m"})
    fixed_range = {"between": {"from": "2001-01-01T00:00:00Z", "to": "2001-01-02T00:00:00Z"}}
    fixed_panel = panel(COUNT, variables={"range": fixed_range})
    await save_content(service, content("Views", panel(), sums, fixed_panel))
    await save_content(
        service, content("Ours", panel(), sums, variables={"where": of_ours, "pointWhere": tag})
    )

    async def look(slug: str, **overrides: object) -> tuple[int, float]:
        data = await panel_data(service, slug, **overrides)
        assert [entry["errors"] for entry in data] == [[]] * len(data)
        if slug == "views":
            assert counts(data[2:]) == [0]
        series = data[1]["data"]["metric"]["query"]["series"]
        return counts(data[:1])[0], (series[0]["total"]["sum"] if series else None) or 0

    assert await look("views") == (5, 5)
    assert await look("views", where=of_ours, pointWhere=tag) == (2, 2)
    assert await look("ours") == (2, 2)
    theirs = {"name": {"eq": "theirs e"}}
    assert await look("ours", where=theirs, pointWhere={"value": {"gt": 1}}) == (0, 0)
    assert await look("views", range=fixed_range) == (0, 0)


async def test_a_panel_fails_alone(service: Service) -> None:
    """A panel that fails has typed errors with paths; the others have their data."""
    failing = (
        '{a: metric(name: "nobody") {name}'
        ' b: eventTrend(range: {last: "P1D"}) {meta {warnings {code}}}}'
    )
    for_operators = "{ingestion {stream} apiKeys {id}}"
    await save_content(service, content("Fails", panel(), panel(failing), panel(for_operators)))
    _, secret = await service.context.store.keys.create(KeyRequest("k", KeyKind.SECRET))
    data = await panel_data(as_caller(service, secret), "fails")
    assert counts(data[:1]) == [5]
    assert data[1]["data"] == {"a": None, "b": {"meta": {"warnings": []}}}
    (error,) = data[1]["errors"]
    assert (error["code"], error["path"]) == ("NOT_FOUND", ["a"])
    assert data[2]["data"] == {"ingestion": None, "apiKeys": None}
    assert [error["code"] for error in data[2]["errors"]] == ["FORBIDDEN"] * 2
    override = {"name": {"matches": "(" * 10}}
    data = await panel_data(service, "fails", where=override)
    assert data[0]["data"] == {"eventTrend": None}
    assert data[0]["errors"][0]["code"] == "BAD_USER_INPUT"
    assert data[1]["data"] is not None


async def test_a_row_filter_holds(service: Service) -> None:
    """A caller with a row filter sees his rows in each panel, whatever he sends, and no author."""
    await save_content(
        service,
        content("All", panel(), panel(METRIC, variables={"name": "m"}), variables={"where": {}}),
    )
    ours = PropertyFilter(key="customer", string=StringFilter(eq="ours"))
    ours_tag = TagFilter(key="customer", string=StringFilter(eq="ours"))
    row_filter = RowFilter(events=EventFilter(property=ours), metrics=MetricFilter(tag=ours_tag))
    request = KeyRequest("k", KeyKind.SECRET, scopes=[Scope.QUERY], row_filter=row_filter)
    _, secret = await service.context.store.keys.create(request)
    customer = as_caller(service, secret)
    for overrides in ({}, {"where": {"OR": [{"name": {"eq": "theirs e"}}, {}]}}):
        data = await panel_data(customer, "all", **overrides)
        assert counts(data[:1]) == [2]
        assert data[1]["data"]["metric"]["query"]["series"][0]["total"]["sum"] == 2
    answer = await customer.graphql("{dashboards {nodes {updatedBy versions {savedBy}}}}")
    texts = str(answer["data"])
    assert "key_" not in texts


async def test_trusted_only_callers(service: Service) -> None:
    """A caller with trusted documents only runs panels by a trusted document, and not without."""
    await save_content(service, content("Trusted", panel()))
    await service.context.store.documents.save("default", [NewDocument(DATA, "Data")])
    request = KeyRequest("k", KeyKind.SECRET, trusted_only=True)
    _, secret = await service.context.store.keys.create(request)
    body = {"documentId": "Data", "variables": {"slug": "trusted"}}
    answer = (await service.post("/graphql", body, **bearer(secret))).json()
    assert counts(answer["data"]["dashboard"]["data"]) == [5]
    refusal = (await service.post("/graphql", {"query": DATA}, **bearer(secret))).json()
    assert refusal["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_limits_hold_for_all_panels_together(service: Service) -> None:
    """The root fields of all panels of a request are limited, with aliases, too."""
    field = "{health {status} overview {eventCount}}"
    await save_content(service, content("Wide", *[panel(field) for _ in range(40)]))
    query = (
        '{dashboard(slug: "wide") {a: data {errors {code limit}} b: data {errors {code limit}}}}'
    )
    answer = await service.graphql(query)
    entries = [entry for name in "ab" for entry in answer["data"]["dashboard"][name]]
    refusals = [entry["errors"] for entry in entries if entry["errors"]]
    limit = ROOT_FIELDS.value
    assert len(entries) - len(refusals) == limit // 2
    assert refusals == [[{"code": "QUERY_TOO_EXPENSIVE", "limit": limit}]] * (80 - limit // 2)
    large = {"OR": [{"name": {"eq": str(number)}} for number in range(400)]}
    await save_content(service, content("Filters", *[panel() for _ in range(10)]))
    data = await panel_data(service, "filters", where=large)
    codes = [entry["errors"][0]["code"] if entry["errors"] else None for entry in data]
    assert set(codes[2:]) == {"QUERY_TOO_EXPENSIVE"}


async def test_the_panels_are_charged_as_one_request(service: Service) -> None:
    """A key pays for all panels, and is refused once it has no budget, as for one document."""
    await save_content(service, content("Paid", *[panel() for _ in range(12)]))
    key, secret = await service.context.store.keys.create(KeyRequest("k", KeyKind.SECRET))
    budgets: Budgets = service.context.store.budgets
    before = budgets.state(key.id)
    assert before is not None
    variables = {"slug": "paid"}
    body = {"query": DATA, "variables": variables}
    answer = (await service.post("/graphql", body, **bearer(secret))).json()
    cost = answer["extensions"]["cost"]["actual"]
    assert cost >= 1
    budgets.spend(key.id, before.limit - 1, has_begun=True)
    budgets.correct(key.id, 10 * before.limit)
    answer = (await service.post("/graphql", body, **bearer(secret))).json()
    codes = {entry["errors"][0]["code"] for entry in answer["data"]["dashboard"]["data"]}
    assert codes == {"RATE_LIMITED"}


async def test_many_viewers_at_once(service: Service) -> None:
    """Viewers at once get the same data, each his own answer."""
    await save_content(service, content("Crowd", panel(), panel(METRIC, variables={"name": "m"})))
    answers = await asyncio.gather(*(panel_data(service, "crowd") for _ in range(20)))
    texts = {str([(entry["data"], entry["errors"]) for entry in answer]) for answer in answers}
    assert len(texts) == 1


async def test_a_list_of_dashboards_is_one_request(service: Service) -> None:
    """Limits hold over a list: of panels that run, and of bytes that are read or answered."""
    await service.context.store.keys.create_project("many")
    project = {"analytics-project": "many"}
    large = panel("query($name: String!) {metric(name: $name) {name}}")
    large["variables"] = {"name": "x" * 240_000}
    for number in range(30):
        dashboard = content(f"D{number}", *[panel("{health {status}}")] * 4, large)
        await save_content(service, dashboard, headers=project)

    async def post(selection: str) -> Any:
        body = {"query": f"{{dashboards {{nodes {{{selection}}}}}}}"}
        return (await service.post("/graphql", body, **project)).json()

    answer = await post("data {data errors {code}}")
    nodes = answer["data"]["dashboards"]["nodes"]
    runs = [
        entry
        for node in nodes
        for entry in node["data"] or ()
        if [error["code"] for error in entry["errors"]] != ["QUERY_TOO_EXPENSIVE"]
    ]
    assert len(runs) == ROOT_FIELDS.value
    codes = {error["extensions"]["code"] for error in answer["errors"]}
    assert codes == {"QUERY_TOO_EXPENSIVE"}
    assert sum(node["data"] is None for node in nodes) == 9  # one has a refusal for each panel
    assert "errors" not in await post("source")
    for selection in (
        f"panels {{{' '.join(f'a{n}: variables' for n in range(6))}}}",
        " ".join(f"a{n}: source" for n in range(6)),
        " ".join(f"a{n}: version {{source}}" for n in range(6)),
        " ".join(f"a{n}: versions {{source}}" for n in range(3)),
        " ".join(f"a{n}: versions {{number}}" for n in range(6)),
    ):
        answer = await post(selection)
        assert answer.get("data") is None, selection
        assert answer["errors"][0]["extensions"]["code"] == "QUERY_TOO_EXPENSIVE"
