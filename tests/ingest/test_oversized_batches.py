"""Batches that are made to be expensive: too many rows of any kind, and too long rows."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.ingest.decoder import MAX_ROW_BYTES
from store.ingest.json_structure import count_items
from store.ingest.rows import MAX_ROWS
from tests.harness.apis import error_summary, first_error, stored_totals
from tests.harness.service import Service

ITEMS = [b"1", b"{}", b'"a"', b'",["', b"null", b'{"a":[1,{}],"b":2}']


@pytest.mark.parametrize("item", ITEMS)
@pytest.mark.parametrize("form", ["array", "lines"])
async def test_too_many_items_of_any_kind(service: Service, item: bytes, form: str) -> None:
    """More than 50,000 items are a 413 that names limit and number, whatever the items are."""
    before = await stored_totals(service)
    for count, status in ((MAX_ROWS, 422), (MAX_ROWS + 1, 413)):
        body = b"\n".join([item] * count)
        if form == "array":
            body = b"[" + b" , ".join([item] * count) + b"]"
        answer = await service.post("/events/batch", body)
        assert answer.status_code == status
        if status == 413:
            assert error_summary(answer)[1:] == ("PAYLOAD_TOO_LARGE", None, MAX_ROWS)
            assert f"this one has {count}" in first_error(answer)["message"]
    assert await stored_totals(service) == before


async def test_blank_lines_are_no_rows(service: Service) -> None:
    """Blank lines count as none, however many: rows between them are stored."""
    row = b'{"event_name":"blank"}'
    body = b"\n" * 60_000 + row + b"\r\n \t\n" * 60_000 + row
    answer = await service.post("/events/batch", body)
    assert (answer.status_code, answer.json()["accepted"]) == (200, 2)


@pytest.mark.parametrize("form", ["array", "lines"])
async def test_too_long_rows(service: Service, form: str) -> None:
    """A row of more than 1 MiB is rejected with the limit; white space around it does not count."""
    row = {"event_name": "long", "properties": {"a": 1}}
    text = json.dumps(row).encode()
    repeated_member = text.replace(b'"a": 1', b", ".join([b'"a": 1'] * 150_000))
    assert len(repeated_member) > MAX_ROW_BYTES
    body = b"[%b, %b]" if form == "array" else b"%b\n%b"
    answer = await service.post("/events/batch", body % (repeated_member, text))
    (error,) = answer.json()["errors"]
    assert (error["index"], error["code"]) == (0, "BAD_USER_INPUT")
    assert str(MAX_ROW_BYTES) in error["message"]
    assert answer.json()["accepted"] == 1
    spaces = b" " * (2 * MAX_ROW_BYTES)
    answer = await service.post("/events/batch", body % (text + spaces, text))
    assert answer.json()["accepted"] == 2


async def test_long_series(service: Service) -> None:
    """A series may be longer than other rows."""
    count = 100_000
    now = int(time.time() * 1000)
    row = {"metric_name": "m", "timestamps": [now] * count, "values": [1] * count}
    body = json.dumps([row]).encode()
    assert len(body) > MAX_ROW_BYTES
    answer = await service.post("/metrics/series", body)
    assert answer.json()["accepted"] == count


VALUES = st.recursive(
    st.sampled_from([None, 1, "", ",", '"', "\\", '\\"', "[{", "]}", "é"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("a,[\\"), inner),
)


@given(st.lists(VALUES, min_size=1), st.integers(0, 70_000))
def test_items_are_counted(items: list[object], spaces: int) -> None:
    """The count of the items of an array is exact, also over the ends of chunks."""
    text = json.dumps(["a" * spaces, *items]).encode()
    assert count_items(text) == count_items(text + b"[1,1]") == 1 + len(items)
