"""Metrics: their names, series, samples and deletion."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from resolvers import catalogue, deletion, pages, warnings
from resolvers.context import Context
from resolvers.pages import ListQuery, Page, Presenter
from resolvers.series import run
from resolvers.series.request import SeriesArguments, SeriesSelection, SeriesSource
from resolvers.series.run import run_series
from schema.access import Scope
from schema.catalogue import Sample
from schema.encoding import Cells, Columns, items
from schema.errors import AnalyticsError, quote
from schema.filters import MetricFilter
from schema.paging import Paging
from schema.ranges import TimeRange
from schema.recording import DeletePayload
from schema.scalars import Instant, Json, Long
from schema.series.aggregates import COUNT
from schema.series.bucket_times import instants
from schema.series.metric_series import MetricResult
from store.query import statements
from store.query.catalogue import SummaryRow
from store.query.fields.json_fields import tag_raw
from store.query.filters.conditions import metric_condition
from store.query.pages import SAMPLE_ORDER, SampleRow, SortKey, samples_page
from store.query.series.types import GroupColumn, QueryShape, SeriesQuery
from store.query.tables import METRICS
from store.timestamps import MAX_TIME


async def check_exists(ctx: Context, name: str) -> None:
    """Raise NOT_FOUND if a metric has no rows; UNAVAILABLE if its rows may be waiting to load."""
    shape = QueryShape(METRICS.name, _condition(ctx), (0, MAX_TIME + 1), by_name=True)
    reply = await ctx.batch.run(SeriesQuery(shape, name, frozenset({COUNT}), frozenset()))
    if not reply.rows:
        raise _missing(ctx, name)


def _missing(ctx: Context, name: str) -> AnalyticsError:
    """Return the error for a metric without rows: not found, or perhaps not loaded."""
    if ctx.store.problems():
        message = "The metric may be among the rows that can't be loaded now."
        return AnalyticsError("UNAVAILABLE", message, retry_after=5)
    return unknown_metric(name)


async def find(
    ctx: Context, name: str, columns: set[str], series_queries: Sequence[SeriesQuery]
) -> SummaryRow:
    """Return the summary of a metric, and prefetch the series queries of its fields.

    Raises NOT_FOUND if there is no such metric. A series query that returns rows proves that the
    metric exists, at no cost.
    """
    prefetches = [ctx.batch.prefetch(query) for query in series_queries]
    if columns or not series_queries:
        summary = catalogue.summary(ctx, METRICS.name, name, columns)
        row, _ = await asyncio.gather(summary, asyncio.gather(*prefetches))
        if row is None:
            raise _missing(ctx, name)
        return row
    if not any(await asyncio.gather(*prefetches)):
        await check_exists(ctx, name)
    return SummaryRow(name)


async def query(
    ctx: Context,
    name: str,
    where: MetricFilter | None,
    arguments: SeriesArguments,
    selection: SeriesSelection,
    *,
    is_known: bool = False,
) -> MetricResult:
    """Return the series of one metric.

    Raises NOT_FOUND if the metric does not exist; the caller may have checked (`is_known`).
    """
    source = metric_source(ctx, name, where)
    result, meta = await run_series(ctx, source, arguments, selection)
    if not (result.has_rows or is_known):
        await check_exists(ctx, name)
    if selection.warnings:
        kinds = warnings.aggregate_kinds(arguments, selection)
        meta.warnings += await warnings.metric_warnings(
            ctx, name, where, arguments.group_columns, kinds
        )
    return MetricResult(result=result, meta=meta)


def metric_source(ctx: Context, name: str, where: MetricFilter | None) -> SeriesSource:
    """Return the points of a metric that pass a filter, as the source of series."""
    condition = _condition(ctx, where)
    return SeriesSource(METRICS.name, lambda _: condition, name, name)


def first_queries(
    ctx: Context,
    name: str,
    where: MetricFilter | None,
    arguments: SeriesArguments,
    selection: SeriesSelection,
) -> list[SeriesQuery]:
    """Return the series queries that `query` starts with; none if `query` raises an error."""
    try:
        return run.first_queries(ctx, metric_source(ctx, name, where), arguments, selection)
    except AnalyticsError:
        return []


def tag_columns(ctx: Context, tags: Sequence[str]) -> tuple[GroupColumn, ...]:
    """Return the group columns of tags."""
    return tuple(
        GroupColumn(tag, tag_raw(ctx.batch.slots, tag), is_json=True, kind="tag") for tag in tags
    )


async def samples(
    ctx: Context,
    name: str,
    time_range: TimeRange,
    where: MetricFilter | None,
    paging: Paging,
) -> Page[Sample]:
    """List the points of one metric in a time range, newest first."""
    rows = statements.metric_rows(ctx.rows(METRICS.name), name, time_range)
    if where:
        rows.conditions.append(metric_condition(where, rows))
    list_query = ListQuery("s", rows, SAMPLE_ORDER)
    list_slice = pages.parse_slice(list_query, paging)
    sample_rows = await ctx.batch.select(samples_page(rows, list_slice), SampleRow)
    return pages.page(ctx, list_query, list_slice, sample_rows, _SAMPLE_PRESENTER)


def _sample(row: SampleRow) -> Sample:
    # The tags are stored as JSON, so their text is passed through undecoded.
    tags = Json(msgspec.Raw(row.tags.encode() or b"{}"))
    return Sample(time=Instant(row.time_ms), value=row.value, tags=tags)


def _sort_key(row: SampleRow) -> SortKey:
    return row.time_ms, row.batch, row.row


def _sample_columns(rows: Sequence[SampleRow]) -> Columns:
    return lambda field: _SAMPLE_CELLS[field.name](rows)


_SAMPLE_CELLS: Final[dict[str, Callable[[Sequence[SampleRow]], Cells]]] = {
    "time": lambda rows: items(instants([row.time_ms for row in rows])),
    "value": lambda rows: items(msgspec.json.encode([row.value for row in rows])),
    "tags": lambda rows: [row.tags.encode() or b"{}" for row in rows],
}
"""The encoder of each field of a `Sample` for many rows at once; equals `_sample` row by row."""

_SAMPLE_PRESENTER: Final = Presenter(_sample, _sort_key, _sample_columns)


async def delete(ctx: Context, name: str) -> DeletePayload:
    """Delete all points of a metric; raises NOT_FOUND if there are none."""
    ctx.grant.require(Scope.DELETE)
    rows = statements.metric_rows(ctx.rows(METRICS.name), name)
    deleted_rows = await deletion.delete(ctx, rows, name)
    if deleted_rows == 0:
        raise unknown_metric(name)
    return DeletePayload(matched_rows=Long(deleted_rows))


def _condition(ctx: Context, where: MetricFilter | None = None) -> str:
    rows = ctx.rows(METRICS.name, ctx.batch.slots)
    if where:
        rows.conditions.append(metric_condition(where, rows))
    return rows.condition


def unknown_metric(name: str) -> AnalyticsError:
    """Return the error for a metric that does not exist."""
    return AnalyticsError("NOT_FOUND", f"There is no metric {quote(name)}.")
