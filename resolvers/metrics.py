"""Questions about metrics."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from resolvers import catalogue, deletion, pages, warnings
from resolvers.context import Context
from resolvers.pages import List, Page
from resolvers.series.request import Asked, Rows, Wanted
from resolvers.series.run import first_questions, series
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
from store.query.pages import SAMPLES, Key, SampleRow, samples_page
from store.query.series.types import Key as GroupKey
from store.query.series.types import Question, Shape
from store.timestamps import MAX_TIME


async def names(ctx: Context) -> list[str]:
    """Return the names of all metrics, sorted."""
    everything = queries.Rows("metrics", ctx.project)
    rows = await ctx.questions.select(queries.names(everything), queries.NameRow)
    return [row.name for row in rows]


async def check_known(ctx: Context, name: str) -> None:
    """Raise NOT_FOUND if there is no such metric; UNAVAILABLE if that can't be said now."""
    ever = Shape("metrics", _condition(ctx), (0, MAX_TIME + 1), by_name=True)
    reply = await ctx.questions.ask(Question(ever, name, frozenset({COUNT}), frozenset()))
    if not reply.lines:
        raise _missing(ctx, name)


def _missing(ctx: Context, name: str) -> AnalyticsError:
    """Return the refusal of a metric without rows: unknown, or perhaps not loaded."""
    if ctx.store.problems():
        message = "The metric may be among the rows that can't be loaded now."
        return AnalyticsError("UNAVAILABLE", message, retry_after=5)
    return unknown(name)


async def find(
    ctx: Context, name: str, fields: set[str], questions: Sequence[Question]
) -> SummaryRow:
    """Return a metric with what is wanted of it; NOT_FOUND if there is none.

    `questions`, which it will be asked below, are asked at once. An answer to one that has rows
    is the proof that there is such a metric, at no cost.
    """
    early = [ctx.questions.ask_early(question) for question in questions]
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
    asked: Asked,
    wanted: Wanted,
    *,
    known: bool = False,
) -> MetricResult:
    """Answer with series of one metric; NOT_FOUND if it is not known to be there, and is not."""
    rows = rows_of(ctx, name, tests)
    result, meta = await series(ctx, rows, asked, wanted)
    if not (result.found or known):
        await check_known(ctx, name)
    if wanted.warnings:
        kinds = warnings.kinds_of(asked, wanted)
        meta.warnings += await warnings.of_metric(ctx, name, tests, asked.keys, kinds)
    return MetricResult(result=result, meta=meta)


def rows_of(ctx: Context, name: str, tests: MetricFilter | None) -> Rows:
    """Return the points of a metric that pass a filter."""
    condition = _condition(ctx, tests)
    return Rows("metrics", lambda _: condition, name, name)


def questions_of(
    ctx: Context, name: str, tests: MetricFilter | None, asked: Asked, wanted: Wanted
) -> list[Question]:
    """Return what `query` asks of a metric first; nothing if it would refuse."""
    try:
        return first_questions(ctx, rows_of(ctx, name, tests), asked, wanted)
    except AnalyticsError:
        return []


def keys(ctx: Context, tags: Sequence[str]) -> tuple[GroupKey, ...]:
    """Return group keys for tags."""
    return tuple(
        GroupKey(tag, tag_raw(ctx.questions.slots, tag), is_json=True, part="tag") for tag in tags
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
    of = List("s", rows, SAMPLES)
    part = pages.span_of(of, paging)
    found = await ctx.questions.select(samples_page(of.rows, part), SampleRow)
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


def _key(row: SampleRow) -> Key:
    return row.at, row.batch, row.row


async def delete(ctx: Context, name: str) -> DeletePayload:
    """Delete all points of a metric; NOT_FOUND if there are none."""
    matched = await deletion.delete(ctx, queries.metric_rows(ctx.project, name))
    if matched == 0:
        raise unknown(name)
    return DeletePayload(matched_rows=Long(matched))


def _condition(ctx: Context, tests: MetricFilter | None = None) -> str:
    rows = queries.Rows("metrics", ctx.project, ctx.questions.slots)
    if tests:
        rows.conditions.append(metric_condition(tests, rows))
    return rows.condition


def unknown(name: str) -> AnalyticsError:
    """Return the refusal of a metric that is not there."""
    return AnalyticsError("NOT_FOUND", f"There is no metric {name!r}.")
