"""SQL for the last values of series before a range: when their rows are, and what they are."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import msgspec

from schema.aggregates import Aggregate
from store.query.fields.json_fields import keys_of, property_number
from store.query.series.aggregates import NO_RESULTS, in_engine, needs_steps, plan
from store.query.series.branch import BranchDraft, properties, source_of
from store.query.series.statement import _counted, _series
from store.query.series.types import Branch, QueryShape
from store.query.sql import Slots, Statement

_MS: Final = "toUnixTimestamp64Milli(time)"


class NewestRow(msgspec.Struct):
    """The newest row of a series, then its newest row with a number at each of some properties."""

    series: int
    newest: list[int | None]


class Window(NamedTuple):
    """The bucket of a series from `start` to `end`; counters are read from `before` on."""

    before: int
    start: int
    end: int


def newest_rows(shape: QueryShape, part: str, paths: Sequence[str], slots: Slots) -> Statement:
    """Find the newest rows of each series of a shape without buckets; `NewestRow`s."""
    draft = _draft(shape, part, frozenset(), slots)
    series, only = _series(draft)
    numbers = [property_number(slots, keys_of(path, "property")) for path in paths]
    newest = [f"maxOrNull({_MS})", *(f"maxOrNullIf({_MS}, isNotNull({n}))" for n in numbers)]
    text = f"""\
SELECT {series} AS series, [{", ".join(newest)}] AS newest
{draft.source}{only}
GROUP BY series"""
    return slots.statement(text, (shape.table,))


def values_in(
    windows: Mapping[int, Window],
    shape: QueryShape,
    part: str,
    wanted: frozenset[Aggregate],
    slots: Slots,
) -> Branch:
    """Aggregate the rows of each series in its own window, as totals of a branch."""
    series, _ = _series(_draft(shape, part, frozenset(), slots))
    first, behind = min(window.before for window in windows.values()), shape.time_range[1]
    numbers = slots.bind("Array(UInt16)", list(windows))

    def since(moments: Sequence[int]) -> str:
        bound, never = slots.bind("Array(Int64)", list(moments)), slots.bind("Int64", behind)
        return f"{_MS} >= transform({series}, {numbers}, {bound}, {never})"

    counted_from = since([window.before for window in windows.values()])
    starts = since([window.start for window in windows.values()])
    read = replace(
        shape,
        condition=f"{shape.condition}\n  AND {counted_from}",
        time_range=(max(first, shape.time_range[0]), behind),
    )
    draft = _draft(read, part, wanted, slots)
    draft = draft._replace(source=f"{draft.source}\n  AND {starts}")
    return Branch(draft.number, _counted(draft), draft.totals, NO_RESULTS)


def _draft(shape: QueryShape, part: str, wanted: frozenset[Aggregate], slots: Slots) -> BranchDraft:
    return BranchDraft(
        number=0,
        shape=shape,
        plan=plan(wanted, properties(slots, wide=True), in_sql=wanted, wide=True),
        total_aggregates=tuple(sorted({in_engine(each) for each in wanted}, key=repr)),
        column_aggregates=(),
        part="name" if shape.by_name else "''",
        source=source_of(shape, frozenset({part}), slots, steps=needs_steps(wanted)),
        slots=slots,
    )
