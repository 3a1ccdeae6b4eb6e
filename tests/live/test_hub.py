"""The hub: one answer for all viewers of a question, and what each viewer gets."""

from dataclasses import replace
from typing import Any, Final

import msgspec
import pytest

from schema.access import ALL_RIGHTS, Grant, RowFilter, Scope
from schema.errors import AnalyticsError
from schema.filters import EventFilter, StringFilter
from tests.harness.live_state import Subscription, hub_of, subscribe, wait_for_answers, wait_until
from tests.harness.service import Service
from tests.harness.statements import collect_statements

COUNT: Final = """subscription($range: TimeRangeInput!, $name: String) {
    eventTrendChanged(range: $range, where: {name: {eq: $name}}, throttle: "PT0.1S") {
        times meta {isSnapshot firstTime} series {total {count} columns {count}} } }"""
HOUR: Final = {"last": "PT1H"}


async def record(service: Service, name: str, **properties: object) -> None:
    """Record an event."""
    event = {"event_name": name, "properties": properties}
    assert (await service.post("/events", event)).status_code == 200


def total(subscription: Subscription) -> int:
    """Return the count that a viewer sees."""
    assert subscription.viewer.state
    count: int = subscription.viewer.state["series"][0]["total"]["count"]
    return count


async def test_a_question_is_answered_once_for_all_viewers(service: Service) -> None:
    """Fifty viewers of one question cost one statement, as one does."""
    variables = {"range": HOUR, "name": "shared"}
    viewers = [await subscribe(service, COUNT, variables) for _ in range(50)]
    assert hub_of(service).topic_count == 1
    await wait_for_answers(service)
    with collect_statements() as statements:
        await record(service, "shared")
        await wait_for_answers(service)
    assert len(statements) == 1
    assert {total(viewer) for viewer in viewers} == {1}
    for viewer in viewers:
        viewer.end()
    assert hub_of(service).topic_count == 0


async def test_questions_share_statements(service: Service) -> None:
    """Twenty questions whose rows change together cost one statement."""
    viewers = [
        await subscribe(service, COUNT, {"range": HOUR, "name": f"n{number}"})
        for number in range(20)
    ]
    await wait_for_answers(service)
    with collect_statements() as statements:
        rows = [{"event_name": f"n{number}"} for number in range(20)]
        await service.post("/events/batch", rows)
        await wait_for_answers(service)
    assert len(statements) == 1
    assert {total(viewer) for viewer in viewers} == {1}
    for viewer in viewers:
        viewer.end()


async def test_rows_of_other_names_ask_nothing(service: Service) -> None:
    """A question is asked again for its own names only, and nothing is sent if nothing changed."""
    viewer = await subscribe(service, COUNT, {"range": HOUR, "name": "one"})
    await wait_for_answers(service)
    with collect_statements() as statements:
        await record(service, "another")
        await wait_for_answers(service)
    assert not statements
    assert len(viewer.viewer.messages) == 1
    viewer.end()


async def test_a_slow_viewer_gets_the_whole_answer_later(service: Service) -> None:
    """A viewer who does not read misses messages, and gets one whole answer when it reads again."""
    slow = await subscribe(service, COUNT, {"range": HOUR, "name": "slow"})
    quick = await subscribe(service, COUNT, {"range": HOUR, "name": "slow"})
    slow.connection.is_behind = True
    for _ in range(3):
        await record(service, "slow")
        await wait_for_answers(service)
    assert (len(slow.viewer.messages), total(quick)) == (1, 3)
    slow.connection.is_behind = False
    await wait_until(lambda: len(slow.viewer.messages) > 1)
    assert len(slow.viewer.messages) == 2
    assert slow.viewer.messages[-1]["meta"]["isSnapshot"]
    assert slow.viewer.state
    assert quick.viewer.state
    assert slow.viewer.state["series"] == quick.viewer.state["series"]
    slow.end()
    quick.end()


async def test_viewers_see_their_rows_only(service: Service) -> None:
    """The same question with another row filter, or in another project, is another one."""

    def grant(name: str) -> Grant:
        events = EventFilter(name=StringFilter(eq=name))
        return replace(ALL_RIGHTS, row_filter=RowFilter(events=events))

    query = """subscription { eventTrendChanged(
        range: {last: "PT1H"}, groupBy: [{field: NAME}], throttle: "PT0.1S"
    ) { meta {isSnapshot firstTime} times series {label total {count}} } }"""
    grants = [grant("ann"), grant("bob"), replace(ALL_RIGHTS, project="empty")]
    ann, bob, stranger = [await subscribe(service, query, grant=entry) for entry in grants]
    await record(service, "ann")
    await record(service, "bob")
    await wait_for_answers(service)
    labels = [
        [series["label"] for series in entry.viewer.state["series"]]  # type: ignore[index]
        for entry in (ann, bob, stranger)
    ]
    assert labels == [["ann"], ["bob"], []]
    for viewer in (ann, bob, stranger):
        viewer.end()


async def test_keys_share_a_question(service: Service) -> None:
    """Two keys with the same rights share the answers; the oldest viewer's key pays."""
    grants = [replace(ALL_RIGHTS, key_id=name, key_prefix=name) for name in ("k1", "k2")]
    first, second = [
        await subscribe(service, COUNT, {"range": HOUR, "name": "keys"}, entry) for entry in grants
    ]
    assert first.topic is second.topic
    assert first.topic.payer == "k1"
    first.end()
    assert second.topic.payer == "k2"
    second.end()


@pytest.mark.parametrize(
    ("field", "wrong", "limit"),
    [
        ('eventAdded(throttle: "PT0.01S") {id}', "throttle", 0.1),
        ('eventAdded(throttle: "P1M") {id}', "throttle", 0.1),
        ('eventAdded(throttle: "PT2H") {id}', "throttle", None),
        ("eventAdded(replay: 1001) {id}", "replay", 1000),
        ("eventAdded(replay: -1) {id}", "replay", 1000),
        ('eventAdded(after: "event_x") {id}', "after", None),
        ('eventTrendChanged(range: {last: "PT0S"}) {times}', "last", None),
        ('eventTrendChanged(range: {last: "PT1H"}, maxPoints: 0) {times}', "maxPoints", 11_000),
    ],
)
async def test_wrong_arguments_are_refused(
    service: Service, field: str, wrong: str, limit: float | None
) -> None:
    """A wrong argument is refused when the question is asked first, with its field."""
    errors = await refusal(service, f"subscription {{ {field} }}")
    assert errors["code"] == "BAD_USER_INPUT"
    assert errors["field"] == wrong
    assert limit is None or errors["limit"] == limit


async def test_scopes_are_needed(service: Service) -> None:
    """Counters of the ingestion need OPERATE, any subscription needs QUERY."""
    reader = replace(ALL_RIGHTS, scopes=frozenset({Scope.QUERY}), key_id="k")
    query = "subscription { ingestionChanged {stored} }"
    assert (await refusal(service, query, reader))["code"] == "FORBIDDEN"
    writer = replace(ALL_RIGHTS, scopes=frozenset({Scope.RECORD}), key_id="k")
    query = "subscription { overviewChanged {eventCount} }"
    assert (await refusal(service, query, writer))["code"] == "FORBIDDEN"


async def refusal(service: Service, query: str, grant: Grant | None = None) -> dict[str, Any]:
    """Return the extensions of the error that ends a subscription."""
    try:
        subscription = await subscribe(service, query, grant=grant)
    except AnalyticsError as error:
        return msgspec.to_builtins(error.render().extensions)  # type: ignore[no-any-return]
    assert not subscription.viewer.messages
    extensions: dict[str, Any] = subscription.viewer.errors[0]["extensions"]
    return extensions


async def test_overview_and_counters_are_live(service: Service) -> None:
    """The overview and the counters of the ingestion are sent when they change."""
    overview = await subscribe(
        service, 'subscription { overviewChanged(throttle: "PT0.1S") {eventCount} }'
    )
    counters = await subscribe(
        service, 'subscription { ingestionChanged(throttle: "PT0.1S") {stream stored} }'
    )
    await record(service, "live")
    await wait_until(
        lambda: len(overview.viewer.messages) == 2 and len(counters.viewer.messages) == 2
    )
    before, after = (message["eventCount"] for message in overview.viewer.messages)
    assert after == before + 1
    messages: Any = counters.viewer.messages
    stored = [sum(entry["stored"] for entry in message) for message in messages]
    assert stored == [stored[0], stored[0] + 1]
    overview.end()
    counters.end()


async def test_a_metric_without_points_goes_live(service: Service) -> None:
    """A question about a metric that has no points yet shows its first point."""
    query = """subscription { metricChanged(name: "unborn", range: {last: "PT1H"},
        throttle: "PT0.1S") { meta {isSnapshot firstTime} times series {total {count avg}} } }"""
    viewer = await subscribe(service, query)
    assert total(viewer) == 0
    await service.post("/metrics", {"metric_name": "unborn", "value": 4})
    await wait_for_answers(service)
    assert viewer.viewer.state["series"][0]["total"] == {"count": 1, "avg": 4}  # type: ignore[index]
    viewer.end()


async def test_a_deletion_is_seen(service: Service) -> None:
    """Deleted rows leave the answers of viewers."""
    await record(service, "deleted")
    viewer = await subscribe(service, COUNT, {"range": HOUR, "name": "deleted"})
    assert total(viewer) == 1
    await service.graphql(
        'mutation { deleteEvents(input: {where: {name: {eq: "deleted"}}}) {matchedRows} }'
    )
    await wait_until(lambda: total(viewer) == 0)
    viewer.end()


async def test_a_fault_of_a_tick_ends_no_tick(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault while the hub looks at its topics is logged, and later changes are sent."""
    viewer = await subscribe(service, COUNT, {"range": HOUR, "name": "faulty"})
    faults = [ValueError("a fault")]

    def fail_once(_: int) -> bool:
        if faults:
            raise faults.pop()
        return False

    monkeypatch.setattr(viewer.topic.question, "is_over", fail_once)
    await wait_until(lambda: not faults)
    await record(service, "faulty")
    await wait_until(lambda: total(viewer) == 1)
    viewer.end()
