"""A live question: what is asked again, when, and the message about what changed."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from typing import Final, Generic, TypeVar

from resolvers.context import Context
from schema.errors import bad_input
from schema.time.durations import DurationMs, iso_duration
from store.changes import ChangedNames

AnswerT = TypeVar("AnswerT")

MIN_THROTTLE_MS: Final = 100
MAX_THROTTLE_MS: Final = 3_600_000


class LiveQuestion(AsyncIterable[AnswerT], ABC, Generic[AnswerT]):
    """A question that is asked again after each change of its rows, but not within `throttle_ms`.

    Rows of `tables` decide about the answer, with `names` only rows with one of these names. None
    as tables means that the answer may change without a row.
    """

    is_shared = True
    """Whether a later subscriber may have the answer that is there."""

    is_state = True
    """Whether the newest answer says all, so that a slow client may miss those before."""

    def __init__(
        self,
        throttle_ms: int,
        tables: frozenset[str] | None,
        names: frozenset[str] | None = None,
    ) -> None:
        """Ask nothing yet."""
        self.throttle_ms = throttle_ms
        self._tables, self._names = tables, names

    def __aiter__(self) -> AsyncIterator[AnswerT]:
        """Refuse: graphql-core requires an `AsyncIterable`, but the hub asks the question."""
        raise TypeError("a hub asks live questions")

    @property
    def magnitude(self) -> int:
        """Order of magnitude of the range that is asked about; 0 without one."""
        return 0

    def depends_on(self, changed_names: ChangedNames) -> bool:
        """Say whether rows with these names may change the answer."""
        if self._tables is None:
            return True
        return any(
            names is None or self._names is None or not names.isdisjoint(self._names)
            for table, names in changed_names.items()
            if table in self._tables
        )

    def is_over(self, now_ms: int) -> bool:  # noqa: ARG002 - for questions about a time range
        """Say whether time alone has changed the answer since it was asked last."""
        return False

    @property
    def is_behind(self) -> bool:
        """Whether the question must be asked again at once, though no row has changed."""
        return False

    @abstractmethod
    async def ask(self, ctx: Context) -> Sequence[AnswerT]:
        """Ask again; return messages about what changed, none if nothing did.

        Raises `AnalyticsError`; the answer then stays.
        """

    @property
    @abstractmethod
    def answer(self) -> Sequence[AnswerT]:
        """The messages for a subscriber who has no other, as of the last time of asking."""


def checked_throttle(throttle: DurationMs) -> int:
    """Return a throttle in milliseconds. Raises BAD_USER_INPUT out of bounds."""
    if throttle < MIN_THROTTLE_MS or throttle.months:
        message = f"must be from PT0.1S to PT1H, not {iso_duration(throttle)}"
        raise bad_input("throttle", message, limit=MIN_THROTTLE_MS / 1000)
    if throttle > MAX_THROTTLE_MS:
        raise bad_input("throttle", "must be at most PT1H", limit=MAX_THROTTLE_MS / 1000)
    return int(throttle)
