"""What became of every row: the ledger, and the rows that were set aside."""

from itertools import islice

import strawberry

from resolvers.context import Context
from schema.errors import AnalyticsError
from schema.paging import checked_count
from schema.recording import ReplayPayload, SetAsideRow, StreamStats
from schema.scalars import Long

MAX_TEXT = 10_000


def stream_stats(ctx: Context) -> list[StreamStats]:
    """Return what became of the rows of each stream since the start."""
    return [
        StreamStats(
            stream=account.stream,
            received=Long(account.counts.received),
            stored=Long(account.counts.stored),
            duplicates=Long(account.counts.duplicates),
            rejected=Long(account.counts.rejected),
            unavailable=Long(account.counts.unavailable),
            pending=Long(account.counts.pending),
            recovered=Long(account.recovered),
            loaded=Long(account.loaded),
            waiting=Long(account.waiting),
            set_aside=Long(account.set_aside),
        )
        for account in ctx.store.stream_stats()
    ]


def set_aside(ctx: Context, first: int) -> list[SetAsideRow]:
    """List rows that were set aside, oldest first."""
    checked_count("first", first)
    return [
        SetAsideRow(
            id=strawberry.ID(f"{stream}-{row.file.stem}-{row.place}"),
            stream=stream,
            text=row.line.decode(errors="replace").rstrip("\n")[:MAX_TEXT],
        )
        for stream, row in islice(ctx.store.set_aside_lines(), first)
    ]


async def replay(ctx: Context) -> ReplayPayload:
    """Record what was set aside once more.

    Raises FORBIDDEN in production: there it will take a key with the admin scope.
    """
    if ctx.production:
        raise AnalyticsError("FORBIDDEN", "Replaying is not allowed in production.")
    stored, duplicates = await ctx.store.replay(ctx.now())
    left = sum(account.set_aside_total for account in ctx.store.stream_stats())
    return ReplayPayload(stored=Long(stored), duplicates=Long(duplicates), left=Long(left))
