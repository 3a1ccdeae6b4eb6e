"""Rows of every spelling of a batch are stored alike, also after a restart or a crash."""

from typing import Any, Final

import msgspec
import pytest

from store.ingest.streams import EVENT_STREAM, METRIC_STREAM
from store.query.sql import Scan, Statement
from tests.harness.apis import ask, delete_all, get, metric_path
from tests.harness.service import NOON, Service
from tests.harness.spellings import SPELLINGS, body_of, learn_body, match_body, repeat_lines

LINE: Final = '{"metric_name":"cpu","value":1.5,"tags":{"host":"a","dc":"eu"}}'
NUMBERS: Final = [
    *("0", "-1", "999999999999999", "0.1", "-0.0", "1.50", "1e5", "1E+5", "12.5e-3", "-0e0"),
    *("123456789012345.12345678901234567", "5e-99", "9e99", "0.30000000000000004"),
]


NOON_TEXT: Final = "2025-10-09 09:00:00.000"


class _Point(msgspec.Struct):
    name: str
    time: str
    value: float
    tags: str
    client_id: str


class _Event(msgspec.Struct):
    name: str
    time: str
    user_id: str
    session_id: str
    properties: str
    client_id: str


POINTS: Final[list[dict[str, Any]]] = [
    {
        "metric_name": f"m{n % 3}",
        "value": n / 8,
        "tags": {"host": f"h {n % 7}", "dc": "eu", "é": "漢, x: y"},
        "timestamp": NOON - 7 * n,
        "id": f"id-{n}",
    }
    for n in range(120)
]
EVENTS: Final[list[dict[str, Any]]] = [
    {
        "event_name": f"e{n % 3}",
        "user_id": f"u{n % 5}" if n % 2 else None,
        "session_id": f"s{n}",
        "timestamp": NOON - 7 * n,
        "properties": {
            "title": f'a, "b": {n}\n\\',
            "n": n,
            "at": {"lat": n / 4},
            "list": ["x, y", 1],
        },
        "id": f"id-{n}",
    }
    for n in range(120)
]


async def stored_rows(service: Service, table: str) -> list[Any]:
    """Return the columns of all rows of a table, in the order of storage."""
    row: type[Any] = _Point if table == METRIC_STREAM.table else _Event
    columns = ", ".join(row.__struct_fields__)
    text = f"SELECT {columns} FROM {table} ORDER BY batch, row"  # noqa: S608 - constants
    statement = Statement(text, scans=(Scan(table),))
    return await service.context.store.select(statement, row)


@pytest.mark.parametrize(
    ("stream", "rows"),
    [(METRIC_STREAM, POINTS), (EVENT_STREAM, EVENTS)],
    ids=["metrics", "events"],
)
async def test_every_spelling_is_stored_alike(
    service: Service, stream: Any, rows: list[dict[str, Any]]
) -> None:
    """Names, times, values, tags, properties and ids are the same in every spelling."""
    expected: list[Any] = []
    templates = service.context.store.reader.templates
    for number, spelling in enumerate(SPELLINGS):
        await delete_all(service)
        own_rows = [{**row, "id": f"{number}-{row['id']}"} for row in rows]
        body = body_of(own_rows, spelling)
        learn_body(templates, body, stream.row_type)
        assert bool(match_body(templates, body, stream.row_type)) == (rb"\u" not in body)
        answer = (await service.post(f"/{stream.name}/batch", body)).json()
        assert (answer["accepted"], answer["rejected"]) == (len(rows), 0)
        stored = await stored_rows(service, stream.table)
        for row in stored:
            row.client_id = row.client_id.partition("-")[2]
        expected = expected or stored
        assert stored == expected


async def test_numbers_are_stored_alike(service: Service) -> None:
    """Points of matched and of decoded bodies are stored with equal values, tags and times."""
    timed_line = f'{LINE[:-1]},"timestamp":1700000000000}}'
    lines = [
        timed_line.replace("1.5", number).replace('"a"', f'"{text}"')
        for number in NUMBERS
        for text in ("a", "", "漢 é", "},{", "/")
    ]
    body = repeat_lines(*lines)
    learn_body(service.context.store.reader.templates, body)
    assert match_body(service.context.store.reader.templates, body)
    stored = {}
    for name, metric_body in (
        ("known", body.replace(b"cpu", b"known")),
        ("escaped", body.replace(b"cpu", b"esc\\u0061ped")),
    ):
        answer = (await service.post("/metrics/batch", metric_body)).json()
        assert (answer["accepted"], answer["rejected"]) == (200, 0)
        query = """query ($name: String!) {metric(name: $name) {seriesCount
            samples(range: {preset: ALL_TIME}, first: 200) {nodes {time value tags}}
        }}"""
        stored[name] = (await ask(service, query, name=name))["metric"]
    assert stored["known"] == stored["escaped"]


async def test_untimed_bodies_get_the_time_of_their_arrival(service: Service) -> None:
    """Points without a time are stored with the time of the request."""
    body = repeat_lines(LINE.replace("cpu", "untimed"))
    for _ in range(2):
        assert (await service.post("/metrics/batch", body)).json()["accepted"] == 200
    assert (await get(service, metric_path("untimed"), hours=1))["count"] == 400


async def test_bad_rows_among_matching_ones(service: Service) -> None:
    """Bad rows of a matching body are reported by index, all others are stored in their order."""
    lines = [LINE.replace("cpu", "order").replace("1.5", str(n)) for n in range(200)]
    learn_body(service.context.store.reader.templates, "\n".join(lines).encode())
    lines = [line.replace("order", "sorted") for line in lines]
    lines[0] = lines[0].replace("0", '"0"', 1)
    lines[50] = lines[50].replace("sorted", "sort\\u0065d")
    lines[199] = "{"
    for body in ("\n".join(lines), "[" + ",".join(lines[:-1]) + "]"):
        await delete_all(service)
        answer = (await service.post("/metrics/batch", body.encode())).json()
        bad = [0] if body.startswith("[") else [0, 199]
        assert [error["index"] for error in answer["errors"]] == bad
        stored = await stored_rows(service, METRIC_STREAM.table)
        assert [row.value for row in stored] == list(range(1, 199))


async def test_ids_of_matched_bodies_count_once(service: Service) -> None:
    """The rows of a matched body count once, within the body and when it comes again."""
    line = '{"metric_name":"own","value":1,"id":"%d","tags":{"host":"a"}}'
    lines = [line % (n // 2) for n in range(200)]
    lines[101] = lines[101].replace("own", "\\u006fwn")
    body = "".join(f"{text}\n" for text in lines).encode()
    learn_body(service.context.store.reader.templates, body)
    assert match_body(service.context.store.reader.templates, body)
    first = (await service.post("/metrics/batch", body)).json()
    assert (first["accepted"], first["duplicates"]) == (100, 100)
    second = (await service.post("/metrics/batch", body)).json()
    assert (second["accepted"], second["duplicates"]) == (0, 200)
    assert (await get(service, metric_path("own"), hours=1))["sum"] == 100


async def test_small_numbers_and_texts_in_a_segment(service: Service) -> None:
    """Milliseconds soon after 1970 keep their value beside RFC 3339 in the same segment."""
    for times in ([5, NOON], ["2025-10-09T09:00:00Z", NOON], ["1970-01-01T00:00:00.005Z", NOON]):
        await delete_all(service)
        rows = [{"metric_name": "m", "value": 1, "timestamp": time} for time in times]
        text_times = body_of([dict(row, timestamp=NOON) for row in rows * 50], "array text times")
        await service.post("/metrics/batch?precision=ms", rows)
        await service.post("/metrics/batch", text_times)
        await service.post("/metrics?precision=ms", rows[0])
        statement = Statement(
            "SELECT name, toString(time) AS time, value, tags, client_id FROM metrics"
            " ORDER BY batch, row",
            scans=(Scan("metrics"),),
        )
        stored = await service.context.store.select(statement, _Point)
        first = "1970-01-01 00:00:00.005" if times[0] != "2025-10-09T09:00:00Z" else NOON_TEXT
        assert [row.time for row in stored] == [first, *[NOON_TEXT] * 101, first]
