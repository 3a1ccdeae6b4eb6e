"""The limit of names: a row with a new name beyond it is refused alone, on every way in."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import numpy as np
import pytest
import pytest_asyncio

from schema.access import PROJECT, KeyKind
from settings import Settings
from store.access.registry import KeyRequest
from store.driver import EngineError
from store.ingest.client_ids import ClientIds
from store.ingest.id_hashes import hash_ids
from store.ingest.line_templates import TemplateCache
from store.ingest.names import ProjectNames
from store.ingest.outcomes import RecordOutcome
from store.ingest.rows import METRIC
from store.store import Store
from tests.harness.access import as_caller
from tests.harness.apis import (
    ask,
    delete_all,
    error_summary,
    first_error,
    get,
    metric_path,
    stored_totals,
)
from tests.harness.fault_injection import BlockingSync, FailingSync
from tests.harness.service import NOON, Service, run_service
from tests.harness.stores import wait_until

LIMIT: Final = 3
RECORD: Final = """
mutation($rows: [MetricInput!]!) {
  recordMetrics(input: {metrics: $rows}) {accepted duplicates rejected errors {index id field code}}
}"""
RECORD_EVENTS: Final = """
mutation($rows: [EventInput!]!) {
  recordEvents(input: {events: $rows}) {accepted duplicates rejected errors {index id field code}}
}"""


@pytest_asyncio.fixture(scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """Start a service whose projects may have three names of metrics and three of events."""
    data = tmp_path_factory.mktemp("data")
    settings = Settings(data=data, store=data / "store", limits={"namesPerProject": LIMIT})
    async with run_service(settings) as new_service:
        yield new_service


def metric(name: str, **fields: object) -> dict[str, object]:
    """Return a metric point."""
    return {"metric_name": name, "value": 1, **fields}


def names_of(store: Store, table: str = "metrics", project: str = PROJECT) -> ProjectNames:
    """Return the names of a project in memory; fail if a request still holds some."""
    names = store.names.of_project(table, project)
    assert not names._requests
    assert not names._fresh
    assert not names._doubtful
    return names


async def fill(service: Service, *names: str) -> None:
    """Empty the tables, and record a point and an event of each name."""
    await delete_all(service)
    for name in names:
        assert (await service.post("/metrics", metric(name))).status_code == 200
        assert (await service.post("/events", {"event_name": name})).status_code == 200


@pytest.mark.parametrize(
    ("path", "field"), [("/metrics", "metric_name"), ("/events", "event_name")]
)
async def test_single_rows(service: Service, path: str, field: str) -> None:
    """A single row with a new name beyond the limit is a 422 with field and limit."""
    await fill(service, "a", "b", "c")
    refusal = (422, "BAD_USER_INPUT", field, LIMIT)
    body = {"value": 1} if field == "metric_name" else {}
    extras: tuple[dict[str, object], ...] = ({}, {"id": "x"})
    for extra in extras:
        answer = await service.post(path, {field: "d", **body, **extra})
        assert error_summary(answer) == refusal
        assert first_error(answer)["message"] == (
            f"{field}: is new, and the project has 3 names already, the maximum"
        )
    answer = await service.post(path, {field: "c", **body, "id": "x"})
    assert (answer.status_code, "duplicate" in answer.json()) == (200, False)
    names_of(service.context.store)


@pytest.mark.parametrize("count", [1, 3_000])
@pytest.mark.parametrize("kind", ["metrics", "events", "series"])
async def test_batches(service: Service, kind: str, count: int) -> None:
    """In a batch only the rows beyond the limit are refused; the first rows get the room."""
    await fill(service, "a")
    path = {"series": "/metrics/series"}.get(kind, f"/{kind}/batch")
    field = "event_name" if kind == "events" else "metric_name"
    body: dict[str, object] = {}
    if kind == "metrics":
        body = {"value": 1}
    elif kind == "series":
        body = {"timestamps": [NOON, NOON + 1], "values": [1, 2]}
    sent_names = ["a", "", "d", "c", "b", "d", "a", "e"] + ["a"] * count
    rows = [{field: name, **body, "id": f"{kind}{count}-{n}"} for n, name in enumerate(sent_names)]
    answer = (await service.post(path, rows)).json()
    points = 2 if kind == "series" else 1
    assert (answer["accepted"], answer["rejected"]) == ((5 + count) * points, 3)
    errors = [(e["index"], e["id"], e["field"], e["code"]) for e in answer["errors"]]
    assert errors == [(n, f"{kind}{count}-{n}", field, "BAD_USER_INPUT") for n in (1, 4, 7)]
    assert "has 3 names already" in answer["errors"][1]["message"]
    answer = (await service.post(path, rows)).json()
    assert (answer["duplicates"], answer["rejected"]) == ((5 + count) * points, 3)
    refused_answer = await service.post(path, [rows[4], rows[7]])
    assert refused_answer.status_code == 422
    assert [row["index"] for row in first_error(refused_answer)["extensions"]["rows"]] == [0, 1]
    await delete_all(service)
    answer = (await service.post(path, [rows[4]])).json()
    assert answer["accepted"] == points, "the id of a refused row was remembered"
    names_of(service.context.store)


@pytest.mark.parametrize("padding", ["", "x" * 3_000])
async def test_graphql(service: Service, padding: str) -> None:
    """Rows of mutations are refused as over REST, in small and in large requests."""
    await fill(service, "a", "b")
    tags = {"padding": padding[:900]}
    rows = [{"name": name, "value": 1, "tags": tags, "id": name} for name in "acbde"]
    row_errors = [
        {"index": index, "id": id_, "field": "name", "code": "BAD_USER_INPUT"}
        for index, id_ in ((3, "d"), (4, "e"))
    ]
    payload = (await ask(service, RECORD, rows=rows))["recordMetrics"]
    assert payload == {"accepted": 3, "duplicates": 0, "rejected": 2, "errors": row_errors}
    events = [{"name": row["name"], "properties": tags, "id": row["id"]} for row in rows]
    payload = (await ask(service, RECORD_EVENTS, rows=events))["recordEvents"]
    assert payload == {"accepted": 3, "duplicates": 0, "rejected": 2, "errors": row_errors}
    names_of(service.context.store)


async def test_counters(service: Service) -> None:
    """Refused rows count as rejected; each received row has one outcome."""
    await fill(service, "a", "b", "c")
    before = {name: vars_of(counts) for name, counts in service.context.store.row_counts.items()}
    await service.post("/metrics", metric("d"))
    await service.post("/metrics", metric("d", id="1"))
    await service.post("/metrics/batch", [metric("a"), metric("d"), metric("", id="2")])
    await service.post("/metrics/batch", [metric("d"), metric("e")])
    after = vars_of(service.context.store.row_counts["metrics"])
    growth = {key: value - before["metrics"][key] for key, value in after.items()}
    assert growth == {
        "received": 7,
        "stored": 1,
        "duplicates": 0,
        "rejected": 6,
        "unavailable": 0,
    }


def vars_of(counts: Any) -> dict[str, int]:
    """Return the counters by name."""
    return {key: getattr(counts, key) for key in counts.__slots__}


async def test_names_are_texts(service: Service) -> None:
    """Names differ by every character, and are equal however JSON writes them."""
    await fill(service, "é", "x" * 200, "Case")
    spellings = b'{"metric_name":"\\u00e9","value":1}\n{"metric_name":"\\u0043ase","value":1}\n'
    answer = (await service.post("/metrics/batch", spellings)).json()
    assert (answer["accepted"], answer["rejected"]) == (2, 0)
    for name in ("case", "e\u0301", "x" * 199, "É", "Case "):
        answer = await service.post("/metrics", metric(name))
        assert error_summary(answer)[2:] == ("metric_name", LIMIT), name
    answer = await service.post("/metrics", metric("Case\0"))
    assert "control characters" in first_error(answer)["message"]


def test_names_with_equal_public_hashes() -> None:
    """Names that a sender made to have one public hash are different names of a batch."""
    dice = np.random.default_rng(1)
    letters = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", "u1")
    heads = letters[dice.integers(len(letters), size=(3_000, 8))]
    states = hash_of_words(heads.copy().view("<u8").ravel())
    pair: list[str] = []
    for index in range(1, len(heads)):
        difference = (states[0] ^ states[index : index + 1]).view("u1")
        tails = [letters[np.isin(letters ^ byte, letters)] for byte in difference]
        if all(map(len, tails)):
            tail = np.array([choices[0] for choices in tails], "u1")
            pair = [
                (head.tobytes() + last.tobytes()).decode()
                for head, last in ((heads[0], tail), (heads[index], tail ^ difference))
            ]
            break
    assert len(set(pair)) == 2
    assert len(set(hash_ids(pair).tolist())) == 1
    names = [*pair, *(f"n{n}" for n in range(30))] * 20
    lines = "".join(
        f'{{"metric_name":"{name}","value":1,"timestamp":{NOON}}}\n' for name in names
    ).encode()
    templates = TemplateCache()
    templates.learn(METRIC, lines)
    batch = templates.read_batch(METRIC, lines, NOON)
    assert batch._rows is None, "the lines were decoded: they did not match a template"
    assert batch.names == frozenset(names)


def hash_of_words(words: Any) -> Any:
    """Return the state of the public hash after one word."""
    state = words * np.uint64(0x9E3779B97F4A7C15)
    return state ^ (state >> np.uint64(32))


async def test_deleted_names_can_be_used_again(service: Service) -> None:
    """Deleting a metric, all events or the last events of a name makes room for new names."""
    await fill(service, "a", "b", "c")
    assert (await service.post("/metrics", metric("d"))).status_code == 422
    assert (await service.http.delete(metric_path("b"))).status_code == 200
    assert (await service.post("/metrics", metric("d"))).status_code == 200
    assert (await service.post("/metrics", metric("b"))).status_code == 422
    assert (await service.post("/metrics", metric("c"))).status_code == 200
    await service.post("/events", {"event_name": "a", "user_id": "u"})
    deletion = 'mutation {deleteEvents(input: {where: {userId: {eq: "u"}}}) {matchedRows}}'
    await ask(service, deletion)
    assert (await service.post("/events", {"event_name": "d"})).status_code == 422
    deletion = 'mutation {deleteEvents(input: {where: {name: {in: ["a", "b"]}}}) {matchedRows}}'
    await ask(service, deletion)
    assert names_of(service.context.store, "events").stored == {"c"}
    await service.http.delete("/events")
    for name in "xyz":
        assert (await service.post("/events", {"event_name": name})).status_code == 200
    assert (await service.post("/events", {"event_name": "c"})).status_code == 422
    assert names_of(service.context.store).stored == {"a", "c", "d"}


async def test_rows_during_a_deletion_keep_their_name(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is recorded while its deletion ends stays known, with and without an id."""
    await fill(service, "a", "b", "c")
    store = service.context.store
    all_loaded, may_read, is_asked = store.names._all_loaded, asyncio.Event(), asyncio.Event()

    async def wait(table: str) -> None:
        is_asked.set()
        await may_read.wait()
        await all_loaded(table)

    monkeypatch.setattr(store.names, "_all_loaded", wait)
    for row in (metric("a"), metric("a", id="meanwhile")):
        may_read.clear()
        is_asked.clear()
        deletion = asyncio.create_task(service.http.delete(metric_path("a")))
        await is_asked.wait()
        assert (await service.post("/metrics", metric("d"))).status_code == 422
        assert (await service.post("/metrics", row)).status_code == 200
        may_read.set()
        assert (await deletion).status_code == 200
        assert names_of(store).stored == {"a", "b", "c"}


async def test_waiting_rows_keep_their_name(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that waits for its id while its metric is deleted keeps the name and its room."""
    await fill(service, "a", "b", "c")
    store = service.context.store
    may_record, is_waiting = asyncio.Event(), asyncio.Event()
    record = ClientIds.record

    async def wait(self: ClientIds, *arguments: Any) -> RecordOutcome:
        is_waiting.set()
        await may_record.wait()
        return await record(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(ClientIds, "record", wait)
        request = asyncio.create_task(service.post("/metrics/batch", [metric("a", id="waits")]))
        await is_waiting.wait()
        assert (await service.http.delete(metric_path("a"))).status_code == 200
        assert (await service.post("/metrics", metric("d"))).status_code == 422
        may_record.set()
        assert (await request).json()["accepted"] == 1
    assert names_of(store).stored == {"a", "b", "c"}


async def test_failed_deletion_check_keeps_names(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the names can't be read after a deletion, the deletion succeeds and they stay known."""
    await fill(service, "a", "b", "c")
    store = service.context.store

    def fail(_: object) -> None:
        raise EngineError("planted")

    with monkeypatch.context() as patch:
        patch.setattr(store.names, "_pieces", fail)
        assert (await service.http.delete(metric_path("a"))).status_code == 200
    assert names_of(store).stored == {"a", "b", "c"}


async def test_failed_writes_free_their_names(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that is not written does not use up room, and a client that left does."""
    await fill(service, "a")
    store = service.context.store
    with monkeypatch.context() as patch:
        patch.setattr("store.journal.open_segment._sync_data", FailingSync(1, 2))
        assert (await service.post("/metrics/batch", [metric("b"), metric("c")])).status_code == 503
        await wait_until(lambda: not store._journals["metrics"].failure)
    assert names_of(store).stored == {"a"}
    sync = BlockingSync()
    with monkeypatch.context() as patch:
        patch.setattr("store.journal.open_segment._sync_data", sync)
        request = asyncio.create_task(service.post("/metrics", metric("d")))
        await sync.await_call()
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)
        sync.permits.release()
        await wait_until(lambda: not store.names.of_project("metrics", PROJECT)._requests)
    assert names_of(store).stored == {"a", "d"}
    assert (await service.http.get(metric_path("d"))).status_code == 200


async def test_duplicates_with_new_names_take_no_room(service: Service) -> None:
    """A row that repeats an id under a new name is a duplicate, and its name stays free."""
    await fill(service, "a")
    await service.post("/metrics", metric("a", id="same"))
    answer = (await service.post("/metrics/batch", [metric("b", id="same"), metric("c")])).json()
    assert (answer["accepted"], answer["duplicates"]) == (1, 1)
    answer = (await service.post("/metrics", metric("d", id="same"))).json()
    assert answer["duplicate"]
    assert names_of(service.context.store).stored == {"a", "c"}


async def test_concurrent_batches_do_not_overshoot(service: Service) -> None:
    """Batches that bring new names at the same time share the room; a shared name counts once."""
    await fill(service)
    bodies = [[metric(f"n{n % 5}"), metric("shared")] for n in range(20)]
    answers = await asyncio.gather(*(service.post("/metrics/batch", body) for body in bodies))
    assert {answer.status_code for answer in answers} == {200}
    assert (await stored_totals(service))["names"] == LIMIT
    names_of(service.context.store)


async def test_each_project_has_its_own_names(service: Service) -> None:
    """A full project refuses nothing of another, and its errors say nothing of it."""
    await fill(service, "a", "b", "c")
    keys = service.context.store.keys
    await keys.create_project("shop")
    key, secret = await keys.create(KeyRequest("shop", KeyKind.SECRET, project="shop"))
    shop = as_caller(service, secret)
    for name in "xyz":
        assert (await shop.post("/metrics", metric(name))).status_code == 200
    assert (await shop.post("/metrics", metric("a"))).status_code == 422
    assert (await service.post("/metrics", metric("x"))).status_code == 422
    assert (await get(shop, "/metrics")) == {"metrics": ["x", "y", "z"], "count": 3}
    await keys.revoke(key.id)
