"""The hub: all topics of the service, and the ticks at which they are asked again.

All topics that are due at a tick share statements, and each connection has one write.
"""

import asyncio
import contextlib
import inspect
import itertools
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec
from graphql import ExecutionResult, GraphQLError, create_source_event_stream

from api.graphql.documents.documents import Document
from api.graphql.errors import our_errors
from api.graphql.executor import Executor
from api.graphql.requests import GraphQLRequest
from api.graphql.schema import schema
from api.responses import internal_error
from api.subscriptions.subscriber import Connection, Subscriber
from api.subscriptions.topic import Topic, TopicKey
from resolvers.context import Context
from resolvers.live.question import LiveQuestion
from schema.access import Grant, Scope
from schema.errors import AnalyticsError

_LOG: Final = logging.getLogger("analytics.subscriptions")

TICK_MS: Final = 100
"""Time between two ticks; throttles are multiples of it."""

_TURN_CONNECTIONS: Final = 100
"""Connections that are written to before other requests have their turn: 2 ms."""

_SLOW_MS: Final = 100
"""Time from which on an answer that was too expensive with others stays alone."""

_REFRESH_MS: Final = 60_000
"""Time after which each question is asked again, though no change of its rows was seen."""

_GATHER_SECONDS: Final = 0.01
"""Time in which new subscribers gather, so that the charts of a page share statements."""


class Hub:
    """Asks live questions again when their rows change, and sends the changes to subscribers."""

    def __init__(self, context: Callable[[], Context]) -> None:
        """Have no topics; `context` returns the service's context."""
        self._context = context
        self._topics: dict[TopicKey, Topic] = {}
        self._ticks: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count(1)
        self.tick_count = 0
        self.subscription_count = 0
        """Number of subscribers of all topics."""

    async def subscribe(
        self,
        request: GraphQLRequest,
        document: Document,
        ctx: Context,
        make_subscriber: Callable[[Grant], Subscriber],
    ) -> tuple[Topic, Subscriber]:
        """Add a subscriber to the topic of a request; its first message is the whole answer.

        The document must be valid, and its operation a subscription. Raises `AnalyticsError`.
        """
        ctx.grant.require(Scope.QUERY)
        key = _topic_key(request, ctx.grant)
        topic = self._topics.get(key)
        if topic is None:
            executor, question = await _question(request, document, ctx)
            if not question.is_shared:
                key = key._replace(number=next(self._numbers))
            topic = self._topics.setdefault(key, Topic(key, request, question, executor))
        subscriber = make_subscriber(ctx.grant)
        subscriber.has_missed = topic.question.is_shared
        topic.subscribers[subscriber] = None
        self.subscription_count += 1
        if self._ticks is None:
            ctx.store.changes.is_watched = True
            self._ticks = asyncio.create_task(self._run())
        self._wake.set()
        return topic, subscriber

    def unsubscribe(self, topic: Topic, subscriber: Subscriber) -> None:
        """Remove a subscriber; the last one ends the topic."""
        if subscriber in topic.subscribers:
            del topic.subscribers[subscriber]
            self.subscription_count -= 1
        if not topic.subscribers and self._topics.get(topic.key) is topic:
            del self._topics[topic.key]

    @property
    def topic_count(self) -> int:
        """Number of questions that are asked."""
        return len(self._topics)

    async def stop(self) -> None:
        """Ask no more questions."""
        tasks = [*self._tasks, *([self._ticks] if self._ticks else [])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _run(self) -> None:
        """Tick while there are topics."""
        store = self._context().store
        try:
            while self._topics:
                try:
                    self._tick()
                except Exception:  # noqa: BLE001 - no fault may end the ticks
                    _LOG.exception("a tick of the subscriptions failed")
                    for topic in self._topics.values():  # the names of changes are taken
                        topic.is_dirty = True
                await self._next_tick()
        finally:
            self._ticks = None
            store.changes.is_watched = False
            store.changes.take()

    async def _next_tick(self) -> None:
        """Wait for the next tick of the grid, or for a subscriber who has no answer yet."""
        self._wake.clear()
        rest_ms = TICK_MS - _steady_ms() % TICK_MS
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(rest_ms / 1000):
                await self._wake.wait()
                await asyncio.sleep(_GATHER_SECONDS)

    def _tick(self) -> None:
        """Find the topics whose rows or ranges changed, and begin to answer those that are due."""
        ctx = self._context()
        changed_names, now_ms, steady_ms = ctx.store.changes.take(), ctx.now(), _steady_ms()
        due_topics = []
        self.tick_count += 1
        for topic in self._topics.values():
            topic.is_dirty = (
                topic.is_dirty
                or topic.question.is_behind
                or topic.question.depends_on(changed_names)
                or topic.question.is_over(now_ms)
                or steady_ms > topic.due_ms + _REFRESH_MS
            )
            has_missed = topic.has_answer and any(
                subscriber.has_missed for subscriber in topic.subscribers
            )
            if topic.is_running:
                continue
            if (topic.is_dirty and steady_ms >= topic.due_ms) or has_missed:
                due_topics.append(topic)
        for group in _groups(due_topics):
            task = asyncio.create_task(self._answer(group, ctx))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            for topic in group:
                topic.is_running = True

    async def _answer(self, topics: Sequence[Topic], ctx: Context) -> None:
        """Answer topics of one project together, and send the messages."""
        payer = topics[0].payer
        request_ctx = replace(ctx, grant=replace(topics[0].key.grant, key_id=payer)).for_request()
        start_ms = _steady_ms()
        try:
            results = await asyncio.gather(
                *(self._ask(topic, request_ctx, start_ms) for topic in topics)
            )
            connections = [connection for result in results for connection in result]
            await _flush(connections)
        finally:
            request_ctx.answer.release()
            for topic in topics:
                topic.is_running = False

    async def _ask(self, topic: Topic, ctx: Context, start_ms: int) -> list[Connection]:
        """Ask a question again if it is due, and send its messages to the connections."""
        try:
            if topic.is_dirty and start_ms >= topic.due_ms:
                topic.is_dirty = False
                await topic.ask(ctx)
                topic.due_ms = _due_ms(topic, start_ms)
                topic.is_alone &= _steady_ms() - start_ms > _SLOW_MS
            return await topic.send(ctx)
        except AnalyticsError as error:
            return self._delay(topic, error)
        except Exception as error:  # noqa: BLE001 - a fault of one question ends no other
            return self._fail(topic, internal_error(error))

    def _delay(self, topic: Topic, error: AnalyticsError) -> list[Connection]:
        """Ask again, alone or later, if that may help; end the topic if not."""
        if error.code == "QUERY_TOO_EXPENSIVE" and not topic.is_alone:
            topic.is_alone = topic.is_dirty = True
            return []
        if topic.has_answer and error.retry_after is not None:
            topic.is_dirty = True
            topic.due_ms = _steady_ms() + error.retry_after * 1000
            return []
        return self._fail(topic, error)

    def _fail(self, topic: Topic, error: AnalyticsError) -> list[Connection]:
        errors = msgspec.json.encode([error.render()])
        subscribers = list(topic.subscribers)
        for subscriber in subscribers:
            self.unsubscribe(topic, subscriber)
            subscriber.fail(errors)
        return [subscriber.connection for subscriber in subscribers]


def _topic_key(request: GraphQLRequest, grant: Grant) -> TopicKey:
    """Return the key of a request's topic. What the caller may see is in it, the key is not."""
    variables = msgspec.json.encode(request.variables or {}, order="sorted")
    anonymous = replace(grant, key_id=None, key_prefix="", session_id=None)
    return TopicKey(request.query, request.operationName, variables, anonymous)


async def _question(
    request: GraphQLRequest, document: Document, ctx: Context
) -> tuple[Executor, LiveQuestion[Any]]:
    """Return the question of a subscription, and the executor of its document."""
    request_ctx = ctx.for_request()
    core = schema._schema  # noqa: SLF001 - graphql-core's
    executor: Any = Executor.build(
        core,
        document.node,
        context_value=request_ctx,
        raw_variable_values=request.variables,
        operation_name=request.operationName,
    )
    if isinstance(executor, list):
        raise _first_error(executor, request, ctx)
    stream: Any = create_source_event_stream(executor)
    if inspect.isawaitable(stream):
        stream = await stream
    if isinstance(stream, ExecutionResult):
        raise _first_error(stream.errors or [], request, ctx)
    return executor, stream


def _first_error(
    errors: list[GraphQLError], request: GraphQLRequest, ctx: Context
) -> AnalyticsError:
    return our_errors(errors, request, ctx, is_executed=True)[0]


def _groups(topics: Iterable[Topic]) -> list[list[Topic]]:
    """Divide topics into groups that share statements.

    They have one project, one payer, and ranges of about the same length: a question about a year
    delays no question about a minute. A question that `is_alone` shares none.
    """
    groups: dict[object, list[Topic]] = defaultdict(list)
    for topic in topics:
        number = id(topic) if topic.is_alone else 0
        key = topic.key.grant.project, topic.payer, topic.question.magnitude, number
        groups[key].append(topic)
    return list(groups.values())


def _due_ms(topic: Topic, start_ms: int) -> int:
    """Return the time of the next answer: on the grid of ticks, and after a rest."""
    now_ms = _steady_ms()
    throttle_ms = topic.question.throttle_ms
    next_ms = start_ms // throttle_ms * throttle_ms + throttle_ms
    return max(next_ms, now_ms + (now_ms - start_ms))


async def _flush(connections: Iterable[Connection]) -> None:
    """Write the messages of each connection once."""
    for index, connection in enumerate(dict.fromkeys(connections), 1):
        connection.flush()
        if index % _TURN_CONNECTIONS == 0:
            await asyncio.sleep(0)


def _steady_ms() -> int:
    return time.monotonic_ns() // 1_000_000
