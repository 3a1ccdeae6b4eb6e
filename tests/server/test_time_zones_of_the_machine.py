"""Time zones of the machine: the service starts in any zone, with the same answers."""

from pathlib import Path
from typing import Any, Final

import pytest

from tests.harness.process import Process

ZONES: Final = (
    *("", "UTC", "Europe/Berlin", ":Europe/Berlin", "/usr/share/zoneinfo/Asia/Kathmandu"),
    *("JST-9", "CET-1CEST,M3.5.0,M10.5.0/3", "<+0545>-5:45", "EST5EDT", "garbage", ":/none", " "),
)
SUMMER: Final = "2026-07-15T22:30:00.000Z"
QUERY: Final = """
{
  metric(name: "m") {
    query(range: {between: {from: "2026-07-15T00:00:00Z", to: "2026-07-17T00:00:00Z"}},
      granularity: DAY, fill: NONE) { times series { columns { sum } } }
    berlin: query(range: {between: {from: "2026-07-15T00:00:00Z", to: "2026-07-17T00:00:00Z"}},
      granularity: DAY, fill: NONE, timezone: "Europe/Berlin") { times }
    samples(range: {preset: ALL_TIME}) { nodes { time value } }
  }
  events(where: {property: {key: "at", string: {startsWith: "2026"}}}) { nodes { time } }
}"""


def answers(service: Process) -> list[Any]:
    """Record rows at a known time; return the answers about them."""
    point = {"metric_name": "m", "value": 1, "timestamp": SUMMER}
    event = {
        "event_name": "e",
        "properties": {"at": SUMMER},
        "timestamp": "2026-07-16T00:30:00+02:00",
    }
    stored = [
        service.post(path, [row]).json()
        for path, row in (("/metrics/batch", point), ("/events/batch", event))
    ]
    event_json = service.http.get("/events").json()["events"][0]
    now = service.post("/metrics", {"metric_name": "now", "value": 1}).json()["timestamp"]
    ranges = service.http.get("/metrics/now", params={"hours": 1}).json()
    assert ranges["count"] == 1
    assert ranges["period_start"] < now < ranges["period_end"]
    return [stored, service.graphql(QUERY), event_json["timestamp"]]


@pytest.mark.parametrize("zone", ZONES)
def test_answers_do_not_depend_on_the_zone(tmp_path: Path, zone: str) -> None:
    """Stored times, buckets and lists are equal under each TZ: names, rules and nonsense."""
    with Process(tmp_path / "data", settings={"TZ": zone}) as service:
        service.await_ready()
        outcomes, graphql, event_time = answers(service)
        assert service.stop() == 0
        assert all(line["time"].endswith("Z") for line in service.log_records())
    assert [answer["accepted"] for answer in outcomes] == [1, 1]
    assert event_time == SUMMER
    assert graphql == {
        "metric": {
            "query": {
                "times": ["2026-07-15T00:00:00.000Z"],
                "series": [{"columns": {"sum": [1.0]}}],
            },
            "berlin": {"times": ["2026-07-15T22:00:00.000Z"]},
            "samples": {"nodes": [{"time": SUMMER, "value": 1.0}]},
        },
        "events": {"nodes": [{"time": SUMMER}]},
    }
