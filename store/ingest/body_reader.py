"""Reading of batches: small bodies at once, large ones in a thread beside the other requests."""

import asyncio
import functools
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from schema.scalars import Instant
from store.ingest.decoder import LARGE_BODY_BYTES, Batch
from store.ingest.line_templates import TemplateCache
from store.ingest.row_errors import REST_NAMES
from store.ingest.rows import Row, RowType
from store.timestamps import Unit

T = TypeVar("T")

_SWITCH_SECONDS: Final = 0.001
"""Seconds for which the thread may keep the GIL while others wait; Python's default is 5 ms.

A small request waits so long at each of its steps. Without large bodies the default is better: with
1 ms, recording one row takes 5 % more CPU.
"""

_MANY_ROWS: Final = 5_000
"""Rows up to which a small body is read at once, in 60 ms if each is invalid."""


class BodyReader:
    """Reads batches, with templates of their lines."""

    def __init__(self) -> None:
        """Create a reader; its thread starts with the first large body."""
        self.templates = TemplateCache()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="reader")

    async def read_batch(
        self,
        row_type: RowType[Row],
        body: bytes,
        now: Instant,
        field_names: Mapping[str, str] = REST_NAMES,
        unit: Unit | None = None,
    ) -> Batch[Row]:
        """Parse the rows of a request, a JSON array or NDJSON.

        Rows without a time get `now`. `field_names` maps REST names to names of the calling API.
        `unit` is the unit of numeric timestamps, None if the caller gave none. Raises
        `AnalyticsError` when the body is no list of rows, or has too many.
        """
        read = functools.partial(self.templates.read_batch, row_type, body, now, field_names, unit)
        size = LARGE_BODY_BYTES if _may_have_many_rows(body) else len(body)
        return await self.run(size, read)

    async def run(self, size: int, function: Callable[[], T]) -> T:
        """Call a function that reads so many bytes, in the thread if they are many."""
        if size < LARGE_BODY_BYTES:
            return function()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, _give_way, function)

    def close(self) -> None:
        """Return when the thread has ended."""
        self._thread.shutdown()


def _may_have_many_rows(body: bytes) -> bool:
    """Return whether a small body may have so many rows that it takes long if each is invalid.

    A row that is invalid takes 12 us. A comma for 8 bytes is more than valid rows have.
    """
    if not _MANY_ROWS < len(body) < LARGE_BODY_BYTES:
        return False
    commas = body.count(b",")
    return (
        commas > max(_MANY_ROWS, len(body) // 8)
        or body.count(b"\n") > _MANY_ROWS
        or (commas > _MANY_ROWS and body.count(b"},") > _MANY_ROWS)
    )


def _give_way(function: Callable[[], T]) -> T:
    """Call a function, and let other threads run often meanwhile."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        return function()
    finally:
        sys.setswitchinterval(interval)
