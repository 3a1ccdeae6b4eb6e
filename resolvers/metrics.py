"""Questions about metrics."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from resolvers import catalogue, deletion, pages, warnings
from resolvers.context import Context
from resolvers.pages import ListQuery, Page
from resolvers.series import run
from resolvers.series.request import SeriesArguments, SeriesSelection, SeriesSource
from resolvers.series.run import run_series
from schema.aggregates import COUNT
from schema.catalogue import Sample
from schema.errors import AnalyticsError
from schema.filters import MetricFilter
from schema.metric_series import MetricResult
from schema.paging import Paging
from schema.ranges import TimeRange
from schema.ready import Cells, Columns, items
from schema.recording import DeletePayload
from schema.scalars import Instant, Json, Long
from schema.series import instants
from store.query import queries
from store.query.catalogue import SummaryRow
from store.query.fields.json_fields import tag_raw
from store.query.filters.conditions import metric_condition
from store.query.pages import SAMPLE_ORDER, SampleRow, SortKey, samples_page
from store.query.series.types import GroupColumn as GroupKey
from store.query.series.types import QueryShape, SeriesQuery
from store.timestamps import MAX_TIME


async def names(ctx: Context) -> list[str]:
    """Return the names of all metrics, sorted."""
    everything = queries.RowSet("metrics", ctx.project)
    rows = await ctx.batch.select(queries.names(everything), queries.NameRow)
    return [row.name for row in rows]


async def check_known(ctx: Context, name: str) -> None:
    """Raise NOT_FOUND if there is no such metric; UNAVAILABLE if that can't be said now."""
    ever = QueryShape("metrics", _condition(ctx), (0, MAX_TIME + 1), by_name=True)
    reply = await ctx.batch.run(SeriesQuery(ever, name, frozenset({COUNT}), frozenset()))
    if not reply.rows:
        raise _missing(ctx, name)


def _missing(ctx: Context, name: str) -> AnalyticsError:
    """Return the refusal of a metric without rows: unknown, or perhaps not loaded."""
    if ctx.store.problems():
        message = "The metric may be among the rows that can't be loaded now."
        return AnalyticsError("UNAVAILABLE", message, retry_after=5)
    return unknown(name)


async def find(
    ctx: Context, name: str, fields: set[str], questions: Sequence[SeriesQuery]
) -> SummaryRow:
    """Return a metric with what is wanted of it; NOT_FOUND if there is none.

    `questions`, which it will be asked below, are asked at once. An answer to one that has rows
    is the proof that there is such a metric, at no cost.
    """
    early = [ctx.batch.prefetch(question) for question in questions]
    if fields or not questions:
        summary = catalogue.summary(ctx, "metrics", name, fields)
        row, _ = await asyncio.gather(summary, asyncio.gather(*early))
        if row is None:
            raise _missing(ctx, name)
        return row
    if not any(await asyncio.gather(*early)):
        await check_known(ctx, name)
    return SummaryRow(name)


async def query(
    ctx: Context,
    name: str,
    tests: MetricFilter | None,
    asked: SeriesArguments,
    wanted: SeriesSelection,
    *,
    known: bool = False,
) -> MetricResult:
    """Answer with series of one metric; NOT_FOUND if it is not known to be there, and is not."""
    rows = rows_of(ctx, name, tests)
    result, meta = await run_series(ctx, rows, asked, wanted)
    if not (result.has_rows or known):
        await check_known(ctx, name)
    if wanted.warnings:
        kinds = warnings.kinds_of(asked, wanted)
        meta.warnings += await warnings.of_metric(ctx, name, tests, asked.group_columns, kinds)
    return MetricResult(result=result, meta=meta)


def rows_of(ctx: Context, name: str, tests: MetricFilter | None) -> SeriesSource:
    """Return the points of a metric that pass a filter."""
    condition = _condition(ctx, tests)
    return SeriesSource("metrics", lambda _: condition, name, name)


def first_queries(
    ctx: Context,
    name: str,
    tests: MetricFilter | None,
    asked: SeriesArguments,
    wanted: SeriesSelection,
) -> list[SeriesQuery]:
    """Return what `query` asks of a metric first; nothing if it would refuse."""
    try:
        return run.first_queries(ctx, rows_of(ctx, name, tests), asked, wanted)
    except AnalyticsError:
        return []


def keys(ctx: Context, tags: Sequence[str]) -> tuple[GroupKey, ...]:
    """Return group keys for tags."""
    return tuple(
        GroupKey(tag, tag_raw(ctx.batch.slots, tag), is_json=True, kind="tag") for tag in tags
    )


async def samples(
    ctx: Context,
    name: str,
    span: TimeRange,
    tests: MetricFilter | None,
    paging: Paging,
) -> Page[Sample]:
    """List the points of one metric in a range, newest first."""
    rows = queries.metric_rows(ctx.project, name, span)
    if tests:
        rows.conditions.append(metric_condition(tests, rows))
    of = ListQuery("s", rows, SAMPLE_ORDER)
    part = pages.slice_of(of, paging)
    found = await ctx.batch.select(samples_page(of.rows, part), SampleRow)
    return pages.page(ctx, of, part, found, (_sample, _key), columns=_columns)


def _sample(row: SampleRow) -> Sample:
    # Already JSON, as an event's properties are.
    tags = Json(msgspec.Raw(row.tags.encode() or b"{}"))
    return Sample(time=Instant(row.at), value=row.value, tags=tags)


def _columns(rows: Sequence[SampleRow]) -> Columns:
    return lambda field: _CELLS[field.name](rows)


_CELLS: Final[dict[str, Callable[[Sequence[SampleRow]], Cells]]] = {
    "time": lambda rows: items(instants([row.at for row in rows])),
    "value": lambda rows: items(msgspec.json.encode([row.value for row in rows])),
    "tags": lambda rows: [row.tags.encode() or b"{}" for row in rows],
}
"""Each field of a `Sample`, as `_sample` has it, written for many rows at once."""


def _key(row: SampleRow) -> SortKey:
    return row.at, row.batch, row.row


async def delete(ctx: Context, name: str) -> DeletePayload:
    """Delete all points of a metric; NOT_FOUND if there are none."""
    matched = await deletion.delete(ctx, queries.metric_rows(ctx.project, name))
    if matched == 0:
        raise unknown(name)
    return DeletePayload(matched_rows=Long(matched))


def _condition(ctx: Context, tests: MetricFilter | None = None) -> str:
    rows = queries.RowSet("metrics", ctx.project, ctx.batch.slots)
    if tests:
        rows.conditions.append(metric_condition(tests, rows))
    return rows.condition


def unknown(name: str) -> AnalyticsError:
    """Return the refusal of a metric that is not there."""
    return AnalyticsError("NOT_FOUND", f"There is no metric {name!r}.")
