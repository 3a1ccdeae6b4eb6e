"""The rows of the shop: they follow from a seed and a time, and look like those of real shops."""

import itertools
import json
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import pytest

from demo.days import Days
from demo.places import HOME, MS_PER_DAY, MS_PER_HOUR, day_at, weekday
from demo.rows import EVENTS, METRICS, Row
from demo.story import HISTORY_DAYS, Story
from demo.telemetry import Telemetry

STORY: Final = Story(seed=11, end_ms=1_795_873_579_335)  # a Saturday, 13:46 UTC
FUNNEL: Final = (
    *("page_view", "product_viewed", "added_to_cart"),
    *("checkout_started", "payment_submitted", "order_completed"),
)


def rows_between(days: Days, after_ms: int, until_ms: int) -> list[Row]:
    """Return the rows of some time, sorted."""
    return sorted(itertools.chain.from_iterable(days.batches(after_ms, until_ms)))


@pytest.fixture(scope="module")
def history() -> list[Row]:
    """Return all rows of the history."""
    return rows_between(Days(STORY), STORY.start_ms, STORY.end_ms)


@pytest.fixture(scope="module")
def events(history: list[Row]) -> list[dict[str, Any]]:
    """Return all events of the history."""
    return [msgspec.json.decode(line) for _, path, line in history if path == EVENTS]


def test_rows_follow_from_the_seed_and_the_time() -> None:
    """Two generators agree on a day, whatever they made before; another seed has other rows."""
    after_ms, until_ms = STORY.end_ms - MS_PER_DAY, STORY.end_ms
    days = Days(STORY)
    rows = rows_between(days, after_ms, until_ms)
    assert len(rows) > 3_000
    halves = [
        rows_between(days, first, last)
        for first, last in itertools.pairwise((after_ms, after_ms + 7 * MS_PER_HOUR, until_ms))
    ]
    assert halves[0] + halves[1] == rows
    assert rows_between(Days(STORY), after_ms, until_ms) == rows
    assert rows_between(Days(Story(12, STORY.end_ms)), after_ms, until_ms) != rows


def test_rows_have_ids_and_times_of_their_own(history: list[Row]) -> None:
    """All rows are in the history, and no two of a path have one id."""
    ids = [(path, re.findall(r'"id": ?"([^"]+)"', line)[0]) for _, path, line in history]
    assert len(set(ids)) == len(ids)
    assert 150_000 < len(ids) < 300_000
    assert all(STORY.start_ms < ms <= STORY.end_ms for ms, _, _ in history)


def test_history_goes_on(history: list[Row]) -> None:
    """The day after the history has rows, too, among them refunds of orders in the history."""
    rows = rows_between(Days(STORY), STORY.end_ms, STORY.end_ms + MS_PER_DAY)
    assert len(rows) > 3_000
    old_orders = {
        msgspec.json.decode(line)["properties"]["order_id"]
        for _, _, line in history
        if '"order_completed"' in line
    }
    refunds = [
        msgspec.json.decode(line)["properties"] for _, _, line in rows if "order_refunded" in line
    ]
    assert {refund["order_id"] for refund in refunds} & old_orders


def test_users_are_some_thousands_who_come_back(events: list[dict[str, Any]]) -> None:
    """5,000 to 10,000 users; of the new ones of the first week, fewer come back in each week."""
    weeks_by_user = defaultdict(set)
    new_users = set()
    for event in events:
        if user := event.get("user_id"):
            week = (event["timestamp"] - STORY.start_ms) // (7 * MS_PER_DAY)
            weeks_by_user[user].add(week)
            if week == 0 and event["properties"]["customer"] == "new":
                new_users.add(user)
    assert 5_000 < len(weeks_by_user) < 10_000
    returns = [sum(week in weeks_by_user[user] for user in new_users) for week in range(4)]
    assert returns == sorted(returns, reverse=True)
    assert 0.1 < returns[3] / returns[0] < returns[1] / returns[0] < 0.6


def test_days_have_a_rhythm(events: list[dict[str, Any]]) -> None:
    """At home, Sundays beat Tuesdays, evenings beat mornings and mornings beat nights."""
    by_weekday, by_hour = Counter[int](), Counter[int]()
    for event in events:
        if event["properties"].get("country") == HOME.code:
            day = day_at(HOME, event["timestamp"])
            if STORY.first_day <= day < STORY.first_day + 28 and day != STORY.campaign_day:
                by_weekday[weekday(day)] += 1
            by_hour[(event["timestamp"] // MS_PER_HOUR + 1) % 24] += 1
    assert by_weekday[6] > 1.2 * by_weekday[2]
    assert by_hour[20] > 1.5 * by_hour[9] > 2 * by_hour[3] > 0


def test_shop_grows_and_has_a_campaign(events: list[dict[str, Any]]) -> None:
    """The last whole week beats the first by a tenth; the campaign beats its neighbours."""
    days = Counter(day_at(HOME, event["timestamp"]) - STORY.first_day for event in events)
    first, last = (sum(days[day] for day in range(start, start + 7)) for start in (0, 23))
    assert last > 1.1 * first
    campaign = STORY.campaign_day - STORY.first_day
    assert days[campaign] > 1.3 * max(days[campaign - 1], days[campaign + 1])


@pytest.mark.parametrize("device", ["mobile", "desktop", "tablet"])
def test_funnel_narrows(events: list[dict[str, Any]], device: str) -> None:
    """On each device every step has fewer sessions; 2 to 12 % of them end with an order."""
    sessions = defaultdict(set)
    for event in events:
        if event["properties"].get("device") == device:
            sessions[event["event_name"]].add(event["session_id"])
    counts = [len(sessions[name]) for name in FUNNEL]
    assert all(count > later for count, later in itertools.pairwise(counts))
    assert 0.02 < counts[-1] / counts[0] < 0.12


def orders_of(events: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the properties of the orders."""
    return (event["properties"] for event in events if event["event_name"] == "order_completed")


def test_orders_add_up(history: list[Row], events: list[dict[str, Any]]) -> None:
    """The total of an order is the sum of its items, and each order is a point of `revenue`."""
    orders = list(orders_of(events))
    for order in orders:
        total = sum(item["price"] * item["quantity"] for item in order["items"])
        assert order["total"] == pytest.approx(total)
    points = [msgspec.json.decode(line) for _, path, line in history if path == METRICS]
    revenue = sum(point["value"] for point in points)
    assert revenue == pytest.approx(sum(order["total"] for order in orders))


def test_orders_have_a_heavy_tail(events: list[dict[str, Any]]) -> None:
    """The mean is well above the median; one order in 100 is 8 times as large, one 40 times."""
    totals = sorted(order["total"] for order in orders_of(events))
    median = statistics.median(totals)
    assert statistics.mean(totals) > 1.3 * median
    assert totals[int(0.99 * len(totals))] > 8 * median
    assert totals[-1] > 40 * median


def test_properties_have_all_types(events: list[dict[str, Any]]) -> None:
    """Orders have texts, numbers, booleans, objects and arrays; bots are few."""
    order = next(orders_of(events))
    assert {type(value) for value in order.values()} >= {str, float, bool, dict, list}
    bots = sum(event.get("user_id") == "bot_1" for event in events)
    assert 0 < bots < 0.02 * len(events)


def points(rows: list[Row]) -> Iterator[tuple[str, str, int, float]]:
    """Yield the points of rows: metric, tags, time, value."""
    for _, _, line in rows:
        series = msgspec.json.decode(line)
        for ms, value in zip(series["timestamps"], series["values"], strict=True):
            yield series["metric_name"], json.dumps(series["tags"]), ms, value


def test_telemetry_has_a_sensible_resolution() -> None:
    """The history has 500,000 to a million points of 57 series; a short time one in 5 seconds."""
    telemetry = Telemetry(STORY)
    rows = [row for rows in telemetry.batches(STORY.start_ms, STORY.end_ms) for row in rows]
    times = [msgspec.json.decode(line)["timestamps"] for _, _, line in rows]
    assert 500_000 < sum(map(len, times)) < 1_000_000
    first_series = list(itertools.chain.from_iterable(times[::57]))
    assert first_series == sorted(set(first_series))
    steps = [later - ms for ms, later in itertools.pairwise(first_series)]
    assert (steps[0], max(steps), steps[-1]) == (300_000, 300_000, 60_000)
    (live_rows,) = telemetry.batches(STORY.end_ms, STORY.end_ms + 10_000)
    assert Counter(metric for metric, *_ in points(live_rows))["cpu_usage"] == 12
    assert next(Telemetry(STORY).batches(STORY.end_ms, STORY.end_ms + 10_000)) == live_rows


def test_counters_fall_only_at_restarts() -> None:
    """A counter of requests grows; it starts again at each deploy, and at no other time."""
    telemetry = Telemetry(STORY)
    after_ms = STORY.bad_deploy_ms - 6 * MS_PER_HOUR
    values = defaultdict(list)
    for rows in telemetry.batches(after_ms, after_ms + 20 * MS_PER_HOUR):
        for metric, tags, ms, value in points(rows):
            if metric == "http_requests_total":
                values[tags].append((ms, value))
    assert len(values) == 12
    for series in values.values():
        falls = [later[0] for before, later in itertools.pairwise(series) if later[1] < before[1]]
        assert falls == [STORY.bad_deploy_ms, STORY.rollback_ms]


def test_deploys_are_on_workdays() -> None:
    """Each good deploy is on a workday of the history, whatever day it ends on."""
    for day in range(7):
        story = Story(11, STORY.end_ms + day * MS_PER_DAY)
        *deploys, bad_deploy, rollback = story.restarts
        assert bad_deploy < rollback < story.end_ms
        assert all(weekday(day_at(HOME, ms)) < 5 for ms in deploys)
        assert all(story.start_ms < ms < bad_deploy for ms in deploys)
        assert story.last_day - story.first_day == HISTORY_DAYS
