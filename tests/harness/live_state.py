"""A client of live questions: it keeps the state that the messages describe, and nothing else."""

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from api.graphql.requests import GraphQLRequest
from api.graphql.schema import documents, schema
from api.subscriptions.hub import Hub
from api.subscriptions.subscriber import Connection, Subscriber
from api.subscriptions.topic import Topic
from schema.access import Grant
from tests.harness.service import Service

Result = dict[str, Any]


class TestConnection(Connection):
    """A connection in memory; its client may stop reading."""

    __test__ = False
    is_behind = False

    def __init__(self) -> None:
        """Start with a client that reads."""
        self.flush_count = 0

    def flush(self) -> None:
        """Count the writes."""
        self.flush_count += 1


class Viewer(Subscriber):
    """A subscriber that keeps all messages, and merges them as the documentation says."""

    def __init__(self, connection: Connection, grant: Grant) -> None:
        """Have no state yet."""
        super().__init__(connection, grant)
        self.messages: list[Result] = []
        self.errors: list[Result] = []
        self.state: Result | None = None

    def send(self, payload: bytes) -> None:
        """Merge a message."""
        message = msgspec.json.decode(payload)
        assert "errors" not in message, message
        (result,) = message["data"].values()
        self.messages.append(result)
        is_change = isinstance(result, dict) and not result.get("meta", {}).get("isSnapshot", True)
        self.state = merge(self.state, result) if is_change and self.state else result

    def fail(self, errors: bytes) -> None:
        """Keep the errors that ended the subscription."""
        self.errors = msgspec.json.decode(errors)


@dataclass
class Subscription:
    """A subscription in a running service."""

    hub: Hub
    topic: Topic
    viewer: Viewer
    connection: TestConnection = field(default_factory=TestConnection)

    def end(self) -> None:
        """Unsubscribe."""
        self.hub.unsubscribe(self.topic, self.viewer)


def hub_of(service: Service) -> Hub:
    """Return the hub of a service."""
    transport: Any = service.http._transport
    hub: Hub = transport.app.state.hub
    return hub


async def subscribe(
    service: Service,
    query: str,
    variables: Result | None = None,
    grant: Grant | None = None,
    *,
    is_silent: bool = False,
) -> Subscription:
    """Subscribe, and wait for the first answer or the refusal; it may have no message."""
    transport: Any = service.http._transport
    ctx = transport.app.state.context
    ctx = replace(ctx, grant=grant) if grant else ctx
    document = await documents.read(schema._schema, query, ctx.limits)
    assert not document.errors, document.errors
    hub, connection = hub_of(service), TestConnection()
    request = GraphQLRequest(query, variables, None)
    topic, viewer = await hub.subscribe(
        request, document, ctx, lambda grant: Viewer(connection, grant)
    )
    assert isinstance(viewer, Viewer)
    await wait_until(
        lambda: bool(viewer.messages or viewer.errors or (is_silent and topic.has_answer))
    )
    return Subscription(hub, topic, viewer, connection)


async def wait_until(condition: Any) -> None:
    """Wait until a condition holds, for at most 20 seconds."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the service announces nothing
            await asyncio.sleep(0.005)


async def wait_for_answers(service: Service) -> None:
    """Wait until all topics have answered the changes so far."""
    hub, changes = hub_of(service), service.context.store.changes
    topics = hub._topics.values()
    before = hub.tick_count

    def is_answered() -> bool:
        is_busy = any(topic.is_dirty or topic.is_running for topic in topics)
        return hub.tick_count > before + 1 and not is_busy and not changes._names

    await wait_until(is_answered)


def merge(state: Result, change: Result) -> Result:
    """Return the state after a change: the buckets of the change replace those of the state.

    Earlier buckets than `meta.firstTime` have left the range. Lists aligned with `times` are
    `columns` and `points` of a series, and `previousTimes` and `previousColumns`.
    """
    times = [time for time in state["times"] if time >= (change["meta"]["firstTime"] or "")]
    all_times = sorted({*times, *change["times"]})
    merge_cells = _Merge(state["times"], change["times"], all_times)
    result = {**state, **change, "times": all_times}
    if change.get("previousTimes") is not None:
        result["previousTimes"] = merge_cells.cells(state["previousTimes"], change["previousTimes"])
    if "series" in change:
        pairs = zip(state["series"], change["series"], strict=True)
        result["series"] = [merge_cells.series(*pair) for pair in pairs]
    if change.get("overall"):
        result["overall"] = merge_cells.series(state["overall"], change["overall"])
    return result


@dataclass
class _Merge:
    old_times: list[str]
    new_times: list[str]
    all_times: list[str]

    def series(self, state: Result, change: Result) -> Result:
        result = {**state, **change}
        for name in ("columns", "previousColumns"):
            if change.get(name) is not None:
                result[name] = {
                    key: self.cells(state[name][key], column)
                    for key, column in change[name].items()
                }
        if "points" in change:
            result["points"] = self.cells(state["points"], change["points"])
        return result

    def cells(self, state: list[Any], change: list[Any]) -> list[Any]:
        """Merge cells, of which the last buckets may have none."""
        by_time = dict(zip(self.old_times, state, strict=False))
        by_time |= dict(zip(self.new_times, change, strict=False))
        return [by_time[time] for time in self.all_times if time in by_time]
