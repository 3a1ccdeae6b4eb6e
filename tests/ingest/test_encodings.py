"""Encodings of bodies: a byte order mark is skipped, an encoding other than UTF-8 is named."""

import codecs
import gzip
import json
from typing import Any, Final

import pytest

from tests.harness.apis import first_error, get, metric_path, stored_totals
from tests.harness.service import Service

ROUTES: Final[dict[str, str]] = {
    "/metrics": '{"metric_name": "é", "value": 1}',
    "/events": '{"event_name": "é"}',
    "/metrics/batch": '[{"metric_name": "é", "value": 1}]',
    "/events/batch": '{"event_name": "é"}\n{"event_name": "é"}',
    "/metrics/series": '{"metric_name": "é", "values": [1], "timestamps": [1767225600000]}',
    "/graphql": '{"query": "{health {status}}", "variables": {"é": 1}}',
}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("is_zipped", [False, True])
async def test_byte_order_mark_is_skipped(service: Service, route: str, *, is_zipped: bool) -> None:
    """A UTF-8 byte order mark at the beginning of a body changes nothing."""
    body = codecs.BOM_UTF8 + ROUTES[route].encode()
    headers = {"content-encoding": "gzip"} if is_zipped else {}
    answer = await service.post(route, gzip.compress(body) if is_zipped else body, **headers)
    assert answer.status_code == 200, answer.text
    assert not answer.json().get("rejected")


async def test_byte_order_mark_before_many_rows(service: Service) -> None:
    """The first row of a large body with a known template is stored under its name."""
    body = b"\n".join([b'{"metric_name":"marked","value":1}'] * 200)
    for _ in range(2):
        answer = await service.post("/metrics/batch", codecs.BOM_UTF8 + body)
        assert answer.json()["accepted"] == 200
    assert (await get(service, metric_path("marked")))["count"] == 400


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
)
async def test_wide_encodings_are_named(service: Service, route: str, encoding: str) -> None:
    """The error of a UTF-16 or UTF-32 body names its encoding, with and without a mark."""
    before = await stored_totals(service)
    answer = await service.post(route, ROUTES[route].encode(encoding))
    error = first_error(answer)
    assert answer.status_code == 400
    assert encoding[:6].upper() in error["message"]
    assert "UTF-8" in error["message"]
    assert await stored_totals(service) == before


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "mac-roman"])
async def test_first_bad_byte_is_named(service: Service, route: str, encoding: str) -> None:
    """The error of a body that is not UTF-8 names the offset and value of the first bad byte."""
    before = await stored_totals(service)
    body = ROUTES[route].encode(encoding)
    row = body.split(b"\n")[0].strip(b"[]")
    offset = (body if route == "/graphql" else row).index("é".encode(encoding))
    error = first_error(await service.post(route, body))
    assert (
        f"is not UTF-8: byte {offset} is 0x{'é'.encode(encoding).hex().upper()}"
        in (error["message"])
    )
    assert await stored_totals(service) == before


async def test_rows_in_other_encodings(service: Service) -> None:
    """In a batch only the row that is not UTF-8 is rejected."""
    good, bad = b'{"metric_name":"latin","value":1}', b'{"metric_name":"lat\xedn","value":1}'
    for body in (b"\n".join((good, bad, good)), b"[" + b",".join((good, bad, good)) + b"]"):
        content = (await service.post("/metrics/batch", body)).json()
        (error,) = content["errors"]
        assert (content["accepted"], error["index"], error["code"]) == (2, 1, "BAD_REQUEST")
        assert "byte 19 is 0xED" in error["message"]


CHARSETS: Final[list[tuple[str, bool]]] = [
    ("application/json; charset=utf-8", True),
    ("application/json;charset=UTF-8", True),
    ('application/json; charset="utf8"', True),
    ("application/json; profile=x; charset = utf-8", True),
    ("application/json; charset=utf-16", False),
    ("application/json; charset=ISO-8859-1", False),
    ('application/json; charset="windows-1252"; x=y', False),
    ("application/x-ndjson; Charset=latin1", False),
    ("application/json; charset=", False),
]


@pytest.mark.parametrize(("content_type", "is_accepted"), CHARSETS)
async def test_charsets(service: Service, content_type: str, *, is_accepted: bool) -> None:
    """A charset other than UTF-8 is a 415, whatever the bytes are."""
    for route in ("/metrics", "/metrics/batch", "/metrics/series", "/events", "/events/batch"):
        body = ROUTES[route].replace("é", "e").encode()
        answer = await service.post(route, body, **{"content-type": content_type})
        if is_accepted:
            assert answer.status_code == 200, answer.text
        else:
            assert answer.status_code == 415
            assert "UTF-8" in first_error(answer)["message"]


async def test_bytes_that_are_no_encoding(service: Service) -> None:
    """Stray zero bytes, and a byte order mark alone, are bad JSON, not another encoding."""
    for body in (b"\0\0\0\0", b'{"a": "\0"}', codecs.BOM_UTF8, b"\0"):
        message = first_error(await service.post("/metrics", body))["message"]
        assert "UTF-16" not in message
        assert "UTF-32" not in message


async def test_odd_text_survives(service: Service) -> None:
    """A byte order mark inside a text is a character like any other."""
    row: dict[str, Any] = {"event_name": "\ufeffinside", "properties": {"\ufeff": "\ufeff"}}
    body = json.dumps(row, ensure_ascii=False).encode()
    assert (await service.post("/events", body)).status_code == 200
    (event,) = (await get(service, "/events", event_name="\ufeffinside"))["events"]
    assert event["properties"] == {"\ufeff": "\ufeff"}
