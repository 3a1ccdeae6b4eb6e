"""Ingestion: row counters per stream, and the rows that were set aside."""

from collections.abc import Iterator
from itertools import islice

import strawberry

from resolvers.context import Context
from schema.access import Scope
from schema.paging import checked_count
from schema.recording import ReplayPayload, SetAsideRow, StreamStats
from schema.scalars import Long
from store.journal.project_lines import split_project

MAX_TEXT = 10_000
"""Characters of a row that is set aside; the rest of a longer row is left out."""


def stream_stats(ctx: Context) -> list[StreamStats]:
    """Return the row counters of each stream since the start of the service."""
    ctx.grant.require(Scope.OPERATE)
    return [
        StreamStats(
            stream=stats.stream,
            received=Long(stats.counts.received),
            stored=Long(stats.counts.stored),
            duplicates=Long(stats.counts.duplicates),
            rejected=Long(stats.counts.rejected),
            unavailable=Long(stats.counts.unavailable),
            pending=Long(stats.counts.pending),
            recovered=Long(stats.recovered),
            loaded=Long(stats.loaded),
            waiting=Long(stats.waiting),
            set_aside=Long(stats.set_aside),
        )
        for stats in ctx.store.stream_stats()
    ]


def set_aside(ctx: Context, first: int) -> list[SetAsideRow]:
    """List the project's rows that were set aside, oldest first, at most `first`."""
    ctx.grant.require(Scope.OPERATE)
    checked_count("first", first)
    return list(islice(_set_aside_rows(ctx), first))


def _set_aside_rows(ctx: Context) -> Iterator[SetAsideRow]:
    for stream, row in ctx.store.set_aside_lines():
        project, line = split_project(row.line)
        if project == ctx.grant.project:
            yield SetAsideRow(
                id=strawberry.ID(f"{stream}-{row.file.stem}-{row.line_index}"),
                stream=stream,
                text=line.decode(errors="replace").rstrip("\n")[:MAX_TEXT],
            )


async def replay(ctx: Context) -> ReplayPayload:
    """Record the rows that were set aside again; return the numbers of their outcomes.

    Rows that still can't be parsed stay set aside.
    """
    ctx.grant.require(Scope.OPERATE)
    stored, duplicates = await ctx.store.replay(ctx.grant.project, ctx.now())
    remaining = sum(1 for _ in _set_aside_rows(ctx))
    return ReplayPayload(stored=Long(stored), duplicates=Long(duplicates), left=Long(remaining))
