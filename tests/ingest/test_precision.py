"""Units of numeric timestamps: the given unit, and the check of numbers without one."""

import json
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schema.access import PROJECT
from schema.errors import AnalyticsError
from schema.scalars import Instant, rfc3339
from store.ingest.decoder import read_batch
from store.ingest.line_templates import TemplateCache
from store.ingest.replay import read_set_aside
from store.ingest.rows import METRIC
from store.ingest.streams import METRIC_STREAM
from store.journal.set_aside import SetAsideLine
from store.timestamps import MAX_TIME, UNITS
from tests.harness.apis import ask, error_summary, first_error, get
from tests.harness.service import NOON, Service

PER_SECOND: Final = {"s": 1, "ms": 1000, "us": 10**6, "ns": 10**9}
NUMBERS: Final = {
    "s": 1_767_225_600,
    "ms": 1_767_225_600_123,
    "us": 1_767_225_600_123_999,
    "ns": 1_767_225_600_123_999_999,
}
HEADER: Final = "x-timestamp-precision"


def bodies_with_time(number: object) -> list[tuple[str, bytes]]:
    """Return a body with this time in every format, each with its path."""
    time = json.dumps(number)
    metric = f'{{"metric_name": "unit", "value": 1, "timestamp": {time}}}'
    event = f'{{"event_name": "unit", "timestamp": {time}}}'
    series = f'{{"metric_name": "unit", "values": [1], "timestamps": [{time}]}}'
    large = "\n".join([metric.replace(" ", "")] * 100)
    pairs = [("/metrics", metric), ("/events", event), ("/metrics/series", series)]
    for path, row in (("/metrics", metric), ("/events", event)):
        pairs += [(f"{path}/batch", f"{row}\n{row}"), (f"{path}/batch", f"[{row}, {row}]")]
    pairs += [("/metrics/series", f"[{series}]"), ("/metrics/batch", large)]
    return [(path, body.encode()) for path, body in pairs]


async def take_times(service: Service) -> set[str]:
    """Return the times of all stored points and events, and delete the rows."""
    query = '{metric(name: "unit") {samples(range: {preset: ALL_TIME}) {nodes {time}}}}'
    points = (await ask(service, query))["metric"]["samples"]["nodes"]
    events = (await get(service, "/events", event_name="unit"))["events"]
    await service.http.delete("/metrics/unit")
    await service.http.delete("/events")
    return {node["time"] for node in points} | {event["timestamp"] for event in events}


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("source", ["parameter", "header", "both"])
async def test_units(service: Service, unit: str, source: str) -> None:
    """A number is read in the unit of the parameter or header, rounded down, in every format."""
    query = f"?precision={unit}" if source != "header" else ""
    headers = {HEADER: unit} if source != "parameter" else {}
    for path, body in bodies_with_time(NUMBERS[unit]):
        answer = await service.post(path + query, body, **headers)
        assert answer.status_code == 200, (path, answer.text)
        assert answer.json().get("rejected", 0) == 0
    moment = Instant(NUMBERS[unit] * 1000 // PER_SECOND[unit])
    assert await take_times(service) == {rfc3339(moment)}


@pytest.mark.parametrize("unit", UNITS)
async def test_small_numbers_with_a_unit_are_accepted(service: Service, unit: str) -> None:
    """With a unit, a number soon after 1970 is accepted; a text is, whatever the unit."""
    for number in (0, 7 * PER_SECOND[unit], "1970-01-01T00:00:07Z", 7.0 * PER_SECOND[unit]):
        for path, body in bodies_with_time(number):
            answer = await service.post(f"{path}?precision={unit}", body)
            assert answer.status_code == 200, (path, answer.text)
    times = await take_times(service)
    assert times == {"1970-01-01T00:00:00.000Z", "1970-01-01T00:00:07.000Z"}


BAD_NUMBERS: Final[list[tuple[str, object, str]]] = [
    ("", 1_767_225_600, "seconds"),
    ("", 0, "seconds"),
    ("", 10**11 - 1, "seconds"),
    ("", 1_767_225_600.0, "seconds"),
    ("", 1_767_225_600.5, "whole number of milliseconds"),
    ("", NUMBERS["us"], "microseconds"),
    ("", NUMBERS["ns"], "nanoseconds"),
    ("", MAX_TIME + 1, "from 1970 to 2099"),
    ("", 10**30, "from 1970 to 2099"),
    ("", -1, "from 1970 to 2099"),
    ("", -(10**12), "from 1970 to 2099"),
    ("s", NUMBERS["ms"], "milliseconds"),
    ("s", NUMBERS["us"], "microseconds"),
    ("s", NUMBERS["ns"], "nanoseconds"),
    ("s", 1_767_225_600.5, "whole number of seconds"),
    ("ms", NUMBERS["us"], "microseconds"),
    ("us", NUMBERS["ns"], "nanoseconds"),
    ("ns", NUMBERS["ns"] * 1000, "from 1970 to 2099"),
    ("ns", -1, "from 1970 to 2099"),
    ("s", "1767225600", "RFC 3339"),
]


@pytest.mark.parametrize(("unit", "number", "reason"), BAD_NUMBERS)
async def test_misleading_numbers(service: Service, unit: str, number: object, reason: str) -> None:
    """A number that looks like another unit is rejected, and the error names that unit."""
    query = f"?precision={unit}" if unit else ""
    for path, body in bodies_with_time(number):
        answer = await service.post(path + query, body)
        error = first_error(answer)
        assert answer.status_code == 422, path
        assert reason in error["message"], path
        rows = error["extensions"].get("rows", [error["extensions"]])
        assert {row["field"].removesuffix("s") for row in rows} == {"timestamp"}
    assert (await service.http.get("/metrics/unit")).status_code == 404


@pytest.mark.parametrize("path", ["/metrics", "/events", "/metrics/batch", "/events/batch"])
@pytest.mark.parametrize(
    "unit", ["", "S", "sec", "seconds", "m", "n", "u", "µs", "s,ms", "x" * 999]
)
async def test_unknown_units(service: Service, path: str, unit: str) -> None:
    """An unknown unit, in the URL or the header, is a 422 that lists the units."""
    row = {("metric_name" if "metrics" in path else "event_name"): "none", "value": 1}
    answers = [await service.http.post(path, params={"precision": unit}, json=row)]
    if unit.isascii():
        answers.append(await service.post(path, row, **{HEADER: unit}))
    for answer in answers:
        assert error_summary(answer) == (422, "BAD_USER_INPUT", "precision", None)
        assert "s, ms, us, ns" in first_error(answer)["message"]
        assert len(answer.content) < 500


@pytest.mark.parametrize(
    ("query", "header", "reason"),
    [("s", "ms", "'ms' and 's'"), ("s&precision=ms", "s", "given twice")],
)
async def test_contradictory_units(service: Service, query: str, header: str, reason: str) -> None:
    """Two different units are rejected, in the URL and in the header."""
    row = {"metric_name": "none", "value": 1}
    answer = await service.post(f"/metrics?precision={query}", row, **{HEADER: header})
    assert error_summary(answer) == (422, "BAD_USER_INPUT", "precision", None)
    assert reason in first_error(answer)["message"]


async def test_good_rows_are_kept_next_to_other_units(service: Service) -> None:
    """In a batch only the row whose number looks like seconds is rejected, by index and field."""
    rows = [
        {"metric_name": "beside", "value": 1, "timestamp": NOON},
        {"metric_name": "beside", "value": 2, "timestamp": NOON // 1000, "id": "own"},
        {"metric_name": "beside", "value": 4},
    ]
    lines = b"\n".join(map(msgspec.json.encode, rows))
    for body in (msgspec.json.encode(rows), lines):
        content = (await service.post("/metrics/batch", body)).json()
        (error,) = content["errors"]
        assert (content["accepted"], content["rejected"]) == (2, 1)
        assert (error["index"], error["id"], error["field"]) == (1, "own", "timestamp")


async def test_graphql_takes_no_numbers(service: Service) -> None:
    """In GraphQL a time is a text: a number rejects the row, and is an error in a query."""
    query = """mutation($t: DateTime) {recordMetrics(input: {metrics: [
        {name: "numbers", value: 1, time: $t}, {name: "numbers", value: 2}]
    }) {accepted errors {index field code message}}}"""
    for body in (
        {"query": query, "variables": {"t": 1_767_225_600}},
        {"query": query, "variables": {"t": NOON}},
        {"query": query.replace("($t: DateTime)", "").replace("$t", str(NOON))},
    ):
        outcome = (await service.post("/graphql", body)).json()["data"]["recordMetrics"]
        (error,) = outcome["errors"]
        assert outcome["accepted"] == 1
        assert (error["index"], error["field"], error["code"]) == (0, "time", "BAD_USER_INPUT")
        assert "RFC 3339" in error["message"]
    query = "{events(range: {between: {from: 1767225600}}) {totalCount}}"
    error = first_error(await service.post("/graphql", {"query": query}))
    assert "not a number" in error["message"]


LINE: Final = '{"metric_name":"cpu","value":1,"timestamp":%d}\n'
EDGES: Final = st.sampled_from([0, 1, 10**11 - 1, 10**11, NOON, MAX_TIME, MAX_TIME + 1, 10**13])


@given(
    moments=st.lists(st.one_of(EDGES, st.integers(-(10**13), 10**19)), min_size=1, max_size=3),
    unit=st.sampled_from([None, *UNITS.values()]),
)
@settings(derandomize=True, deadline=None, max_examples=300)
def test_fast_path_holds_the_rule(moments: list[int], unit: Any) -> None:
    """Matched and decoded bodies accept and reject times by the same rule."""
    templates = TemplateCache()
    templates.learn(METRIC, (LINE * 100 % ((NOON,) * 100)).encode())
    body = "".join(LINE % moments[n % len(moments)] for n in range(150)).encode()

    def outcome(read: Any) -> object:
        try:
            batch = read()
        except AnalyticsError as error:
            return str(error)
        return [row.timestamp for row in batch.rows], [
            (error.index, error.message) for error in batch.errors
        ]

    actual = outcome(lambda: templates.read_batch(METRIC, body, NOON, {}, unit))
    assert actual == outcome(lambda: read_batch(METRIC, body, NOON, {}, unit))


def test_replay_takes_old_times() -> None:
    """A row with a time soon after 1970 that was accepted, and set aside, can be replayed."""
    lines = [
        SetAsideLine(Path("1.ndjson"), n, b'{"metric_name":"m","value":1,"timestamp":%d}' % time)
        for n, time in enumerate((0, 5, NOON))
    ]
    batch, errors = read_set_aside(METRIC_STREAM, lines, PROJECT, NOON)
    assert [row.timestamp for row in batch.rows] == [0, 5, NOON]
    assert errors == []
