"""The whole demo: it starts, tells its story, goes on, ends, and starts next_demo."""

import itertools
import json
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from demo.places import HOME, MS_PER_HOUR, instant_ms, weekday
from demo.story import Story
from tests.demo.panels import KINDS, numbers, read_panels
from tests.harness.process import Process

PANELS: Final = read_panels()
FUNNEL: Final = (
    *("page_view", "product_viewed", "added_to_cart"),
    *("checkout_started", "payment_submitted", "order_completed"),
)
MONTH: Final = {
    "range": {"last": "P30D"},
    "compare": {"mode": "PREVIOUS_WEEK"},
    "timezone": "Europe/Berlin",
}
COUNTS: Final = """
query Counts($range: TimeRangeInput!) {
  orders: eventTrend(range: $range, where: {name: {eq: "order_completed"}}) {
    series { total { count unique(property: "order_id", exact: true) } }
  }
  revenue: metric(name: "revenue") { query(range: $range) { series { total { count } } } }
  annotations: eventTrend(range: $range, where: {name: {eq: "$annotation"}}) {
    series { total { count } }
  }
}
"""


def start_demo(data: Path) -> Process:
    """Start the demo on a folder."""
    return Process(data, options=("demo", "--data", str(data)))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the demo. A first start was killed while it recorded the history."""
    data = tmp_path_factory.mktemp("demo") / "data"
    with start_demo(data) as service:
        service.await_ready()
        while service.graphql("{ overview { eventCount } }")["overview"]["eventCount"] < 5_000:
            time.sleep(0.05)
        assert "Open http" not in service.output()
    return data


@pytest.fixture(scope="module")
def service(data: Path) -> Iterator[Process]:
    """Return the running demo with its whole history."""
    with start_demo(data) as service:
        service.await_output(f"Open http://127.0.0.1:{service.port}/dashboards", seconds=180)
        yield service


@pytest.fixture(scope="module")
def story(service: Process, data: Path) -> Story:
    """Return the story of the demo."""
    note = json.loads((data / "demo.json").read_text())
    assert service.http.get("/readyz").status_code == 200
    return Story(note["seed"], note["end_ms"])


def between(from_ms: int, to_ms: int) -> dict[str, Any]:
    """Return a range between two instants, as a variable."""
    times = [
        time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ms // 1000)) for ms in (from_ms, to_ms)
    ]
    return {"between": {"from": times[0], "to": times[1]}}


def totals(result: dict[str, Any], aggregate: str) -> dict[str, float]:
    """Return the totals of the groups of a result."""
    return {series["label"]: series["total"][aggregate] for series in result["series"]}


@pytest.mark.parametrize("key", PANELS)
def test_every_panel_has_numbers(service: Process, key: str) -> None:
    """Each panel of each dashboard has an answer with rows or with numbers above 0."""
    panel = PANELS[key]
    assert panel.kind in KINDS
    answer = panel.answer(service, **MONTH)
    for result in (answer.get("metric") or answer).values():
        rows = result.get("nodes") or result["series"]
        assert rows
        assert panel.kind == "FEED" or max(numbers(rows)) > 0


def test_bad_deploy_slows_the_checkout(service: Process, story: Story) -> None:
    """In the hour after the bad deploy, p95 of the checkout is more than twice the hour before."""
    bad_ms = story.bad_deploy_ms
    p95 = [
        PANELS["CheckoutNow"].answer(service, range=between(from_ms, from_ms + MS_PER_HOUR))
        for from_ms in (bad_ms - MS_PER_HOUR, bad_ms, story.rollback_ms)
    ]
    hour_before, bad_hour, hour_after = (
        answer["metric"]["query"]["series"][0]["total"]["quantile"] for answer in p95
    )
    assert bad_hour > 2 * hour_before
    assert bad_hour > 2 * hour_after


def test_bad_deploy_fails_requests(service: Process, story: Story) -> None:
    """During the bad deploy the share of failed requests is ten times the share before."""
    answers = [
        PANELS["FailedRequests"].answer(service, range=between(from_ms, from_ms + 2 * MS_PER_HOUR))
        for from_ms in (story.bad_deploy_ms - 2 * MS_PER_HOUR, story.bad_deploy_ms)
    ]
    shares = [answer["metricFormula"]["series"][0]["total"] for answer in answers]
    assert shares[1] > 10 * shares[0] > 0


def test_bad_deploy_costs_orders(service: Process, story: Story) -> None:
    """During the bad deploy fewer than half of the usual share of checkouts become orders."""
    bad_hours, month = (
        totals(PANELS["Checkouts"].answer(service, range=time_range)["eventTrend"], "count")
        for time_range in (between(story.bad_deploy_ms, story.rollback_ms), MONTH["range"])
    )
    shares = [
        counts.get("order_completed", 0) / counts["checkout_started"]
        for counts in (bad_hours, month)
    ]
    assert shares[0] < shares[1] / 2


def test_deploys_are_annotated(service: Process, story: Story) -> None:
    """The feed has the bad deploy, its incident and its rollback, and the good deploys."""
    nodes = PANELS["Annotations"].answer(service, **MONTH)["events"]["nodes"]
    kinds = [node["properties"]["kind"] for node in nodes]
    assert kinds.count("incident") == 1
    assert kinds.count("deploy") == len(story.restarts) == 7
    assert {"title", "text", "kind", "url"} <= nodes[0]["properties"].keys()


def test_mobile_converts_less_than_desktop(service: Process) -> None:
    """The share of sessions with an order is smaller on a phone than on a desktop."""
    answer = PANELS["Devices"].answer(service, **MONTH)
    visits, orders = (totals(answer[name], "uniqueSessions") for name in ("visits", "orders"))
    assert 0 < orders["mobile"] / visits["mobile"] < 0.7 * orders["desktop"] / visits["desktop"]


def test_funnel_narrows(service: Process) -> None:
    """Each step of the funnel has fewer sessions than the step before."""
    answer = PANELS["Funnel"].answer(service, **MONTH)
    sessions = totals(answer["eventTrend"], "uniqueSessions")
    counts = [sessions[name] for name in FUNNEL]
    assert all(count > 1.05 * later for count, later in itertools.pairwise(counts))


def test_sunday_evening_beats_tuesday_morning(service: Process, story: Story) -> None:
    """Three hours of the last Sunday evening have twice the sessions of the Tuesday morning."""
    sessions = []
    for number, hour in ((6, 18), (1, 8)):
        day = max(day for day in range(story.first_day, story.last_day) if weekday(day) == number)
        from_ms = instant_ms(HOME, day, hour * MS_PER_HOUR)
        time_range = between(from_ms, from_ms + 3 * MS_PER_HOUR)
        answer = PANELS["Visitors"].answer(service, range=time_range)
        sessions.append(answer["eventTrend"]["series"][0]["total"]["uniqueUsers"])
    assert sessions[0] > 2 * sessions[1] > 0


def test_interrupted_history_is_whole_and_nothing_is_doubled(
    service: Process, story: Story
) -> None:
    """After a kill, the second start completes the history; each order counts once."""
    counts = service.graphql(COUNTS, range=between(story.start_ms, story.end_ms))
    orders = counts["orders"]["series"][0]["total"]
    assert orders["count"] == orders["unique"] > 1_500
    assert counts["revenue"]["query"]["series"][0]["total"]["count"] == orders["count"]
    assert counts["annotations"]["series"][0]["total"]["count"] == len(story.annotations())


def test_metrics_are_described(service: Process) -> None:
    """Each metric has a kind and a unit."""
    answer = service.graphql("{ metrics { nodes { name kind unit } } }")["metrics"]["nodes"]
    assert len(answer) == 7
    assert all(metric["unit"] for metric in answer)
    assert {m["name"] for m in answer if m["kind"] == "COUNTER"} == {"http_requests_total"}


def test_new_rows_keep_coming(service: Process) -> None:
    """Rows with new times arrive while the demo runs."""
    query = '{ metric(name: "cpu_usage") { lastSeenAt } overview { metricCount } }'
    before = service.graphql(query)
    deadline = time.monotonic() + 30
    while (after := service.graphql(query)) == before:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert after["metric"]["lastSeenAt"] > before["metric"]["lastSeenAt"]
    assert after["overview"]["metricCount"] > before["overview"]["metricCount"]


def test_other_service_on_the_port_gets_no_rows(tmp_path: Path) -> None:
    """The demo ends with code 3 if its port is in use, and does not connect to its owner."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        data = tmp_path / "data"
        port = listener.getsockname()[1]
        with Process(data, options=("demo", "--data", str(data)), port=port) as demo:
            assert demo.wait() == 3
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_ctrl_c_ends_it_and_the_next_start_continues(
    service: Process, data: Path, story: Story
) -> None:
    """Ctrl+C ends the demo with code 0; the next start has the same rows, and new ones."""
    history = between(story.start_ms, story.end_ms)
    before = service.graphql(COUNTS, range=history)
    service.signal(signal.SIGINT, group=True)
    assert service.wait() == 0
    assert "Stopped. Port" in service.output()
    assert "Traceback" not in service.output()
    lines = len(service.output_lines())
    with start_demo(data) as next_demo:
        next_demo.await_output("Continued in")
        assert next_demo.graphql(COUNTS, range=history) == before
        assert "Recording" not in "\n".join(next_demo.output_lines()[lines:])
        assert json.loads((data / "demo.json").read_text())["end_ms"] == story.end_ms
        assert next_demo.stop() == 0
