"""Client ids: a row with an id counts once, however often and in whatever format it comes."""

import asyncio
import itertools
from collections import Counter
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schema.scalars import Instant, rfc3339
from store.driver import EngineError
from store.query.sql import Statement
from tests.harness.apis import error_summary, first_error, get, metric_path
from tests.harness.clients import (
    MUTATIONS,
    WIRE_FORMATS,
    Point,
    graphql_row,
    name_numbers,
    new_rows,
    rest_row,
    send,
    stored_values,
    values_in_answers,
)
from tests.harness.run_profile import short_or_long
from tests.harness.service import NOON, Service
from tests.harness.stores import assert_counters_balance, wait_until

SETTINGS = settings(deadline=None, max_examples=short_or_long(6, 25), print_blob=True)
HOSTILE: Final = [
    *(
        "'",
        '"',
        "\\",
        "\\\\",
        "\\'",
        "'; DROP TABLE metrics; --",
        "a', 'b",
        "{p0:String}",
        "%",
        "*",
    ),
    *("\n", "\\n", "\r\n", "\t", "\\t", "\0", "\\0", "\b", "\f", "\x7f", "\\N", "null", "0", "-1"),
    *(
        "a",
        "A",
        "a ",
        " a",
        "á",
        "a\u0301",
        "\u200b",
        "\ufeff",
        "👩‍👩‍👧‍👦",
        "🏳️‍🌈",
        "\U0010ffff",
        "\uffff",
    ),
    *("x" * 200, "é" * 200, "👍" * 200, "\\" * 200, "'" * 200, "\n" * 200, "\0" * 200),
]
deleted_rows = Counter[str]()
"""Rows of each table that the tests of this file deleted."""


async def assert_balanced(service: Service) -> None:
    """Check that the service's row counters add up."""
    await assert_counters_balance(service.context.store, deleted=deleted_rows.total())


@pytest.mark.parametrize(
    ("table", "first", "second"),
    [
        (table, first, second)
        for table, wire_formats in WIRE_FORMATS.items()
        for first, second in itertools.product(wire_formats, wire_formats)
    ],
)
async def test_rows_that_come_again(service: Service, table: str, first: str, second: str) -> None:
    """Rows sent again, in any format, are duplicates; new rows in the same batch are not."""
    name, rows = new_rows(1, 2, 4, 8)
    assert await send(service, table, first, name, rows[:3]) == (3, 0, 0)
    assert await send(service, table, second, name, rows) == (1, 3, 0)
    assert await send(service, table, first, name, rows[::-1]) == (0, 4, 0)
    assert await values_in_answers(service, table, name) == [1, 2, 4, 8]
    await assert_balanced(service)


@pytest.mark.parametrize(
    ("table", "wire_format"),
    [(table, name) for table, wire_formats in WIRE_FORMATS.items() for name in wire_formats],
)
async def test_id_that_is_twice_in_one_batch(
    service: Service, table: str, wire_format: str
) -> None:
    """The first row with an id counts; later rows with it are duplicates, whatever their value."""
    name, (a, b) = new_rows(1, 2)
    a_again = Point(a.id, 1000)
    without_id = Point(None, 4)
    assert await send(
        service, table, wire_format, name, [a, without_id, b, a_again, b, without_id, a]
    ) == (4, 3, 0)
    assert await values_in_answers(service, table, name) == [1, 2, 4, 4]
    await assert_balanced(service)


@pytest.mark.parametrize("times", [{}, {"timestamp": 10**11}, {"timestamp": NOON}])
@pytest.mark.parametrize("table", WIRE_FORMATS)
async def test_single_duplicate_is_answered_as_the_first(
    service: Service, table: str, times: dict[str, int]
) -> None:
    """The answer to a duplicate has the first row's id and time, and `duplicate`."""
    name, (row, new_row) = new_rows(1, 2)
    content = rest_row(table, name, row) | times
    first = (await service.post(f"/{table}", content)).json()
    assert "duplicate" not in first
    duplicate = await service.post(f"/{table}", content)
    assert (duplicate.status_code, duplicate.json()) == (200, first | {"duplicate": True})
    later = {**content, "timestamp": NOON + 1}
    assert (await service.post(f"/{table}", later)).json() == first | {"duplicate": True}
    new = (await service.post(f"/{table}", rest_row(table, name, new_row) | times)).json()
    assert new[f"{table[:-1]}_id"] != first[f"{table[:-1]}_id"]
    assert "duplicate" not in new
    await assert_balanced(service)


async def test_duplicate_has_the_id_under_which_the_first_is_listed(service: Service) -> None:
    """The answer to a duplicate has the first row's id, wherever in a batch that row was."""
    name, (a, b, c) = new_rows(1, 2, 3)
    without_id = Point(None, 9)
    await send(service, "events", "array", name, [a])
    assert await send(
        service, "events", "array", name, [a, without_id, b, b, a, without_id, c]
    ) == (4, 3, 0)
    events = (await get(service, "/events", event_name=name))["events"]
    ids = {event["properties"]["v"]: event["id"] for event in events}
    for row in (c, a, b):
        answer = (await service.post("/events", rest_row("events", name, row))).json()
        assert (answer["duplicate"], answer["event_id"]) == (True, ids[row.value])
    await assert_balanced(service)


@pytest.mark.parametrize("time", [10**11, NOON])
@pytest.mark.parametrize("state", ["new", "stored", "deleted"])
@pytest.mark.parametrize("table", WIRE_FORMATS)
async def test_concurrent_duplicates_of_one_row(
    service: Service, table: str, state: str, time: int
) -> None:
    """Of many requests at once at most one is accepted; all answer with one id and time."""
    name, (row,) = new_rows(1)
    content = {**rest_row(table, name, row), "timestamp": time}
    if state != "new":
        assert (await service.post(f"/{table}", content)).status_code == 200
    if state == "deleted":
        await delete(service, table, name)
    answers = await asyncio.gather(*(service.post(f"/{table}", content) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    firsts = [answer.json() for answer in answers if "duplicate" not in answer.json()]
    assert len(firsts) == (state != "stored")
    assert len({answer.json()[f"{table[:-1]}_id"] for answer in answers}) == 1
    assert {answer.json()["timestamp"] for answer in answers} == {rfc3339(Instant(time))}
    assert await stored_values(service, table, name) == [1]
    await assert_balanced(service)


async def delete(service: Service, table: str, name: str) -> None:
    """Delete the rows of a metric, or all events, and count them."""
    if table == "metrics":
        answer = await service.http.delete(metric_path(name))
    else:
        answer = await service.http.delete("/events")
    assert answer.status_code == 200, answer.text
    deleted_rows[table] += answer.json()["deleted"]


@given(data=st.data())
@SETTINGS
async def test_any_cut_into_batches_stores_each_id_once(service: Service, data: Any) -> None:
    """Rows in overlapping concurrent batches, of any order and format, are stored once.

    Each id counts once, each row without an id counts every time, and the answers add up.
    """
    table = data.draw(st.sampled_from(sorted(WIRE_FORMATS)))
    name, rows = new_rows(*range(data.draw(st.integers(1, 20))))
    batches = st.lists(st.sampled_from([*rows, Point(None, 500)]), min_size=1, max_size=12)
    requests = data.draw(
        st.lists(st.tuples(st.sampled_from(WIRE_FORMATS[table]), batches), min_size=1, max_size=10)
    )
    turns = data.draw(st.integers(1, 2))
    answers = [
        answer
        for _ in range(turns)
        for answer in await asyncio.gather(
            *(send(service, table, wire_format, name, batch) for wire_format, batch in requests)
        )
    ]
    all_rows = [row for _, batch in requests for row in batch]
    rows_without_id = turns * sum(row.id is None for row in all_rows)
    ids = {row.id: row.value for row in all_rows if row.id is not None}
    accepted, duplicates, rejected = (sum(counts) for counts in zip(*answers, strict=True))
    assert (accepted, rejected) == (len(ids) + rows_without_id, 0)
    assert accepted + duplicates == turns * len(all_rows)
    assert await values_in_answers(service, table, name) == sorted(
        [*ids.values(), *[500] * rows_without_id]
    )
    await assert_balanced(service)


async def test_ids_of_metrics_and_of_events_are_their_own(service: Service) -> None:
    """A metric and an event may have the same id."""
    name, rows = new_rows(1, 2)
    for table in WIRE_FORMATS:
        assert await send(service, table, "array", name, rows) == (2, 0, 0)
        assert await send(service, table, "array", name, rows) == (0, 2, 0)
        assert await values_in_answers(service, table, name) == [1, 2]
    await assert_balanced(service)


async def test_id_of_a_series_covers_its_points(service: Service) -> None:
    """A series line that comes again adds no points, even if it has more points now."""
    name, (a, b) = new_rows(1, 2)

    def line(row: Point, points: int) -> dict[str, object]:
        times = list(range(NOON, NOON + points))
        arrays = {"timestamps": times, "values": [row.value] * points}
        return {"metric_name": name, **arrays, **row.id_field()}

    async def send_lines(*lines: object) -> tuple[int, int, int]:
        content = (await service.post("/metrics/series", lines)).json()
        return content["accepted"], content["duplicates"], content["rejected"]

    assert await send_lines(line(a, 5)) == (5, 0, 0)
    assert await send_lines(line(a, 5), line(b, 3)) == (3, 5, 0)
    assert await send_lines(line(a, 7), line(b, 1), line(Point(None, 4), 2)) == (2, 8, 0)
    answers = await asyncio.gather(*(send_lines(line(a, 5), line(b, 3)) for _ in range(5)))
    assert set(answers) == {(0, 8, 0)}
    assert await send(service, "metrics", "single", name, [a, b]) == (0, 2, 0)
    assert await values_in_answers(service, "metrics", name) == [1] * 5 + [2] * 3 + [4] * 2
    await assert_balanced(service)


@pytest.mark.parametrize("table", WIRE_FORMATS)
async def test_id_of_a_rejected_row_is_free(service: Service, table: str) -> None:
    """A rejected row may be corrected and sent again; each answer counts its own outcome."""
    name, (a, b, c) = new_rows(1, 2, 3)
    good = [rest_row(table, name, row) for row in (a, b, c)]
    bad = [row | {f"{table[:-1]}_name": ""} for row in good]
    for body in (bad[0], [bad[0]], [bad[0], bad[0]]):
        path = f"/{table}/batch" if isinstance(body, list) else f"/{table}"
        assert error_summary(await service.post(path, body))[0] == 422
    bodies = ([good[1], bad[0], bad[2]], [bad[1], good[1], good[0], good[0], bad[0]], good, bad[1:])
    expected = [(1, 0, 2), (1, 2, 2), (1, 2, 0), None]
    for rows, counts in zip(bodies, expected, strict=True):
        answer = await service.post(f"/{table}/batch", rows)
        if counts is None:
            assert error_summary(answer)[0] == 422
            continue
        content = answer.json()
        assert (content["accepted"], content["duplicates"], content["rejected"]) == counts
        assert [error["index"] for error in content["errors"]] == [
            n for n, row in enumerate(rows) if row in bad
        ]
    assert await values_in_answers(service, table, name) == [1, 2, 3]
    await assert_balanced(service)


@pytest.mark.parametrize("table", WIRE_FORMATS)
async def test_id_of_a_deleted_row_is_free(service: Service, table: str) -> None:
    """After each deletion a row can be recorded again, once."""
    name, rows = new_rows(1, 2, 4)
    for _ in range(3):
        assert await send(service, table, "array", name, rows) == (3, 0, 0)
        assert await send(service, table, "single", name, rows) == (0, 3, 0)
        await delete(service, table, name)
        assert await values_in_answers(service, table, name) == []
    answers = await asyncio.gather(*(send(service, table, "lines", name, rows) for _ in range(5)))
    assert sorted(answers) == [(0, 3, 0)] * 4 + [(3, 0, 0)]
    assert await values_in_answers(service, table, name) == [1, 2, 4]
    await assert_balanced(service)


@pytest.mark.parametrize("table", WIRE_FORMATS)
async def test_hostile_ids(service: Service, table: str) -> None:
    """An id with odd characters equals itself only, and no similar id."""
    name = f"n{next(name_numbers)}"
    rows = [Point(text, number) for number, text in enumerate(HOSTILE)]
    half = len(rows) // 2
    for wire_format in WIRE_FORMATS[table]:
        expected = (len(rows) - half, half, 0) if wire_format == "single" else (0, len(rows), 0)
        if wire_format == "single":
            assert await send(service, table, "array", name, rows[:half]) == (half, 0, 0)
        assert await send(service, table, wire_format, name, rows) == expected
        assert await values_in_answers(service, table, name) == list(range(len(rows)))
    await delete(service, table, name)
    await assert_balanced(service)


@settings(SETTINGS, max_examples=short_or_long(5, 10))
@given(texts=st.lists(st.text(min_size=1, max_size=200), min_size=1, max_size=20, unique=True))
async def test_any_text_is_an_id(service: Service, texts: list[str]) -> None:
    """Any text of up to 200 characters is recognised again, and no other text as it."""
    name = f"n{next(name_numbers)}"
    rows = [Point(text, number) for number, text in enumerate(texts)]
    assert await send(service, "metrics", "graphql", name, rows[::2]) == (len(rows[::2]), 0, 0)
    assert await send(service, "metrics", "array", name, rows) == (
        len(rows[1::2]),
        len(rows[::2]),
        0,
    )
    assert await values_in_answers(service, "metrics", name) == list(range(len(rows)))
    await delete(service, "metrics", name)
    await assert_balanced(service)


@pytest.mark.parametrize("bad", ['"\\ud83d"', '"\\udc00"', '""', f'"{"x" * 201}"', "7", "[]"])
async def test_text_that_cant_be_an_id_is_refused(service: Service, bad: str) -> None:
    """Half a surrogate pair, an empty or too long text, and other types are no ids."""
    name = f"n{next(name_numbers)}"
    row = b'{"metric_name": "%s", "value": 1, "id": %s}' % (name.encode(), bad.encode())
    good = b'{"metric_name": "%s", "value": 1}' % name.encode()
    assert (await service.post("/metrics", row)).status_code in {400, 422}
    for body in (b"[" + row + b"," + good + b"]", row + b"\n" + good):
        content = (await service.post("/metrics/batch", body)).json()
        assert (content["accepted"], content["rejected"]) == (1, 1)
        assert content["errors"][0]["index"] == 0
    variables = b'{"rows": [{"name": "%s", "value": 1, "id": %s}]}' % (name.encode(), bad.encode())
    query = msgspec.json.encode(MUTATIONS["metrics"] + " {accepted}}")
    body = b'{"query": %s, "variables": %s}' % (query, variables)
    first_error(await service.post("/graphql", body))
    assert await values_in_answers(service, "metrics", name) == [1, 1]
    await assert_balanced(service)


@pytest.mark.parametrize("length", [12, 200])
async def test_largest_batch_comes_again(service: Service, length: int) -> None:
    """Of 50,000 rows sent again, the one new row is accepted."""
    name = f"n{next(name_numbers)}"
    texts = [f"{name}-{number}".ljust(length, ".") for number in range(50_000)]
    lines = [
        b'{"metric_name":"%s","value":1,"id":"%s"}' % (name.encode(), t.encode()) for t in texts
    ]
    permutation = [lines[(number * 7919) % len(lines)] for number in range(len(lines))]
    for body, counts in ((lines[1:], (49_999, 0)), (permutation, (1, 49_999))):
        content = (await service.post("/metrics/batch", b"\n".join(body))).json()
        assert (content["accepted"], content["duplicates"]) == counts
    assert (await get(service, metric_path(name)))["count"] == 50_000
    await assert_balanced(service)


@pytest.mark.parametrize("table", WIRE_FORMATS)
async def test_duplicates_wait_for_an_engine_that_cant_load(
    service: Service, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    """A row that may be stored already is a 503 with Retry-After; a new row is accepted."""
    monkeypatch.setattr("store.loader._BACKOFF", (0.01,))
    store = service.context.store
    write = store.engine.write

    async def fail(statement: Statement) -> int:
        if statement.text.lstrip().startswith("INSERT"):
            raise EngineError("Code: 243. DB::Exception: no space (NOT_ENOUGH_SPACE)")
        return await write(statement)

    name, (a, b, c) = new_rows(1, 2, 4)
    with monkeypatch.context() as patch:
        patch.setattr(store.engine, "write", fail)
        assert await send(service, table, "array", name, [a]) == (1, 0, 0)
        await wait_until(lambda: store._loaders[table].is_stuck)
        resent_rows = [rest_row(table, name, row) for row in (a, c)]
        bodies = {f"/{table}": resent_rows[0], f"/{table}/batch": resent_rows}
        for path, body in bodies.items():
            answer = await service.post(path, body)
            assert error_summary(answer)[:2] == (503, "UNAVAILABLE")
            assert int(answer.headers["retry-after"]) >= 1
        query = MUTATIONS[table] + " {accepted}}"
        variables = {"rows": [graphql_row(table, name, a)]}
        answer = await service.post("/graphql", {"query": query, "variables": variables})
        assert "UNAVAILABLE" in answer.text
        assert int(answer.headers["retry-after"]) >= 1
        assert await send(service, table, "single", name, [b]) == (1, 0, 0)
    await wait_until(lambda: not store.problems())
    assert await send(service, table, "array", name, [a, b, c]) == (1, 2, 0)
    assert await values_in_answers(service, table, name) == [1, 2, 4]
    await assert_balanced(service)
