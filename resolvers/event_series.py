"""Events in numbers: series of aggregates."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from strawberry import UNSET

from resolvers import warnings
from resolvers.context import Context
from resolvers.series.request import SeriesArguments, SeriesSelection, SeriesSource
from resolvers.series.run import run_series
from schema.errors import bad_input
from schema.event_series import EventResult, GroupByInput, NumberBucketInput
from schema.filters import EventFilter
from schema.ranges import TimeRange
from store.query import queries
from store.query.fields.json_fields import (
    items_of,
    keys_of,
    property_any_number,
    property_group,
    property_items,
)
from store.query.filters.conditions import event_condition
from store.query.series.types import EVENT_FIELDS, GroupColumn
from store.query.sql import Slots

MAX_BOUNDS: Final = 100


async def query(
    ctx: Context, tests: EventFilter | None, asked: SeriesArguments, wanted: SeriesSelection
) -> EventResult:
    """Answer with series of the events that pass a filter."""
    _check_paths(asked, wanted)

    def condition(span: TimeRange | None) -> str:
        rows = queries.RowSet("events", ctx.project, ctx.batch.slots)
        rows.conditions.append(event_condition(tests or EventFilter(), rows, span))
        return rows.condition

    rows = SeriesSource("events", condition, "", "Events")
    result, meta = await run_series(ctx, rows, asked, wanted)
    if wanted.warnings:
        where = tests or EventFilter()
        meta.warnings += await warnings.of_events(ctx, where, asked, wanted, meta.range)
    return EventResult(result=result, meta=meta)


def _check_paths(asked: SeriesArguments, wanted: SeriesSelection) -> None:
    for field, some in (
        ("property", wanted.totals | wanted.columns),
        ("orderBy.property", {asked.order.aggregate}),
    ):
        for path in sorted(each.property for each in some if each.property is not None):
            keys_of(path, field)


def keys(ctx: Context, asked: Sequence[GroupByInput]) -> tuple[GroupColumn, ...]:
    """Return the group keys that are asked for.

    Raises `AnalyticsError` for bands that are none.
    """
    return tuple(_key(ctx, each) for each in asked)


def _key(ctx: Context, asked: GroupByInput) -> GroupColumn:
    if asked.property is not None and asked.property is not UNSET:
        return _property(ctx.batch.slots, asked.property)
    if asked.field:
        return GroupColumn(asked.field.name, EVENT_FIELDS[asked.field], is_json=False, kind="field")
    if asked.bucket_number:
        return _bands(ctx, asked.bucket_number)
    raise bad_input("groupBy", "needs one of property, field, bucketNumber")


def _property(slots: Slots, path: str) -> GroupColumn:
    field = "groupBy.property"
    if array := items_of(path, field):
        sql = property_items(slots, array)
        return GroupColumn(path, sql, is_json=True, kind="property", is_array=True)
    keys = keys_of(path, field)
    wide, narrow = (property_group(slots, keys, wide=wide) for wide in (True, False))
    return GroupColumn(path, wide, is_json=True, kind="property", narrow=narrow)


def _bands(ctx: Context, asked: NumberBucketInput) -> GroupColumn:
    bounds = asked.bounds
    if not 1 <= len(bounds) <= MAX_BOUNDS:
        raise bad_input("bounds", f"takes 1 to {MAX_BOUNDS} bounds", limit=MAX_BOUNDS)
    if any(low >= high for low, high in pairwise(bounds)):
        raise bad_input("bounds", "must be ascending")
    texts = [repr(bound).removesuffix(".0") for bound in bounds]
    labels = [f"< {texts[0]}", *(f"[{a}, {b})" for a, b in pairwise(texts)), f">= {texts[-1]}"]
    slots = ctx.batch.slots
    keys = keys_of(asked.property, "groupBy.bucketNumber.property")
    cast = asked.cast is not None
    number = property_any_number(slots, keys, cast)
    over = f"arrayCount(bound -> {number} >= bound, {slots.bind('Array(Float64)', bounds)})"
    label = f"{slots.bind('Array(String)', labels)}[1 + {over}]"
    return GroupColumn(
        asked.property,
        f"if(isNull({number}), '', {label})",
        is_json=False,
        kind="band",
        bounds=tuple(bounds),
        labels=tuple(labels),
        cast=cast,
    )
