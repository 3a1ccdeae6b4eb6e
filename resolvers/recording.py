"""Recording: one row or many, of metrics or events."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from resolvers.context import Context
from schema.recording import RecordPayload
from schema.scalars import Instant
from store.batches import Position
from store.rows import REST_NAMES, EventRow, MetricRow, as_json, read_batch, read_one
from store.tables import Table

Row = TypeVar("Row", MetricRow, EventRow)


async def record_one(ctx: Context, table: Table[Row], body: bytes) -> tuple[Row, Instant, Position]:
    """Store the one row in `body` (JSON) durably; return it, its time, and where it is stored."""
    row, time, line = read_one(table.kind, body, ctx.now())
    return row, time, await ctx.store.record(table, line, 1)


async def record_batch(
    ctx: Context,
    table: Table[Row],
    rows: bytes | Sequence[Mapping[str, object]],
    names: Mapping[str, str] = REST_NAMES,
) -> RecordPayload:
    """Store the good rows durably, report the bad ones.

    Rows are a JSON array or NDJSON, or objects with the same fields; `names` are the names by
    which the caller knows those fields. Raises `AnalyticsError` when no row is good.
    """
    body = rows if isinstance(rows, bytes) else as_json(rows)
    batch = read_batch(table.kind, body, ctx.now(), names)
    await ctx.store.record(table, batch.lines, batch.rows)
    return RecordPayload(accepted=batch.rows, rejected=len(batch.refused), errors=batch.refused)
