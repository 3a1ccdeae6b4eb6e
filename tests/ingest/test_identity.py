"""Ids, names and instants of rows: each comes back as it was sent, on every path."""

import asyncio

import pytest

from tests.harness.apis import ask, delete_all, error_summary, first_error, get, metric_path, record
from tests.harness.service import Service

NAMES = [
    *("api/v1/users", "/leading", "trailing/", "a//b", "a/../b", ".", "..", "batch", "graphql"),
    *("métrique", "日本語", "💥", "e\u0301", "\u00e9", "\u202eabc", "\u00a0", "\u2028", "\x85"),
    *("a b", " a ", "a+b", "100%", "a%2Fb", "%", "a?b=c", "a#b", "a&b", "a;b", "a:b", "{x}", "*"),
    *("it's", 'say "hi"', "back\\slash", "C:\\temp", "'; DROP TABLE metrics; --", "null", "0", "A"),
    *("a", "x" * 200, "💥" * 200),
]


async def test_ids_sort_by_time(service: Service) -> None:
    """Ids of rows sort in the order of recording, across loads of the engine."""
    for path, key in (("/metrics", "metric"), ("/events", "event")):
        ids = []
        for number in range(30):
            row = {f"{key}_name": "sorted", "value": 1} if key == "metric" else {"event_name": "s"}
            ids.append((await service.post(path, row)).json()[f"{key}_id"])
            if number % 10 == 0:
                await get(service, "/dashboard")
        assert ids == sorted(set(ids))


async def test_ids_of_concurrent_requests(service: Service) -> None:
    """Each of many concurrent requests gets the listed id of its own event."""
    await delete_all(service)
    rows = [{"event_name": "concurrent", "properties": {"n": n}} for n in range(50)]
    answers = await asyncio.gather(*(service.post("/events", row) for row in rows))
    events = (await get(service, "/events"))["events"]
    properties = {
        answer.json()["event_id"]: row["properties"]
        for answer, row in zip(answers, rows, strict=True)
    }
    assert {event["id"]: event["properties"] for event in events} == properties
    assert len(properties) == 50


async def test_names_in_paths(service: Service) -> None:
    """Any name works in a path when it is percent-encoded, and finds exactly its metric."""
    await delete_all(service)
    rows = [{"metric_name": name, "value": number} for number, name in enumerate(NAMES)]
    await record(service, "/metrics", *rows)
    assert (await get(service, "/metrics"))["metrics"] == sorted(NAMES)
    for number, name in enumerate(NAMES):
        answer = await get(service, metric_path(name))
        assert (answer["metric_name"], answer["count"], answer["sum"]) == (name, 1, number)


async def test_only_the_name_itself_is_meant(service: Service) -> None:
    """A path with a line break after a name is another name: reading and deletion are a 404."""
    await service.post("/metrics", {"metric_name": "mine", "value": 1})
    for path in ("/metrics/mine%0A", "/metrics/mine/", "/metrics/mine%0Amine", "/metrics/MINE"):
        assert error_summary(await service.http.get(path))[:2] == (404, "NOT_FOUND")
        assert error_summary(await service.http.delete(path))[:2] == (404, "NOT_FOUND")
    assert (await get(service, "/metrics/mine"))["count"] == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"2025-10-30T12:34:56.789Z"', "2025-10-30T12:34:56.789Z"),
        ('"2025-10-30T12:34:56Z"', "2025-10-30T12:34:56.000Z"),
        ('"2025-10-30t12:34:56z"', "2025-10-30T12:34:56.000Z"),
        ('"2025-10-30T18:04:56.789+05:30"', "2025-10-30T12:34:56.789Z"),
        ('"2025-10-29T23:34:56-13:00"', "2025-10-30T12:34:56.000Z"),
        ('"2025-10-30T12:34:56.789999Z"', "2025-10-30T12:34:56.789Z"),
        ('"2024-02-29T00:00:00+00:00"', "2024-02-29T00:00:00.000Z"),
        ("1761827696789", "2025-10-30T12:34:56.789Z"),
        ("100000000000", "1973-03-03T09:46:40.000Z"),
        ('"1970-01-01T00:00:00Z"', "1970-01-01T00:00:00.000Z"),
        ('"2099-12-31T23:59:59.999Z"', "2099-12-31T23:59:59.999Z"),
        ("4102444799999", "2099-12-31T23:59:59.999Z"),
    ],
)
async def test_client_timestamp(service: Service, text: str, expected: str) -> None:
    """A client's instant, in RFC 3339 or epoch milliseconds, is kept to the millisecond in UTC."""
    for kind in ("metric", "event"):
        body = f'{{"{kind}_name": "timed", "timestamp": {text}, "value": 1}}'
        if kind == "event":
            body = body.replace(', "value": 1', "")
        answer = await service.post(f"/{kind}s", body.encode())
        assert answer.json()["timestamp"] == expected
    data = await ask(service, '{events(where: {name: {eq: "timed"}}) {nodes {id time}}}')
    event_id = answer.json()["event_id"]
    assert {"id": event_id, "time": expected} in data["events"]["nodes"]


@pytest.mark.parametrize("timestamp", [-1, 4_102_444_800_000, "2100-01-01T00:00:00Z"])
async def test_timestamp_out_of_range(service: Service, timestamp: object) -> None:
    """An instant before 1970 or after 2099 is rejected, as a number and as text."""
    for path, row in (("/metrics", {"metric_name": "t", "value": 1}), ("/events", {})):
        body = {"event_name": "t"} if path == "/events" else row
        answer = await service.post(path, {**body, "timestamp": timestamp})
        assert error_summary(answer) == (422, "BAD_USER_INPUT", "timestamp", 4_102_444_799_999)
        assert first_error(answer)["message"] == "timestamp: must be from 1970 to 2099"
