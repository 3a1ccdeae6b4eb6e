"""Statements for the last values of series before a range: times of newest rows, and values."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import msgspec

from schema.series.aggregates import Aggregate
from store.query.fields.json_fields import keys_of, property_number
from store.query.series.aggregates import in_engine, needs_steps
from store.query.series.branch import BranchDraft, property_expressions, shape_rows_sql
from store.query.series.plan import NO_RESULTS, plan
from store.query.series.statement import series_number, totals_sql
from store.query.series.types import Branch, QueryShape
from store.query.sql import Slots, Statement

_MS: Final = "toUnixTimestamp64Milli(time)"


class NewestRow(msgspec.Struct):
    """Times (ms) of a series: its newest row, then its newest row with a number at each path."""

    series: int
    newest: list[int | None]


class Window(NamedTuple):
    """A bucket of a series from `start` to `end`; counters are read from `before` on."""

    before: int
    start: int
    end: int


def newest_rows(shape: QueryShape, metric: str, paths: Sequence[str], slots: Slots) -> Statement:
    """Find the newest rows of each series; the shape has no buckets; `NewestRow`s."""
    draft = _draft(shape, metric, frozenset(), slots)
    series, series_condition = series_number(draft)
    numbers = [property_number(slots, keys_of(path, "property")) for path in paths]
    newest = [f"maxOrNull({_MS})", *(f"maxOrNullIf({_MS}, isNotNull({n}))" for n in numbers)]
    text = f"""\
SELECT {series} AS series, [{", ".join(newest)}] AS newest
{draft.rows_sql}{series_condition}
GROUP BY series"""
    return slots.statement(text, (shape.scan({metric}),))


def window_totals(
    windows: Mapping[int, Window],
    shape: QueryShape,
    metric: str,
    aggregates: frozenset[Aggregate],
    slots: Slots,
) -> Branch:
    """Aggregate the rows of each series in the window of its number, as totals of a branch."""
    series, _ = series_number(_draft(shape, metric, frozenset(), slots))
    start, end = min(window.before for window in windows.values()), shape.time_range[1]
    series_numbers = slots.bind("Array(UInt16)", list(windows))

    def time_condition(moments: Sequence[int]) -> str:
        starts_slot, end_slot = slots.bind("Array(Int64)", list(moments)), slots.bind("Int64", end)
        return f"{_MS} >= transform({series}, {series_numbers}, {starts_slot}, {end_slot})"

    counter_condition = time_condition([window.before for window in windows.values()])
    start_condition = time_condition([window.start for window in windows.values()])
    window_shape = replace(
        shape,
        condition=f"{shape.condition}\n  AND {counter_condition}",
        time_range=(max(start, shape.time_range[0]), end),
    )
    draft = _draft(window_shape, metric, aggregates, slots)
    draft = draft._replace(rows_sql=f"{draft.rows_sql}\n  AND {start_condition}")
    return Branch(draft.number, totals_sql(draft), draft.totals, NO_RESULTS)


def _draft(
    shape: QueryShape, metric: str, aggregates: frozenset[Aggregate], slots: Slots
) -> BranchDraft:
    return BranchDraft(
        number=0,
        shape=shape,
        plan=plan(
            aggregates,
            property_expressions(slots, long_numbers=True),
            in_sql=(),
            long_numbers=True,
        ),
        total_aggregates=tuple(
            sorted({in_engine(aggregate) for aggregate in aggregates}, key=repr)
        ),
        column_aggregates=(),
        metric_sql="name" if shape.by_name else "''",
        rows_sql=shape_rows_sql(shape, frozenset({metric}), slots, steps=needs_steps(aggregates)),
        slots=slots,
    )
