"""Jumps of the wall clock between writes and queries."""

from typing import Any

import msgspec
import pytest

from schema.scalars import Instant, rfc3339
from store.query.sql import Scan, Statement
from tests.harness.apis import ask, delete_all, get
from tests.harness.clock import DAY, HOUR, ManualClock
from tests.harness.service import Service

YEAR_2106 = 4_294_967_296_000
COUNTS = """
query ($range: TimeRangeInput!, $from: DateTime!) {
  metric(name: "m") {
    query(range: $range) { series { total { count } } }
    since: query(range: {between: {from: $from}}) { series { total { count } } }
    samples(range: $range) { nodes { value } }
  }
  metrics { nodes { query(range: $range) { series { total { count } } } } }
  eventTrend(range: $range) { series { total { count } } }
  events(range: $range) { totalCount }
}"""
_ALL_BATCHES = Statement("SELECT batch FROM metrics", scans=(Scan("metrics"),))


class _Batch(msgspec.Struct):
    batch: int


async def record_both(service: Service) -> None:
    """Record a point and an event without timestamps."""
    for path, body in (("/metrics", {"metric_name": "m", "value": 1}), ("/events", EVENT)):
        answer = await service.post(path, body)
        assert answer.status_code == 200, answer.text


EVENT = {"event_name": "e"}


def totals(data: Any) -> list[int]:
    """List the count of each field of `COUNTS`."""
    metric = data["metric"]
    return [
        metric["query"]["series"][0]["total"]["count"],
        metric["since"]["series"][0]["total"]["count"],
        len(metric["samples"]["nodes"]),
        data["metrics"]["nodes"][0]["query"]["series"][0]["total"]["count"],
        data["eventTrend"]["series"][0]["total"]["count"],
        data["events"]["totalCount"],
    ]


@pytest.mark.parametrize("back", [1, 60_000, HOUR, 14 * HOUR, DAY - HOUR])
async def test_acknowledged_row_is_in_the_next_answer(
    service: Service, wall: ManualClock, back: int
) -> None:
    """After the clock is set back, ranges that end now include old and new rows."""
    await delete_all(service)
    await record_both(service)
    wall.wall_offset -= back
    start = rfc3339(Instant(wall.now() - HOUR))
    for row_count in (1, 2):
        for time_range in ({"last": "PT1M"}, {"preset": "LAST_24_HOURS"}, {"preset": "ALL_TIME"}):
            data = await ask(service, COUNTS, range=time_range, **{"from": start})
            assert totals(data) == [row_count] * 6, time_range
        assert (await get(service, "/metrics/m", hours=1))["count"] == row_count
        await record_both(service)


async def test_far_time_does_not_stretch_ranges(service: Service, wall: ManualClock) -> None:
    """After the clock was a month ahead, ranges keep their length."""
    await delete_all(service)
    wall.wall_offset = 30 * DAY
    await record_both(service)
    wall.wall_offset = 0
    await record_both(service)
    query = """{metric(name: "m") {query(range: {last: "PT1H"}) {series {total {count}}}}}"""
    result = (await ask(service, query))["metric"]["query"]
    assert result["series"][0]["total"]["count"] == 1
    answer = await get(service, "/metrics/m", hours=1)
    assert answer["count"] == 1
    assert answer["period_end"] < rfc3339(Instant(wall.now() + HOUR))


@pytest.mark.parametrize("moment", [YEAR_2106, -DAY, 4_102_444_800_000])
async def test_row_that_would_get_an_impossible_time_is_refused(
    service: Service, wall: ManualClock, moment: int
) -> None:
    """With a clock outside 1970 to 2099, only rows with timestamps are accepted; others get 503."""
    await delete_all(service)
    timestamp = {"timestamp": wall.now()}
    wall.set(moment)
    point = {"metric_name": "m", "value": 1}
    points = [point | {"tags": {"k": f"{n}" * 40}} for n in range(100)]
    bodies: list[tuple[str, object]] = [
        ("/metrics", point),
        ("/events", EVENT),
        ("/metrics/batch", [point | timestamp, point]),
        (
            "/metrics/batch",
            b"".join(msgspec.json.encode(metric_point) + b"\n" for metric_point in points),
        ),
        ("/events/batch", [EVENT]),
    ]
    mutation = 'mutation {recordMetrics(input: {metrics: [{name: "m", value: 1}]}) {accepted}}'
    answers = [await service.post(path, body) for path, body in bodies * 2]
    answers.append(await service.post("/graphql", {"query": mutation}))
    for answer in answers:
        assert "UNAVAILABLE" in answer.text
        assert "The server's clock is wrong: it says " in answer.text
        assert int(answer.headers["retry-after"]) >= 1
    assert {answer.status_code for answer in answers[:-1]} == {503}
    await get(service, "/dashboard")
    series = {"metric_name": "m", "timestamps": [timestamp["timestamp"]], "values": [1]}
    for path, body in (
        ("/metrics", point | timestamp),
        ("/events", EVENT | timestamp),
        ("/metrics/series", series),
    ):
        assert (await service.post(path, body)).status_code == 200
    wall.wall_offset = 0
    assert (await service.post("/metrics", point)).status_code == 200
    assert (await get(service, "/metrics/m", hours=1))["count"] == 3
    await service.context.store.select(_ALL_BATCHES, _Batch)
    newest = max(batch.batch for batch in await service.context.store.select(_ALL_BATCHES, _Batch))
    assert newest >> 12 <= wall.now() + 31 * DAY  # another test was 30 days ahead


async def test_id_is_known_whatever_the_clock_did(service: Service, wall: ManualClock) -> None:
    """A row that is sent again within the hour counts once, over jumps of the clock."""
    await delete_all(service)
    for ahead in (0, 30 * DAY, 0, -30 * DAY, 0, 2 * 365 * DAY, 0):
        wall.wall_offset = ahead
        for path, body in (("/metrics", {"metric_name": "m", "value": 1}), ("/events", EVENT)):
            for client_id in ("a", f"b{ahead}"):
                assert (await service.post(path, body | {"id": client_id})).status_code == 200
    ids = len({0, 30 * DAY, -30 * DAY, 2 * 365 * DAY}) + 1
    answer = await get(service, "/dashboard")
    assert (answer["total_metrics_tracked"], answer["total_events_tracked"]) == (ids, ids)
