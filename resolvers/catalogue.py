"""Which metrics and kinds of events there are, and what is said of them."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from resolvers import pages
from resolvers.context import Context
from resolvers.global_ids import EVENT_TYPE, name_in
from resolvers.pages import ListQuery, Page
from schema.catalogue import DEFAULT_KIND, DescribeMetricInput, DescribeMetricPayload, MetricKind
from schema.errors import bad_input
from schema.paging import Paging, checked_count
from store.query import catalogue
from store.query.catalogue import DESCRIPTION_COLUMNS, DescriptionRow, SummaryRow
from store.query.pages import METRIC_ORDER, Slice
from store.query.queries import RowSet
from store.query.series.types import SeriesQuery

_SEEN: Final = {"firstSeenAt": "first", "lastSeenAt": "last"}
_SUMMARY: Final = {
    "metrics": _SEEN | {"seriesCount": "series"} | {key: key for key in DESCRIPTION_COLUMNS},
    "events": _SEEN | {"count": "count"},
}
"""What a field of a metric or of an event type is computed as; others need nothing."""

_LIMITS: Final = {"name": 200, "unit": 100, "description": 2000}
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_ONE_LINE: Final = ("name", "unit")


def summary_columns(table: str, selected: Collection[str]) -> set[str]:
    """Return what must be computed for the fields that are selected."""
    fields = _SUMMARY[table]
    return {fields[name] for name in selected if name in fields}


async def metrics(
    ctx: Context,
    chosen: tuple[str | None, MetricKind | None],
    paging: Paging,
    asked: set[str],
    questions: Sequence[SeriesQuery] = (),
) -> Page[SummaryRow]:
    """List metrics, sorted by name, with what is asked of each, in one statement.

    `chosen`: a part of their names, and their kind. `questions` are asked of each of them in the
    same statement.
    """
    search, kind = chosen
    rows = RowSet("metrics", ctx.project, ctx.batch.slots)
    catalogue.search(rows, search)
    if kind:
        catalogue.with_kind(rows, kind.name, DEFAULT_KIND.name)
    of = ListQuery("m", rows, METRIC_ORDER, catalogue.total)
    span = pages.slice_of(of, paging)
    statement = catalogue.summaries(rows, asked, span)
    if not questions:
        found = await ctx.batch.select(statement, SummaryRow)
        return pages.page(ctx, of, span, found, (_itself, _name))
    found = await ctx.batch.select_with(statement, SummaryRow, questions)
    found.sort(key=_name, reverse=span.backward)
    return pages.page(ctx, of, span, found, (_itself, _name))


async def event_types(
    ctx: Context, search: str | None, first: int, after: str | None, asked: set[str]
) -> list[SummaryRow]:
    """List the kinds of events after the one with an id, sorted by name, in one statement."""
    checked_count("first", first)
    name = None if after is None else name_in(EVENT_TYPE, after)
    if after is not None and name is None:
        raise bad_input("after", "is not the id of an event type")
    rows = RowSet("events", ctx.project)
    catalogue.search(rows, search)
    span = Slice(first, after=None if name is None else (name,))
    found = await ctx.batch.select(catalogue.summaries(rows, asked, span), SummaryRow)
    return found[:first]


def _itself(row: SummaryRow) -> SummaryRow:
    return row


def _name(row: SummaryRow) -> tuple[str]:
    return (row.name,)


async def summary(ctx: Context, table: str, name: str, asked: set[str]) -> SummaryRow | None:
    """Return what is asked of one name of a table; None if it has no rows."""
    rows = RowSet(table, ctx.project)
    catalogue.in_names(rows, [name])
    statement = catalogue.summaries(rows, asked, Slice(1)) if asked else catalogue.first(rows)
    found = await ctx.batch.select(statement, SummaryRow)
    return found[0] if found else None


async def describe(ctx: Context, said: DescribeMetricInput) -> DescribeMetricPayload:
    """Store what is said of a metric, durably; it is in the next answer."""
    texts = {
        key: text
        for key, text in (("unit", said.unit), ("description", said.description))
        if text is not None
    }
    _check({"name": said.name} | texts)
    if not said.name:
        raise bad_input("name", "must not be empty")
    if said.kind:
        texts["kind"] = said.kind.name
    await ctx.store.write(catalogue.describe(ctx.project, said.name, texts))
    statement = catalogue.description(ctx.project, said.name)
    (found,) = await ctx.batch.select(statement, DescriptionRow)
    return DescribeMetricPayload(
        name=said.name,
        kind=kind_of(found.kind),
        unit=found.unit or None,
        description=found.description or None,
    )


def _check(texts: Mapping[str, str]) -> None:
    for field, text in texts.items():
        if len(text) > _LIMITS[field]:
            limit = _LIMITS[field]
            raise bad_input(field, f"must be at most {limit} characters", limit=limit)
        if field in _ONE_LINE and _CONTROL.search(text):
            raise bad_input(field, "must have no control characters")


def kind_of(text: str) -> MetricKind:
    """Return the kind that is stored; the default when none is."""
    return MetricKind[text] if text else DEFAULT_KIND
