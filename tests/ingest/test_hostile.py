"""Bad input of every kind, on both APIs: an error of the one shape, nothing stored."""

import json
from typing import Any

import msgspec
import pytest

from tests.harness.apis import first_error, stored_totals
from tests.harness.service import Service

EVENT = b'{"event_name": "e"'
ROUTES = ["/metrics", "/events", "/metrics/batch", "/events/batch"]
MEGABYTE = 2**20

NO_JSON: dict[str, bytes] = {
    "nothing": b"",
    "white space": b" \r\n\t ",
    "cut": EVENT,
    "cut text": b'{"event_name": "e',
    "cut escape": b'{"event_name": "\\u00',
    "single quotes": b"{'event_name': 'e'}",
    "bare keys": b'{event_name: "e"}',
    "trailing comma": EVENT + b",}",
    "comment": EVENT + b"/**/}",
    "two": EVENT + b"}]" + EVENT + b"}",
    "form": b"event_name=e",
    "XML": b"<row/>",
    "two byte order marks": b"\xef\xbb\xbf" * 2 + EVENT + b"}",
    "Latin-1": EVENT + ', "id": "é"}'.encode("latin-1"),
    "invalid UTF-8 as a name": b'{"event_name": "\xff"}',
    "overlong UTF-8": EVENT + b', "id": "\xc0\xaf"}',
    "cut UTF-8": EVENT + b', "id": "\xf0\x9f\x92"}',
    "UTF-8 of a surrogate": EVENT + b', "id": "\xed\xa0\x80"}',
    "lone surrogate as a name": b'{"event_name": "\\ud800"}',
    "lone surrogate as an id": EVENT + b', "id": "\\udfff x"}',
    "surrogates the wrong way round": EVENT + b', "id": "\\ude00\\ud83d"}',
    "bad escape": EVENT + b', "id": "\\x41"}',
    "control character": EVENT + b', "id": "\x00"}',
    "line break in a text": EVENT + b', "id": "a\nb"}',
    "NaN": EVENT + b', "timestamp": NaN}',
    "Infinity": EVENT + b', "timestamp": -Infinity}',
    "leading zero": EVENT + b', "timestamp": 01}',
    "hexadecimal": EVENT + b', "timestamp": 0x10}',
    "plus": EVENT + b', "timestamp": +1}',
    "point": EVENT + b', "timestamp": 1.}',
}
NO_ROW: dict[str, bytes] = {
    "null": b"null",
    "true": b"true",
    "number": b"1",
    "text": b'"m"',
    "empty list": b"[]",
    "empty object": b"{}",
    "list of lists": b"[[]]",
    "list of numbers": b"[1, 2]",
    "5,000 digits": b"9" * 5000,
    "100,000 open lists": b"[" * 100_000,
    "100,000 lists": b"[" * 100_000 + b"]" * 100_000,
    "100,000 open objects": b'{"a":' * 100_000,
    "50,000 objects": b'{"properties":' * 50_000 + b"1" + b"}" * 50_000,
    "a megabyte of key": b'{"' + b"k" * (MEGABYTE - 100) + b'": 1}',
    "unknown field": b'{"metric_name": "m", "value": 1, "event_name": "e"}',
    "field of another case": b'{"Metric_Name": "m", "Value": 1, "Event_Name": "e"}',
    "prototype": b'{"__proto__": {"metric_name": "m", "value": 1}}',
}


def for_route(body: bytes, route: str) -> bytes:
    """Return an event's body as the body of a route, with a metric's fields if needed."""
    metric = body.replace(b'"event_name": ', b'"value": 1, "metric_name": ')
    return metric if route.startswith("/metrics") else body


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("kind", NO_JSON)
async def test_bodies_that_are_no_json(service: Service, route: str, kind: str) -> None:
    """A body that is not JSON is a 400, or a batch's one bad row; nothing is stored."""
    before = await stored_totals(service)
    answer = await service.post(route, for_route(NO_JSON[kind], route))
    code = "BAD_USER_INPUT" if route.endswith("batch") else "BAD_REQUEST"
    assert first_error(answer)["extensions"]["code"] == code
    for row in first_error(answer)["extensions"].get("rows", ()):
        assert row["code"] == "BAD_REQUEST"
    assert await stored_totals(service) == before


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("kind", NO_ROW)
async def test_bodies_that_are_no_row(service: Service, route: str, kind: str) -> None:
    """JSON that is neither a row nor rows is a short 422; nothing is stored."""
    before = await stored_totals(service)
    answer = await service.post(route, NO_ROW[kind])
    assert first_error(answer)["extensions"]["code"] == "BAD_USER_INPUT"
    assert len(answer.content) < 2500
    assert await stored_totals(service) == before


def texts(limit: int) -> list[object]:
    """Return values that are no text of 1 to `limit` characters."""
    return [1, 1.5, True, [], ["m"], {}, {"a": "b"}, "", "x" * (limit + 1), "💥" * (limit + 1)]


NAMES = [*texts(200), None, "\0", "a\tb", "a\nb", "\x1b[31m", "\x7f", "x\x7fy"]
HUGE = [2**53, -(2**53), 2**63, 2**64, -(2**64), 10**400, -(10**400), 10**4000]
TIMES: list[object] = [
    *(True, False, [], {}, "", "now", "2025", "2025-10-30", "2025-10-30T12:34", "12:34:56Z"),
    *("2025-10-30T12:34:56", "2025-10-30T12:34:56.789", "2025-10-30T12:34:56+25:00"),
    *("2025-13-30T12:34:56Z", "2025-02-29T12:34:56Z", "2025-10-30T24:00:01Z", "20251030T123456Z"),
    *("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "1969-12-31T23:59:59.999Z"),
    *("2100-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59.999-23:59"),
    *(
        "10000-01-01T00:00:00Z",
        "-0001-01-01T00:00:00Z",
        "２０２５-10-30T12:34:56Z",
        "1761827696789",
    ),
    *(-1, -(10**18), 10**18, 2**63, 2**64, 10**400, 1.5, 1e18, -0.5, 1761827696789.5),
]
TAGS: list[object] = [
    *(1, True, "a=b", [], ["a"], [["a", "b"]], {"a": 1}, {"a": 1.5}, {"a": True}, {"a": None}),
    *({"a": ["b"]}, {"a": {"b": "c"}}, {"": "b"}, {"\0": "b"}, {"a\nb": "c"}, {"\x7f": "b"}),
    *({"k" * 201: "v"}, {"k": "v" * 1001}, {str(n): "v" for n in range(65)}),
    {"k": "v", "huge" * 10_000: "v"},
]
PROPERTIES: list[object] = [
    *(1, 1.5, True, "a=b", [], [{}], [["a", 1]], {"\ud7ff" * 11_000: 1}),
    *({str(n): n for n in range(256)}, {str(n): n for n in range(300)}, {"a": "x" * 40_000}),
    *({"a": ["x" * 1000] * 40}, {"a": "é" * 16_384}, {"a": "\0" * 6000}),
    {"n" * 100 + str(n): "v" * 100 for n in range(200)},
]
FIELDS: list[tuple[str, str, list[object]]] = [
    ("/metrics", "metric_name", NAMES),
    ("/events", "event_name", NAMES),
    ("/metrics", "value", [None, "1", "", True, False, [], [1], {}, {"$numberLong": "1"}, *HUGE]),
    ("/events", "user_id", texts(200)),
    ("/events", "session_id", texts(200)),
    ("/metrics", "id", texts(200)),
    ("/events", "id", texts(200)),
    ("/metrics", "timestamp", TIMES),
    ("/events", "timestamp", TIMES),
    ("/metrics", "tags", TAGS),
    ("/events", "properties", PROPERTIES),
]
GOOD: dict[str, dict[str, object]] = {
    "/metrics": {"metric_name": "m", "value": 1},
    "/events": {"event_name": "e"},
}


@pytest.mark.parametrize(("route", "field", "values"), FIELDS)
async def test_fields(service: Service, route: str, field: str, values: list[object]) -> None:
    """An invalid value is a 422 that names the field, alone and in a batch."""
    before = await stored_totals(service)
    for value in values:
        row = {**GOOD[route], field: value}
        answer = await service.post(route, row)
        assert answer.status_code == 422, row
        assert first_error(answer)["extensions"]["field"] == field, row
        answer = await service.post(f"{route}/batch", [row])
        assert answer.status_code == 422, row
        (error,) = first_error(answer)["extensions"]["rows"]
        assert (error["index"], error["field"], error["code"]) == (0, field, "BAD_USER_INPUT")
    assert await stored_totals(service) == before


MUTATIONS = {
    "/metrics": "mutation($row: MetricInput!) {recordMetrics(input: {metrics: [$row]}) {accepted}}",
    "/events": "mutation($row: EventInput!) {recordEvents(input: {events: [$row]}) {accepted}}",
}
WORDS = {
    "metric_name": "name",
    "event_name": "name",
    "user_id": "userId",
    "timestamp": "time",
    "session_id": "sessionId",
}


@pytest.mark.parametrize(("route", "field", "values"), FIELDS)
async def test_fields_in_graphql(
    service: Service, route: str, field: str, values: list[object]
) -> None:
    """The values of FIELDS are a 422 in GraphQL, except integers that a double can hold."""
    before = await stored_totals(service)
    good = {WORDS.get(key, key): value for key, value in GOOD[route].items()}
    for value in values:
        if field == "value" and value in HUGE[:5]:
            continue
        body = {
            "query": MUTATIONS[route],
            "variables": {"row": {**good, WORDS.get(field, field): value}},
        }
        answer = await service.post("/graphql", body)
        assert first_error(answer)["extensions"]["code"] == "BAD_USER_INPUT", (field, value)
    assert await stored_totals(service) == before


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 400, "9" * 5000, "1" + "0" * 4299])
async def test_numbers_that_no_double_holds(service: Service, number: str) -> None:
    """A number beyond a double is rejected as a value and a time; in properties by its length."""
    before = await stored_totals(service)
    text = number.encode()
    bodies = {
        "/metrics": [b'{"metric_name": "m", "value": ' + text + b"}"],
        "/events": [EVENT + b', "timestamp": ' + text + b"}"],
    }
    if "e" in number or len(number) > 4300:
        bodies["/events"].append(EVENT + b', "properties": {"a": [' + text + b"]}}")
    for route, rows in bodies.items():
        for row in rows:
            assert (
                first_error(await service.post(route, row))["extensions"]["code"]
                == "BAD_USER_INPUT"
            )
            answer = await service.post(f"{route}/batch", b"[" + row + b"]")
            assert first_error(answer)["extensions"]["code"] == "BAD_USER_INPUT"
    assert await stored_totals(service) == before


@pytest.mark.parametrize("depth", [65, 500, 5000, 100_000])
async def test_deep_properties(service: Service, depth: int) -> None:
    """Properties nested too deeply are a 422 that names the limit, and an error in GraphQL."""
    before = await stored_totals(service)
    deep = b'{"a": ' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"
    row = EVENT + b', "properties": ' + deep + b"}"
    answer = await service.post("/events", row)
    assert answer.status_code == 422
    assert first_error(answer)["extensions"]["limit"] == 64
    for body in (b"[" + row + b"]", row + b"\n" + row):
        answer = await service.post("/events/batch", body)
        assert answer.status_code == 422
        assert "64" in first_error(answer)["message"]
    query = json.dumps(MUTATIONS["/events"]).encode()
    variables = b'{"row": {"name": "e", "properties": ' + deep + b"}}"
    body = b'{"query": ' + query + b', "variables": ' + variables + b"}"
    answer = await service.post("/graphql", body)
    assert first_error(answer)["extensions"]["code"] == (
        "BAD_USER_INPUT" if depth < 1000 else "BAD_REQUEST"
    )
    assert await stored_totals(service) == before


async def test_deepest_properties(service: Service) -> None:
    """Properties at the limits of depth, number and length are stored, and come back equal."""
    deep: Any = []
    for _ in range(62):
        deep = [deep]
    longest = {"text": "x" * (32_768 - len('{"text":""}'))}
    widest = {f"{'k' * 197}{n:03}": n % 10 for n in range(155)}
    for properties in ({"deep": deep}, longest, {str(n): n for n in range(255)}, widest):
        row = {"event_name": "most", "properties": properties}
        assert (await service.post("/events", row)).status_code == 200
        answer = (await service.http.get("/events?event_name=most&limit=1")).json()
        assert answer["events"][0]["properties"] == properties


async def test_long_names_are_not_repeated(service: Service) -> None:
    """An error repeats only a short part of a long input."""
    long = "k" * 500_000
    for route in ("/metrics", "/events"):
        for row in ({**GOOD[route], long: 1}, {**GOOD[route], "tags": {long: 1}}, {long: long}):
            for path, body in ((route, row), (f"{route}/batch", [row])):
                answer = await service.post(path, body)
                assert answer.status_code == 422
                assert len(answer.content) < 2500


HEADERS: list[dict[str, str]] = [
    {"content-type": ""},
    {"content-type": "x" * 60_000},
    {"content-type": "multipart/form-data; boundary=" + "x" * 10_000},
    {"content-type": "application/json; charset=utf-8; profile=x"},
    {"accept": "x," * 30_000},
    {"accept": "image/png"},
    {"accept-encoding": "gzip;q=NaN, *;q=-1"},
    {"cookie": "a=" + "b" * 60_000},
    {"range": "bytes=0-1,1-2," + "3-4," * 10_000},
    {"if-none-match": "*", "if-match": "*", "expect": "100-continue"},
    {"x-forwarded-for": "\\", "x-http-method-override": "DELETE"},
    {"origin": "x" * 60_000},
    {"content-length": "999999999999"},
    {"transfer-encoding": "chunked, chunked"},
]


@pytest.mark.parametrize("headers", HEADERS)
async def test_headers(service: Service, headers: dict[str, str]) -> None:
    """Odd headers change nothing: a valid request succeeds, an invalid one is rejected."""
    good = msgspec.json.encode(GOOD["/metrics"])
    before = await stored_totals(service)
    assert (await service.post("/metrics", good, **headers)).status_code == 200
    assert (await service.post("/metrics/batch", good, **headers)).status_code == 200
    assert (await service.post("/metrics", b"{", **headers)).status_code == 400
    for path in ("/metrics/m", "/events", "/dashboard", "/health"):
        assert (await service.http.get(path, headers=headers)).status_code == 200
    assert (await stored_totals(service))["metrics"] == before["metrics"] + 2
