"""The executor of documents: graphql-core's, with encoded values, counts and pauses of its own."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, Final

from graphql import GraphQLList, GraphQLOutputType, GraphQLResolveInfo
from graphql.execution.collect_fields import FieldDetailsList
from graphql.pyutils import Path
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from schema.encoding import EncodedValue

_LONG_LIST: Final = 50
"""Entries from which on a list is completed with pauses. A pause costs 2 us for each entry."""

_TURN_SECONDS: Final = 0.005
"""Seconds after which other requests have their turn."""


class Executor(StrawberryGraphQLCoreExecutionContext):
    """Executor that does not complete an `EncodedValue` leaf by leaf, and counts all values."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - Strawberry's
        """Begin a request."""
        super().__init__(*arguments, **options)
        self._turn_end = 0.0
        self._has_next_turn = False
        self._begin_turn()

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
        is_late = time.perf_counter() > self._turn_end
        entries = self._with_pauses(result) if is_late or len(result) > _LONG_LIST else result
        return super().complete_list_value(
            return_type, field_details_list, info, path, entries, position_context
        )

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
            while time.perf_counter() > self._turn_end:
                if not self._has_next_turn:
                    self._has_next_turn = True
                    asyncio.get_running_loop().call_soon(self._begin_turn)
                await asyncio.sleep(0)
            yield entry

    def _begin_turn(self) -> None:
        """Begin the turn of all lists of the request together, after the other requests."""
        self._has_next_turn = False
        self._turn_end = time.perf_counter() + _TURN_SECONDS
