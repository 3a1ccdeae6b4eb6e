"""Series queries of one request: shared statements, and the result of each query alone."""

from typing import Any, Final

import pytest

from tests.harness.apis import ask, record
from tests.harness.service import NOON, Service
from tests.harness.statements import collect_statements

TODAY: Final = "range: {preset: TODAY}"
WEEK: Final = "range: {preset: LAST_7_DAYS}"
BEFORE: Final = "compare: {mode: PREVIOUS_PERIOD}"
KPI: Final = "series {total {count sum} previousTotal {count sum} change(aggregate: SUM) {ratio}}"
USERS: Final = (
    "series {total {count uniqueUsers} previousTotal {count uniqueUsers}"
    " change(aggregate: UNIQUE_USERS) {ratio}}"
)
TOP: Final = "series {label isOther total {count}}"
CHART: Final = "times series {label columns {count avg}}"

DASHBOARD: Final = {
    "views": ("m1", f"{TODAY} {BEFORE}", KPI),
    "errors": ("m2", f"{TODAY} {BEFORE}", KPI),
    "latency": (
        "m3",
        f"{TODAY} {BEFORE}",
        "series {total {p95: quantile(q: 0.95)} previousTotal {p95: quantile(q: 0.95)}}",
    ),
    "visits": ("", f"{TODAY} {BEFORE}", USERS),
    "orders": ("", f'{TODAY} {BEFORE} where: {{name: {{eq: "order"}}}}', USERS),
    "overTime": ("m1", f"{WEEK} granularity: HOUR {BEFORE}", CHART + " meta {range {from}}"),
    "byHost": ("m1", f'{WEEK} granularity: DAY groupBy: ["host"] limit: 2', CHART),
    "pages": ("", f'{WEEK} groupBy: [{{property: "page"}}] limit: 3', TOP),
    "people": ("", f"{WEEK} groupBy: [{{field: USER_ID}}] limit: 3", TOP),
    "hosts": ("m2", f'{WEEK} groupBy: ["host"] limit: 3 {BEFORE}', TOP),
}
"""Five numbers with a comparison, two charts, one of them grouped, and three tables."""


def panel(alias: str) -> str:
    """Return a panel of the dashboard in GraphQL."""
    metric, arguments, selection = DASHBOARD[alias]
    if not metric:
        return f"{alias}: eventTrend({arguments}) {{{selection}}}"
    return f'{alias}: metric(name: "{metric}") {{query({arguments}) {{{selection}}}}}'


@pytest.fixture(scope="module", autouse=True)
async def _stored(service: Service) -> None:
    """Store points of three metrics and events, over two weeks before noon."""
    hour = 3_600_000
    await record(
        service,
        "/metrics",
        *(
            {"metric_name": f"m{n % 3 + 1}", "value": n % 17, "timestamp": NOON - n * hour}
            | {"tags": {"host": f"h{n % 5}"}}
            for n in range(14 * 24)
        ),
        *({"metric_name": f"one of fifty, {n}", "value": n, "timestamp": NOON} for n in range(50)),
    )
    await record(
        service,
        "/events",
        *(
            {"event_name": ("visit", "order")[n % 4 == 0], "user_id": f"u{n % 11}"}
            | {"timestamp": NOON - n * hour, "properties": {"page": f"/{n % 6}"}}
            for n in range(14 * 24)
        ),
    )


@pytest.mark.usefixtures("frozen")
async def test_dashboard(service: Service) -> None:
    """Ten panels take at most four statements, and each has the result it has alone."""
    with collect_statements() as statements:
        data = await ask(service, f"{{{' '.join(map(panel, DASHBOARD))}}}")
    assert len(statements) <= 4, [statement.text for statement in statements]
    for alias in DASHBOARD:
        alone = await ask(service, f"{{{panel(alias)}}}")
        assert alone == {alias: data[alias]}


@pytest.mark.usefixtures("frozen")
async def test_fifty_metrics_are_one_statement(service: Service) -> None:
    """The same query on fifty metrics is one statement, with a chart of each too."""
    for selection in ("total {count sum}", "total {avg} previousTotal {avg} columns {last}"):
        panels = [
            f'p{n}: metric(name: "one of fifty, {n}") {{query({TODAY} {BEFORE})'
            f" {{series {{label {selection}}}}}}}"
            for n in range(50)
        ]
        with collect_statements() as statements:
            data = await ask(service, f"{{{' '.join(panels)}}}")
        assert len(statements) == 1
        assert statements[0].text.count("\nUNION ALL\n") == 1  # this range and the one before
        labels = [data[f"p{n}"]["query"]["series"][0]["label"] for n in range(50)]
        assert labels == [f"one of fifty, {n}" for n in range(50)]


@pytest.mark.usefixtures("frozen")
async def test_siblings_over_the_same_rows_are_one_scan(service: Service) -> None:
    """Panels of one metric with different aggregates share one branch of the statement."""
    panels = [
        f"a: query({TODAY}) {{series {{total {{count}}}}}}",
        f"b: query({TODAY}) {{series {{total {{sum q: quantile(q: 0.1)}}}}}}",
        f"c: query({TODAY}) {{series {{total {{q: quantile(q: 0.9) increase}}}}}}",
        f"d: query({TODAY} fill: ZERO limit: 3) {{meta {{rowsRead}} series {{total {{max}}}}}}",
    ]
    with collect_statements() as statements:
        metric = (await ask(service, f'{{metric(name: "m1") {{{" ".join(panels)}}}}}'))["metric"]
    (statement,) = statements
    assert "UNION ALL" not in statement.text
    for text in panels:
        alone = (await ask(service, f'{{metric(name: "m1") {{{text}}}}}'))["metric"]
        assert alone[text[0]]["series"] == metric[text[0]]["series"]
    charts = [
        f"a: query({WEEK} granularity: DAY) {{times series {{columns {{{field}}}}}}}"
        f" b: query({WEEK} granularity: DAY fill: {fill}) {{series {{points {{values {{avg}}}}}}}}"
        for field, fill in (("sum", "LINEAR"), ("min", "PREVIOUS"))
    ]
    for chart in charts:
        with collect_statements() as statements:
            await ask(service, f'{{metric(name: "m1") {{{chart}}}}}')
        assert len(statements) == 1
        assert "UNION ALL" not in statements[0].text


@pytest.mark.usefixtures("frozen")
async def test_grouped_siblings_share_their_statements(service: Service) -> None:
    """Grouped charts take two statements: one ranks the groups, one computes the columns."""
    panels = [
        f'p{n}: metric(name: "m{n % 3 + 1}") {{query({WEEK} {BEFORE} groupBy: ["host"]'
        f" limit: {n + 1}) {{series {{label isOther total {{sum}} previousTotal {{sum}}"
        " columns {sum} previousColumns {sum}}}}"
        for n in range(6)
    ]
    with collect_statements() as statements:
        data = await ask(service, f"{{{' '.join(panels)}}}")
    assert len(statements) == 2
    for n, text in enumerate(panels):
        assert await ask(service, f"{{{text}}}") == {f"p{n}": data[f"p{n}"]}


BAD: Final[dict[str, tuple[str, str, dict[str, Any], list[Any]]]] = {
    "quantile": (
        f'bad: metric(name: "m1") {{query({TODAY}) {{series {{total {{quantile(q: 2)}}}}}}}}',
        "BAD_USER_INPUT",
        {"field": "q", "limit": 1},
        ["bad", "query"],
    ),
    "range": (
        'bad: metric(name: "m1") {query(range: {last: "0s"}) {series {label}}}',
        "BAD_USER_INPUT",
        {"field": "last"},
        ["bad", "query"],
    ),
    "metric": (
        f'bad: metric(name: "none") {{query({TODAY}) {{series {{label}}}}}}',
        "NOT_FOUND",
        {},
        ["bad"],
    ),
    "metric with tags": (
        f'bad: metric(name: "none") {{query({TODAY} groupBy: ["t"]) {{series {{label}}}}}}',
        "NOT_FOUND",
        {},
        ["bad"],
    ),
    "trend": (
        f"bad: eventTrend({TODAY} groupBy: [{{field: NAME}}] limit: 1001) {{series {{label}}}}",
        "BAD_USER_INPUT",
        {"field": "limit", "limit": 1000},
        ["bad"],
    ),
    "aggregate": (
        f"bad: eventTrend({TODAY} {BEFORE}) {{series {{change(aggregate: RATE) {{ratio}}}}}}",
        "BAD_USER_INPUT",
        {"field": "aggregate"},
        ["bad"],
    ),
}


@pytest.mark.usefixtures("frozen")
@pytest.mark.parametrize("kind", BAD)
async def test_one_bad_panel(service: Service, kind: str) -> None:
    """A bad panel is an error at its path, and all other panels answer."""
    text, code, details, path = BAD[kind]
    panels = [panel(alias) for alias in DASHBOARD]
    with collect_statements() as statements:
        answer = await service.graphql(f"{{{' '.join([*panels[:5], text, *panels[5:]])}}}")
    (error,) = answer["errors"]
    assert error["path"] == path
    assert error["extensions"] == {"code": code, **details}
    assert len(statements) <= 5
    data = answer["data"]
    bad = data.pop("bad")
    assert bad is None or bad == {"query": None}
    assert data == await ask(service, f"{{{' '.join(panels)}}}")
