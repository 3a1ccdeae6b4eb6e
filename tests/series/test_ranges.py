"""Time ranges: presets, `last`, `between` and `dates` by local clocks, and their limits."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Final, TypeAlias

import pytest
import strawberry
from hypothesis import given
from hypothesis import strategies as st
from strawberry.schema.config import StrawberryConfig

from schema.answer_budget import AnswerBudget, AnswerMemory
from schema.buckets import Fill, Granularity, WeekStart
from schema.errors import AnalyticsError
from schema.limits import ARGUMENT_OBJECTS
from schema.ranges import (
    MAX_HOURS,
    MAX_YEARS,
    CompareInput,
    DateRangeInput,
    TimeBetweenInput,
    TimeRangeInput,
    TimeRangePreset,
)
from schema.scalars import SCALARS, UTC_ZONE, DurationMs, Instant, Zone
from schema.time.dates import parse_date
from schema.time.durations import parse_duration
from store.query.time.ranges import Extent, resolve_range
from tests.harness.service import NOON, Service
from tests.oracle.calendar import (
    CALENDAR_SETTINGS,
    ZONES,
    instant_at,
    latest_day,
    local_text,
    range_input,
    zone_instants,
)

HOUR: Final = 3_600_000
DAY: Final = 24 * HOUR
P: TypeAlias = TimeRangePreset


def preset_ends(name: TimeRangePreset, zone: str, now: str) -> list[str]:
    """Return the local times of a preset's two ends; an end after now is its last millisecond."""
    time_range = resolve_range(TimeRangeInput(preset=name), instant_at(zone, now), Zone(zone))
    assert time_range.timezone == zone
    end = time_range.to if time_range.to <= instant_at(zone, now) else time_range.to - 1
    return [local_text(zone, time_range.from_), local_text(zone, end)]


def test_presets() -> None:
    """Every preset begins and ends by the clocks of the zone, on a Sunday of 23 hours."""
    now = "2026-03-29T15:30:00+02:00"
    zone = "Europe/Berlin"
    expected = {
        P.TODAY: ["2026-03-29T00:00:00+01:00", now],
        P.YESTERDAY: ["2026-03-28T00:00:00+01:00", "2026-03-29T00:00:00+01:00"],
        P.LAST_24_HOURS: ["2026-03-28T14:30:00.001000+01:00", now],
        P.LAST_7_DAYS: ["2026-03-23T00:00:00+01:00", now],
        P.LAST_28_DAYS: ["2026-03-02T00:00:00+01:00", now],
        P.LAST_30_DAYS: ["2026-02-28T00:00:00+01:00", now],
        P.LAST_90_DAYS: ["2025-12-30T00:00:00+01:00", now],
        P.LAST_91_DAYS: ["2025-12-29T00:00:00+01:00", now],
        P.THIS_WEEK: ["2026-03-23T00:00:00+01:00", now],
        P.LAST_WEEK: ["2026-03-16T00:00:00+01:00", "2026-03-23T00:00:00+01:00"],
        P.THIS_MONTH: ["2026-03-01T00:00:00+01:00", now],
        P.LAST_MONTH: ["2026-02-01T00:00:00+01:00", "2026-03-01T00:00:00+01:00"],
        P.THIS_YEAR: ["2026-01-01T00:00:00+01:00", now],
        P.YEAR_TO_DATE: ["2026-01-01T00:00:00+01:00", now],
        P.LAST_12_MONTHS: ["2025-04-01T00:00:00+02:00", now],
        P.ALL_TIME: ["1970-01-01T01:00:00+01:00", "2100-01-01T00:59:59.999000+01:00"],
    }
    assert {name: preset_ends(name, zone, now[:19]) for name in TimeRangePreset} == expected


FOLLOWING_PRESETS: Final = {
    P.YESTERDAY: P.TODAY,
    P.LAST_WEEK: P.THIS_WEEK,
    P.LAST_MONTH: P.THIS_MONTH,
}
"""Presets that end in the past, and the preset that begins at that end."""


ODD_PRESETS: Final = {
    "the zone's day, not UTC's": ("TODAY Asia/Kathmandu", "2026-06-02T01:00", "2026-06-02"),
    "day without a midnight": ("TODAY America/Sao_Paulo", "2018-11-04T15:00", "2018-11-04T01:00"),
    "day with two midnights": ("TODAY America/Havana", "2024-11-03T15:00", "2024-11-03"),
    "day before a skipped one": ("YESTERDAY Pacific/Apia", "2011-12-31T15:00", "2011-12-29"),
    "days over a skipped one": ("LAST_7_DAYS Pacific/Apia", "2012-01-03T15:00", "2011-12-28"),
    "year without its last day": ("THIS_YEAR Pacific/Kiritimati", "1995-03-01T12:00", "1995-01-01"),
    "leap day": ("LAST_30_DAYS UTC", "2024-03-01T12:00", "2024-02-01"),
    "first millisecond of a day": ("TODAY Asia/Beirut", "2022-03-27T01:00", "2022-03-27T01:00"),
    "months over New Year": ("LAST_12_MONTHS Asia/Kolkata", "2026-12-31T23:59", "2026-01-01"),
    "week over New Year": ("THIS_WEEK Australia/Lord_Howe", "2026-01-01T12:00", "2025-12-29"),
}


@pytest.mark.parametrize("kind", ODD_PRESETS)
def test_presets_on_odd_days(kind: str) -> None:
    """Presets begin at the local times of the table, near odd clock changes."""
    preset, now, expected = ODD_PRESETS[kind]
    name, zone = preset.split()
    time_range = resolve_range(
        TimeRangeInput(preset=TimeRangePreset[name]), instant_at(zone, now), Zone(zone)
    )
    assert time_range.from_ == instant_at(zone, expected)


@CALENDAR_SETTINGS
@given(zone_instants, st.sampled_from(list(P)))
def test_presets_hold_now_and_begin_with_a_day(zone_instant: tuple[str, int], name: P) -> None:
    """In any zone a preset is not empty, ends now or earlier, and begins with a local day."""
    zone, now = zone_instant
    time_range = resolve_range(TimeRangeInput(preset=name), Instant(now), Zone(zone))
    assert time_range.from_ < time_range.to
    if name in FOLLOWING_PRESETS:
        assert time_range.to <= now
        present = resolve_range(
            TimeRangeInput(preset=FOLLOWING_PRESETS[name]), Instant(now), Zone(zone)
        )
        assert time_range.to == present.from_
    elif name is P.ALL_TIME:
        assert time_range.from_ <= now < time_range.to
    else:
        assert time_range.from_ <= now == time_range.to - 1
    if name not in {P.LAST_24_HOURS, P.ALL_TIME}:
        first_day = latest_day(zone, time_range.from_)
        assert first_day > latest_day(zone, time_range.from_ - 1)
        days_back = (latest_day(zone, now) - first_day).days
        max_days = {
            P.TODAY: 0,
            P.YESTERDAY: 2,
            P.LAST_7_DAYS: 6,
            P.LAST_91_DAYS: 90,
            P.THIS_WEEK: 6,
        }
        assert 0 <= days_back <= max_days.get(name, 365)


def test_all_time_has_all_data_in_it() -> None:
    """ALL_TIME covers the oldest row, the newest row and now; in an empty store, today."""
    all_time = TimeRangeInput(preset=P.ALL_TIME)
    for first in (Instant(0), Instant(NOON - 1), NOON):
        time_range = resolve_range(all_time, NOON, extent=Extent(first, first))
        assert (time_range.from_, time_range.to) == (first, NOON + 1)
    later = Instant(NOON + DAY)
    time_range = resolve_range(all_time, NOON, extent=Extent(later, later))
    assert (time_range.from_, time_range.to) == (NOON, later + 1)
    time_range = resolve_range(all_time, NOON, extent=Extent(Instant(7), later))
    assert (time_range.from_, time_range.to) == (7, later + 1)
    zone = Zone("Asia/Kolkata")
    today = resolve_range(TimeRangeInput(preset=P.TODAY), NOON, zone)
    empty = resolve_range(all_time, NOON, zone, None)
    assert (empty.from_, empty.to) == (today.from_, today.to)
    assert resolve_range(all_time, NOON).from_ == 0


def test_last_and_between() -> None:
    """`last` and `between` keep the zone but ignore it; `to` is now by default."""
    zone = Zone("Asia/Kathmandu")
    time_range = resolve_range(TimeRangeInput(last=DurationMs(DAY)), NOON, zone)
    assert (time_range.from_, time_range.to, time_range.timezone) == (
        NOON + 1 - DAY,
        NOON + 1,
        zone,
    )
    open_range = TimeBetweenInput(from_=Instant(5), to=None)
    open_end = resolve_range(TimeRangeInput(between=open_range), Instant(DAY))
    assert (open_end.from_, open_end.to, open_end.timezone) == (5, DAY + 1, UTC_ZONE)
    before_1970 = TimeBetweenInput(from_=Instant(-5), to=Instant(0))
    assert resolve_range(TimeRangeInput(between=before_1970), NOON).to == 0


def test_last_months_are_calendar_months() -> None:
    """Months and years go back to the same local time, then units of fixed length go back."""
    zone = Zone("Europe/Berlin")
    expected = {
        ("P1M", "2026-04-15T12:00"): "2026-03-15T12:00",
        ("P1M", "2026-03-31T12:00"): "2026-02-28T12:00",
        ("P1Y", "2024-02-29T12:00"): "2023-02-28T12:00",
        ("P1M", "2026-04-29T02:30"): "2026-03-29T03:00",
        ("P1M1DT1H", "2026-06-15T12:00"): "2026-05-14T11:00",
        ("P10Y", "2026-06-15T12:00"): "2016-06-15T12:00",
    }
    for (text, now), start in expected.items():
        end = Instant(instant_at(zone, now) - 1)
        time_range = resolve_range(TimeRangeInput(last=parse_duration(text)), end, zone)
        assert (time_range.from_, time_range.to) == (instant_at(zone, start), end + 1), text


def dates(first: str, last: str | None) -> TimeRangeInput:
    """Return a range of calendar dates."""
    to = None if last is None else parse_date(last)
    return TimeRangeInput(dates=DateRangeInput(from_=parse_date(first), to=to))


def test_dates_are_whole_days_of_the_zone() -> None:
    """`dates` includes both days; today ends at now, later days are whole."""
    zone, now = Zone("Asia/Kolkata"), instant_at("Asia/Kolkata", "2026-06-17T09:13")
    expected = {
        ("2026-06-01", "2026-06-07"): ("2026-06-01", "2026-06-08"),
        ("2026-06-07", "2026-06-07"): ("2026-06-07", "2026-06-08"),
        ("2026-06-17", "2026-06-18"): ("2026-06-17", "2026-06-19"),
    }
    for days, edges in expected.items():
        time_range = resolve_range(dates(*days), now, zone)
        assert (time_range.from_, time_range.to) == tuple(instant_at(zone, edge) for edge in edges)
    for last in (None, "2026-06-17"):
        time_range = resolve_range(dates("2026-06-01", last), now, zone)
        assert (time_range.from_, time_range.to) == (instant_at(zone, "2026-06-01"), now + 1)
    spring = resolve_range(dates("2018-11-04", "2018-11-04"), now, Zone("America/Sao_Paulo"))
    assert spring.to - spring.from_ == 23 * HOUR


def test_weeks_from_sunday() -> None:
    """`weekStart` moves THIS_WEEK and LAST_WEEK to Sundays, also if today is Sunday."""
    for now, start in (("2026-06-17T12:00", "2026-06-14"), ("2026-06-14T12:00", "2026-06-14")):
        moment = instant_at("UTC", now)
        this_week, last_week = (
            resolve_range(TimeRangeInput(preset=name), moment, week_start=WeekStart.SUNDAY)
            for name in (P.THIS_WEEK, P.LAST_WEEK)
        )
        assert (this_week.from_, this_week.to) == (instant_at("UTC", start), moment + 1)
        assert (last_week.from_, last_week.to) == (
            instant_at("UTC", start) - 7 * DAY,
            instant_at("UTC", start),
        )


INVALID_RANGES: Final[dict[str, tuple[TimeRangeInput, str, int | None]]] = {
    "nothing": (TimeRangeInput(), "range", None),
    "no time": (TimeRangeInput(last=DurationMs(0)), "last", None),
    "ten years and more": (
        TimeRangeInput(last=DurationMs(MAX_HOURS * HOUR + 1)),
        "last",
        MAX_HOURS,
    ),
    "for ever": (TimeRangeInput(last=DurationMs(10**18)), "last", MAX_HOURS),
    "empty": (range_input(5, 5), "between", None),
    "backwards": (range_input(6, 5), "between", None),
    "long": (range_input(0, MAX_HOURS * HOUR + 1), "between", MAX_HOURS),
    "years and more": (TimeRangeInput(last=parse_duration("P10YT1S")), "last", MAX_YEARS),
    "many months": (TimeRangeInput(last=parse_duration("P999999999Y")), "last", MAX_YEARS),
    "no days": (dates("2025-06-08", "2025-06-07"), "dates", None),
    "from tomorrow": (dates("2025-10-10", None), "dates", None),
    "many days": (dates("2015-06-07", "2025-06-07"), "dates", MAX_YEARS),
    "before clocks": (dates("1899-12-31", "1900-01-01"), "dates", None),
    "after clocks": (dates("2199-12-31", "2200-01-01"), "dates", None),
    "first day of all": (dates("0001-01-01", "9999-12-31"), "dates", None),
}


@pytest.mark.parametrize("kind", INVALID_RANGES)
def test_bad_ranges_are_refused(kind: str) -> None:
    """An empty or too long range is a 422 that names field and limit."""
    bad_range, field, limit = INVALID_RANGES[kind]
    with pytest.raises(AnalyticsError) as excinfo:
        resolve_range(bad_range, NOON)
    error = excinfo.value
    assert (error.status, error.field, error.limit) == (422, field, limit)
    assert error.message.startswith(f"{field}: ")


@strawberry.type
class Query:
    """A query type with one field that takes every input."""

    @strawberry.field
    def arguments(
        self,
        timezone: Zone = UTC_ZONE,
        granularity: Granularity = Granularity.AUTO,
        fill: Fill = Fill.NULL,
        compare: CompareInput | None = None,
    ) -> list[str]:
        mode = compare and compare.mode and compare.mode.name
        return [timezone, granularity.name, fill.name, mode or ""]


@pytest.fixture(scope="module")
def execute() -> Callable[..., object]:
    """Return a function that runs a query on a schema of the inputs alone."""
    schema = strawberry.Schema(Query, config=StrawberryConfig(scalar_map=SCALARS))

    def run(query: str, **variables: object) -> object:
        context = SimpleNamespace(answer=AnswerBudget(AnswerMemory(0, 0, 0), ARGUMENT_OBJECTS))
        result = schema.execute_sync(query, variables, context)
        return [error.message for error in result.errors or ()] or result.data

    return run


def test_inputs_of_graphql(execute: Callable[..., object]) -> None:
    """Zone, granularity, fill and comparison are read by name, and all inputs are described."""
    query = """query($z: TimeZone!) {
        arguments(timezone: $z, granularity: DAY, fill: LINEAR, compare: {mode: YEAR_OVER_YEAR})}"""
    assert execute(query, z="Asia/Kolkata") == {
        "arguments": ["Asia/Kolkata", "DAY", "LINEAR", "YEAR_OVER_YEAR"]
    }
    assert execute("{arguments}") == {"arguments": ["UTC", "AUTO", "NULL", ""]}
    introspection = """{__schema {types {
        name description inputFields {name description} enumValues {name description}}}}"""
    data = execute(introspection)
    assert isinstance(data, dict)
    missing_descriptions = [
        (graphql_type["name"], member["name"])
        for graphql_type in data["__schema"]["types"]
        for member in [
            graphql_type,
            *(graphql_type["inputFields"] or ()),
            *(graphql_type["enumValues"] or ()),
        ]
        if not member["description"]
        and not graphql_type["name"].startswith("__")
        and graphql_type["name"] != "Query"
    ]
    assert missing_descriptions == []


HOSTILE: Final[tuple[object, ...]] = (
    *("", "Europe/berlin", "europe/berlin", "UTC ", " UTC", "+02:00", "CEST5", "Mars/Phobos"),
    *("/etc/passwd", "../UTC", "Europe/../UTC", "Europe", "zone.tab", "posix/UTC", "right/UTC"),
    *("localtime", "Factory", "a\0b", "UTC\0", "é", "\ud800", "x" * 5000, "Europe\\Berlin", "٣"),
    *(1, 1.5, True, None, [], ["UTC", "UTC"], {"a": 1}),
)


@pytest.mark.parametrize("zone", HOSTILE, ids=range(len(HOSTILE)))
def test_bad_zones_are_refused(execute: Callable[..., object], zone: object) -> None:
    """A zone that is no IANA name is an input error that quotes it."""
    errors = execute("query($z: TimeZone!) {arguments(timezone: $z)}", z=zone)
    assert isinstance(errors, list)
    if zone is not None:
        assert "TimeZone must be an IANA name like Europe/Berlin, not " in errors[0]
        assert repr(zone)[:50] in errors[0]
        assert len(errors[0].rpartition("TimeZone must be")[2]) < 200


def test_every_zone_is_known(execute: Callable[..., object]) -> None:
    """Every zone that Python knows is valid."""
    query = "query($z: TimeZone!) {arguments(timezone: $z)}"
    answers = {zone: execute(query, z=zone) for zone in ZONES[::5]}
    assert answers == {zone: {"arguments": [zone, "AUTO", "NULL", ""]} for zone in ZONES[::5]}


async def test_presets_in_queries(service: Service) -> None:
    """Presets work in queries, and the result names the zone and the granularity."""
    row = {"metric_name": "here", "value": 1}
    assert (await service.post("/metrics", row)).status_code == 200
    query = """query($preset: TimeRangePreset!) {
        metric(name: "here") {query(range: {preset: $preset}) {
            series {total {count}} meta {range {timezone granularity}}}}}"""
    for name in P:
        result = (await service.graphql(query, preset=name.name))["data"]["metric"]["query"]
        expected = 0 if name in FOLLOWING_PRESETS else 1
        assert result["series"][0]["total"]["count"] == expected, name
        assert result["meta"]["range"] == {"timezone": "UTC", "granularity": "AUTO"}
