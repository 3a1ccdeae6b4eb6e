"""Groups of series: pages, search by label, the overall series, and shares."""

from typing import Any, Final

import pytest
import pytest_asyncio

from schema.scalars import Instant, rfc3339
from tests.harness.apis import ask, first_error, record
from tests.harness.service import NOON, Service
from tests.harness.statements import collect_statements

DAY: Final = 'range: {between: {from: "2025-10-09T00:00:00Z", to: "2025-10-10T00:00:00Z"}}'
COUNTRIES: Final = ["Straße", "İstanbul", "Ελλάς", "a, b", "10", "true", ""]
SELECTION: Final = """
  label isOther key {value} total {count sum(property: "n")} share(aggregate: SUM, property: "n")
"""


@pytest_asyncio.fixture(scope="module")
async def service_with_orders(service: Service) -> Service:
    """Store orders of 40 shops, most of the first shops, and visits from odd countries."""
    rows = [
        {
            "event_name": "order",
            "user_id": f"u{n % 11}",
            "timestamp": NOON + n,
            "properties": {"shop": f"shop {shop:02}", "n": shop + n},
        }
        for shop in range(40)
        for n in range(1 + (39 - shop) // 3)
    ]
    rows += [
        {"event_name": "visit", "timestamp": NOON, "properties": {"country": country}}
        for country in COUNTRIES
    ]
    rows += [{"event_name": "visit", "timestamp": NOON, "properties": {"country": 10}}]
    rows += [{"event_name": "visit", "timestamp": NOON}]
    await record(service, "/events", *rows)
    return service


async def trend(service: Service, arguments: str, selection: str = SELECTION) -> Any:
    """Return the result for groups of events of the day."""
    text = (
        f"{{eventTrend({DAY} {arguments}) {{series {{{selection}}}"
        f" overall {{{selection}}} meta {{totalGroups truncated warnings {{code}}}}}}}}"
    )
    return (await ask(service, text))["eventTrend"]


ORDERS: Final = 'where: {name: {eq: "order"}} groupBy: [{property: "shop"}]'


@pytest.mark.parametrize("limit", [1, 7, 40])
async def test_pages_are_parts_of_one_order(service_with_orders: Service, limit: int) -> None:
    """Pages hold each group once; the groups and the other group of a page count all events."""
    labels: list[str] = []
    for offset in range(0, 41, limit):
        page = await trend(service_with_orders, f"{ORDERS} limit: {limit} offset: {offset}")
        assert page["meta"] == {"totalGroups": 40, "truncated": False, "warnings": []}
        labels += [group["label"] for group in page["series"] if not group["isOther"]]
        for field in ("count", "sum"):
            values = [group["total"][field] for group in page["series"]]
            assert sum(values) == page["overall"]["total"][field]
        assert sum(group["share"] for group in page["series"]) == pytest.approx(1)
        assert page["overall"]["share"] == 1
    assert labels == [f"shop {shop:02}" for shop in range(40)]


async def test_without_others_the_last_page_is_not_truncated(service_with_orders: Service) -> None:
    """`truncated` says whether a page follows; `totalGroups` is the same on every page."""
    arguments = f"{ORDERS} limit: 25 otherGroup: false offset: "
    for offset, count, truncated in (
        (0, 25, True),
        (15, 25, False),
        (25, 15, False),
        (99, 0, False),
    ):
        page = await trend(service_with_orders, f"{arguments}{offset}")
        assert len(page["series"]) == count
        assert (page["meta"]["totalGroups"], page["meta"]["truncated"]) == (40, truncated)
        assert page["overall"]["total"]["count"] == sum(1 + (39 - shop) // 3 for shop in range(40))


@pytest.mark.parametrize(
    ("search", "labels"),
    [
        ("STRASSE", ["Straße"]),
        ("ΕΛΛΆΣ", ["Ελλάς"]),
        ("A, B", ["a, b"]),
        ("(NONE)", ["(none)"]),
        ("1", ["10", "10"]),
        ("%", []),
        ('"', []),
    ],
)
async def test_groups_are_found_by_their_label(
    service_with_orders: Service, search: str, labels: list[str]
) -> None:
    """A part of a label in any case finds groups; the other group has all remaining rows."""
    arguments = 'where: {name: {eq: "visit"}} groupBy: [{property: "country"}] groupSearch: "'
    arguments += search.replace('"', '\\"') + '"'
    page = await trend(service_with_orders, arguments)
    page_labels = [group["label"] for group in page["series"] if not group["isOther"]]
    assert page_labels == labels
    assert page["meta"]["totalGroups"] == len(labels)
    assert sum(group["total"]["count"] for group in page["series"]) == len(COUNTRIES) + 2
    alone = await trend(service_with_orders, f"{arguments} otherGroup: false")
    assert [group["label"] for group in alone["series"]] == labels
    assert (alone["meta"]["totalGroups"], alone["meta"]["truncated"]) == (len(labels), False)
    assert alone["overall"] == page["overall"]


WHOLE: Final = (
    'total {uniqueUsers q: quantile(q: 0.5, property: "n", exact: true) avg(property: "n")}'
)
CHART: Final = 'columns {uniqueUsers sum(property: "n")}'


@pytest.mark.parametrize("rest", ["", "otherGroup: false", "offset: 3", 'groupSearch: "2"'])
@pytest.mark.parametrize("selection", [WHOLE, CHART, f"{WHOLE} {CHART}"])
async def test_overall_equals_an_ungrouped_result(
    service_with_orders: Service, rest: str, selection: str
) -> None:
    """`overall` equals the ungrouped result, and is computed in the same pass over the rows."""
    both_ranges = f"{selection} " + selection.replace("total", "previousTotal").replace(
        "columns", "previousColumns"
    )
    compare = f"compare: {{range: {DAY.removeprefix('range: ')}}} granularity: HOUR"
    with collect_statements() as statements:
        result = await trend(
            service_with_orders, f"{ORDERS} limit: 2 {rest} {compare}", both_ranges
        )
    series_texts = [
        statement.text
        for statement in statements
        if "series" in statement.text  # the other statements look for warnings
    ]
    assert not any("UNION ALL" in text for text in series_texts)
    alone = await trend(
        service_with_orders, f'where: {{name: {{eq: "order"}}}} {compare}', both_ranges
    )
    assert result["overall"] == alone["overall"] == alone["series"][0]


async def test_overall_alone_has_more(service_with_orders: Service) -> None:
    """An aggregate of `overall` alone is not computed for each group."""
    text = (
        f"{{eventTrend({DAY} {ORDERS} limit: 3 granularity: HOUR)"
        " {times series {label total {count}} overall {total {uniqueUsers} columns {count}}}}"
    )
    with collect_statements() as statements:
        result = (await ask(service_with_orders, text))["eventTrend"]
    assert len(statements) == 1
    assert statements[0].text.count("uniqCombined64If") <= 2  # the state and its end, of one branch
    assert result["overall"]["total"] == {"uniqueUsers": 11}
    assert sum(result["overall"]["columns"]["count"]) == sum(
        group["total"]["count"] for group in result["series"]
    )
    assert len(result["times"]) == len(result["overall"]["columns"]["count"])


async def test_share_of_nothing(service_with_orders: Service) -> None:
    """A share of 0 is null, and a share of an aggregate that does not add up is refused."""
    zero = 'where: {name: {eq: "visit"}} groupBy: [{property: "country"}]'
    result = await trend(service_with_orders, zero)
    assert {series["share"] for series in (*result["series"], result["overall"])} == {None}
    empty = await trend(service_with_orders, 'where: {name: {eq: "none"}}')
    assert (empty["series"][0]["share"], empty["overall"]["share"]) == (None, None)
    for kind, field in (("AVG", "aggregate"), ("UNIQUE_USERS", "aggregate"), ("SUM", "property")):
        text = f"{{eventTrend({DAY}) {{series {{share(aggregate: {kind})}}}}}}"
        answer = await service_with_orders.post("/graphql", {"query": text})
        error = first_error(answer)["extensions"]
        assert (error["code"], error["field"]) == ("BAD_USER_INPUT", field)


@pytest.mark.parametrize(
    "field",
    [
        "eventTrend(RANGE offset: -1 groupBy: [{field: NAME}])",
        'metricFormula(RANGE offset: -1 formula: "a" inputs: [{as: "a", metric: "m"}])',
    ],
)
async def test_offset_is_not_negative(service_with_orders: Service, field: str) -> None:
    """A negative offset is an error that names `offset`."""
    await record(
        service_with_orders, "/metrics", {"metric_name": "m", "value": 1, "timestamp": NOON}
    )
    text = f"{{{field.replace('RANGE', DAY)} {{series {{label}}}}}}"
    error = first_error(await service_with_orders.post("/graphql", {"query": text}))["extensions"]
    assert (error["code"], error["field"], error["limit"]) == ("BAD_USER_INPUT", "offset", 0)


AHEAD: Final = 26 * 3_600_000 + 61_000


@pytest.mark.usefixtures("frozen")
async def test_rows_ahead_of_the_clock(service: Service) -> None:
    """ALL_TIME includes rows later than now, with a warning."""
    times = [NOON - 3_600_000, NOON + AHEAD]
    points = [
        {"metric_name": "ahead", "value": 100 * n, "timestamp": time}
        for n, time in enumerate(times)
    ]
    await record(service, "/metrics", *points)
    await record(
        service, "/events", *({"event_name": "ahead", "timestamp": time} for time in times)
    )
    text = """query($range: TimeRangeInput!) {
      metric(name: "ahead") {
        query(range: $range, granularity: DAY) {
          series { total { count rate(per: "1h") } points { isPartial values { count } } }
          meta { ...Meta }
        }
        samples(range: $range) { nodes { time } totalCount }
      }
      metricFormula(
        formula: "a", inputs: [{as: "a", metric: "ahead", aggregate: COUNT}], range: $range
      ) { series { total } meta { ...Meta } }
      eventTrend(range: $range, where: {name: {eq: "ahead"}}) {
        series { total { count } }
        meta { ...Meta }
      }
      events(range: $range, where: {name: {eq: "ahead"}}) { totalCount }
    }
    fragment Meta on ResultMeta { range { to } warnings { code message } }"""
    data = await ask(service, text, range={"preset": "ALL_TIME"})
    meta = {
        "range": {"to": rfc3339(Instant(times[1] + 1))},
        "warnings": [
            {
                "code": "CLOCK_AHEAD",
                "message": "The newest row is 1 d 2 h ahead of the clock here.",
            }
        ],
    }
    metric = data["metric"]
    (series,) = metric["query"]["series"]
    assert series["total"]["count"] == 2
    assert series["total"]["rate"] == pytest.approx(100 / (AHEAD + 3_600_001) * 3_600_000)
    assert [point["isPartial"] for point in series["points"]] == [True, True]
    assert metric["query"]["meta"] == data["metricFormula"]["meta"] == data["eventTrend"]["meta"]
    assert metric["query"]["meta"] == meta
    assert data["metricFormula"]["series"] == [{"total": 2}]
    assert data["eventTrend"]["series"] == [{"total": {"count": 2}}]
    assert (metric["samples"]["totalCount"], data["events"]["totalCount"]) == (2, 2)
    now = await ask(service, text, range={"last": "1d"})
    assert now["metric"]["query"]["series"][0]["total"]["count"] == 1
    assert now["metric"]["query"]["meta"]["warnings"] == []
    assert now["metric"]["samples"]["totalCount"] == now["events"]["totalCount"] == 1


@pytest.mark.usefixtures("frozen")
@pytest.mark.parametrize(("ahead", "has_warning"), [(0, False), (1000, False), (1001, True)])
async def test_clocks_differ_a_little(service: Service, ahead: int, has_warning: bool) -> None:
    """A row up to a second ahead of the clock is in ALL_TIME, without a warning."""
    name = f"ahead by {ahead}"
    await record(service, "/metrics", {"metric_name": name, "value": 1, "timestamp": NOON + ahead})
    text = """query($name: String!) {metric(name: $name) {query(range: {preset: ALL_TIME}) {
      series {total {count}} meta {warnings {code message}}}}}"""
    result = (await ask(service, text, name=name))["metric"]["query"]
    assert result["series"] == [{"total": {"count": 1}}]
    message = "The newest row is 1 s ahead of the clock here."
    assert result["meta"]["warnings"] == (
        [{"code": "CLOCK_AHEAD", "message": message}] if has_warning else []
    )


@pytest.mark.usefixtures("frozen")
async def test_pages_of_groups_in_a_list_of_metrics(service: Service) -> None:
    """Grouped queries in a list of metrics are one statement, with pages and shares."""
    rows = [
        {"metric_name": f"list {n}", "value": 1, "timestamp": NOON - 1, "tags": {"g": f"g{g}"}}
        for n in range(3)
        for g in range(5)
        for _ in range(5 - g)
    ]
    await record(service, "/metrics", *rows)
    text = """{ metrics(search: "list") { nodes {
      query(range: {last: "1h"}, groupBy: ["g"], limit: 2, offset: 1, groupSearch: "G") {
        series { label share }
        overall { total { count } }
      }
    } } }"""
    with collect_statements() as statements:
        data = await ask(service, text)
    assert len(statements) == 1
    assert [node["query"] for node in data["metrics"]["nodes"]] == [
        {
            "series": [
                {"label": "g1", "share": pytest.approx(4 / 15)},
                {"label": "g2", "share": pytest.approx(3 / 15)},
                {"label": "Other", "share": pytest.approx(8 / 15)},
            ],
            "overall": {"total": {"count": 15}},
        }
    ] * 3
