"""Which groups come first, compiled: the groups of some rows, and those of a formula's inputs."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from schema.aggregates import ZERO_OF_NOTHING, AggregateKind
from store.query.catalogue import contains
from store.query.series.aggregates import in_engine, needs_steps, plan
from store.query.series.branch import BranchDraft, line_of, properties, source_of, with_overall
from store.query.series.types import (
    NO_VALUE,
    OTHER_SERIES,
    FormulaGroups,
    FormulaInput,
    GroupColumn,
    QueryShape,
    Ranking,
)
from store.query.sql import Slots

_UNION: Final = "\nUNION ALL\n"
_MISSING: Final = "CAST(NULL, 'Nullable(Float64)')"


def ranked_groups(draft: BranchDraft) -> str:
    """The first groups by an aggregate, and the others as one: all from one pass over the rows."""
    rank = draft.shape.ranking
    assert rank  # noqa: S101 - that is why this is called
    page = _Page.of(rank, draft.shape.group_columns, draft.slots)
    series, only = f"if({page.shown}, {page.number}, {OTHER_SERIES})", ""
    if rank.overall:
        series = with_overall(page.shown, page.number, others=rank.counts_all)
    elif not rank.counts_all:
        only = f"\nWHERE {page.shown}"
    order = draft.plan.finished(in_engine(rank.order.aggregate))
    return f"""\
{draft.line("part", f"{series} AS series", "any(keys)", "any(groups)", *draft.totals.expressions)}
FROM (
    SELECT *, {page.columns(order, part="part")}
    FROM (
        SELECT {draft.part} AS part, {_key_columns(draft.shape.group_columns)},
            {draft.states()}
        {draft.source}
        GROUP BY part, {page.names}
    )
){only}
GROUP BY part, series"""


def joined_groups(number: int, shape: QueryShape, slots: Slots) -> str:
    """The first groups that any input of a formula has, by its value, with those of its inputs."""
    joined, rank = shape.formula_groups, shape.ranking
    assert joined is not None and rank is not None  # noqa: S101, PT018 - that is why this is called
    grouped = [n for n, each in enumerate(joined.inputs) if each.is_grouped]
    values = [
        f"v{n}" if each.is_grouped else f"({_selection(shape, [n], [n], slots)})"
        for n, each in enumerate(joined.inputs)
    ]
    page = _Page.of(rank, shape.group_columns, slots)
    order = joined.formula.sql(_formula_columns(joined, values), slots.bind)
    same_rows: dict[tuple[str, str], list[int]] = {}
    for n in grouped:
        same_rows.setdefault((joined.inputs[n].metric, joined.inputs[n].condition), []).append(n)
    groups = [_selection(shape, places, grouped, slots) for places in same_rows.values()]
    series = f"if({page.shown}, {page.number}, {OTHER_SERIES}) AS series"
    shown = [f"any(v{n})" if n in grouped else value for n, value in enumerate(values)]
    return f"""\
{line_of(number, "''", series, "any(keys)", "any(groups)", *shown)}
FROM (
    SELECT *, {page.columns(order)}
    FROM (
        SELECT {page.names}, {", ".join(f"max(u{n}) AS v{n}" for n in grouped)}
        FROM (
{_UNION.join(groups)}
        )
        GROUP BY {page.names}
    )
)
WHERE {1 if rank.counts_all else page.shown}
GROUP BY series"""


def _selection(
    shape: QueryShape, places: Sequence[int], columns: Sequence[int], slots: Slots
) -> str:
    """Select inputs of the same rows, with nulls in the columns of other ones."""
    assert shape.formula_groups  # noqa: S101 - that is why this is called
    inputs = shape.formula_groups.inputs
    first = inputs[places[0]]
    wanted = {in_engine(inputs[n].value) for n in places}
    made = plan(wanted, properties(slots, wide=shape.wide), in_sql=wanted, wide=shape.wide)
    cells = []
    for n in columns:
        cell = _MISSING
        if n in places:
            cell = f"toNullable(toFloat64({made.whole(in_engine(inputs[n].value))}))"
        cells.append(f"{cell} AS u{n}")
    rows = replace(shape, condition=first.condition, by_name=True)
    keys = [f"{key.sql} AS k{n}, " for n, key in enumerate(shape.group_columns) if first.is_grouped]
    by = _key_names(shape.group_columns) if first.is_grouped else "name"
    return f"""\
SELECT {"".join(keys)}{", ".join(cells)}
{source_of(rows, frozenset({first.metric}), slots, steps=needs_steps(wanted))}
GROUP BY {by}"""


def _formula_columns(joined: FormulaGroups, values: Sequence[str]) -> dict[str, str]:
    """Return the SQL of each name in a formula, as it is shown: filled, and related to time."""
    return {
        each.name: _shown(joined, each, value)
        for each, value in zip(joined.inputs, values, strict=True)
    }


def _shown(joined: FormulaGroups, given: FormulaInput, value: str) -> str:
    if given.value.kind is AggregateKind.RATE:
        value = f"if({joined.ms} > 0, {value} * {given.value.per} / {joined.ms}, NULL)"
    is_zero = joined.zero if given.is_grouped else given.value.kind in ZERO_OF_NOTHING
    return f"ifNull({value}, 0)" if is_zero else value


class _Page(NamedTuple):
    """A page of ranked groups: the test for those that are `shown`, and their `number` on it."""

    rank: Ranking
    names: str
    shown: str
    number: str
    found: str

    @classmethod
    def of(cls, rank: Ranking, keys: Sequence[GroupColumn], slots: Slots) -> "_Page":
        """Return the page that a rank says."""
        shown, number, found = f"place <= {slots.bind('UInt32', rank.limit)}", "place", ""
        if rank.offset:
            offset = slots.bind("UInt32", rank.offset)
            number = f"place - {offset}"
            last = slots.bind("UInt32", rank.offset + rank.limit)
            shown = f"place > {offset} AND place <= {last}"
        if rank.search:
            found = contains(slots, _label(keys), rank.search)
            shown = f"found AND {shown}"
        return cls(rank, _key_names(keys), shown, number, found)

    def columns(self, order: str, part: str = "") -> str:
        """Select keys, number of groups, and place by an expression, of each part by itself."""
        direction = "DESC" if self.rank.order.descending else "ASC"
        groups = "countIf(found)" if self.found else "count()"
        found = f"{self.found} AS found, " if self.found else ""
        whole = f"PARTITION BY {part}" if part else ""
        among = ", ".join(filter(None, (part, self.found and "found")))
        alike = f"PARTITION BY {among}" if among else ""
        return f"""{found}[{self.names}] AS keys, {groups} OVER ({whole}) AS groups,
        row_number() OVER (
            {alike} ORDER BY {order} {direction} NULLS LAST, {self.names}
        ) AS place"""


def _key_columns(keys: Sequence[GroupColumn]) -> str:
    return ", ".join(f"{key.row_text} AS k{n}" for n, key in enumerate(keys))


def _key_names(keys: Sequence[GroupColumn]) -> str:
    return ", ".join(f"k{n}" for n in range(len(keys)))


def _label(keys: Sequence[GroupColumn]) -> str:
    """Return the label of a group whose keys are `k0`, `k1`, …, as `resolvers` make it."""
    texts = []
    for n, key in enumerate(keys):
        text = f"k{n}"
        if key.is_json:
            text = f"if(startsWith(k{n}, '\"'), JSONExtractString(k{n}), k{n})"
        texts.append(f"if(k{n} = '', '{NO_VALUE}', {text})")
    return f"arrayStringConcat([{', '.join(texts)}], ', ')"
