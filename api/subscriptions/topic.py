"""A topic: one live question, and the subscribers who share its messages."""

import inspect
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec
from graphql import execute_subscription_event
from graphql.execution import Executor

from api.graphql.errors import render_result
from api.graphql.requests import GraphQLRequest
from api.subscriptions.subscriber import Connection, Subscriber
from resolvers.context import Context
from resolvers.live.question import LiveQuestion
from schema.access import Grant

_ENCODER: Final = msgspec.json.Encoder()


class TopicKey(NamedTuple):
    """What subscribers share who have one topic: the request, and which rows they may see.

    The hash of a grant leaves its row filter out, the comparison does not. A question for one
    subscriber has a `number` of its own.
    """

    query: str
    operation: str | None
    variables: bytes
    grant: Grant
    number: int = 0


class Topic:
    """A live question, the executor of its document, and its subscribers.

    `due_ms` is the time from which on the question may be asked again, if it `is_dirty`.
    """

    def __init__(
        self,
        key: TopicKey,
        request: GraphQLRequest,
        question: LiveQuestion[Any],
        executor: Executor[Any],
    ) -> None:
        """Begin without subscribers; the first answer is due at once."""
        self.key, self.question = key, question
        self._request, self._executor = request, executor
        self.subscribers: dict[Subscriber, None] = {}
        self.is_dirty = True
        self.is_running = False
        self.is_alone = False
        """Whether it shares no statement: with others, the answers were too large or too slow."""
        self.due_ms = 0
        self._unsent_changes: Sequence[Any] = ()
        """Changes whose messages could not be made; the question does not tell them again."""
        self._change_messages: Sequence[bytes] = ()
        self._whole_messages: Sequence[bytes] | None = None
        self.has_answer = False

    @property
    def payer(self) -> str | None:
        """The key that pays for the next answer: the one of the oldest subscriber."""
        subscriber = next(iter(self.subscribers), None)
        return subscriber.grant.key_id if subscriber else None

    async def ask(self, ctx: Context) -> None:
        """Ask the question again, and make the messages about what changed.

        Raises `AnalyticsError`; the answer then stays.
        """
        self._change_messages = ()
        changes = [
            *self._unsent_changes,
            *await self.question.ask(ctx.for_caller(self.key.grant)),
        ]
        self._unsent_changes = changes
        messages = await self._messages(changes, ctx)
        self._unsent_changes = ()
        self.has_answer = True
        if not changes:
            return
        is_whole = list(map(id, changes)) == list(map(id, self.question.answer))
        if is_whole and self.question.is_state and messages == self._whole_messages:
            return  # what differs is not selected
        self._change_messages = messages
        self._whole_messages = messages if is_whole else None

    async def send(self, ctx: Context) -> list[Connection]:
        """Send the messages of the last answer; return the connections that have some to send.

        A subscriber who missed some gets the whole answer.
        """
        connections = []
        for subscriber in list(self.subscribers):
            if self.question.is_state and subscriber.connection.is_behind:
                subscriber.has_missed |= bool(self._change_messages)
                continue
            messages = self._change_messages
            if subscriber.has_missed:
                messages = await self._whole_answer(ctx)
                if subscriber not in self.subscribers:  # it left meanwhile
                    continue
                subscriber.has_missed = False
            for message in messages:
                subscriber.send(message)
            if messages:
                connections.append(subscriber.connection)
        self._change_messages = ()
        return connections

    async def _whole_answer(self, ctx: Context) -> Sequence[bytes]:
        if self._whole_messages is None:
            self._whole_messages = await self._messages(self.question.answer, ctx)
        return self._whole_messages

    async def _messages(self, values: Sequence[Any], ctx: Context) -> list[bytes]:
        """Return the message of each value. Raises `AnalyticsError` if they are too large."""
        caller = ctx.for_caller(self.key.grant)
        try:
            messages = [await self._execute(value, caller) for value in values]
        finally:
            caller.answer.release()
        if caller.answer.error:
            raise caller.answer.error
        return messages

    async def _execute(self, root_value: object, ctx: Context) -> bytes:
        """Execute the selection of the document on an answer; return the result as JSON."""
        executor = self._executor.build_per_event_executor(root_value)
        executor.context_value = ctx
        result: Any = execute_subscription_event(executor)
        if inspect.isawaitable(result):
            result = await result
        return _ENCODER.encode(render_result(result, self._request, ctx).content)
