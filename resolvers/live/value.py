"""Live values: small answers that are sent whole whenever they differ."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from resolvers.context import Context
from resolvers.live.question import LiveQuestion

ValueT = TypeVar("ValueT")


class LiveValue(LiveQuestion[ValueT]):
    """A value that is asked again; a message is the whole value.

    `facts` returns the part of the value whose change is worth a message.
    """

    def __init__(
        self,
        query: Callable[[Context], Awaitable[ValueT]],
        facts: Callable[[ValueT], object],
        throttle_ms: int,
        tables: frozenset[str] | None,
    ) -> None:
        """Ask nothing yet; None as `tables` means that time alone may change the value."""
        super().__init__(throttle_ms, tables)
        self._query, self._facts = query, facts
        self._answer: Sequence[ValueT] = []

    async def ask(self, ctx: Context) -> Sequence[ValueT]:
        """Ask for the value again; return it if it differs."""
        value = await self._query(ctx)
        before, self._answer = self._answer, [value]
        is_same = bool(before) and self._facts(before[0]) == self._facts(value)
        return [] if is_same else self._answer

    @property
    def answer(self) -> Sequence[ValueT]:
        """The value, as it was asked last."""
        return self._answer
