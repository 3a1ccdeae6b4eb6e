"""Rows with an id of their own count once, however often and through whatever door they come."""

import asyncio
import itertools
from collections import Counter
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schema.scalars import Instant, rfc3339
from store.engine import EngineError
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

BOUNDED = settings(deadline=None, max_examples=short_or_long(8, 25), print_blob=True)
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
deleted = Counter[str]()
"""How many rows the tests of this file deleted, of each table."""


async def accounted(service: Service) -> None:
    """Check the books of the service."""
    await assert_counters_balance(service.context.store, deleted=deleted.total())


@pytest.mark.parametrize(
    ("table", "first", "second"),
    [
        (table, first, second)
        for table, doors in WIRE_FORMATS.items()
        for first, second in itertools.product(doors, doors)
    ],
)
async def test_rows_that_come_again(service: Service, table: str, first: str, second: str) -> None:
    """Rows sent again, by the same door or another, are duplicates; new ones beside them not."""
    name, rows = new_rows(1, 2, 4, 8)
    assert await send(service, table, first, name, rows[:3]) == (3, 0, 0)
    assert await send(service, table, second, name, rows) == (1, 3, 0)
    assert await send(service, table, first, name, rows[::-1]) == (0, 4, 0)
    assert await values_in_answers(service, table, name) == [1, 2, 4, 8]
    await accounted(service)


@pytest.mark.parametrize(
    ("table", "door"), [(table, door) for table, doors in WIRE_FORMATS.items() for door in doors]
)
async def test_id_that_is_twice_in_one_batch(service: Service, table: str, door: str) -> None:
    """The first row with an id counts; the others beside it are duplicates, whatever they say."""
    name, (a, b) = new_rows(1, 2)
    other = Point(a.id, 1000)
    none = Point(None, 4)
    assert await send(service, table, door, name, [a, none, b, other, b, none, a]) == (4, 3, 0)
    assert await values_in_answers(service, table, name) == [1, 2, 4, 4]
    await accounted(service)


@pytest.mark.parametrize("times", [{}, {"timestamp": 10**11}, {"timestamp": NOON}])
@pytest.mark.parametrize("table", WIRE_FORMATS)
async def test_single_duplicate_is_answered_as_the_first(
    service: Service, table: str, times: dict[str, int]
) -> None:
    """The answer to a duplicate has the id and the time of the first row, and says what it is."""
    name, (row, other) = new_rows(1, 2)
    content = rest_row(table, name, row) | times
    first = (await service.post(f"/{table}", content)).json()
    assert "duplicate" not in first
    again = await service.post(f"/{table}", content)
    assert (again.status_code, again.json()) == (200, first | {"duplicate": True})
    later = {**content, "timestamp": NOON + 1}
    assert (await service.post(f"/{table}", later)).json() == first | {"duplicate": True}
    new = (await service.post(f"/{table}", rest_row(table, name, other) | times)).json()
    assert new[f"{table[:-1]}_id"] != first[f"{table[:-1]}_id"]
    assert "duplicate" not in new
    await accounted(service)


async def test_duplicate_has_the_id_under_which_the_first_is_listed(service: Service) -> None:
    """Wherever in a batch the first row came, a duplicate is answered with that row's own id."""
    name, (a, b, c) = new_rows(1, 2, 3)
    none = Point(None, 9)
    await send(service, "events", "array", name, [a])
    assert await send(service, "events", "array", name, [a, none, b, b, a, none, c]) == (4, 3, 0)
    listed = (await get(service, "/events", event_name=name))["events"]
    ids = {event["properties"]["v"]: event["id"] for event in listed}
    for row in (c, a, b):
        answer = (await service.post("/events", rest_row("events", name, row))).json()
        assert (answer["duplicate"], answer["event_id"]) == (True, ids[row.value])
    await accounted(service)


@pytest.mark.parametrize("time", [10**11, NOON])
@pytest.mark.parametrize("known", ["new", "stored", "deleted"])
@pytest.mark.parametrize("table", WIRE_FORMATS)
async def test_concurrent_duplicates_of_one_row(
    service: Service, table: str, known: str, time: int
) -> None:
    """Of many requests at once one at most is accepted, and all answer with that row's id, time."""
    name, (row,) = new_rows(1)
    content = {**rest_row(table, name, row), "timestamp": time}
    if known != "new":
        assert (await service.post(f"/{table}", content)).status_code == 200
    if known == "deleted":
        await delete(service, table, name)
    answers = await asyncio.gather(*(service.post(f"/{table}", content) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    firsts = [answer.json() for answer in answers if "duplicate" not in answer.json()]
    assert len(firsts) == (known != "stored")
    assert len({answer.json()[f"{table[:-1]}_id"] for answer in answers}) == 1
    assert {answer.json()["timestamp"] for answer in answers} == {rfc3339(Instant(time))}
    assert await stored_values(service, table, name) == [1]
    await accounted(service)


async def delete(service: Service, table: str, name: str) -> None:
    """Delete the rows of a metric, or all events, and keep count."""
    if table == "metrics":
        answer = await service.http.delete(metric_path(name))
    else:
        answer = await service.http.delete("/events")
    assert answer.status_code == 200, answer.text
    deleted[table] += answer.json()["deleted"]


@given(data=st.data())
@BOUNDED
async def test_any_cut_into_batches_stores_each_id_once(service: Service, data: Any) -> None:
    """However rows are cut into overlapping batches, in whatever order, by whatever doors, at once.

    Each id counts once, each row without one every time, and the answers add up.
    """
    table = data.draw(st.sampled_from(sorted(WIRE_FORMATS)))
    name, rows = new_rows(*range(data.draw(st.integers(1, 20))))
    some = st.lists(st.sampled_from([*rows, Point(None, 500)]), min_size=1, max_size=12)
    sent = data.draw(
        st.lists(st.tuples(st.sampled_from(WIRE_FORMATS[table]), some), min_size=1, max_size=10)
    )
    turns = data.draw(st.integers(1, 2))
    answers = [
        answer
        for _ in range(turns)
        for answer in await asyncio.gather(
            *(send(service, table, door, name, batch) for door, batch in sent)
        )
    ]
    every = [row for _, batch in sent for row in batch]
    without = turns * sum(row.id is None for row in every)
    ids = {row.id: row.value for row in every if row.id is not None}
    accepted, duplicates, rejected = (sum(each) for each in zip(*answers, strict=True))
    assert (accepted, rejected) == (len(ids) + without, 0)
    assert accepted + duplicates == turns * len(every)
    assert await values_in_answers(service, table, name) == sorted(
        [*ids.values(), *[500] * without]
    )
    await accounted(service)


async def test_ids_of_metrics_and_of_events_are_their_own(service: Service) -> None:
    """A metric and an event may have the same id."""
    name, rows = new_rows(1, 2)
    for table in WIRE_FORMATS:
        assert await send(service, table, "array", name, rows) == (2, 0, 0)
        assert await send(service, table, "array", name, rows) == (0, 2, 0)
        assert await values_in_answers(service, table, name) == [1, 2]
    await accounted(service)


async def test_id_of_a_series_covers_its_points(service: Service) -> None:
    """A line of a series that comes again counts no point again, however many it has now."""
    name, (a, b) = new_rows(1, 2)

    def line(row: Point, points: int) -> dict[str, object]:
        times = list(range(NOON, NOON + points))
        arrays = {"timestamps": times, "values": [row.value] * points}
        return {"metric_name": name, **arrays, **row.id_field()}

    async def sent(*lines: object) -> tuple[int, int, int]:
        content = (await service.post("/metrics/series", lines)).json()
        return content["accepted"], content["duplicates"], content["rejected"]

    assert await sent(line(a, 5)) == (5, 0, 0)
    assert await sent(line(a, 5), line(b, 3)) == (3, 5, 0)
    assert await sent(line(a, 7), line(b, 1), line(Point(None, 4), 2)) == (2, 8, 0)
    answers = await asyncio.gather(*(sent(line(a, 5), line(b, 3)) for _ in range(5)))
    assert set(answers) == {(0, 8, 0)}
    assert await send(service, "metrics", "single", name, [a, b]) == (0, 2, 0)
    assert await values_in_answers(service, "metrics", name) == [1] * 5 + [2] * 3 + [4] * 2
    await accounted(service)


@pytest.mark.parametrize("table", WIRE_FORMATS)
async def test_id_of_a_rejected_row_is_free(service: Service, table: str) -> None:
    """A row that was refused may be corrected and sent again; the answers count each as it is."""
    name, (a, b, c) = new_rows(1, 2, 3)
    good = [rest_row(table, name, row) for row in (a, b, c)]
    bad = [row | {f"{table[:-1]}_name": ""} for row in good]
    for body in (bad[0], [bad[0]], [bad[0], bad[0]]):
        path = f"/{table}/batch" if isinstance(body, list) else f"/{table}"
        assert error_summary(await service.post(path, body))[0] == 422
    bodies = ([good[1], bad[0], bad[2]], [bad[1], good[1], good[0], good[0], bad[0]], good, bad[1:])
    expected = [(1, 0, 2), (1, 2, 2), (1, 2, 0), None]
    for some, told in zip(bodies, expected, strict=True):
        answer = await service.post(f"/{table}/batch", some)
        if told is None:
            assert error_summary(answer)[0] == 422
            continue
        content = answer.json()
        assert (content["accepted"], content["duplicates"], content["rejected"]) == told
        assert [error["index"] for error in content["errors"]] == [
            n for n, row in enumerate(some) if row in bad
        ]
    assert await values_in_answers(service, table, name) == [1, 2, 3]
    await accounted(service)


@pytest.mark.parametrize("table", WIRE_FORMATS)
async def test_id_of_a_deleted_row_is_free(service: Service, table: str) -> None:
    """What was deleted can be recorded again, once, as often as it is deleted."""
    name, rows = new_rows(1, 2, 4)
    for _ in range(3):
        assert await send(service, table, "array", name, rows) == (3, 0, 0)
        assert await send(service, table, "single", name, rows) == (0, 3, 0)
        await delete(service, table, name)
        assert await values_in_answers(service, table, name) == []
    answers = await asyncio.gather(*(send(service, table, "lines", name, rows) for _ in range(5)))
    assert sorted(answers) == [(0, 3, 0)] * 4 + [(3, 0, 0)]
    assert await values_in_answers(service, table, name) == [1, 2, 4]
    await accounted(service)


@pytest.mark.parametrize("table", WIRE_FORMATS)
async def test_hostile_ids(service: Service, table: str) -> None:
    """Whatever is in an id, it is that id and no other, however similar."""
    name = f"n{next(name_numbers)}"
    rows = [Point(text, number) for number, text in enumerate(HOSTILE)]
    half = len(rows) // 2
    for door in WIRE_FORMATS[table]:
        expected = (len(rows) - half, half, 0) if door == "single" else (0, len(rows), 0)
        if door == "single":
            assert await send(service, table, "array", name, rows[:half]) == (half, 0, 0)
        assert await send(service, table, door, name, rows) == expected
        assert await values_in_answers(service, table, name) == list(range(len(rows)))
    await delete(service, table, name)
    await accounted(service)


@settings(BOUNDED, max_examples=short_or_long(5, 10))
@given(texts=st.lists(st.text(min_size=1, max_size=200), min_size=1, max_size=20, unique=True))
async def test_any_text_is_an_id(service: Service, texts: list[str]) -> None:
    """Any text of up to 200 characters is known again, and no other is taken for it."""
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
    await accounted(service)


@pytest.mark.parametrize("bad", ['"\\ud83d"', '"\\udc00"', '""', f'"{"x" * 201}"', "7", "[]"])
async def test_text_that_cant_be_an_id_is_refused(service: Service, bad: str) -> None:
    """Half of a surrogate pair, an empty text, a text that is too long, and what is no text."""
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
    await accounted(service)


@pytest.mark.parametrize("length", [12, 200])
async def test_largest_batch_comes_again(service: Service, length: int) -> None:
    """50,000 rows sent again, of which one is new, are known one by one."""
    name = f"n{next(name_numbers)}"
    texts = [f"{name}-{number}".ljust(length, ".") for number in range(50_000)]
    lines = [
        b'{"metric_name":"%s","value":1,"id":"%s"}' % (name.encode(), t.encode()) for t in texts
    ]
    shuffled = [lines[(number * 7919) % len(lines)] for number in range(len(lines))]
    for body, told in ((lines[1:], (49_999, 0)), (shuffled, (1, 49_999))):
        content = (await service.post("/metrics/batch", b"\n".join(body))).json()
        assert (content["accepted"], content["duplicates"]) == told
    assert (await get(service, metric_path(name)))["count"] == 50_000
    await accounted(service)


@pytest.mark.parametrize("table", WIRE_FORMATS)
async def test_duplicates_wait_for_an_engine_that_cant_load(
    service: Service, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    """What may be there already is a 503 that says when to come again; the new is accepted."""
    monkeypatch.setattr("store.loader._BACKOFF", (0.01,))
    store = service.context.store
    write = store.engine.write

    async def fail(statement: Statement) -> int:
        if statement.text.lstrip().startswith("INSERT"):
            raise EngineError("Code: 243. DB::Exception: no space (NOT_ENOUGH_SPACE)")
        return await write(statement)

    name, (a, b, c) = new_rows(1, 2, 4)
    with monkeypatch.context() as patched:
        patched.setattr(store.engine, "write", fail)
        assert await send(service, table, "array", name, [a]) == (1, 0, 0)
        await wait_until(lambda: store._loaders[table].is_stuck)
        known = [rest_row(table, name, row) for row in (a, c)]
        bodies = {f"/{table}": known[0], f"/{table}/batch": known}
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
    await accounted(service)
