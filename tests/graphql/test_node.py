"""`node`: whatever has an id is found by it again, and nothing else is."""

import base64
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resolvers.global_ids import global_id, name_from_id
from store.journal.row_ids import Position, position_of, row_id
from store.query.sql import Statement
from store.store import Store
from tests.harness.apis import ask, delete_all, get, record
from tests.harness.service import Service

NODE = """
query($id: ID!) {
  node(id: $id) {
    __typename id
    ... on Event {name userId properties}
    ...OfMetric
    ... on EventType {name count}
  }
}
fragment OfMetric on Metric {name kind seriesCount tags {name}}"""
NAMES = ["a", "a/b", "it's", "é", "💥", 'q"', "\\", "metric:YQ", "x" * 200]


async def node(service: Service, of: str) -> Any:
    """Ask for what has an id."""
    return (await ask(service, NODE, id=of))["node"]


async def test_round_trip(service: Service) -> None:
    """Every id that an answer has leads back to the same thing, whatever its name."""
    await delete_all(service)
    await record(service, "/metrics", *({"metric_name": n, "value": 1} for n in NAMES))
    await record(
        service, "/events", *({"event_name": n, "user_id": n, "properties": {n: n}} for n in NAMES)
    )
    data = await ask(
        service, "{metrics {nodes {id name}} events {nodes {id name}} eventTypes {id name}}"
    )
    listed = {
        "Metric": data["metrics"]["nodes"],
        "Event": data["events"]["nodes"],
        "EventType": data["eventTypes"],
    }
    ids = set()
    for kind, nodes in listed.items():
        assert sorted(entry["name"] for entry in nodes) == sorted(NAMES)
        for entry in nodes:
            ids.add(entry["id"])
            found = await node(service, entry["id"])
            assert (found["__typename"], found["id"], found["name"]) == (kind, *entry.values())
    assert len(ids) == 3 * len(NAMES)
    for event in (await get(service, "/events"))["events"]:
        found = await node(service, event["id"])
        assert (found["userId"], found["properties"]) == (event["user_id"], event["properties"])


async def test_recorded_event(service: Service) -> None:
    """The id in the answer to `POST /events` is the id of the node, at once."""
    answer = await service.post("/events", {"event_name": "e", "properties": {"n": 1}})
    found = await node(service, answer.json()["event_id"])
    assert (found["__typename"], found["properties"]) == ("Event", {"n": 1})


async def test_ids_that_nothing_has(service: Service) -> None:
    """Unknown, malformed, of a point, of another project or deleted: null, and no error."""
    await delete_all(service)
    point = (await service.post("/metrics", {"metric_name": "m", "value": 1})).json()["metric_id"]
    event = (await service.post("/events", {"event_name": "e"})).json()["event_id"]
    position = position_of(event.removeprefix("event_"))
    assert position
    near = [
        f"event_{row_id(Position(position.batch, position.row + 1))}",
        f"event_{row_id(Position(position.batch + 1, position.row))}",
        f"event_{row_id(Position(position.batch, 2**32))}",
        f"event_{row_id(Position(position.batch, 2**62 - 1))}",
    ]
    bad = [
        *("", "x", "event_", "event", "metric:", "eventType:", ":", "event_é", "metric:é", "\0"),
        *(
            f"event_{uuid.UUID(int=0)}",
            f"event_{uuid.UUID(int=2**128 - 1)}",
            "metric:YQ==",
            "metric:YR",
        ),
        *(event.upper(), f" {event}", f"{event} ", event.replace("-", ""), event[6:], point),
        *("metric:" + base64.urlsafe_b64encode(b"\xff").decode(), global_id("event", "e")),
        *(global_id("metric", "e"), global_id("eventType", "m"), "x" * 100_000),
    ]
    for of in [*near, *bad]:
        assert await node(service, of) is None, of
    assert (await node(service, event))["id"] == event
    await delete_all(service)
    assert await node(service, event) is None
    assert await node(service, global_id("metric", "m")) is None


async def test_nodes_are_of_a_project(service: Service) -> None:
    """A row of another project has no node, even for one who knows its id."""
    await delete_all(service)
    store: Store = service.context.store
    event = (await service.post("/events", {"event_name": "e"})).json()["event_id"]
    await service.post("/metrics", {"metric_name": "m", "value": 1})
    await get(service, "/events")
    for table in ("events", "metrics"):
        text = f"INSERT INTO {table} SELECT * REPLACE('other' AS project) FROM {table}"  # noqa: S608
        await store.engine.write(Statement(text))
    await delete_all(service)
    for of in (event, global_id("eventType", "e"), global_id("metric", "m")):
        assert await node(service, of) is None
    data = await ask(service, "{metrics {totalCount} events {totalCount} eventTypes {id}}")
    assert data == {"metrics": {"totalCount": 0}, "events": {"totalCount": 0}, "eventTypes": []}
    for table in ("events", "metrics"):
        await store.engine.write(Statement(f"DELETE FROM {table} WHERE project = 'other'"))  # noqa: S608


@given(st.integers(0, 2**60 - 1), st.integers(0, 2**32 - 1))
def test_row_ids_are_read_back(batch: int, row: int) -> None:
    """An id stands for one place."""
    assert position_of(row_id(Position(batch, row))) == (batch, row)


@given(st.text())
def test_only_ids_are_read(text: str) -> None:
    """Nothing but an id is read as one: what is read is written the same."""
    position = position_of(text)
    assert position is None or row_id(position) == text
    name = name_from_id("metric", text)
    assert name is None or global_id("metric", name) == text


@pytest.mark.parametrize("name", NAMES)
def test_names_in_ids(name: str) -> None:
    """A name is in its id, and of one kind only."""
    of = global_id("metric", name)
    assert name_from_id("metric", of) == name
    assert name_from_id("eventType", of) is None
