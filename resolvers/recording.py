"""Recording: one row or many, of metrics or events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic

import msgspec

from resolvers.context import Context
from schema.errors import AnalyticsError, bad_input
from schema.recording import RecordPayload, RowError
from schema.scalars import Instant
from store.clock import is_plausible
from store.ingest.decoder import encode_rows, read_batch, read_one
from store.ingest.row_errors import REST_NAMES
from store.ingest.rows import Row
from store.ingest.streams import Stream
from store.journal.row_ids import Position
from store.timestamps import Unit

MAX_ERRORS_WHEN_ALL_BAD = 100


@dataclass(slots=True)
class RecordedRow(Generic[Row]):
    """A single row and where it is stored; if its id was there already, where that row is."""

    row: Row
    time: Instant
    position: Position
    duplicate: bool


async def record_one(
    ctx: Context, stream: Stream[Row], body: bytes, unit: Unit | None = None
) -> RecordedRow[Row]:
    """Store the one row in `body` (JSON) durably, unless one with its id is stored."""
    try:
        now = ctx.now()
        batch, time = read_one(stream.row_type, body, now, unit)
    except AnalyticsError:
        ctx.store.reject(stream)
        raise
    recorded = await ctx.store.record(stream, batch, now)
    if recorded.position:
        return RecordedRow(batch.rows[0], time, recorded.position, duplicate=False)
    first = recorded.duplicates[0]
    return RecordedRow(batch.rows[0], first.time, first.position, duplicate=True)


async def record_batch(
    ctx: Context,
    stream: Stream[Row],
    rows: bytes | Sequence[Mapping[str, object]],
    names: Mapping[str, str] = REST_NAMES,
    unit: Unit | None = None,
) -> RecordPayload:
    """Store the good rows durably, each client id once; report the bad ones.

    Rows are a JSON array or NDJSON, or objects with the same fields; `names` are the names by
    which the caller knows those fields, `unit` is that of numeric timestamps (None if the caller
    gave none). Raises `AnalyticsError` when no row is good.
    """
    body = rows if isinstance(rows, bytes) else encode_rows(rows)
    now = ctx.now()
    # Lines of a known form are not read again until somebody asks, and a wrong time can't be read.
    read = ctx.store.templates.read_batch if is_plausible(now) else read_batch
    batch = read(stream.row_type, body, now, names, unit)
    recorded = await ctx.store.record(stream, batch, now)
    if not batch.points:
        raise _useless(batch.errors)
    return RecordPayload(
        accepted=recorded.points,
        duplicates=batch.points - recorded.points,
        rejected=len(batch.errors),
        errors=list(batch.errors),
    )


def _useless(refused: Sequence[RowError]) -> AnalyticsError:
    error = bad_input(None, f"No row of the batch is valid; the first: {refused[0].message}")
    error.rows = [msgspec.to_builtins(row) for row in refused[:MAX_ERRORS_WHEN_ALL_BAD]]
    return error
