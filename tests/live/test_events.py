"""Live events: each event arrives once, in order, also after a reconnect."""

from typing import Final

import pytest

from api.subscriptions.topic import Topic
from resolvers.context import Context
from schema.errors import AnalyticsError
from tests.harness.live_state import Subscription, subscribe, wait_for_answers, wait_until
from tests.harness.service import Service

QUERY: Final = """subscription($where: EventFilter, $replay: Int! = 0, $after: ID) {
    eventAdded(where: $where, replay: $replay, after: $after, throttle: "PT0.1S") {
        id name time userId properties property(key: "n") } }"""


async def record(service: Service, *numbers: int, name: str = "tick") -> list[str]:
    """Record events with a number each; return their ids."""
    ids = []
    for number in numbers:
        event = {"event_name": name, "properties": {"n": number}}
        ids.append((await service.post("/events", event)).json()["event_id"])
    return ids


def numbers(subscription: Subscription) -> list[int]:
    """Return the numbers of the events that a viewer got."""
    return [message["property"] for message in subscription.viewer.messages]


async def watch(service: Service, count: int, **variables: object) -> Subscription:
    """Subscribe to events; wait for as many messages."""
    subscription = await subscribe(service, QUERY, variables, is_silent=count == 0)
    await wait_until(lambda: len(subscription.viewer.messages) >= count)
    return subscription


async def test_events_arrive_once_and_in_order(service: Service) -> None:
    """Events after the subscription arrive, each in a message, those of a filter only."""
    await record(service, 1, 2)
    all_events = await watch(service, 0)
    odd = {"property": {"key": "n", "number": {"in": [3, 5, 7]}}}
    odd_events = await watch(service, 0, where=odd)
    await record(service, 3, 4)
    await wait_for_answers(service)
    await service.post(
        "/events/batch", [{"event_name": "tick", "properties": {"n": n}} for n in (5, 6, 7)]
    )
    await wait_for_answers(service)
    assert numbers(all_events) == [3, 4, 5, 6, 7]
    assert numbers(odd_events) == [3, 5, 7]
    all_events.end()
    odd_events.end()


async def test_replay(service: Service) -> None:
    """`replay` sends the last events first, to each new viewer."""
    where = {"name": {"eq": "replayed"}}
    await record(service, 1, 2, 3, name="replayed")
    first = await watch(service, 2, where=where, replay=2)
    await record(service, 4, name="replayed")
    await wait_for_answers(service)
    second = await watch(service, 2, where=where, replay=2)
    assert first.topic is second.topic
    assert (numbers(first), numbers(second)) == ([2, 3, 4], [3, 4])
    first.end()
    second.end()


async def test_resuming_after_an_event(service: Service) -> None:
    """A client that names its last event gets all later ones, whoever else has named it."""
    where = {"name": {"eq": "resumed"}}
    ids = await record(service, *range(1, 6), name="resumed")
    first = await watch(service, 3, where=where, after=ids[1])
    second = await watch(service, 3, where=where, after=ids[1])
    await record(service, 6, name="resumed")
    await wait_for_answers(service)
    assert numbers(first) == numbers(second) == [3, 4, 5, 6]
    first.end()
    second.end()


async def test_resuming_after_many_events(service: Service) -> None:
    """More events than one answer has arrive all, in order."""
    where = {"name": {"eq": "many"}}
    (start,) = await record(service, 0, name="many")
    rows = [{"event_name": "many", "properties": {"n": n}} for n in range(1, 2_501)]
    await service.post("/events/batch", rows)
    viewer = await watch(service, 2_500, where=where, after=start)
    assert numbers(viewer) == list(range(1, 2_501))
    viewer.end()


async def test_a_burst_has_its_newest_events(service: Service) -> None:
    """Of more than 1,000 events at once, a viewer gets the newest 1,000."""
    where = {"name": {"eq": "burst"}}
    viewer = await watch(service, 0, where=where)
    rows = [{"event_name": "burst", "properties": {"n": n}} for n in range(1_500)]
    await service.post("/events/batch", rows)
    await wait_until(lambda: len(viewer.viewer.messages) >= 1_000)
    assert numbers(viewer) == list(range(500, 1_500))
    viewer.end()


async def test_a_failed_answer_loses_no_event(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events whose messages could not be made are sent later, once each."""
    where = {"name": {"eq": "unlucky"}}
    viewer = await watch(service, 0, where=where)
    execute = Topic._execute
    failures = [AnalyticsError("UNAVAILABLE", "Too much at once.", retry_after=0)] * 2

    async def fail_twice(self: Topic, root_value: object, ctx: Context) -> bytes:
        if failures:
            raise failures.pop()
        return await execute(self, root_value, ctx)

    monkeypatch.setattr(Topic, "_execute", fail_twice)
    await record(service, 1, 2, name="unlucky")
    await wait_until(lambda: not failures)
    await record(service, 3, name="unlucky")
    await wait_until(lambda: len(viewer.viewer.messages) >= 3)
    await wait_for_answers(service)
    assert numbers(viewer) == [1, 2, 3]
    viewer.end()
