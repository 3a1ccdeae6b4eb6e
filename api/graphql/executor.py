"""The executor of documents: graphql-core's, with encoded values, counts and pauses of its own."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, Final

from graphql import GraphQLError, GraphQLList, GraphQLOutputType, GraphQLResolveInfo
from graphql.execution.collect_fields import FieldDetailsList
from graphql.pyutils import Path
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from schema.encoding import EncodedValue
from schema.errors import AnalyticsError

_LONG_LIST: Final = 50
"""Entries from which on a list is completed with pauses. A pause costs 2 us for each entry."""

_TURN_SECONDS: Final = 0.005
"""Seconds after which other requests have their turn."""

_TURN_FIELDS: Final = 20
"""Delayed fields that go on in one turn, unless it ends before."""


class Executor(StrawberryGraphQLCoreExecutionContext):
    """Executor that does not complete an `EncodedValue` leaf by leaf, and counts all values."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - Strawberry's
        """Begin a request."""
        super().__init__(*arguments, **options)
        self._turn_end = time.perf_counter() + _TURN_SECONDS
        self._waiting_turns: deque[asyncio.Future[None]] = deque()

    def complete_value(
        self,
        return_type: GraphQLOutputType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,  # noqa: ANN401 - any value of a resolver
        position_context: Any,  # noqa: ANN401 - graphql-core's own
    ) -> Any:  # noqa: ANN401 - a part of the response
        """Return the content of an encoded value; complete any other value."""
        if isinstance(result, EncodedValue):
            self.context_value.answer.spend_bytes(result.size)
            return result.value
        return super().complete_value(
            return_type, field_details_list, info, path, result, position_context
        )

    def complete_leaf_value(self, return_type: Any, result: Any) -> Any:  # type: ignore[override]  # noqa: ANN401 - graphql-core's is static, and calls it on the executor
        """Complete a leaf, and count the bytes of a text."""
        value = super().complete_leaf_value(return_type, result)
        if isinstance(value, str | bytes):
            self.context_value.answer.spend_bytes(len(value))
        return value

    def complete_list_value(
        self,
        return_type: GraphQLList[GraphQLOutputType],
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,  # noqa: ANN401 - any list of a resolver
        position_context: Any,  # noqa: ANN401 - graphql-core's own
    ) -> Any:  # noqa: ANN401 - a part of the response
        """Complete a list; other requests have their turns beside a long one."""
        self.context_value.answer.spend_values(len(result))
        is_long = self._is_over() or len(result) > _LONG_LIST
        entries = self._with_pauses(result) if is_long else result
        return super().complete_list_value(
            return_type, field_details_list, info, path, entries, position_context
        )

    async def complete_awaitable_value(
        self,
        return_type: GraphQLOutputType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,  # noqa: ANN401 - any awaitable of a resolver
        position_context: Any,  # noqa: ANN401 - graphql-core's own
    ) -> Any:  # noqa: ANN401 - a part of the response
        """Run a resolver in its turn: the objects of a long list all begin theirs at once."""
        try:
            while self._is_over():
                await self._next_turn()
        except asyncio.CancelledError:
            if asyncio.iscoroutine(result):
                result.close()
            raise
        return await super().complete_awaitable_value(
            return_type, field_details_list, info, path, result, position_context
        )

    def handle_field_error(
        self,
        raw_error: Exception,
        return_type: GraphQLOutputType,
        field_details_list: FieldDetailsList,
        path: Path,
    ) -> None:
        """Keep the error of a field without its frames, which hold all queries of the request.

        Nobody logs a refusal with its frames. Of 2,000 of them, a collection takes 0.7 s.
        """
        cause = raw_error.original_error if isinstance(raw_error, GraphQLError) else raw_error
        if isinstance(cause, AnalyticsError):
            raw_error.__traceback__ = raw_error.__context__ = None
            cause.__traceback__ = cause.__context__ = None
        super().handle_field_error(raw_error, return_type, field_details_list, path)

    def execute_fields(
        self,
        parent_type: Any,  # noqa: ANN401 - graphql-core's own
        source_value: Any,  # noqa: ANN401 - any object of a resolver
        path: Path | None,
        grouped_field_set: dict[str, FieldDetailsList],
        position_context: Any,  # noqa: ANN401 - graphql-core's own
    ) -> Any:  # noqa: ANN401 - a part of the response
        """Execute the fields of an object, and count them."""
        self.context_value.answer.spend_values(len(grouped_field_set))
        return super().execute_fields(
            parent_type, source_value, path, grouped_field_set, position_context
        )

    async def _with_pauses(self, entries: list[Any]) -> AsyncIterator[Any]:
        """Yield entries, and let other requests run when a turn is over."""
        for entry in entries:
            while self._is_over():
                await self._next_turn()
            yield entry

    def _is_over(self) -> bool:
        """Say whether the turn of the request is over; a turn begins when it is first asked."""
        now = time.perf_counter()
        if not self._turn_end:
            self._turn_end = now + _TURN_SECONDS
        return now > self._turn_end

    async def _next_turn(self) -> None:
        """Wait until other requests had their turn."""
        loop = asyncio.get_running_loop()
        if not self._waiting_turns:
            loop.call_soon(self._begin_turn)
        turn = loop.create_future()
        self._waiting_turns.append(turn)
        await turn

    def _begin_turn(self) -> None:
        """Let the fields go on that wait longest."""
        self._turn_end = 0.0
        for _ in range(min(_TURN_FIELDS, len(self._waiting_turns))):
            turn = self._waiting_turns.popleft()
            if not turn.done():  # a field that failed cancels its siblings
                turn.set_result(None)
        if self._waiting_turns:
            asyncio.get_running_loop().call_soon(self._begin_turn)
