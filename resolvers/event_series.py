"""Series of events: aggregates over time, and the group columns of events."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from strawberry import UNSET

from resolvers import warnings
from resolvers.context import Context
from resolvers.series.request import SeriesArguments, SeriesSelection, SeriesSource
from resolvers.series.run import run_series
from schema.errors import bad_input
from schema.filters import EventFilter, scanned_names
from schema.ranges import TimeRange
from schema.series.event_series import EventResult
from schema.series.group_by import GroupByInput, NumberBucketInput
from store.query.fields.json_fields import (
    keys_of,
    property_any_number,
    property_group,
    property_items,
    split_at_array,
)
from store.query.filters.conditions import event_condition
from store.query.series.types import EVENT_FIELDS, GroupColumn
from store.query.sql import Slots
from store.query.tables import EVENTS

MAX_BOUNDS: Final = 100


async def query(
    ctx: Context,
    where: EventFilter | None,
    arguments: SeriesArguments,
    selection: SeriesSelection,
) -> EventResult:
    """Return the series of the events that pass a filter."""
    _check_paths(arguments, selection)
    event_filter = where or EventFilter()

    def condition(time_range: TimeRange | None) -> str:
        rows = ctx.rows(EVENTS.name, ctx.batch.slots)
        rows.conditions.append(event_condition(event_filter, rows, time_range))
        return rows.condition

    source = SeriesSource(EVENTS.name, condition, "", "Events", scanned_names(event_filter))
    result, meta = await run_series(ctx, source, arguments, selection)
    if selection.warnings:
        meta.warnings += await warnings.event_warnings(
            ctx, event_filter, arguments, selection, meta.range
        )
    return EventResult(result=result, meta=meta)


def _check_paths(arguments: SeriesArguments, selection: SeriesSelection) -> None:
    """Raise `AnalyticsError` for property paths of aggregates that are not valid."""
    for field, aggregates in (
        ("property", selection.totals | selection.columns),
        ("orderBy.property", {arguments.order.aggregate}),
    ):
        for path in sorted(
            aggregate.property for aggregate in aggregates if aggregate.property is not None
        ):
            keys_of(path, field)


def group_columns(ctx: Context, group_inputs: Sequence[GroupByInput]) -> tuple[GroupColumn, ...]:
    """Return the group columns of the `groupBy` argument.

    Raises `AnalyticsError` for property paths or number bounds that are not valid.
    """
    return tuple(_group_column(ctx, group_input) for group_input in group_inputs)


def _group_column(ctx: Context, group_input: GroupByInput) -> GroupColumn:
    if group_input.property is not None and group_input.property is not UNSET:
        return _property_column(ctx.batch.slots, group_input.property)
    if group_input.field:
        column = EVENT_FIELDS[group_input.field]
        return GroupColumn(group_input.field.name, column, is_json=False, kind="field")
    if group_input.bucket_number:
        return _band_column(ctx.batch.slots, group_input.bucket_number)
    raise bad_input("groupBy", "needs one of property, field, bucketNumber")


def _property_column(slots: Slots, path: str) -> GroupColumn:
    field = "groupBy.property"
    if array := split_at_array(path, field):
        sql = property_items(slots, array)
        return GroupColumn(path, sql, is_json=True, kind="property", is_array=True)
    keys = keys_of(path, field)
    return GroupColumn(
        path,
        property_group(slots, keys),
        is_json=True,
        kind="property",
        short_sql=property_group(slots, keys, long_numbers=False),
    )


def _band_column(slots: Slots, bands: NumberBucketInput) -> GroupColumn:
    """Return the column of number bands: the label of a number's band, '' without a number."""
    bounds = bands.bounds
    if not 1 <= len(bounds) <= MAX_BOUNDS:
        raise bad_input("bounds", f"takes 1 to {MAX_BOUNDS} bounds", limit=MAX_BOUNDS)
    if any(low >= high for low, high in pairwise(bounds)):
        raise bad_input("bounds", "must be ascending")
    texts = [repr(edge).removesuffix(".0") for edge in bounds]
    bands_between = [f"[{low}, {high})" for low, high in pairwise(texts)]
    labels = [f"< {texts[0]}", *bands_between, f">= {texts[-1]}"]
    keys = keys_of(bands.property, "groupBy.bucketNumber.property")
    cast = bands.cast is not None
    number = property_any_number(slots, keys, cast)
    index = f"arrayCount(bound -> {number} >= bound, {slots.bind('Array(Float64)', bounds)})"
    label = f"{slots.bind('Array(String)', labels)}[1 + {index}]"
    return GroupColumn(
        bands.property,
        f"if(isNull({number}), '', {label})",
        is_json=False,
        kind="band",
        bounds=tuple(bounds),
        labels=tuple(labels),
        cast=cast,
    )
