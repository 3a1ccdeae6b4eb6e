"""Recording of one row or many, of metrics or events: the store's outcome as a payload."""

from collections.abc import Awaitable, Mapping, Sequence

import msgspec

from resolvers.context import Context
from schema.access import Scope
from schema.errors import AnalyticsError, bad_input
from schema.recording import RecordPayload, RowError
from store.ingest.decoder import Batch, encode_rows
from store.ingest.outcomes import IngestedBatch, IngestedRow
from store.ingest.row_errors import GRAPHQL_NAMES, REST_NAMES
from store.ingest.rows import Row
from store.ingest.streams import Stream
from store.timestamps import Unit

MAX_ERRORS_WHEN_ALL_BAD = 100


def record_one(
    ctx: Context, stream: Stream[Row], body: bytes, unit: Unit | None = None
) -> Awaitable[IngestedRow[Row]]:
    """Store the one row in `body` (JSON) durably, unless a row with its id is stored."""
    ctx.grant.require(Scope.RECORD)
    return ctx.store.ingest_one(stream, body, ctx.now(), unit, ctx.grant.project)


async def record_batch(
    ctx: Context,
    stream: Stream[Row],
    rows: bytes | Sequence[Mapping[str, object]],
    field_names: Mapping[str, str] = REST_NAMES,
    unit: Unit | None = None,
    *,
    address: str = "",
) -> RecordPayload:
    """Store the valid rows durably, each client id once; report the rejected rows.

    `rows` are a JSON array or NDJSON, or objects with the REST API's fields. `field_names` maps
    REST names to names of the calling API. `unit` is the unit of numeric timestamps, None if the
    caller gave none. `address` is the network whose rows are limited, "" for none. Raises
    RATE_LIMITED, and `AnalyticsError` when no row is valid.
    """
    ctx.grant.require(Scope.RECORD)
    now = ctx.now()
    body = rows if isinstance(rows, bytes) else encode_rows(rows)
    ctx.store.row_limits.check(ctx.grant.key_id, address)
    charge = ctx.store.row_limits.begin(ctx.grant.key_id, address, len(body))
    batch = await ctx.store.reader.read_batch(stream.row_type, body, now, field_names, unit)
    charge.settle(batch.points + len(batch.errors))
    batch.project = ctx.grant.project
    return _payload(await ctx.store.ingest(stream, batch, now, field_names))


async def record_row_batch(
    ctx: Context, stream: Stream[Row], batch: Batch[Row] | AnalyticsError
) -> RecordPayload:
    """Store the rows of a batch of GraphQL as `record_batch` does, or raise its error."""
    ctx.grant.require(Scope.RECORD)
    if isinstance(batch, AnalyticsError):
        raise batch
    batch.project = ctx.grant.project
    return _payload(await ctx.store.ingest(stream, batch, ctx.now(), GRAPHQL_NAMES))


def _payload(batch: IngestedBatch) -> RecordPayload:
    if not batch.stored and not batch.duplicates:
        raise _no_valid_rows_error(batch.errors)
    return RecordPayload(
        accepted=batch.stored,
        duplicates=batch.duplicates,
        rejected=len(batch.errors),
        row_errors=batch.errors,
    )


def _no_valid_rows_error(errors: Sequence[RowError]) -> AnalyticsError:
    error = bad_input(None, f"No row of the batch is valid; the first: {errors[0].message}")
    error.rows = [msgspec.to_builtins(row) for row in errors[:MAX_ERRORS_WHEN_ALL_BAD]]
    return error
