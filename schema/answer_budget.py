"""The budget of an answer: the bytes and the values that one request may have in memory."""

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from schema.errors import AnalyticsError
from schema.limits import Limit, LimitTable

_HOLD_STEP: Final = 2**20
"""Bytes of a request that the memory of all answers does not count."""


class AnswerMemory:
    """The bytes of all answers in memory at one time; limits of all, and of one answer."""

    def __init__(self, limit: int, answer_bytes: int, answer_values: int) -> None:
        """Set the limits: bytes of all answers, bytes and values of one."""
        self._limit = limit
        self.answer_bytes = answer_bytes
        self.answer_values = answer_values
        self._held_bytes = 0
        # One thread: several would delay other requests together, as each waits for the GIL.
        self.encoder = ThreadPoolExecutor(1, thread_name_prefix="answers")

    def hold(self, size: int) -> None:
        """Count bytes as held. Raises UNAVAILABLE when all answers exceed the limit."""
        if self._held_bytes + size > self._limit:
            message = f"Too much is being answered at once (limit {self._limit} bytes)."
            raise AnalyticsError("UNAVAILABLE", message, limit=self._limit, retry_after=1)
        self._held_bytes += size

    def release(self, size: int) -> None:
        """Count bytes as held no longer."""
        self._held_bytes -= size


class AnswerBudget:
    """What one answer may still take; `error` is the refusal after it took more.

    `document_error` is the refusal of further stored documents; the answer itself goes on.

    `encoder` is the thread for large parts of answers.
    """

    def __init__(self, memory: AnswerMemory, argument_objects: Limit) -> None:
        """Begin an answer, which takes its bytes from the memory of all answers.

        `argument_objects` is the limit of objects that its fields read.
        """
        self._memory = memory
        self._max_argument_objects = argument_objects
        self._bytes = 0
        self._values = 0
        self._argument_objects = 0
        self._document_counts: Mapping[Limit, int] = {}
        self._held_bytes = 0
        self.error: AnalyticsError | None = None
        self.document_error: AnalyticsError | None = None
        self.encoder = memory.encoder

    def spend_values(self, count: int) -> None:
        """Count values of fields. Raises QUERY_TOO_EXPENSIVE beyond the limit."""
        self._values += count
        if self._values > self._memory.answer_values:
            self._refuse(self._memory.answer_values, "values", "answerValues")

    def spend_argument_object(self) -> None:
        """Count an object that a field reads; raise QUERY_TOO_EXPENSIVE beyond the limit.

        A filter of 480 objects takes 18 ms of each field, and a list can have 1,000 such fields.
        """
        self._argument_objects += 1
        limit = self._max_argument_objects
        if self._argument_objects > limit.value:
            message = (
                f"The fields read more than {limit.value} {limit.unit} (limit `{limit.name}`)."
            )
            self.error = AnalyticsError("QUERY_TOO_EXPENSIVE", message, limit=limit.value)
            raise self.error

    def spend_document(self, counts: Mapping[Limit, int], limits: LimitTable) -> None:
        """Count a stored document that the request runs.

        All such documents of a request together keep to the limits of one. Raises
        QUERY_TOO_EXPENSIVE for a document beyond them, and for each one after it.
        """
        if self.document_error:
            raise self.document_error
        total = Counter(self._document_counts) + Counter(counts)
        for declared_limit, count in total.items():
            limit = limits[declared_limit]
            if count > limit.value:
                message = (
                    f"The panels of this request take more than {limit.value} {limit.unit}"
                    f" (limit `{limit.name}`); ask for fewer at once."
                )
                self.document_error = AnalyticsError(
                    "QUERY_TOO_EXPENSIVE", message, limit=limit.value
                )
                raise self.document_error
        self._document_counts = total

    def spend_bytes(self, size: int) -> None:
        """Count bytes that are read from the engine, or written into the answer.

        Raises QUERY_TOO_EXPENSIVE beyond the limit, UNAVAILABLE if other answers have the memory.
        """
        self._bytes += size
        if self._bytes > self._memory.answer_bytes:
            self._refuse(self._memory.answer_bytes, "bytes", "answerBytes")
        if self._bytes - self._held_bytes > _HOLD_STEP:
            growth = self._bytes - self._held_bytes
            try:
                self._memory.hold(growth)
            except AnalyticsError as error:
                self.error = error
                raise
            self._held_bytes += growth

    def release(self) -> None:
        """Give the memory of the answer back."""
        self._memory.release(self._held_bytes)
        self._held_bytes = 0

    def _refuse(self, limit: int, unit: str, name: str) -> None:
        message = f"The answer takes more than {limit} {unit} (limit `{name}`); ask for less."
        self.error = AnalyticsError("QUERY_TOO_EXPENSIVE", message, limit=limit)
        raise self.error
