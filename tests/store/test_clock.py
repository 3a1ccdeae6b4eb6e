"""The wall clock is put forward and back while rows are recorded and asked for."""

from typing import Any

import msgspec
import pytest

from schema.scalars import Instant, rfc3339
from store.query.sql import Statement
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
_EVERYTHING = Statement("SELECT batch FROM metrics", reads=("metrics",))


class _Batch(msgspec.Struct):
    batch: int


async def record_both(service: Service) -> None:
    """Record a point and an event, neither of which has a time of its own."""
    for path, body in (("/metrics", {"metric_name": "m", "value": 1}), ("/events", EVENT)):
        answer = await service.post(path, body)
        assert answer.status_code == 200, answer.text


EVENT = {"event_name": "e"}


def totals(data: Any) -> list[int]:
    """List what each question of `COUNTS` counted."""
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
    """A clock that is put back hides nothing from a range that ends now, old or new."""
    await delete_all(service)
    await record_both(service)
    wall.wall_offset -= back
    since = rfc3339(Instant(wall.now() - HOUR))
    for recorded in (1, 2):
        for span in ({"last": "PT1M"}, {"preset": "LAST_24_HOURS"}, {"preset": "ALL_TIME"}):
            data = await ask(service, COUNTS, range=span, **{"from": since})
            assert totals(data) == [recorded] * 6, span
        assert (await get(service, "/metrics/m", hours=1))["count"] == recorded
        await record_both(service)


async def test_far_time_does_not_stretch_ranges(service: Service, wall: ManualClock) -> None:
    """A clock that was a month ahead leaves ranges as long as they are asked for."""
    await delete_all(service)
    wall.wall_offset = 30 * DAY
    await record_both(service)
    wall.wall_offset = 0
    await record_both(service)
    asked = """{metric(name: "m") {query(range: {last: "PT1H"}) {series {total {count}}}}}"""
    found = (await ask(service, asked))["metric"]["query"]
    assert found["series"][0]["total"]["count"] == 1
    shown = await get(service, "/metrics/m", hours=1)
    assert shown["count"] == 1
    assert shown["period_end"] < rfc3339(Instant(wall.now() + HOUR))


@pytest.mark.parametrize("moment", [YEAR_2106, -DAY, 4_102_444_800_000])
async def test_row_that_would_get_an_impossible_time_is_refused(
    service: Service, wall: ManualClock, moment: int
) -> None:
    """Outside of 1970 to 2099 the clock is wrong: 503, which names it; own times are accepted."""
    await delete_all(service)
    own = {"timestamp": wall.now()}
    wall.set(moment)
    point = {"metric_name": "m", "value": 1}
    many = [point | {"tags": {"k": f"{n}" * 40}} for n in range(100)]
    bodies: list[tuple[str, object]] = [
        ("/metrics", point),
        ("/events", EVENT),
        ("/metrics/batch", [point | own, point]),
        ("/metrics/batch", b"".join(msgspec.json.encode(each) + b"\n" for each in many)),
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
    series = {"metric_name": "m", "timestamps": [own["timestamp"]], "values": [1]}
    for path, body in (
        ("/metrics", point | own),
        ("/events", EVENT | own),
        ("/metrics/series", series),
    ):
        assert (await service.post(path, body)).status_code == 200
    wall.wall_offset = 0
    assert (await service.post("/metrics", point)).status_code == 200
    assert (await get(service, "/metrics/m", hours=1))["count"] == 3
    await service.context.store.select(_EVERYTHING, _Batch)
    newest = max(batch.batch for batch in await service.context.store.select(_EVERYTHING, _Batch))
    assert newest >> 12 <= wall.now() + 31 * DAY  # where another test left it


async def test_id_is_known_whatever_the_clock_did(service: Service, wall: ManualClock) -> None:
    """A row that is sent again within the hour counts once, over clocks that jump by a month."""
    await delete_all(service)
    for ahead in (0, 30 * DAY, 0, -30 * DAY, 0, 2 * 365 * DAY, 0):
        wall.wall_offset = ahead
        for path, body in (("/metrics", {"metric_name": "m", "value": 1}), ("/events", EVENT)):
            for own in ("a", f"b{ahead}"):
                assert (await service.post(path, body | {"id": own})).status_code == 200
    ids = len({0, 30 * DAY, -30 * DAY, 2 * 365 * DAY}) + 1
    found = await get(service, "/dashboard")
    assert (found["total_metrics_tracked"], found["total_events_tracked"]) == (ids, ids)
