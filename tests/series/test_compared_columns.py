"""A range and its comparison range in one result: totals, columns and times of each."""

from collections.abc import Iterator
from typing import Any, Final

import pytest

from schema.scalars import Instant, rfc3339
from tests.harness.apis import ask, record
from tests.harness.service import Service, stop_clock
from tests.oracle.calendar import instant_at, local_time

ZONE: Final = "Europe/Berlin"
NOW: Final = instant_at(ZONE, "2026-04-02T09:13")
HOUR: Final = 3_600_000


@pytest.fixture(autouse=True)
def frozen_clock(service: Service) -> Iterator[None]:
    """Stop the clock at `NOW`."""
    with stop_clock(service, NOW):
        yield


def event(name: str, moment: int) -> dict[str, Any]:
    """Return an event at an instant."""
    return {"event_name": name, "timestamp": moment}


async def trend(service: Service, name: str, arguments: str, selection: str) -> Any:
    """Return the series result for events of a name."""
    text = f'{{eventTrend({arguments} where: {{name: {{eq: "{name}"}}}}) {{{selection}}}}}'
    return (await ask(service, text))["eventTrend"]


async def record_hourly_events(service: Service) -> None:
    """Record an event at a quarter past each hour of Berlin's clocks, since January 1."""
    begin = instant_at(ZONE, "2026-01-01T00:15")
    moments = range(begin, NOW, HOUR)
    moments_by_clock = {
        local_time(ZONE, moment // 1000).replace(tzinfo=None): moment for moment in moments
    }
    spring = instant_at(ZONE, "2026-03-29T03:15")  # the hour that March 29 lacks
    await record(
        service,
        "/events",
        *(event("even", moment) for moment in [*moments_by_clock.values(), spring]),
    )


async def test_same_traffic_is_no_change(service: Service) -> None:
    """The same traffic every day is no change, at 9:13 and across a clock change."""
    await record_hourly_events(service)
    range_texts = [
        *(f"{{preset: {name}}}" for name in ("TODAY", "YESTERDAY", "LAST_7_DAYS")),
        *(f"{{preset: {name}}}" for name in ("LAST_28_DAYS", "LAST_30_DAYS", "LAST_WEEK")),
        *(f"{{preset: {name}}}" for name in ("THIS_WEEK", "THIS_MONTH")),
        '{dates: {from: "2026-03-27"}}',
        '{dates: {from: "2026-03-27", to: "2026-04-02"}}',
        '{dates: {from: "2026-03-01", to: "2026-03-20"}}',
        f'{{between: {{from: "{rfc3339(instant_at(ZONE, "2026-04-01"))}"}}}}',
        f'{{between: {{from: "{rfc3339(instant_at(ZONE, "2026-03-29"))}"}}}}',
    ]
    for range_text in range_texts:
        result = await trend(
            service,
            "even",
            f'range: {range_text} timezone: "{ZONE}" compare: {{mode: PREVIOUS_PERIOD}}',
            "series {total {count} previousTotal {count} change {ratio}} times previousTimes",
        )
        (series,) = result["series"]
        assert series["change"]["ratio"] == 0, (range_text, series)
        assert series["total"]["count"] >= 9
        assert len(result["times"]) - len(result["previousTimes"]) in range(-2, 3)


async def test_leap_day_has_a_column(service: Service) -> None:
    """February compared with a leap year: February 29 is in total, columns and times."""
    moments = [instant_at("UTC", "2024-02-29T12:00"), instant_at("UTC", "2024-02-01T12:00")]
    await record(service, "/events", *(event("leap", moment) for moment in moments))
    for fill in ("NULL", "ZERO", "NONE", "PREVIOUS", "LINEAR"):
        result = await trend(
            service,
            "leap",
            'range: {dates: {from: "2025-02-01", to: "2025-02-28"}} granularity: DAY'
            f" fill: {fill} compare: {{mode: YEAR_OVER_YEAR}}",
            "times previousTimes series {previousTotal {count} columns {count}"
            " previousColumns {count} points {time previous {count}}}",
        )
        (series,) = result["series"]
        assert series["previousTotal"]["count"] == 2
        assert sum(series["previousColumns"]["count"]) == 2
        assert len(series["previousColumns"]["count"]) == len(result["previousTimes"])
        assert result["previousTimes"][-1] == "2024-02-29T00:00:00.000Z"
        assert len(result["times"]) == len(series["columns"]["count"]) == len(series["points"])
        assert len(result["times"]) == (1 if fill == "NONE" else 28)
        assert all(point["previous"] is not None for point in series["points"])


@pytest.mark.parametrize("fill", ["NULL", "ZERO", "PREVIOUS", "LINEAR"])
async def test_short_month_has_no_more_columns_than_days(service: Service, fill: str) -> None:
    """March compared with February: March 29 to 31 have no previous values."""
    moments = [instant_at("UTC", "2026-02-10T12:00"), instant_at("UTC", "2026-03-10T12:00")]
    await record(service, "/events", *(event(f"short {fill}", moment) for moment in moments))
    result = await trend(
        service,
        f"short {fill}",
        'range: {dates: {from: "2026-03-01", to: "2026-03-31"}} granularity: DAY'
        f" fill: {fill} compare: {{mode: PREVIOUS_MONTH}}",
        'previousTimes series {previousColumns {count sum(property: "x")}'
        ' points {previous {count sum(property: "x")}}}',
    )
    (series,) = result["series"]
    previous = [point["previous"] for point in series["points"]]
    assert [values is None for values in previous] == [False] * 28 + [True] * 3
    for field in ("count", "sum"):
        assert series["previousColumns"][field] == [values[field] for values in previous[:28]]
    assert result["previousTimes"] == [
        rfc3339(Instant(instant_at("UTC", f"2026-02-{day:02d}"))) for day in range(1, 29)
    ]


async def test_left_out_buckets_belong_together(service: Service) -> None:
    """NONE leaves out only the buckets that are empty in both ranges."""
    moments = [instant_at("UTC", f"2026-02-{day}") for day in ("01", "05", "08", "10")]
    await record(service, "/events", *(event("none", moment) for moment in moments))
    result = await trend(
        service,
        "none",
        'range: {dates: {from: "2026-02-08", to: "2026-02-14"}} granularity: DAY'
        " fill: NONE compare: {mode: PREVIOUS_PERIOD}",
        "times previousTimes series {columns {count} previousColumns {count}"
        " points {time values {count} previous {count}}}",
    )
    (series,) = result["series"]
    days = [time[5:10] for time in result["times"]]
    assert days == ["02-08", "02-10", "02-12"]
    assert [time[5:10] for time in result["previousTimes"]] == ["02-01", "02-03", "02-05"]
    assert series["columns"]["count"] == [1, 1, 0]
    assert series["previousColumns"]["count"] == [1, 0, 1]
    assert [point["previous"]["count"] for point in series["points"]] == [1, 0, 1]


async def test_previous_times_need_a_comparison(service: Service) -> None:
    """Without `compare`, `previousTimes` is null."""
    await record(service, "/metrics", {"metric_name": "alone", "value": 1})
    text = """{metric(name: "alone") {query(range: {last: "1h"}) {previousTimes}}
        eventTrend(range: {last: "1h"}) {previousTimes}
        metricFormula(formula: "a", inputs: [{as: "a", metric: "alone"}], range: {last: "1h"})
        {previousTimes}}"""
    data = await ask(service, text)
    assert data["metric"]["query"]["previousTimes"] is None
    assert data["eventTrend"]["previousTimes"] is None
    assert data["metricFormula"]["previousTimes"] is None


async def test_previous_times_of_a_formula(service: Service) -> None:
    """Metrics and formulas return the times of the comparison range."""
    rows = [
        {"metric_name": "both", "value": day, "timestamp": instant_at("UTC", f"2026-03-{day:02d}")}
        for day in range(1, 15)
    ]
    await record(service, "/metrics", *rows)
    arguments = (
        'range: {dates: {from: "2026-03-08", to: "2026-03-14"}} granularity: DAY'
        " compare: {mode: PREVIOUS_WEEK}"
    )
    text = f"""{{metric(name: "both") {{query({arguments}) {{
          previousTimes series {{previousColumns {{avg}}}}}}}}
        metricFormula(formula: "a * 2", inputs: [{{as: "a", metric: "both"}}] {arguments})
        {{previousTimes series {{previousValues}}}}
        only: metricFormula(formula: "a * 2", inputs: [{{as: "a", metric: "both"}}] {arguments})
        {{previousTimes}}}}"""
    data = await ask(service, text)
    times = [rfc3339(instant_at("UTC", f"2026-03-0{day}")) for day in range(1, 8)]
    result = data["metric"]["query"]
    assert result["previousTimes"] == times
    assert result["series"][0]["previousColumns"]["avg"] == [*range(1, 8)]
    for alias in ("metricFormula", "only"):
        assert data[alias]["previousTimes"] == times
    assert data["metricFormula"]["series"][0]["previousValues"] == [2 * n for n in range(1, 8)]


async def test_weeks_from_sunday(service: Service) -> None:
    """`weekStart` moves buckets, presets and comparison ranges, and the presets of lists."""
    moments = [instant_at(ZONE, f"2026-03-{day}T12:00") for day in range(21, 32)]
    await record(service, "/events", *(event("weeks", moment) for moment in moments))
    arguments = f'timezone: "{ZONE}" weekStart: SUNDAY'
    result = await trend(
        service,
        "weeks",
        f"range: {{preset: LAST_WEEK}} granularity: WEEK {arguments}"
        " compare: {range: {preset: THIS_WEEK}}",
        "times previousTimes series {columns {count} previousColumns {count}}",
    )
    assert result["times"] == [rfc3339(instant_at(ZONE, "2026-03-22"))]
    assert result["previousTimes"] == [rfc3339(instant_at(ZONE, "2026-03-29"))]
    (series,) = result["series"]
    assert (series["columns"]["count"], series["previousColumns"]["count"]) == ([7], [3])
    text = f"""{{events(range: {{preset: LAST_WEEK}} {arguments}
        where: {{name: {{eq: "weeks"}}}}) {{totalCount}}}}"""
    assert (await ask(service, text))["events"]["totalCount"] == 7


async def test_new_inputs_are_refused_with_reasons(service: Service) -> None:
    """Bad dates and durations are typed errors that state the reason."""
    for range_text, field, message in (
        ('{dates: {from: "2026-03-02", to: "2026-03-01"}}', "dates", "must end after it begins"),
        ('{dates: {from: "2000-01-01"}}', "dates", "at most 10 years"),
        ('{dates: {from: "2026-02-29"}}', None, "Date must be"),
        ('{last: "P11Y"}', "last", "at most 10 years"),
        ('{last: "PT1.5H30M"}', None, "smallest unit"),
    ):
        answer = await service.graphql(f"{{eventTrend(range: {range_text}) {{times}}}}")
        (error,) = answer["errors"]
        assert message in error["message"], error
        assert (error["extensions"]["code"] == "BAD_USER_INPUT") == (field is not None)
        if field:
            assert error["extensions"]["field"] == field
    text = (
        '{metric(name: "alone") {query(range: {last: "P1M"}) {series {total {rate(per: "P1M")}}}}}'
    )
    (error,) = (await service.graphql(text))["errors"]
    assert (error["extensions"]["field"], "fixed length" in error["message"]) == ("per", True)


async def test_formula_has_all_of_the_comparison_range(service: Service) -> None:
    """A formula has a previous value for each of 29 days, beside a range of 28 days."""
    rows = [
        {"metric_name": "leaps", "value": day, "timestamp": instant_at("UTC", f"2024-02-{day:02d}")}
        for day in range(1, 30)
    ]
    await record(service, "/metrics", *rows)
    text = """{metricFormula(formula: "a", inputs: [{as: "a", metric: "leaps"}] granularity: DAY
        range: {dates: {from: "2025-02-01", to: "2025-02-28"}} fill: %s
        compare: {mode: YEAR_OVER_YEAR}) {times previousTimes series {values previousValues}}}"""
    for fill, count in (("NULL", 28), ("NONE", 28)):
        result = (await ask(service, text % fill))["metricFormula"]
        (series,) = result["series"]
        assert series["previousValues"] == [*range(1, 30)]
        assert len(result["previousTimes"]) == 29
        assert len(result["times"]) == len(series["values"]) == count
