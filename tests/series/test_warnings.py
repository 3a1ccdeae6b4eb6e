"""Warnings about misleading results: codes, fields and suggestions."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest
import pytest_asyncio

from resolvers.suggestions import near_names
from schema.series.results import WARNING_CODES
from store.query import evidence
from tests.harness.apis import ask, record
from tests.harness.service import Service
from tests.harness.statements import collect_statements
from tests.rules.test_sdl import SDL

WarningSummary: TypeAlias = tuple[str, str | None, list[str]]

META: Final = "meta {warnings {code field message suggestions}}"
OLD: Final = 86_400_000

EVENTS: Final[list[dict[str, Any]]] = [
    *(
        {"event_name": "order", "user_id": "u", "properties": properties}
        for properties in (
            {"country": "DE", "amount": 10, "cart": {"total": 1, "user_type": "a"}},
            {"country": "FR", "amount": "12.50", "plan": None},
            {"country": "FR", "amount": None, "a.b": 1},
            {"amount": [1], "tags": ["x"]},
        )
    ),
    {"event_name": "signup", "properties": {"plan": "free", "": "empty"}},
    {"event_name": "signup", "properties": {"once": "long ago"}, "timestamp": OLD},
]


@pytest_asyncio.fixture(scope="module", autouse=True)
async def _stored_rows(service: Service) -> AsyncIterator[None]:
    await record(service, "/events", *EVENTS)
    await record(
        service,
        "/metrics",
        {"metric_name": "cpu", "value": 1, "tags": {"host": "a", "http.status": "200"}},
        {"metric_name": "cpu", "value": 2, "tags": {"zone": "x"}, "timestamp": OLD},
        {"metric_name": "requests", "value": 5, "tags": {"Host": "a"}},
        {"metric_name": "load", "value": 5},
    )
    mutation = (
        "mutation($n: String!, $k: MetricKind) {describeMetric(input: {name: $n, kind: $k}) {name}}"
    )
    await ask(service, mutation, n="requests", k="COUNTER")
    await ask(service, mutation, n="load", k="GAUGE")
    await ask(service, 'mutation {describeMetric(input: {name: "cpu", unit: "s"}) {name}}')
    yield


async def event_warnings(
    service: Service, where: Any = None, rest: str = "", selection: str = "total {count}"
) -> list[WarningSummary]:
    """Return the warnings of a query of events."""
    query = f"""query($where: EventFilter) {{
      eventTrend(where: $where, range: {{last: "1d"}} {rest}) {{series {{{selection}}} {META}}}}}"""
    return summaries((await ask(service, query, where=where))["eventTrend"])


async def metric_warnings(
    service: Service,
    name: str,
    where: Any = None,
    rest: str = "",
    selection: str = "total {count}",
) -> list[WarningSummary]:
    """Return the warnings of a query of a metric."""
    query = f"""query($where: MetricFilter, $name: String!) {{metric(name: $name) {{
      query(where: $where, range: {{last: "1d"}} {rest}) {{series {{{selection}}} {META}}}}}}}"""
    return summaries((await ask(service, query, where=where, name=name))["metric"]["query"])


def summaries(answer: Any) -> list[WarningSummary]:
    """Return code, field and suggestions of each warning."""
    warnings = answer["meta"]["warnings"]
    assert all(warning["message"] for warning in warnings)
    return [(warning["code"], warning["field"], warning["suggestions"]) for warning in warnings]


def on_key(key: str, **tests: Any) -> dict[str, Any]:
    """Return a filter of a property."""
    return {"property": {"key": key, "string": tests or {"eq": "x"}}}


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (on_key("country"), []),
        (on_key("contry"), [("UNKNOWN_KEY", "where.property.key", ["country"])]),
        (on_key("Country"), [("UNKNOWN_KEY", "where.property.key", ["country"])]),
        (on_key("userType"), [("UNKNOWN_KEY", "where.property.key", ["cart.user_type"])]),
        (on_key("total"), [("UNKNOWN_KEY", "where.property.key", ["cart.total"])]),
        (on_key("cart.total"), []),
        (on_key("cart.totals"), [("UNKNOWN_KEY", "where.property.key", ["cart.total"])]),
        (on_key("a.b"), [("UNKNOWN_KEY", "where.property.key", [r"a\.b"])]),
        (on_key(r"a\.b"), []),
        (on_key(""), []),
        (on_key("once"), []),
        (on_key("zzz", isSet=False), [("UNKNOWN_KEY", "where.property.key", [])]),
        ({"NOT": on_key("zzz", neq="x")}, [("UNKNOWN_KEY", "where.NOT.property.key", [])]),
        (
            {"OR": [on_key("plan"), {"AND": [on_key("zzz")]}]},
            [("UNKNOWN_KEY", "where.OR[1].AND[0].property.key", [])],
        ),
        ({"name": {"eq": "order"}} | on_key("plan"), [("UNKNOWN_KEY", "where.property.key", [])]),
        ({"name": {"eq": "signup"}} | on_key("plan"), []),
        ({"AND": [{"name": {"in": ["order"]}}, on_key("once")]},
         [("UNKNOWN_KEY", "where.AND[1].property.key", [])]),
        ({"name": {"eq": "ordr"}}, [("UNKNOWN_EVENT", "where.name.eq", ["order"])]),
        ({"name": {"notIn": ["order", "Signup"]}},
         [("UNKNOWN_EVENT", "where.name.notIn", ["signup"])]),
        ({"name": {"eq": "ORDER", "caseSensitive": False}}, []),
        ({"name": {"contains": "nobody"}}, []),
        ({"name": {"eq": "ordr"}} | on_key("zzz"), [("UNKNOWN_EVENT", "where.name.eq", ["order"])]),
        ({"performed": {"event": "signups", "where": on_key("pln")}},
         [("UNKNOWN_EVENT", "where.performed.event", ["signup"])]),
        ({"performed": {"event": "signup", "where": on_key("pln")}},
         [("UNKNOWN_KEY", "where.performed.where.property.key", ["plan"])]),
    ],
)  # fmt: skip
async def test_unknown_names_in_filters_of_events(
    service: Service, where: dict[str, Any], expected: list[WarningSummary]
) -> None:
    """A warning names a key or event name that never occurred, and its place in the filter."""
    assert await event_warnings(service, where) == expected


async def test_groups_and_aggregates_of_events(service: Service) -> None:
    """Unknown keys in groups, bands, aggregates and orders have warnings."""
    groups = 'groupBy: [{field: NAME}, {property: "contry"}, {bucketNumber: {property: "amont"'
    assert await event_warnings(service, rest=groups + ", bounds: [1]}}]") == [
        ("UNKNOWN_KEY", "groupBy[1]", ["country"]),
        ("UNKNOWN_KEY", "groupBy[2]", ["amount"]),
    ]
    order = 'groupBy: [{property: "country"}] orderBy: {aggregate: AVG, property: "cart.totl"}'
    expected = ("UNKNOWN_KEY", "orderBy.property", ["cart.total"])
    assert await event_warnings(service, rest=order) == [expected]
    expected = ("UNKNOWN_KEY", "property", ["cart.total"])
    for selection in (
        'columns {sum(property: "cart.totl")}',
        'points {values {unique(property: "cart.totl")}}',
        'total {unique(property: "cart.totl")}',
    ):
        assert await event_warnings(service, selection=selection) == [expected]
    assert await event_warnings(service, rest='groupBy: [{property: "NAME"}]') == [
        ("UNKNOWN_KEY", "groupBy[0]", [])
    ]


async def test_values_that_are_no_numbers(service: Service) -> None:
    """A warning counts the events in the range whose value is no number; null doesn't count."""
    for aggregate in ("sum", "avg", "min", "max"):
        selection = f'total {{{aggregate}(property: "amount")}}'
        query = f"""{{eventTrend(where: {{name: {{eq: "order"}}}}, range: {{last: "1d"}}) {{
          series {{{selection}}} {META}}}}}"""
        (warning,) = (await ask(service, query))["eventTrend"]["meta"]["warnings"]
        assert (warning["code"], warning["field"]) == ("NOT_NUMERIC", "property")
        assert "in 2 of 4 events" in warning["message"]
    assert await event_warnings(service, on_key("country", eq="DE"), selection=selection) == []
    assert await event_warnings(service, selection='total {unique(property: "amount")}') == []
    assert await event_warnings(service, selection='total {sum(property: "cart.total")}') == []
    selection = 'total {sum(property: "amount") q: quantile(q: 0.5, property: "country")}'
    assert (
        await event_warnings(service, selection=selection) == [("NOT_NUMERIC", "property", [])] * 2
    )


@pytest.mark.parametrize(
    ("where", "rest", "expected"),
    [
        ({"tag": {"key": "host", "string": {"eq": "a"}}}, "", []),
        ({"tag": {"key": "zone", "string": {"eq": "a"}}}, "", []),
        ({"tag": {"key": "hots", "string": {"neq": "a"}}}, "",
         [("UNKNOWN_KEY", "where.tag.key", ["host"])]),
        ({"NOT": {"tag": {"key": "Host", "string": {"isSet": True}}}}, "",
         [("UNKNOWN_KEY", "where.NOT.tag.key", ["host"])]),
        ({"tag": {"key": "status", "string": {"eq": "200"}}}, 'groupBy: ["host", "reg"]',
         [("UNKNOWN_KEY", "where.tag.key", ["http.status"]), ("UNKNOWN_KEY", "groupBy[1]", [])]),
        (None, 'groupBy: ["http.status"]', []),
    ],
)  # fmt: skip
async def test_tags(
    service: Service, where: Any, rest: str, expected: list[WarningSummary]
) -> None:
    """A tag that no point of the metric ever had has a warning, even if other metrics have it."""
    assert await metric_warnings(service, "cpu", where, rest) == expected


async def test_counters_and_gauges(service: Service) -> None:
    """Levels of a counter and growth of a gauge have warnings; a default kind has none."""
    levels = "sum avg min max stddev quantile(q: 0.5)"
    expected: list[WarningSummary] = [("COUNTER_LEVEL", None, ["increase", "rate"])]
    for aggregate in ("sum", "avg", "min", "max", "stddev", "quantile(q: 0.5)", levels):
        for selection in (f"total {{{aggregate}}}", f"columns {{{aggregate}}}"):
            assert await metric_warnings(service, "requests", selection=selection) == expected
            assert await metric_warnings(service, "cpu", selection=selection) == []
            assert await metric_warnings(service, "load", selection=selection) == []
    growth = "total {count first last increase rate}"
    assert await metric_warnings(service, "requests", selection=growth) == []
    gauge: list[WarningSummary] = [("GAUGE_GROWTH", None, [])]
    assert await metric_warnings(service, "load", selection=growth) == gauge
    assert await metric_warnings(service, "cpu", selection=growth) == []
    rest = 'groupBy: ["Host"] orderBy: {aggregate: MAX}'
    assert await metric_warnings(service, "requests", rest=rest) == expected


async def test_formula(service: Service) -> None:
    """The warnings about each input name its arguments."""
    query = f"""{{metricFormula(formula: "a / b", range: {{last: "1d"}}, inputs: [
      {{as: "a", metric: "requests", aggregate: INCREASE, groupBy: ["host"]}}
      {{as: "b", metric: "requests", aggregate: AVG,
        where: {{tag: {{key: "hst", string: {{eq: "a"}}}}}}}}
    ]) {{series {{total}} {META}}}}}"""
    assert summaries((await ask(service, query))["metricFormula"]) == [
        ("UNKNOWN_KEY", "inputs[0].groupBy[0]", ["Host"]),
        ("UNKNOWN_KEY", "inputs[1].where.tag.key", ["Host"]),
        ("COUNTER_LEVEL", "inputs[1].aggregate", ["increase", "rate"]),
    ]


async def test_lookups_run_only_for_selected_warnings(service: Service) -> None:
    """Absent or skipped `warnings` cost no statement; selected `warnings` cost one a key."""
    for meta, count in (
        ("", 1),
        ("meta {rowsRead}", 1),
        ("meta {warnings @skip(if: true) {code} rowsRead}", 1),
        ("meta {warnings {code}}", 3),
    ):
        query = f"""{{eventTrend(where: {{property: {{key: "country", string: {{eq: "x"}}}}}},
          range: {{last: "1d"}}) {{series {{total {{sum(property: "cart.total")}}}} {meta}}}}}"""
        with collect_statements() as statements:
            await ask(service, query)
        assert len(statements) == count, meta


async def test_slow_lookups_give_no_warning(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lookup that exceeds its time leaves the result without its warning."""
    slow = "SETTINGS max_execution_time = 0.001, timeout_before_checking_execution_speed = 0"
    monkeypatch.setattr(evidence, "_LOOKUP", f"WHERE sleep(0.1) = 0 {slow}")
    assert await event_warnings(service, on_key("contry")) == []


async def test_hostile_names(service: Service) -> None:
    """Any text as an unknown key, name or tag gives its warning."""
    for text in ("'", '"', "\\\\", "\n", "{p0:String}", "a" * 1000, "é" * 300, "%", "…"):
        warnings = await event_warnings(service, on_key(text))
        assert [warning[0] for warning in warnings] == ["UNKNOWN_KEY"]
        warnings = await event_warnings(service, {"name": {"eq": text}})
        assert [warning[0] for warning in warnings] == ["UNKNOWN_EVENT"]
        tags = {"tag": {"key": text, "string": {"eq": "a"}}}
        warnings = await metric_warnings(service, "cpu", tags)
        assert [warning[0] for warning in warnings] == ["UNKNOWN_KEY"]


async def test_many_keys(service: Service) -> None:
    """The first 20 keys of a filter are looked up."""
    warnings = await event_warnings(service, {"OR": [on_key(f"nothing{n}") for n in range(100)]})
    assert [field for _, field, _ in warnings] == [f"where.OR[{n}].property.key" for n in range(20)]


def test_near_names() -> None:
    """At most three names: by case and punctuation, then paths, beginnings, and other typos."""
    names = ["country", "counter", "count", "cart.total", "user_type", "a", "host", "countries"]
    assert near_names("Country", names) == ["country", "counter", "count"]
    assert near_names("contry", names) == ["country", "counter", "count"]
    assert near_names("userType", names) == ["user_type"]
    assert near_names("total", names) == ["cart.total"]
    assert near_names("x.host", names) == ["host"]
    assert near_names("hostname", names) == ["host"]
    assert near_names("cart.totl", [*names, "cart"]) == ["cart.total"]
    assert near_names("b", names) == []
    assert near_names("", names) == []
    assert near_names("!", ["?", "!!"]) == []
    assert near_names("z" * 1000, ["z" * 999, "z" * 2000]) == ["z" * 2000, "z" * 999]


def test_codes_are_declared() -> None:
    """Code, SDL and documentation list the same warning codes."""
    sources = [path.read_text() for path in Path("resolvers").rglob("*.py")]
    codes = re.findall(r'code="([A-Z_]+)"', "\n".join(sources))
    assert set(codes) == WARNING_CODES.keys()
    section = Path("docs/graphql.md").read_text().split("\n### Warnings\n")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", section, re.MULTILINE)) == WARNING_CODES.keys()
    assert all(f"{code}: {reason}" in SDL for code, reason in WARNING_CODES.items())
