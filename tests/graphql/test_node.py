"""`node`: each global id finds its object, and no other text finds one."""

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


async def node(service: Service, node_id: str) -> Any:
    """Query the node with an id."""
    return (await ask(service, NODE, id=node_id))["node"]


async def test_round_trip(service: Service) -> None:
    """Every id of an answer finds the same object again, with any name."""
    await delete_all(service)
    await record(service, "/metrics", *({"metric_name": n, "value": 1} for n in NAMES))
    await record(
        service, "/events", *({"event_name": n, "user_id": n, "properties": {n: n}} for n in NAMES)
    )
    data = await ask(
        service, "{metrics {nodes {id name}} events {nodes {id name}} eventTypes {id name}}"
    )
    nodes_by_type = {
        "Metric": data["metrics"]["nodes"],
        "Event": data["events"]["nodes"],
        "EventType": data["eventTypes"],
    }
    ids = set()
    for kind, nodes in nodes_by_type.items():
        assert sorted(entry["name"] for entry in nodes) == sorted(NAMES)
        for entry in nodes:
            ids.add(entry["id"])
            actual = await node(service, entry["id"])
            assert (actual["__typename"], actual["id"], actual["name"]) == (kind, *entry.values())
    assert len(ids) == 3 * len(NAMES)
    for event in (await get(service, "/events"))["events"]:
        actual = await node(service, event["id"])
        assert (actual["userId"], actual["properties"]) == (event["user_id"], event["properties"])


async def test_recorded_event(service: Service) -> None:
    """The id in the answer to `POST /events` is the id of the node, at once."""
    answer = await service.post("/events", {"event_name": "e", "properties": {"n": 1}})
    event = await node(service, answer.json()["event_id"])
    assert (event["__typename"], event["properties"]) == ("Event", {"n": 1})


async def test_ids_without_a_node(service: Service) -> None:
    """An unknown or malformed id, and one of a point or a deleted row, is null without error."""
    await delete_all(service)
    point = (await service.post("/metrics", {"metric_name": "m", "value": 1})).json()["metric_id"]
    event = (await service.post("/events", {"event_name": "e"})).json()["event_id"]
    position = position_of(event.removeprefix("event_"))
    assert position
    nearby_ids = [
        f"event_{row_id(Position(position.batch, position.row + 1))}",
        f"event_{row_id(Position(position.batch + 1, position.row))}",
        f"event_{row_id(Position(position.batch, 2**32))}",
        f"event_{row_id(Position(position.batch, 2**62 - 1))}",
    ]
    bad_ids = [
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
    for node_id in [*nearby_ids, *bad_ids]:
        assert await node(service, node_id) is None, node_id
    assert (await node(service, event))["id"] == event
    await delete_all(service)
    assert await node(service, event) is None
    assert await node(service, global_id("metric", "m")) is None


async def test_nodes_are_of_a_project(service: Service) -> None:
    """A row of another project has no node, even for a client with its id."""
    await delete_all(service)
    store: Store = service.context.store
    event = (await service.post("/events", {"event_name": "e"})).json()["event_id"]
    await service.post("/metrics", {"metric_name": "m", "value": 1})
    await get(service, "/events")
    for table in ("events", "metrics"):
        text = f"INSERT INTO {table} SELECT * REPLACE('other' AS project) FROM {table}"  # noqa: S608
        await store.engine.write(Statement(text))
    await delete_all(service)
    for node_id in (event, global_id("eventType", "e"), global_id("metric", "m")):
        assert await node(service, node_id) is None
    data = await ask(service, "{metrics {totalCount} events {totalCount} eventTypes {id}}")
    assert data == {"metrics": {"totalCount": 0}, "events": {"totalCount": 0}, "eventTypes": []}
    for table in ("events", "metrics"):
        await store.engine.write(Statement(f"DELETE FROM {table} WHERE project = 'other'"))  # noqa: S608


@given(st.integers(0, 2**60 - 1), st.integers(0, 2**32 - 1))
def test_row_ids_are_read_back(batch: int, row: int) -> None:
    """The id of a row reads back as its position."""
    assert position_of(row_id(Position(batch, row))) == (batch, row)


@given(st.text())
def test_only_ids_are_read(text: str) -> None:
    """A text that reads as an id is exactly the id that the service writes."""
    position = position_of(text)
    assert position is None or row_id(position) == text
    name = name_from_id("metric", text)
    assert name is None or global_id("metric", name) == text


@pytest.mark.parametrize("name", NAMES)
def test_names_in_ids(name: str) -> None:
    """A name reads back from its id, and only from an id of its type."""
    node_id = global_id("metric", name)
    assert name_from_id("metric", node_id) == name
    assert name_from_id("eventType", node_id) is None
