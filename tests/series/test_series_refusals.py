"""Refused arguments of series, hostile texts, and series without rows."""

import json
from typing import Any, Final

import pytest

from schema.scalars import Instant, rfc3339
from tests.harness.apis import ask, delete_all, record
from tests.harness.service import NOON, Service
from tests.harness.statements import collect_statements

DAY: Final = 'range: {between: {from: "1970-01-01T00:00:00Z", to: "1970-01-02T00:00:00Z"}}'
HOUR: Final = 3_600_000
COUNT: Final = "series {total {count}}"
CHART: Final = "series {columns {count}}"

COMMON_CASES: Final[dict[str, tuple[str, str, str, float | None]]] = {
    "empty last": ('range: {last: "0s"}', COUNT, "last", None),
    "long last": ('range: {last: "P3651D"}', COUNT, "last", 87_600),
    "empty between": (
        'range: {between: {from: "1970-01-02T00:00:00Z", to: "1970-01-02T00:00:00Z"}}',
        COUNT,
        "between",
        None,
    ),
    "backwards": (
        'range: {between: {from: "1970-01-02T00:00:00Z", to: "1970-01-01T00:00:00Z"}}',
        COUNT,
        "between",
        None,
    ),
    "long between": (
        'range: {between: {from: "1970-01-02T00:00:00Z", to: "1990-01-01T00:00:00Z"}}',
        COUNT,
        "between",
        87_600,
    ),
    "no points": (f"{DAY} maxPoints: 0", CHART, "maxPoints", 11_000),
    "many points": (f"{DAY} maxPoints: 11001", CHART, "maxPoints", 11_000),
    "many buckets": (f"{DAY} granularity: SECOND", CHART, "granularity", 11_000),
    "many buckets, only times": (f"{DAY} granularity: SECOND", "times", "granularity", 11_000),
    "no series": (f"{DAY} limit: 0", COUNT, "limit", 1000),
    "many series": (f"{DAY} limit: 1001", COUNT, "limit", 1000),
    "many cells": (
        f"{DAY} limit: 1000 granularity: MINUTE groupBy: [KEY]",
        CHART,
        "limit",
        1_000_000,
    ),
    "many keys": (f"{DAY} groupBy: [{', '.join(['KEY'] * 6)}]", COUNT, "groupBy", 5),
    "order by quantile": (f"{DAY} orderBy: {{aggregate: QUANTILE}}", COUNT, "orderBy.q", 1),
    "order by a large quantile": (
        f"{DAY} orderBy: {{aggregate: QUANTILE, q: 1.01}}",
        COUNT,
        "orderBy.q",
        1,
    ),
    "order by a negative quantile": (
        f"{DAY} orderBy: {{aggregate: QUANTILE, q: -1e-9}}",
        COUNT,
        "orderBy.q",
        1,
    ),
    "empty compare": (f'{DAY} compare: {{range: {{last: "0s"}}}}', COUNT, "compare", None),
    "long compare": (f'{DAY} compare: {{range: {{last: "P9999D"}}}}', COUNT, "compare", 87_600),
    "fine compare": (
        f'{DAY} granularity: MINUTE compare: {{range: {{last: "P3650D"}}}}',
        CHART,
        "compare",
        22_000,
    ),
    "change of a quantile": (DAY, "series {change(aggregate: QUANTILE) {ratio}}", "q", 1),
}
METRIC_CASES: Final[dict[str, tuple[str, str, str, float | None]]] = {
    "quantile": (DAY, "series {total {quantile(q: 1.1)}}", "q", 1),
    "negative quantile": (DAY, "series {points {values {quantile(q: -0.1)}}}", "q", 1),
    "no time": (DAY, 'series {columns {rate(per: "0s")}}', "per", None),
    "users": (DAY, "series {change(aggregate: UNIQUE_USERS) {ratio}}", "aggregate", None),
    "order by users": (
        f"{DAY} orderBy: {{aggregate: UNIQUE_USERS}}",
        COUNT,
        "orderBy.aggregate",
        None,
    ),
}
EVENT_CASES: Final[dict[str, tuple[str, str, str, float | None]]] = {
    "quantile": (DAY, 'series {total {quantile(q: 1.1, property: "n")}}', "q", 1),
    "rate": (DAY, "series {change(aggregate: RATE) {ratio}}", "aggregate", None),
    "sum of nothing": (DAY, "series {change(aggregate: SUM) {ratio}}", "property", None),
    "order by the sum of nothing": (
        f"{DAY} orderBy: {{aggregate: SUM}}",
        COUNT,
        "orderBy.property",
        None,
    ),
    "first": (f"{DAY} orderBy: {{aggregate: FIRST}}", COUNT, "orderBy.aggregate", None),
    "no bounds": (
        f'{DAY} groupBy: [{{bucketNumber: {{property: "n", bounds: []}}}}]',
        COUNT,
        "bounds",
        100,
    ),
    "many bounds": (
        f'{DAY} groupBy: [{{bucketNumber: {{property: "n", bounds: {[*range(101)]}}}}}]',
        COUNT,
        "bounds",
        100,
    ),
    "equal bounds": (
        f'{DAY} groupBy: [{{bucketNumber: {{property: "n", bounds: [1, 1]}}}}]',
        COUNT,
        "bounds",
        None,
    ),
}


def query_text(table: str, arguments: str, selection: str) -> str:
    """Return a query of a metric or of events."""
    if table == "metrics":
        arguments = arguments.replace("KEY", '"t"')
        return f'{{metric(name: "m") {{query({arguments}) {{{selection}}}}}}}'
    text = f"{{eventTrend({arguments}) {{{selection}}}}}".replace("KEY", '{property: "t"}')
    return text.replace("aggregate: QUANTILE", 'aggregate: QUANTILE, property: "n"')


@pytest.mark.parametrize(
    ("table", "case"),
    [
        *((table, case) for case in COMMON_CASES.items() for table in ("metrics", "events")),
        *(("metrics", case) for case in METRIC_CASES.items()),
        *(("events", case) for case in EVENT_CASES.items()),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
async def test_arguments_out_of_bounds_are_refused(
    service: Service, table: str, case: tuple[str, tuple[str, str, str, float | None]]
) -> None:
    """An argument out of bounds is an error with field and limit, before rows are read.

    A metric takes one statement, which looks up its name.
    """
    arguments, selection, field, limit = case[1]
    if table == "metrics":
        await record(service, "/metrics", {"metric_name": "m", "value": 1})
    with collect_statements() as statements:
        answer = await service.graphql(query_text(table, arguments, selection))
    (error,) = answer["errors"]
    expected = {"code": "BAD_USER_INPUT", "field": field, "limit": limit}
    assert error["extensions"] == {k: v for k, v in expected.items() if v is not None}, error
    assert len(statements) == (table == "metrics")


HOSTILE: Final = [
    "",
    "'",
    '"',
    "\\",
    "{p0:String}",
    "a\nb",
    "\0",
    "k" * 1000,
    "') OR 1=1 --",
    "%s%d{0}",
    "é" * 200,
    ".",
    "$1",
    "*/",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
async def test_hostile_texts(service: Service, text: str) -> None:
    """Any text is a name, a tag or a value, and never SQL."""
    query = f"""query($t: String!, $k: [String!]) {{
      metric(name: $t) {{query({DAY} groupBy: $k) {{series {{label}}}}}} }}"""
    (error,) = (await service.graphql(query, t=text, k=[text]))["errors"]
    assert error["extensions"]["code"] == "NOT_FOUND"
    await record(service, "/metrics", {"metric_name": "m", "value": 1, "timestamp": 1})
    result = (await ask(service, query, t="m", k=[text, text]))["metric"]["query"]
    assert result["series"] == [{"label": "(none), (none)"}]
    trend = f"""query($t: String!) {{
      eventTrend({DAY} where: {{OR: [{{name: {{eq: $t}}}} {{userId: {{eq: $t}}}}
        {{sessionId: {{contains: $t}}}}]}} groupBy: [{{field: USER_ID}}]) {{series {{label}}}} }}"""
    assert await ask(service, trend, t=text) == {"eventTrend": {"series": []}}
    path = text.replace("\\", "\\\\")
    if text:
        aggregates = "sum(property: $t) unique(property: $t) quantile(q: 0.5, property: $t)"
        bands = "{bucketNumber: {property: $t, bounds: [1]}}"
        trend = f"""query($t: String!) {{ eventTrend({DAY} groupBy: [{{property: $t}}, {bands}]
          orderBy: {{aggregate: MAX, property: $t}}) {{series {{
            columns {{{aggregates}}} total {{{aggregates}}} }}}} }}"""
        assert await ask(service, trend, t=path) == {"eventTrend": {"series": []}}


@pytest.mark.parametrize("text", [text for text in HOSTILE if 0 < len(text) <= 200])
async def test_hostile_texts_are_returned_unchanged(service: Service, text: str) -> None:
    """Any text that is a key, a value or a user is returned unchanged."""
    event = f"e{json.dumps(text)[:190]}"
    path = text.replace("\\", "\\\\").replace(".", "\\.")
    row = {"event_name": event, "user_id": text, "session_id": text, "timestamp": 5}
    await record(service, "/events", row | {"properties": {text: text, "n": {text: 3}}})
    query = f"""query($e: String!, $p: String!, $n: String!) {{ eventTrend({DAY}
      where: {{name: {{eq: $e}}}} granularity: HOUR groupBy: [
        {{field: USER_ID}}, {{property: $p}}, {{field: SESSION_ID}},
        {{bucketNumber: {{property: $n, bounds: [3]}}}}, {{field: NAME}}]) {{
        series {{key {{value}} total {{sum(property: $n)}} columns {{sum(property: $n)}}}} }} }}"""
    groups = (await ask(service, query, e=event, p=path, n=f"n.{path}"))["eventTrend"]["series"]
    (group,) = groups
    assert [key["value"] for key in group["key"]] == [text, text, text, ">= 3", event]
    assert (group["total"]["sum"], group["columns"]["sum"]) == (3, [3] + [0] * 23)


async def test_empty_store(service: Service) -> None:
    """An empty store returns the usual shape with 0 or null; a metric is not found."""
    await delete_all(service)
    aggregates = 'count uniqueUsers uniqueSessions unique(property: "p") sum(property: "p")'
    aggregates += ' avg(property: "p") quantile(q: 0.5, property: "p")'
    expected: dict[str, int | None] = {
        "count": 0,
        "uniqueUsers": 0,
        "uniqueSessions": 0,
        "unique": 0,
        "sum": 0,
    }
    expected |= {"avg": None, "quantile": None}
    for range_text in ("{preset: ALL_TIME}", "{preset: TODAY}", '{last: "1h"}'):
        text = f"""{{eventTrend(range: {range_text} compare: {{mode: PREVIOUS_WEEK}} fill: NULL) {{
          times series {{label total {{{aggregates}}} previousTotal {{{aggregates}}}
            change {{previous absolute ratio}} columns {{{aggregates}}}
            points {{values {{count}}}} }}
          meta {{totalGroups truncated comparisonRange {{from}}}} }} }}"""
        result = (await ask(service, text))["eventTrend"]
        (series,) = result["series"]
        assert (series["total"], series["previousTotal"]) == (expected, expected)
        assert series["change"] == {"previous": 0, "absolute": 0, "ratio": None}
        assert len(result["times"]) == len(series["points"]) == len(series["columns"]["avg"])
        grouped_text = text.replace("fill", 'groupBy: [{property: "p"}] fill')
        result = (await ask(service, grouped_text))["eventTrend"]
        assert (result["series"], result["meta"]["totalGroups"]) == ([], 0)
    (error,) = (await service.graphql(query_text("metrics", DAY, COUNT)))["errors"]
    assert error["extensions"] == {"code": "NOT_FOUND"}
    assert error["path"] == ["metric"]


async def test_metric_without_points_in_the_range(service: Service) -> None:
    """A known metric without points has count and sum 0, all else null, and no groups."""
    await record(
        service, "/metrics", {"metric_name": "old", "value": 1, "timestamp": 5 * 86_400_000}
    )
    fields = "count sum avg min max first last stddev increase rate quantile(q: 0.5)"
    text = f'{{metric(name: "old") {{query({DAY} GROUPS) {{series {{total {{{fields}}}}}}}}}}}'
    (series,) = (await ask(service, text.replace("GROUPS", "")))["metric"]["query"]["series"]
    assert {key: value for key, value in series["total"].items() if value is not None} == {
        "count": 0,
        "sum": 0,
    }
    assert len(series["total"]) == 11
    data = await ask(service, text.replace("GROUPS", 'groupBy: ["t"]'))
    assert data["metric"]["query"]["series"] == []


@pytest.mark.usefixtures("frozen")
async def test_the_future(service: Service) -> None:
    """Points of the future count in ranges that cover them, in partial buckets."""
    rows = [(-1, 10), (0, 20), (1, 40), (3 * HOUR, 80)]
    await record(
        service,
        "/metrics",
        *({"metric_name": "ahead", "value": v, "timestamp": NOON + offset} for offset, v in rows),
    )

    async def query_series(first: int, end: int) -> Any:
        range_text = (
            f'{{between: {{from: "{rfc3339(Instant(first))}", to: "{rfc3339(Instant(end))}"}}}}'
        )
        text = f"""{{metric(name: "ahead") {{query(range: {range_text} granularity: HOUR) {{
          series {{total {{count sum rate}} points {{isPartial values {{count sum rate}}}} }} }}
        }} }}"""
        return (await ask(service, text))["metric"]["query"]["series"][0]

    series = await query_series(NOON - HOUR, NOON + 4 * HOUR)
    assert (series["total"]["count"], series["total"]["sum"]) == (4, 150)
    assert [point["isPartial"] for point in series["points"]] == [False] + [True] * 4
    assert [point["values"]["count"] for point in series["points"]] == [1, 2, 0, 0, 1]
    series = await query_series(NOON + 2 * HOUR, NOON + 4 * HOUR)
    assert series["total"] == {"count": 1, "sum": 80, "rate": None}
    assert [point["isPartial"] for point in series["points"]] == [True, True]
    last = f'{{metric(name: "ahead") {{query(range: {{last: "1h"}}) {{{COUNT}}}}}}}'
    (series,) = (await ask(service, last))["metric"]["query"]["series"]
    assert series["total"]["count"] == 2  # the range includes the millisecond of now


async def test_eleven_thousand_buckets(service: Service) -> None:
    """A result holds 11,000 filled buckets, as columns and points, or 1,000 ordered series."""
    seconds = [0, 1, 10_998, 10_999, 11_000]
    await record(
        service,
        "/metrics",
        *({"metric_name": "fine", "value": n, "timestamp": 1000 * n} for n in seconds),
        *(
            {"metric_name": "wide", "value": n, "timestamp": n, "tags": {"t": f"t{n}"}}
            for n in range(1001)
        ),
    )
    range_text = 'range: {between: {from: "1970-01-01T00:00:00Z", to: "1970-01-01T03:03:20Z"}}'
    text = f"""{{metric(name: "fine") {{query({range_text} granularity: SECOND fill: LINEAR) {{times
      series {{total {{count}} columns {{avg count}} points {{time values {{avg}}}}}} }}}}}}"""
    result = (await ask(service, text))["metric"]["query"]
    (series,) = result["series"]
    assert len(result["times"]) == 11_000
    assert series["columns"]["avg"] == pytest.approx([float(n) for n in range(11_000)])
    assert [point["values"]["avg"] for point in series["points"]] == series["columns"]["avg"]
    assert [point["time"] for point in series["points"]] == result["times"]
    assert sum(series["columns"]["count"]) == series["total"]["count"] == 4
    text = f"""{{metric(name: "wide") {{query({DAY} groupBy: ["t"] limit: 1000
      orderBy: {{aggregate: MAX}} granularity: DAY) {{ meta {{totalGroups truncated}}
      series {{label isOther total {{max}} columns {{sum}}}} }}}}}}"""
    result = (await ask(service, text))["metric"]["query"]
    assert result["meta"] == {"totalGroups": 1001, "truncated": False}
    assert [group["total"]["max"] for group in result["series"]] == list(range(1000, -1, -1))
    assert [group["columns"]["sum"] for group in result["series"]] == [
        [n] for n in range(1000, -1, -1)
    ]
    assert [group["isOther"] for group in result["series"]] == [False] * 1000 + [True]
