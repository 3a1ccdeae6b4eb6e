"""Forms of series queries, and the aggregates that each form computes."""

import re
from typing import Any, Final

import pytest

from schema.scalars import Instant, rfc3339
from tests.harness.apis import ask, record
from tests.harness.service import Service
from tests.harness.statements import collect_statements

FIRST: Final = '{between: {from: "1970-01-01T00:00:00Z", to: "1970-01-01T04:00:00Z"}}'
HOUR: Final = 3_600_000


@pytest.fixture(scope="module", autouse=True)
async def _stored(service: Service) -> None:
    """Store six points in three of four hours, and six events at the same times."""
    hours = [0, 0, 1, 3, 3, 3]
    await record(
        service,
        "/metrics",
        *(
            {
                "metric_name": "m",
                "value": n + 1,
                "timestamp": hour * HOUR,
                "tags": {"t": f"{n % 2}"},
            }
            for n, hour in enumerate(hours)
        ),
    )
    await record(
        service,
        "/events",
        *(
            {"event_name": "e", "user_id": f"u{n % 2}", "session_id": f"s{n % 3}"}
            | {"timestamp": hour * HOUR, "properties": {"n": n + 1}}
            for n, hour in enumerate(hours)
        ),
    )


async def metric_result(service: Service, selection: str, arguments: str = "") -> Any:
    """Return the result of the metric `m`."""
    text = f'{{metric(name: "m") {{query(range: {FIRST} granularity: HOUR {arguments})'
    return (await ask(service, f"{text} {{{selection}}}}}}}"))["metric"]["query"]


async def test_fragments(service: Service) -> None:
    """Named, nested and inline fragments answer as the fields they contain."""
    plain = await metric_result(
        service,
        "times series {total {count sum p: quantile(q: 0.5)} points {time values {sum avg}}}",
    )
    fragments = """
      query { metric(name: "m") { query(range: %s granularity: HOUR) {
        ... on MetricResult { ...Whole }
        times
      } } }
      fragment Whole on MetricResult { series { ...Line ... { points { ...Point } } } }
      fragment Line on MetricSeries { total { ...Sums ...on MetricAggregates {...P} } }
      fragment P on MetricAggregates { p: quantile(q: 0.5) }
      fragment Sums on MetricAggregates { count ...Sum }
      fragment Sum on MetricAggregates { sum }
      fragment Point on MetricPoint { time values { ...Sum ... { avg } } }
    """
    result = (await ask(service, fragments % FIRST))["metric"]["query"]
    assert result == plain


async def test_aliases(service: Service) -> None:
    """Aliases give a field several arguments, in totals, points, columns and changes."""
    quantiles = 'low: quantile(q: 0) high: quantile(q: 1, exact: true) r: rate(per: "1h") rate'
    result = await metric_result(
        service,
        f"when: times lines: series {{all: total {{{quantiles}}} per: points"
        f" {{at: time in: values {{{quantiles}}} is: isPartial}} other: points {{time}}"
        f" cols: columns {{{quantiles}}} a: change(aggregate: MAX) {{ratio}} b: change {{ratio}}}}",
    )
    (series,) = result["lines"]
    assert series["all"]["high"] == 6
    assert series["all"]["low"] == pytest.approx(1, rel=0.01)
    assert series["all"]["r"] == pytest.approx(series["all"]["rate"] * 3600)
    assert [point["at"] for point in series["per"]] == result["when"]
    assert [point["time"] for point in series["other"]] == result["when"]
    highs = [point["in"]["high"] for point in series["per"]]
    assert highs == series["cols"]["high"] == [2, 3, None, 6]
    assert [point["in"]["r"] for point in series["per"]] == series["cols"]["r"]
    assert (series["a"], series["b"]) == (None, None)
    assert list(series["per"][0]) == ["at", "in", "is"]


async def test_variables(service: Service) -> None:
    """Every argument can be a variable, with a default or without."""
    variables = {
        "range": ("TimeRangeInput!", {"last": "P36500D"}),
        "where": ("MetricFilter", {"tag": {"key": "t", "string": {"in": ["0", "1"]}}}),
        "granularity": ("Granularity!", "AUTO"),
        "maxPoints": ("Int!", 7),
        "timezone": ("TimeZone!", "Asia/Kolkata"),
        "groupBy": ("[String!]", ["t"]),
        "orderBy": ("OrderByInput", {"aggregate": "QUANTILE", "q": 0.5, "direction": "ASC"}),
        "limit": ("Int!", 1),
        "otherGroup": ("Boolean!", True),
        "fill": ("Fill!", "ZERO"),
        "compare": ("CompareInput", {"mode": "YEAR_OVER_YEAR"}),
    }
    variables["range"] = (
        "TimeRangeInput!",
        {"between": {"from": rfc3339(Instant(0)), "to": rfc3339(Instant(4 * HOUR))}},
    )
    heads = ", ".join(f"${name}: {kind}" for name, (kind, _) in variables.items())
    arguments = ", ".join(f"{name}: ${name}" for name in variables)
    text = f"""query({heads}, $q: Float! = 0.5, $exact: Boolean! = true, $per: Duration!,
        $kind: AggregateKind!, $no: Boolean! = false) {{
      metric(name: "m") {{ query({arguments}) {{
        meta {{range {{granularity timezone}}}}
        series {{ label
          total {{quantile(q: $q, exact: $exact) rate(per: $per) sum @include(if: $no)}}
          change(aggregate: $kind, q: $q) {{previous}} }}
      }} }} }}"""
    values = {name: value for name, (_, value) in variables.items()}
    data = await ask(service, text, **values, per="1h", kind="QUANTILE")
    result = data["metric"]["query"]
    assert result["meta"]["range"] == {"granularity": "AUTO", "timezone": "Asia/Kolkata"}
    assert [group["label"] for group in result["series"]] == ["0", "Other"]
    assert [group["total"]["quantile"] for group in result["series"]] == [3, 4]
    assert [group["change"] for group in result["series"]] == [{"previous": None}] * 2
    assert all(group["total"].keys() == {"quantile", "rate"} for group in result["series"])


@pytest.mark.parametrize("is_shown", [True, False])
async def test_skip_and_include(service: Service, is_shown: bool) -> None:
    """A skipped field is neither answered nor computed."""
    text = f"""query($shown: Boolean!, $hidden: Boolean!) {{ metric(name: "m") {{
      query(range: {FIRST} granularity: HOUR) {{
        times @include(if: $shown)
        series {{
          total {{ count quantile(q: 0.5) @include(if: $shown) }}
          points @skip(if: $hidden) {{ time values {{ max }} }}
          ... @include(if: $shown) {{ columns {{ min }} }}
        }}
      }} }} }}"""
    with collect_statements() as statements:
        data = await ask(service, text, shown=is_shown, hidden=not is_shown)
    result = data["metric"]["query"]
    text = statements[-1].text
    assert ("quantile" in text, "max" in text, "min" in text) == (is_shown,) * 3
    assert ("times" in result) == is_shown
    assert result["series"][0].keys() == ({"total", "points", "columns"} if is_shown else {"total"})
    assert ("bucket" in text) == is_shown


async def test_typename_everywhere(service: Service) -> None:
    """`__typename` works at every level, as caching clients select it."""
    result = await metric_result(
        service,
        "__typename meta {__typename range {__typename} comparisonRange {__typename}"
        " warnings {__typename}}"
        " series {__typename key {__typename} total {__typename count} previousTotal {__typename}"
        " change {__typename} columns {__typename sum t: __typename} previousColumns {__typename}"
        " points {__typename values {__typename v: __typename sum} previous {__typename}}}",
        'groupBy: ["t"] compare: {mode: PREVIOUS_WEEK}',
    )
    assert result["__typename"] == "MetricResult"
    series = result["series"][0]
    assert (series["__typename"], series["key"]) == ("MetricSeries", [{"__typename": "GroupKey"}])
    assert series["columns"]["__typename"] == series["columns"]["t"] == "MetricColumns"
    assert series["previousColumns"] == {"__typename": "MetricColumns"}
    assert (
        series["total"]["__typename"] == series["previousTotal"]["__typename"] == "MetricAggregates"
    )
    assert series["change"] == {"__typename": "Change"}
    for point in series["points"]:
        assert point["__typename"] == "MetricPoint"
        assert point["values"]["__typename"] == point["values"]["v"] == "MetricAggregates"
        assert point["previous"] == {"__typename": "MetricAggregates"}
    typenames = await metric_result(
        service, "series {total {__typename} columns {__typename} points {__typename}}"
    )
    assert typenames["series"] == [
        {
            "total": {"__typename": "MetricAggregates"},
            "columns": {"__typename": "MetricColumns"},
            "points": [{"__typename": "MetricPoint"}] * 4,
        }
    ]
    text = f"{{eventTrend(range: {FIRST} granularity: HOUR) {{__typename series {{__typename total"
    text += " {__typename} columns {__typename} points {__typename values {__typename}}}}}"
    trend = (await ask(service, text))["eventTrend"]
    assert trend["__typename"] == "EventResult"
    assert trend["series"][0]["points"][3] == {
        "__typename": "EventPoint",
        "values": {"__typename": "EventAggregates"},
    }


async def test_same_key_twice_is_merged(service: Service) -> None:
    """Two selections of one field are merged, and the fields of both are answered."""
    result = await metric_result(
        service,
        "series {total {count} points {time}} times series {total {sum count} points"
        " {values {min}} points {time values {max}} ... {label total {avg}}}",
    )
    (series,) = result["series"]
    assert series["total"] == {"count": 6, "sum": 21, "avg": 3.5}
    assert series["points"][0] == {"time": result["times"][0], "values": {"min": 1, "max": 2}}
    assert series["label"] == "m"


SUMS: Final = ["countIfState", "sumState", "sumState"]
STATES: Final = {
    "count": ["countState"],
    "sum": SUMS,
    "avg": sorted([*SUMS, "countState"]),
    "min": ["minState"],
    "max": ["maxState"],
    "first": ["argMinState"],
    "last": ["argMaxState"],
    "stddev": sorted(
        ["avgIfState", "countIfState", "countState", "stddevPopStableState"]
        + ["stddevPopStableIfState"] * 2
    ),
    "quantile(q: 0.5)": ["maxState", "minState", "quantilesDDState"],
    "quantile(q: 0.5, exact: true)": ["quantilesExactInclusiveState"],
    "increase": SUMS,
    "rate": SUMS,
}


@pytest.mark.parametrize("field", STATES)
async def test_only_what_is_selected_is_computed(service: Service, field: str) -> None:
    """A statement computes each state of the selected aggregate once, and no other state."""
    result = await metric_result(service, f"meta {{sql}} series {{columns {{{field}}}}}")
    sql = result["meta"]["sql"]
    assert sorted(re.findall(r"\w+State\b", sql)) == STATES[field]
    assert ("lagInFrame(" in sql) == (field in ("increase", "rate"))
    alone = await metric_result(service, f"meta {{sql}} series {{total {{{field}}}}}")
    assert "bucket" not in alone["meta"]["sql"]
    assert "State" not in alone["meta"]["sql"]


async def test_query_without_aggregates(service: Service) -> None:
    """A query of range and labels alone is one statement without buckets."""
    with collect_statements() as statements:
        result = await metric_result(service, "meta {range {from granularity}} series {label}")
    assert result["meta"]["range"] == {"from": "1970-01-01T00:00:00.000Z", "granularity": "AUTO"}
    assert (result["series"], len(statements)) == ([{"label": "m"}], 1)
    assert "bucket" not in statements[0].text


@pytest.mark.parametrize("keys", ["", 'groupBy: ["t"]', 'groupBy: ["t"] limit: 1'])
async def test_points_columns_and_totals_agree(service: Service, keys: str) -> None:
    """Points equal columns; counts, sums and increases add up to the totals."""
    fields = (
        "count sum min max first last avg stddev increase rate e: quantile(q: 0.3, exact: true)"
    )
    result = await metric_result(
        service,
        f"series {{total {{{fields}}} columns {{{fields}}} points {{values {{{fields}}}}}}}",
        keys,
    )
    for series in result["series"]:
        for key, column in series["columns"].items():
            assert [point["values"][key] for point in series["points"]] == column
        for key in ("count", "sum", "increase"):
            total = sum(value or 0 for value in series["columns"][key])
            assert total == series["total"][key]
        assert min(value for value in series["columns"]["min"] if value) == series["total"]["min"]
    assert sum(series["total"]["count"] for series in result["series"]) == 6
    assert sum(series["total"]["sum"] for series in result["series"]) == 21
