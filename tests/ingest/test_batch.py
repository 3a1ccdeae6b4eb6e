"""Batches of rows: JSON arrays, NDJSON, good rows next to bad ones, limits."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest

from tests.harness.apis import (
    delete_all,
    error_summary,
    first_error,
    get,
    metric_path,
    stored_totals,
)
from tests.harness.service import Service

GOOD: dict[str, dict[str, Any]] = {
    "/metrics": {"metric_name": "good", "value": 1},
    "/events": {"event_name": "good"},
}
PATHS = sorted(GOOD)
LINE = b'{"metric_name":"line","value":1}'
MEGABYTES_16 = 16 * 2**20


def assert_accepted(answer: httpx.Response, rows: int) -> None:
    """Check that an answer accepts this number of rows and rejects none."""
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "success": True,
            "accepted": rows,
            "duplicates": 0,
            "rejected": 0,
            "errors": [],
            "service": "analytics-service",
        },
    )


async def metric_sum(service: Service, name: str) -> object:
    """Return the sum of a metric's values over ten years."""
    return (await get(service, metric_path(name), hours=87_600))["sum"]


@pytest.mark.parametrize("path", PATHS)
async def test_forms_of_a_batch(service: Service, path: str) -> None:
    """A JSON array and NDJSON record the same rows, with any white space and blank lines."""
    row = msgspec.json.encode(GOOD[path])
    row_counts = {
        b"[" + row + b"," + row + b"]": 2,
        b" \r\n\t[ " + row + b" ,\n" + row + b" ]\n": 2,
        row: 1,
        row + b"\n": 1,
        row + b"\n" + row: 2,
        row + b"\r\n" + row + b"\r\n": 2,
        b"\n\r\n" + row + b"\n\n \t\n" + row + b"\n\n": 2,
    }
    before = await stored_totals(service)
    for body, rows in row_counts.items():
        assert_accepted(await service.post(f"{path}/batch", body), rows)
    key = path.removeprefix("/")
    assert (await stored_totals(service))[key] - before[key] == sum(row_counts.values())


@pytest.mark.parametrize("content_type", ["application/x-ndjson", "text/plain", ""])
async def test_content_type_decides_nothing(service: Service, content_type: str) -> None:
    """The body's content decides its format; clients name the type of NDJSON in many ways."""
    headers = {"content-type": content_type}
    assert_accepted(await service.post("/metrics/batch", LINE + b"\n" + LINE, **headers), 2)


async def test_optional_fields_of_rows(service: Service) -> None:
    """A batch may mix rows with and without timestamp, id, tags and user; each keeps its own."""
    await delete_all(service)
    rows = [
        {"event_name": "mixed", "properties": {"n": 0}, "timestamp": "2025-10-30T12:00:00+02:00"},
        {"event_name": "mixed", "properties": {"n": 1}, "id": "own", "user_id": "u1"},
        {"event_name": "mixed", "properties": {"n": 2}, "timestamp": 1_761_818_400_001},
        {"event_name": "mixed", "properties": {"n": 3}, "timestamp": None, "id": None},
    ]
    assert_accepted(await service.post("/events/batch", rows), 4)
    events = (await get(service, "/events"))["events"]
    assert [event["properties"]["n"] for event in events] == [3, 1, 2, 0]
    assert [event["user_id"] for event in events] == [None, "u1", None, None]
    assert events[0]["timestamp"] == events[1]["timestamp"]
    assert [event["timestamp"] for event in events[2:]] == [
        "2025-10-30T10:00:00.001Z",
        "2025-10-30T10:00:00.000Z",
    ]
    points = [
        {"metric_name": "mixed", "value": 1, "timestamp": 10**11, "tags": {"a": "b"}},
        {"metric_name": "mixed", "value": 2, "id": "own"},
        {"metric_name": "mixed", "value": 4},
    ]
    assert_accepted(await service.post("/metrics/batch", points), 3)
    assert await metric_sum(service, "mixed") == 6


async def test_last_of_equal_keys_wins(service: Service) -> None:
    """A repeated key of a row counts once, with its last value, as in JSON parsers."""
    row = b'{"metric_name":"a","value":1,"metric_name":"twice","value":2}'
    for body in (row, b"[" + row + b"]"):
        assert_accepted(await service.post("/metrics/batch", body), 1)
    assert await metric_sum(service, "twice") == 4
    event = b'{"event_name":"twice","properties":{"a":1,"b":0,"a":2}}'
    assert_accepted(await service.post("/events/batch", event), 1)
    answer = await get(service, "/events", event_name="twice")
    assert answer["events"][0]["properties"] == {"a": 2, "b": 0}


BAD_METRICS: list[tuple[bytes, str | None, str, str | None]] = [
    (b"1", None, "BAD_USER_INPUT", None),
    (b"null", None, "BAD_USER_INPUT", None),
    (b"[]", None, "BAD_USER_INPUT", None),
    (b'{"value":1,"id":"no-name"}', "metric_name", "BAD_USER_INPUT", "no-name"),
    (b'{"metric_name":"x","id":"no-value"}', "value", "BAD_USER_INPUT", "no-value"),
    (b'{"metric_name":"","value":1,"id":"empty"}', "metric_name", "BAD_USER_INPUT", "empty"),
    (b'{"metric_name":"x","value":"1"}', "value", "BAD_USER_INPUT", None),
    (b'{"metric_name":"x","value":1e999}', "value", "BAD_USER_INPUT", None),
    (b'{"metric_name":"x","value":1,"tags":{"a":1}}', "tags", "BAD_USER_INPUT", None),
    (b'{"metric_name":"x","value":1,"id":7}', "id", "BAD_USER_INPUT", None),
    (b'{"metric_name":"x","value":1,"timestamp":-1}', "timestamp", "BAD_USER_INPUT", None),
    (
        b'{"metric_name":"x","value":1,"timestamp":"2025-01-01"}',
        "timestamp",
        "BAD_USER_INPUT",
        None,
    ),
    (b'{"metric_name":"\\n","value":1,"id":"i"}', "metric_name", "BAD_USER_INPUT", "i"),
    (b'{"metric_name":"\x7f","value":1}', "metric_name", "BAD_USER_INPUT", None),
    (b'{"metric_name":"\xff","value":1}', None, "BAD_REQUEST", None),
    (b'{"metric_name":"x","value":1,"nope":1}', "nope", "BAD_USER_INPUT", None),
]


@pytest.mark.parametrize("form", ["array", "lines"])
async def test_good_rows_are_kept(service: Service, form: str) -> None:
    """Each bad row is reported by index, own id, field, code and reason; the others are stored."""
    name = f"kept {form}"
    texts, expected = [], []
    for number, (bad, field, code, own_id) in enumerate(BAD_METRICS):
        texts += [b'{"metric_name":"%s","value":%d}' % (name.encode(), 2**number), bad]
        expected.append((2 * number + 1, own_id, field, code))
    array = form == "array"
    body = b"[" + b",".join(texts) + b"]" if array else b"\n".join(texts)
    answer = await service.post("/metrics/batch", body)
    content = answer.json()
    assert (answer.status_code, content["success"]) == (200, True)
    assert (content["accepted"], content["rejected"]) == (len(BAD_METRICS), len(BAD_METRICS))
    errors = [
        (error["index"], error["id"], error["field"], error["code"]) for error in content["errors"]
    ]
    assert errors == expected
    for error in content["errors"]:
        assert error.keys() == {"index", "id", "field", "code", "message"}
        assert error["message"].startswith(f"{error['field']}: " if error["field"] else "")
    assert await metric_sum(service, name) == 2 ** len(BAD_METRICS) - 1


async def test_bad_lines_that_are_no_json(service: Service) -> None:
    """In NDJSON a line that is not JSON is one bad row; blank lines do not count."""
    lines = [LINE, b"", b"{", b'{"metric_name":"\\ud800","value":1}', b"\xff", b"x", LINE]
    answer = await service.post("/metrics/batch", b"\r\n".join(lines))
    content = answer.json()
    assert (content["accepted"], content["rejected"]) == (2, 4)
    assert [error["index"] for error in content["errors"]] == [1, 2, 3, 4]
    assert {error["code"] for error in content["errors"]} == {"BAD_REQUEST"}


@pytest.mark.parametrize("path", PATHS)
async def test_no_good_row(service: Service, path: str) -> None:
    """A batch without a valid row is a 422 that names the error of each row."""
    name = path.strip("/").removesuffix("s") + "_name"
    before = await stored_totals(service)
    answer = await service.post(f"{path}/batch", [{name: ""}, 7, {**GOOD[path], "id": ""}])
    error = first_error(answer)
    assert error_summary(answer) == (422, "BAD_USER_INPUT", None, None)
    rows = error["extensions"]["rows"]
    assert [(row["index"], row["field"], row["id"]) for row in rows] == [
        (0, name, None),
        (1, None, None),
        (2, "id", ""),
    ]
    assert error["message"] == f"No row of the batch is valid; the first: {rows[0]['message']}"
    assert await stored_totals(service) == before


async def test_many_bad_rows(service: Service) -> None:
    """The error of a rejected batch lists 100 rows; an answer with an accepted row lists all."""
    bad = [{"metric_name": ""}] * 150
    error = first_error(await service.post("/metrics/batch", bad))
    assert [row["index"] for row in error["extensions"]["rows"]] == list(range(100))
    content = (await service.post("/metrics/batch", [*bad, GOOD["/metrics"]])).json()
    assert (content["accepted"], content["rejected"]) == (1, 150)
    assert [row["index"] for row in content["errors"]] == list(range(150))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", [b"[]", b"", b" \r\n\r\n", b" [ ] "])
async def test_empty_batch(service: Service, path: str, body: bytes) -> None:
    """A batch without rows is a 422."""
    answer = await service.post(f"{path}/batch", body)
    assert error_summary(answer) == (422, "BAD_USER_INPUT", None, None)
    assert first_error(answer)["message"] == "The batch has no rows."


@pytest.mark.parametrize("body", [b"[", b"[1", b"[]x", b"[1,]", b"[1 2]", b"[\xff]", b"[" + LINE])
async def test_malformed_array(service: Service, body: bytes) -> None:
    """An array that is not JSON is a 400; nothing of it is stored."""
    before = await stored_totals(service)
    assert error_summary(await service.post("/metrics/batch", body)) == (
        400,
        "BAD_REQUEST",
        None,
        None,
    )
    assert await stored_totals(service) == before


@pytest.mark.parametrize("form", ["array", "lines", "bad lines", "bad array"])
async def test_row_limit(service: Service, form: str) -> None:
    """50,000 rows are recorded; one more, valid or not, is a 413 that names the limit."""
    row = b"0" if form.startswith("bad") else LINE
    joint = b"," if form.endswith("array") else b"\n"
    before = await stored_totals(service)
    for rows in (50_000, 50_001):
        body = joint.join([LINE, *[row] * (rows - 1)])
        answer = await service.post("/metrics/batch", b"[" + body + b"]" if joint == b"," else body)
        if rows == 50_000:
            assert answer.json()["accepted"] == (1 if row == b"0" else 50_000)
    assert error_summary(answer) == (413, "PAYLOAD_TOO_LARGE", None, 50_000)
    message = "A batch can have at most 50000 rows, this one has 50001."
    assert first_error(answer)["message"] == message
    row_count = (await stored_totals(service))["metrics"] - before["metrics"]
    assert row_count == (1 if row == b"0" else 50_000)


@pytest.mark.parametrize("path", ["/metrics", "/events", "/metrics/batch", "/events/batch"])
async def test_byte_limit(service: Service, path: str) -> None:
    """A body of exactly the limit is read; one byte more is a 413 that names the limit."""
    limit = MEGABYTES_16 if path.endswith("batch") else 2**20
    row = msgspec.json.encode(GOOD[path.removesuffix("/batch")])
    before = await stored_totals(service)
    assert (await service.post(path, row.ljust(limit))).status_code == 200
    answer = await service.post(path, row.ljust(limit + 1))
    assert error_summary(answer) == (413, "PAYLOAD_TOO_LARGE", None, limit)
    assert first_error(answer)["message"] == f"The body is larger than {limit} bytes."
    after = await stored_totals(service)
    assert after["metrics"] + after["events"] == before["metrics"] + before["events"] + 1


async def test_byte_limit_without_content_length(service: Service) -> None:
    """A chunked body of unknown length is rejected as soon as it is too large."""
    sent_bytes = 0

    async def endless_body() -> AsyncIterator[bytes]:
        nonlocal sent_bytes
        while sent_bytes < 10 * MEGABYTES_16:
            sent_bytes += 2**16
            yield b" " * 2**16

    for path, limit in (("/metrics/batch", MEGABYTES_16), ("/metrics", 2**20)):
        sent_bytes = 0
        answer = await service.http.post(path, content=endless_body())
        assert "content-length" not in answer.request.headers
        assert error_summary(answer) == (413, "PAYLOAD_TOO_LARGE", None, limit)
        assert sent_bytes == limit + 2**16


async def test_chunks(service: Service) -> None:
    """The borders of a body's chunks change nothing, even inside a character."""

    async def bytes_of(body: bytes) -> AsyncIterator[bytes]:
        for position in range(len(body)):
            yield body[position : position + 1]

    body = '{"metric_name":"chunks é","value":3}\n{"metric_name":"chunks é","value":4}'.encode()
    assert_accepted(await service.http.post("/metrics/batch", content=bytes_of(body)), 2)
    assert await metric_sum(service, "chunks é") == 7


async def test_half_a_surrogate_pair_spoils_its_own_row_only(service: Service) -> None:
    """A text that JavaScript cut in the middle of an emoji rejects one row, not the batch."""
    for name, separator in (("array", b","), ("lines", b"\n")):
        rows = [
            b'{"event_name": "%s", "user_id": "u%d"}' % (name.encode(), number)
            for number in range(3)
        ]
        rows[1] = b'{"event_name": "\\ud83d", "id": "cut"}'
        body = separator.join(rows)
        answer = await service.post(
            "/events/batch", b"[" + body + b"]" if separator == b"," else body
        )
        content = answer.json()
        assert (answer.status_code, content["accepted"], content["rejected"]) == (200, 2, 1)
        assert [error["index"] for error in content["errors"]] == [1]
        content = (await service.http.get("/events", params={"event_name": name})).json()
        assert {event["user_id"] for event in content["events"]} == {"u0", "u2"}


async def test_a_line_is_a_row_whether_its_neighbours_are_good_or_bad(service: Service) -> None:
    """A row over two lines, and two rows in one line, are rejected, next to any rows."""
    split_row = b'{"metric_name": "torn",\n"value": 1}'
    twins = b'{"metric_name": "twin", "value": 1} {"metric_name": "twin", "value": 2}'
    good = b'{"metric_name": "single", "value": 1}'
    for body, accepted, rejected in (
        (good + b"\n" + split_row, 1, 2),
        (twins + b"\n" + good, 1, 1),
    ):
        content = (await service.post("/metrics/batch", body)).json()
        assert (content["accepted"], content["rejected"]) == (accepted, rejected)


async def test_no_user_is_not_the_user_without_a_name(service: Service) -> None:
    """A filter for an empty user id finds nothing, not even events without a user."""
    await service.post("/events", {"event_name": "anonymous"})
    query = '{events(where: {userId: {eq: ""}}) {totalCount}}'
    assert (await service.graphql(query))["data"] == {"events": {"totalCount": 0}}
