"""Gaps in series, filled on lines, from before the range, and up to now."""

from collections.abc import Iterator
from typing import Any, Final

import pytest

from schema.scalars import rfc3339
from tests.harness.apis import ask, record
from tests.harness.service import Service, stop_clock
from tests.oracle.calendar import instant_at

NOW: Final = instant_at("UTC", "2026-06-17T09:13")


@pytest.fixture(autouse=True)
def frozen_clock(service: Service) -> Iterator[None]:
    """Stop the clock at `NOW`."""
    with stop_clock(service, NOW):
        yield


def point(name: str, time: str, value: float, zone: str = "UTC", **tags: str) -> dict[str, Any]:
    """Return a point at a local time."""
    return {"metric_name": name, "value": value, "timestamp": instant_at(zone, time), "tags": tags}


async def column(service: Service, name: str, arguments: str, aggregate: str = "avg") -> list[Any]:
    """Return the column of an aggregate in the only series."""
    selection = f"series {{columns {{v: {aggregate}}}}}"
    text = f'{{metric(name: "{name}") {{query({arguments}) {{{selection}}}}}}}'
    series = (await ask(service, text))["metric"]["query"]["series"]
    values: list[Any] = series[0]["columns"]["v"]
    return values


def range_text(first: str, end: str, zone: str = "UTC") -> str:
    """Return the arguments for a range between two local times."""
    instants = [rfc3339(instant_at(zone, time)) for time in (first, end)]
    return f'range: {{between: {{from: "{instants[0]}", to: "{instants[1]}"}}}} timezone: "{zone}"'


async def test_linear_goes_by_time(service: Service) -> None:
    """LINEAR goes by time: February 1 is day 31 of 59, and a day of 23 hours is shorter."""
    await record(service, "/metrics", point("months", "2026-01-20", 0))
    await record(service, "/metrics", point("months", "2026-03-20", 59))
    year = range_text("2026-01-01", "2026-05-01")
    values = await column(service, "months", f"{year} granularity: MONTH fill: LINEAR")
    assert values == [0, 31, 59, None]
    zone = "Europe/Berlin"
    days = range_text("2026-03-28", "2026-03-31", zone)
    await record(service, "/metrics", point("days", "2026-03-28T12:00", 0, zone))
    await record(service, "/metrics", point("days", "2026-03-30T12:00", 47, zone))
    assert await column(service, "days", f"{days} granularity: DAY fill: LINEAR") == [0, 24, 47]


async def test_linear_between_the_largest_doubles(service: Service) -> None:
    """LINEAR stays finite between values whose difference no double can hold."""
    await record(service, "/metrics", point("large", "2026-01-01T00:00", -1.7e308))
    await record(service, "/metrics", point("large", "2026-01-01T02:00", 1.7e308))
    hours = range_text("2026-01-01", "2026-01-01T03:00")
    values = await column(service, "large", f"{hours} granularity: HOUR fill: LINEAR")
    assert values == [-1.7e308, 0, 1.7e308]


HOURS: Final = range_text("2026-06-17T06:00", "2026-06-17T12:00") + " granularity: HOUR"


async def test_previous_begins_before_the_range(service: Service) -> None:
    """PREVIOUS begins with the last bucket with data before the range, however long ago."""
    rows = [
        point("old", "2025-02-03T04:05", 10),
        point("old", "2025-02-03T04:50", 30),
        point("old", "2025-02-03T03:59", 1000),
        point("old", "2026-06-17T08:30", 7),
    ]
    await record(service, "/metrics", *rows)
    expected = {
        "avg": [20, 20, 7, 7, None, None],
        "last": [30, 30, 7, 7, None, None],
        "sum": [40, 40, 7, 7, None, None],
        "count": [0, 0, 1, 0, 0, 0],
    }
    for aggregate, values in expected.items():
        actual = await column(service, "old", f"{HOURS} fill: PREVIOUS", aggregate)
        assert actual == values, aggregate
    daily = range_text("2026-06-16", "2026-06-19") + " granularity: DAY fill: PREVIOUS"
    assert await column(service, "old", daily, "max") == [1000, 7, None]


async def test_previous_within_the_first_bucket(service: Service) -> None:
    """If the range begins within a bucket, PREVIOUS uses the rows of that bucket before it."""
    rows = [point("cut", "2026-06-17T06:10", 5), point("cut", "2026-06-17T06:50", 9)]
    await record(service, "/metrics", *rows)
    half = range_text("2026-06-17T06:30", "2026-06-17T08:00") + " granularity: HOUR fill: PREVIOUS"
    assert await column(service, "cut", half) == [9, 9]
    late = range_text("2026-06-17T06:55", "2026-06-17T08:00") + " granularity: HOUR fill: PREVIOUS"
    assert await column(service, "cut", late) == [7, 7]


async def test_previous_of_nothing(service: Service) -> None:
    """PREVIOUS leaves buckets null without an earlier value, and after now."""
    await record(service, "/metrics", point("late", "2026-06-17T08:00", 5))
    assert await column(service, "late", f"{HOURS} fill: PREVIOUS") == [
        *(None, None, 5, 5),
        *(None, None),
    ]
    later = range_text("2026-06-18", "2026-06-19") + " granularity: TWELVE_HOURS fill: PREVIOUS"
    assert await column(service, "late", later) == [None, None]


async def test_previous_of_groups_and_the_others(service: Service) -> None:
    """Each group and the other group are filled from their own last bucket."""
    rows = [
        point("groups", "2026-06-01T04:05", 1, host="a"),
        point("groups", "2026-06-02T04:05", 2, host="b"),
        point("groups", "2026-06-03T04:05", 3, host="c"),
        point("groups", "2026-06-03T05:05", 4, host="d"),
        *(point("groups", "2026-06-17T08:00", 5, host=host) for host in "aaabbcd"),
    ]
    await record(service, "/metrics", *rows)
    text = f"""{{metric(name: "groups") {{query({HOURS} groupBy: ["host"] limit: 2
        fill: PREVIOUS) {{series {{label columns {{avg count}}}}}}}}}}"""
    groups = (await ask(service, text))["metric"]["query"]["series"]
    assert {group["label"]: group["columns"]["avg"][:4] for group in groups} == {
        "a": [1, 1, 5, 5],
        "b": [2, 2, 5, 5],
        "Other": [4, 4, 5, 5],
    }
    assert [group["columns"]["count"][2] for group in groups] == [3, 2, 2]


async def test_previous_of_a_rate(service: Service) -> None:
    """A rate is filled with that of the last bucket, which grows from the point before it."""
    rows = [point("grows", f"2026-06-16T{hour:02d}:30", 60.0 * hour) for hour in range(20)]
    await record(service, "/metrics", *rows)
    for aggregate, value in (("increase", 60.0), ('rate(per: "PT1M")', 1.0)):
        values = await column(service, "grows", f"{HOURS} fill: PREVIOUS", aggregate)
        assert values == [value] * 4 + [None] * 2


async def test_previous_of_many_groups(service: Service) -> None:
    """A few statements look up the different last buckets of hundreds of groups."""
    rows = [
        point("many", f"2026-0{1 + n // 100}-{1 + n % 25:02d}T{n % 24:02d}:05", n, host=str(n))
        for n in range(300)
    ]
    rows += [point("many", "2026-06-17T08:00", -1, host=str(n)) for n in range(300)]
    await record(service, "/metrics", *rows)
    text = f"""{{metric(name: "many") {{query({HOURS} groupBy: ["host"] limit: 300
        fill: PREVIOUS) {{series {{label columns {{avg}}}}}}}}}}"""
    groups = (await ask(service, text))["metric"]["query"]["series"]
    values = {group["label"]: group["columns"]["avg"][:4] for group in groups}
    assert values == {str(n): [n, n, -1, -1] for n in range(300)}


async def test_previous_of_a_property(service: Service) -> None:
    """A property is filled with its last number; later events without a number don't count."""
    rows = [
        {
            "event_name": "buy",
            "properties": {"price": 5},
            "timestamp": instant_at("UTC", "2026-06-01"),
        },
        {
            "event_name": "look",
            "properties": {"price": "?"},
            "timestamp": instant_at("UTC", "2026-06-02"),
        },
    ]
    await record(service, "/events", *rows)
    text = f"""{{eventTrend({HOURS} fill: PREVIOUS where: {{name: {{in: ["buy", "look"]}}}})
        {{series {{columns {{avg(property: "price") count}}}}}}}}"""
    (series,) = (await ask(service, text))["eventTrend"]["series"]
    assert series["columns"] == {"avg": [5, 5, 5, 5, None, None], "count": [0] * 6}


async def test_previous_of_the_comparison_range(service: Service) -> None:
    """The comparison range is filled from before it."""
    rows = [point("both", "2026-06-01T04:05", 3), point("both", "2026-06-17T08:00", 5)]
    await record(service, "/metrics", *rows)
    text = f"""{{metric(name: "both") {{query({HOURS} fill: PREVIOUS
        compare: {{mode: PREVIOUS_WEEK}}) {{series {{columns {{avg}} previousColumns {{avg}}
        points {{previous {{avg}}}}}}}}}}}}"""
    (series,) = (await ask(service, text))["metric"]["query"]["series"]
    assert series["columns"]["avg"] == [3, 3, 5, 5, None, None]
    assert series["previousColumns"]["avg"] == [3] * 6
    assert [point["previous"]["avg"] for point in series["points"]] == [3] * 6


async def test_fills_and_the_future(service: Service) -> None:
    """LINEAR ends at the last value, ZERO at the end of the range, PREVIOUS at now."""
    rows = [point("fore", "2026-06-17T06:00", 1), point("fore", "2026-06-17T11:00", 6)]
    await record(service, "/metrics", *rows)
    hours = range_text("2026-06-17T06:00", "2026-06-17T13:00") + " granularity: HOUR"
    expected = {
        "LINEAR": [1, 2, 3, 4, 5, 6, None],
        "ZERO": [1, 0, 0, 0, 0, 6, 0],
        "PREVIOUS": [1, 1, 1, 1, None, 6, None],
        "NULL": [1, None, None, None, None, 6, None],
    }
    for fill, values in expected.items():
        assert await column(service, "fore", f"{hours} fill: {fill}") == values, fill


async def test_fills_of_a_formula_and_of_all_rows(service: Service) -> None:
    """Inputs of a formula and the overall series are filled from before the range."""
    rows = [
        point("left", "2026-06-01T04:05", 2, host="a"),
        point("left", "2026-06-02T04:05", 4, host="b"),
        point("left", "2026-06-17T08:00", 6, host="a"),
        point("right", "2026-06-03T04:05", 10),
        point("right", "2026-06-17T07:00", 20),
    ]
    await record(service, "/metrics", *rows)
    text = f"""{{metricFormula(formula: "a + b", {HOURS} fill: PREVIOUS inputs: [
          {{as: "a", metric: "left"}}, {{as: "b", metric: "right"}}]) {{series {{values}}}}
        grouped: metricFormula(formula: "a + b", {HOURS} fill: PREVIOUS inputs: [
          {{as: "a", metric: "left", groupBy: ["host"]}}, {{as: "b", metric: "right"}}])
          {{series {{label values}}}}
        metric(name: "left") {{query({HOURS} fill: PREVIOUS groupBy: ["host"]) {{
          series {{label columns {{avg}}}} overall {{columns {{avg last}}}}}}}}}}"""
    data = await ask(service, text)
    assert data["metricFormula"]["series"][0]["values"] == [14, 24, 26, 26, None, None]
    (group,) = data["grouped"]["series"]
    assert group == {"label": "a", "values": [12, 22, 26, 26, None, None]}
    result = data["metric"]["query"]
    assert result["series"] == [{"label": "a", "columns": {"avg": [2, 2, 6, 6, None, None]}}]
    assert result["overall"]["columns"]["avg"] == [4, 4, 6, 6, None, None]


async def test_previous_of_very_large_and_small_sums(service: Service) -> None:
    """A sum from before the range is exact for very large and small numbers."""
    rows = [point("wide", "2026-06-01T04:05", value) for value in (1e100, 1, -1e100, 2)]
    await record(service, "/metrics", *rows)
    values = await column(service, "wide", f"{HOURS} fill: PREVIOUS", "sum")
    assert values == [3, 3, 3, 3, None, None]
