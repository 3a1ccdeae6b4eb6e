"""Exact sums, rounded once, whatever the order and the groups; means within their numbers."""

import itertools
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.harness.apis import ask, get, record
from tests.harness.run_profile import short_or_long
from tests.harness.service import Service
from tests.oracle.aggregates import Aggregate, Row, counter_increases, expected_value

RANGE: Final = 'range: {between: {from: "1970-01-01T00:00:00Z", to: "1970-01-01T00:08:20Z"}}'
SECONDS: Final = "granularity: SECOND maxPoints: 500 fill: NULL"
FIELDS: Final = ("avg", "sum", "min", "max", "stddev")
EXAMPLES: Final = {
    "money": [19.99] * 1000,
    "tenths": [0.1] * 10,
    "three tenths": [0.1] * 3,
    "large and back": [1, 1e100, 1, -1e100],
    "just beyond a double": [1e16, 1, -1e16],
    "nested": [1, 1e50, 1e100, -1e100, -1e50],
    "small beside large": [1e300, 1e-300, -1e300],
    "beyond the largest and back": [1e308, 1e308, -1e308],
    "no double holds the sum": [9.98e307, 9.98e307],
    "subnormal": [5e-324] * 3,
    "squares overflow": [1e200, -1e200],
    "squares vanish": [1e-200, -1e-200],
    "small and negative": [-1e-6],
    "nearly nothing": [-0.1, 0.0999, 1e-5],
    "hundredths of small numbers": [-0.000123] * 7,
    "large fractions": [1e13 + 0.25, 0.1, 3.3e14],
    "equal": [100.0] * 100,
    "a tie and a little more": [9007199254740992.0, 1, 1e-100],
}
NUMBERS: Final = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(-1000, 1000).map(lambda number: round(number, 2)),
    st.integers(-(2**53) + 1, 2**53 - 1).map(float),
    st.sampled_from([0.1, 19.99, 1e16, 1e100, 2.0**52, 2.0**-21, 5e-324, 1.7976931348623157e308]),
)
LISTS: Final = st.lists(NUMBERS, min_size=1, max_size=20).flatmap(
    lambda numbers: st.permutations([*numbers, *(-number for number in numbers[::2])])
)
GROUPS: Final = 7
_names = (f"exact_{n}" for n in itertools.count())


def spread_rows(numbers: Sequence[float]) -> list[Row]:
    """Return a row for each number, spread over 500 buckets and 7 groups."""
    return [
        Row(n * 7919 % 500 * 1000, n, value=number, tags={"g": str(n % GROUPS)})
        for n, number in enumerate(numbers)
    ]


async def record_rows(service: Service, rows: Sequence[Row]) -> str:
    """Record rows as points and as events; return the name of the metric and of the events."""
    name = next(_names)
    for path, kind in (("/metrics", "metric_name"), ("/events", "event_name")):
        batch = [
            {kind: name, "timestamp": row.time}
            | (
                {"value": row.value, "tags": row.tags}
                if path == "/metrics"
                else {"properties": {"n": row.value, **row.tags}}
            )
            for row in rows
        ]
        await record(service, path, *batch)
    return name


def check_series(
    series: Mapping[str, Any], rows: Sequence[Row], fields: Sequence[Aggregate]
) -> None:
    """Compare the totals of a series, and its means by bucket, with the oracle."""
    for field in fields:
        expected = expected_value(field, rows, {}, 1)
        assert expected.allows(series["total"][field.key]), (field, series["total"], expected)
    for index, mean in enumerate(series.get("columns", {}).get("avg", ())):
        values = [row for row in rows if row.time // 1000 == index]
        expected = expected_value(fields[0], values, {}, 1)
        assert expected.allows(mean), (index, mean, expected)


async def check_numbers(service: Service, numbers: Sequence[float]) -> None:
    """Compare totals, buckets and groups of numbers with the oracle."""
    rows = spread_rows(numbers)
    name = await record_rows(service, rows)
    metric_fields = [Aggregate(field, field, {}) for field in FIELDS]
    metric_fields.append(Aggregate("p50", "quantile", {"q": 0.5}))
    event_fields = [
        Aggregate("avg", "avg", {}),
        Aggregate("sum", "sum", {}),
        Aggregate("p50", "quantile", {"q": 0.5}),
    ]
    text = {
        "metric": " ".join(field.text for field in metric_fields),
        "events": (
            'avg: avg(property: "n") sum: sum(property: "n") p50: quantile(property: "n", q: 0.5)'
        ),
    }
    where = f'{{name: {{eq: "{name}"}}}}'
    event_groups = 'groupBy: [{property: "g"}] orderBy: {aggregate: SUM, property: "n"} limit: 2'
    data = await ask(
        service,
        f"""{{
          metric(name: "{name}") {{
            total: query({RANGE}) {{series {{total {{{text["metric"]}}}}}}}
            buckets: query({RANGE} {SECONDS}) {{
              series {{total {{{text["metric"]}}} columns {{avg}}}}
            }}
            groups: query({RANGE} groupBy: ["g"] orderBy: {{aggregate: SUM}} limit: 2) {{
              series {{isOther key {{value}} total {{{text["metric"]}}}}}
            }}
          }}
          total: eventTrend({RANGE} where: {where}) {{series {{total {{{text["events"]}}}}}}}
          buckets: eventTrend({RANGE} where: {where} {SECONDS}) {{
            series {{total {{{text["events"]}}} columns {{avg: avg(property: "n")}}}}
          }}
          groups: eventTrend({RANGE} where: {where} {event_groups}) {{
            series {{isOther key {{value}} total {{{text["events"]}}}}}
          }}
        }}""",
    )
    for results, fields in ((data["metric"], metric_fields), (data, event_fields)):
        check_series(results["total"]["series"][0], rows, fields)
        check_series(results["buckets"]["series"][0], rows, fields)
        labels = {
            group["key"][0]["value"]
            for group in results["groups"]["series"]
            if not group["isOther"]
        }
        for group in results["groups"]["series"]:
            group_rows = [
                row
                for row in rows
                if (
                    row.tags["g"] not in labels
                    if group["isOther"]
                    else row.tags["g"] == group["key"][0]["value"]
                )
            ]
            check_series(group, group_rows, fields)


@pytest.mark.parametrize("example", EXAMPLES)
async def test_examples(service: Service, example: str) -> None:
    """Sums of odd numbers are exact, over a range, buckets, groups and the other group."""
    await check_numbers(service, EXAMPLES[example])


@settings(
    deadline=None,
    max_examples=short_or_long(5, 25),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(LISTS)
async def test_any_numbers(service: Service, numbers: list[float]) -> None:
    """Sums of any numbers, many of which cancel out, are exact, as `math.fsum` says."""
    await check_numbers(service, numbers)


@pytest.mark.parametrize("example", EXAMPLES)
async def test_long_columns(service: Service, example: str) -> None:
    """Means in 5,000 buckets, which the engine computes, are exact."""
    numbers = EXAMPLES[example]
    rows = spread_rows(numbers)
    name = await record_rows(service, rows)
    long_range = RANGE.replace("00:08:20", "01:23:20")
    query = f"query({long_range} granularity: SECOND maxPoints: 5000)"
    selection = "{series {total {avg sum} columns {avg sum}}}"
    data = await ask(service, f'{{metric(name: "{name}") {{{query} {selection}}}}}')
    (series,) = data["metric"]["query"]["series"]
    assert len(series["columns"]["avg"]) == 5000
    check_series(series, rows, [Aggregate("avg", "avg", {}), Aggregate("sum", "sum", {})])


async def test_rest_is_exact(service: Service) -> None:
    """Sums and means of REST are exact."""
    now = time.time_ns() // 1_000_000
    for n, numbers in enumerate(EXAMPLES.values()):
        points = [
            {"metric_name": f"rest_{n}", "value": number, "timestamp": now} for number in numbers
        ]
        await record(service, "/metrics", *points)
        totals = await get(service, f"/metrics/rest_{n}", hours=1)
        rows = spread_rows(numbers)
        for key, field in (("sum", "sum"), ("average", "avg")):
            expected = expected_value(Aggregate(key, field, {}), rows, {}, 1)
            assert expected.allows(totals[key]), (numbers, key, totals[key], expected)


async def test_steps_of_a_counter_are_summed_exactly(service: Service) -> None:
    """The increase of a counter is the exact sum of its steps."""
    values = [math.fsum([0.1] * n) for n in range(11)] + [1e16, 1e16 + 2, 0.1]
    rows = [Row(n * 1000, n, "exact_counter", value) for n, value in enumerate(values)]
    batch = [{"metric_name": row.name, "value": row.value, "timestamp": row.time} for row in rows]
    await record(service, "/metrics", *batch)
    query = (
        f'{{metric(name: "exact_counter") {{query({RANGE}) {{series {{total {{increase}}}}}}}}}}'
    )
    (series,) = (await ask(service, query))["metric"]["query"]["series"]
    assert series["total"]["increase"] == math.fsum(counter_increases(rows).values())
