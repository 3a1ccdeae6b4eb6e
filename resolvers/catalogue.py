"""The catalogue: lists of metrics and event types, their summaries, and metric descriptions."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from resolvers import pages
from resolvers.context import Context
from resolvers.global_ids import EVENT_TYPE, name_from_id
from resolvers.pages import ListQuery, Page, Presenter
from schema.access import Scope
from schema.catalogue import DEFAULT_KIND, DescribeMetricInput, DescribeMetricPayload, MetricKind
from schema.errors import bad_input
from schema.paging import Paging, checked_count
from store.query import catalogue
from store.query.catalogue import DESCRIPTION_COLUMNS, DescriptionRow, SummaryRow
from store.query.pages import METRIC_ORDER, Slice
from store.query.series.types import SeriesQuery
from store.query.tables import EVENTS, METRICS

_TIME_COLUMNS: Final = {"firstSeenAt": "first", "lastSeenAt": "last"}
_SUMMARY: Final = {
    METRICS.name: _TIME_COLUMNS
    | {"seriesCount": "series"}
    | {column: column for column in DESCRIPTION_COLUMNS},
    EVENTS.name: _TIME_COLUMNS | {"count": "count"},
}
"""The summary column of each field of a metric or an event type; other fields need none."""

_LIMITS: Final = {"name": 200, "unit": 100, "description": 2000}
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_ONE_LINE: Final = ("name", "unit")


class MetricSearch(NamedTuple):
    """A search for metrics: a part of their names, and their kind; None matches all."""

    text: str | None
    kind: MetricKind | None


def summary_columns(table: str, field_names: Collection[str]) -> set[str]:
    """Return the summary columns that the selected fields need."""
    columns = _SUMMARY[table]
    return {columns[field] for field in field_names if field in columns}


async def metrics(
    ctx: Context,
    search: MetricSearch,
    paging: Paging,
    columns: set[str],
    queries: Sequence[SeriesQuery] = (),
) -> Page[SummaryRow]:
    """List metrics, sorted by name, with their summary columns, in one statement.

    The same statement prefetches `queries` for each metric on the page.
    """
    rows = ctx.rows(METRICS.name, ctx.batch.slots)
    catalogue.search(rows, search.text)
    if search.kind:
        catalogue.with_kind(rows, search.kind.name, DEFAULT_KIND.name)
    list_query = ListQuery("m", rows, METRIC_ORDER, catalogue.total)
    list_slice = pages.parse_slice(list_query, paging)
    statement = catalogue.summaries(rows, columns, list_slice)
    if queries:
        summaries = await ctx.batch.select_with(statement, SummaryRow, queries)
        summaries.sort(key=_sort_key, reverse=list_slice.backward)
    else:
        summaries = await ctx.batch.select(statement, SummaryRow)
    return pages.page(ctx, list_query, list_slice, summaries, _PRESENTER)


async def event_types(
    ctx: Context, search: str | None, first: int, after: str | None, columns: set[str]
) -> list[SummaryRow]:
    """List event types after the one with an id, sorted by name, in one statement."""
    checked_count("first", first)
    name = None if after is None else name_from_id(EVENT_TYPE, after)
    if after is not None and name is None:
        raise bad_input("after", "is not the id of an event type")
    rows = ctx.rows(EVENTS.name)
    catalogue.search(rows, search)
    list_slice = Slice(first, after=None if name is None else (name,))
    statement = catalogue.summaries(rows, columns, list_slice)
    return (await ctx.batch.select(statement, SummaryRow))[:first]


def _sort_key(row: SummaryRow) -> tuple[str]:
    return (row.name,)


_PRESENTER: Final[Presenter[SummaryRow, SummaryRow]] = Presenter(pages.identity, _sort_key)


async def summary(ctx: Context, table: str, name: str, columns: set[str]) -> SummaryRow | None:
    """Return the summary columns of one name in a table; None if the name has no rows."""
    rows = ctx.rows(table)
    rows.add_names([name])
    statement = catalogue.summaries(rows, columns, Slice(1)) if columns else catalogue.first(rows)
    summaries = await ctx.batch.select(statement, SummaryRow)
    return summaries[0] if summaries else None


async def describe(ctx: Context, metric: DescribeMetricInput) -> DescribeMetricPayload:
    """Store the description of a metric, durably; the next query returns it.

    Raises `AnalyticsError` for texts that are too long, and for control characters on one line.
    """
    ctx.grant.require(Scope.DESCRIBE)
    texts = {
        column: text
        for column, text in (("unit", metric.unit), ("description", metric.description))
        if text is not None
    }
    _check({"name": metric.name} | texts)
    if not metric.name:
        raise bad_input("name", "must not be empty")
    if metric.kind:
        texts["kind"] = metric.kind.name
    await ctx.store.write(catalogue.describe(ctx.grant.project, metric.name, texts))
    statement = catalogue.description(ctx.grant.project, metric.name)
    (row,) = await ctx.batch.select(statement, DescriptionRow)
    return DescribeMetricPayload(
        name=metric.name,
        kind=kind_of(row.kind),
        unit=row.unit or None,
        description=row.description or None,
    )


def _check(texts: Mapping[str, str]) -> None:
    for field, text in texts.items():
        if len(text) > _LIMITS[field]:
            limit = _LIMITS[field]
            raise bad_input(field, f"must be at most {limit} characters", limit=limit)
        if field in _ONE_LINE and _CONTROL.search(text):
            raise bad_input(field, "must have no control characters")


def kind_of(text: str) -> MetricKind:
    """Return the stored kind of a metric; the default kind if none is stored."""
    return MetricKind[text] if text else DEFAULT_KIND
