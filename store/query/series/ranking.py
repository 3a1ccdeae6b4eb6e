"""Branches that rank groups: groups of rows by an aggregate, groups of inputs by a formula."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from schema.series.aggregates import ZERO_OF_NOTHING, AggregateKind
from store.query.catalogue import contains
from store.query.series.aggregates import in_engine, needs_steps
from store.query.series.branch import (
    BranchDraft,
    numbers_with_overall,
    property_expressions,
    select_row,
    shape_rows_sql,
)
from store.query.series.plan import plan
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


def ranked_groups_sql(draft: BranchDraft) -> str:
    """Select the first groups by an aggregate, and all others as one, in one pass over the rows."""
    ranking = draft.shape.ranking
    assert ranking  # noqa: S101 - the caller checks it
    page = _Page.from_ranking(ranking, draft.shape.group_columns, draft.slots)
    series, page_condition = f"if({page.is_on_page}, {page.page_index}, {OTHER_SERIES})", ""
    if ranking.overall_series:
        series = numbers_with_overall(
            page.is_on_page, page.page_index, other_group=ranking.counts_all
        )
    elif not ranking.counts_all:
        page_condition = f"\nWHERE {page.is_on_page}"
    order = draft.plan.finished_sql(in_engine(ranking.order.aggregate))
    row = ["part", f"{series} AS series", "any(keys)", "any(groups)", *draft.totals.expressions]
    return f"""\
{draft.select_row(*row)}
FROM (
    SELECT *, {page.columns_sql(order, metric_column="part")}
    FROM (
        SELECT {draft.metric_sql} AS part, {_key_columns(draft.shape.group_columns)},
            {draft.states_sql()}
        {draft.rows_sql}
        GROUP BY part, {page.key_names}
    )
){page_condition}
GROUP BY part, series"""


def formula_groups_sql(number: int, shape: QueryShape, slots: Slots) -> str:
    """Select the first groups of all inputs by the formula's value, with the inputs' values."""
    formula_groups, ranking = shape.formula_groups, shape.ranking
    assert formula_groups is not None and ranking is not None  # noqa: S101, PT018 - the caller checks it
    inputs = formula_groups.inputs
    grouped_inputs = [n for n, formula_input in enumerate(inputs) if formula_input.is_grouped]
    values = [
        f"v{n}" if formula_input.is_grouped else f"({_inputs_sql(shape, [n], [n], slots)})"
        for n, formula_input in enumerate(inputs)
    ]
    page = _Page.from_ranking(ranking, shape.group_columns, slots)
    order = formula_groups.formula.sql(_formula_columns(formula_groups, values), slots.bind)
    inputs_by_rows: dict[tuple[str, str], list[int]] = {}
    for n in grouped_inputs:
        formula_input = inputs[n]
        inputs_by_rows.setdefault((formula_input.metric, formula_input.condition), []).append(n)
    groups = [
        _inputs_sql(shape, input_indexes, grouped_inputs, slots)
        for input_indexes in inputs_by_rows.values()
    ]
    series = f"if({page.is_on_page}, {page.page_index}, {OTHER_SERIES}) AS series"
    value_columns = [
        f"any(v{n})" if n in grouped_inputs else value for n, value in enumerate(values)
    ]
    return f"""\
{select_row(number, "''", series, "any(keys)", "any(groups)", *value_columns)}
FROM (
    SELECT *, {page.columns_sql(order)}
    FROM (
        SELECT {page.key_names}, {", ".join(f"max(u{n}) AS v{n}" for n in grouped_inputs)}
        FROM (
{_UNION.join(groups)}
        )
        GROUP BY {page.key_names}
    )
)
WHERE {1 if ranking.counts_all else page.is_on_page}
GROUP BY series"""


def _inputs_sql(
    shape: QueryShape, input_indexes: Sequence[int], columns: Sequence[int], slots: Slots
) -> str:
    """Select the inputs with the same rows; the columns of other inputs are null."""
    assert shape.formula_groups  # noqa: S101 - the caller checks it
    inputs = shape.formula_groups.inputs
    first_input = inputs[input_indexes[0]]
    aggregates = {in_engine(inputs[n].value) for n in input_indexes}
    aggregate_plan = plan(
        aggregates,
        property_expressions(slots, long_numbers=shape.long_numbers),
        in_sql=aggregates,
        long_numbers=shape.long_numbers,
    )
    cells = []
    for n in columns:
        cell = _MISSING
        if n in input_indexes:
            value = aggregate_plan.over_rows_sql(in_engine(inputs[n].value))
            cell = f"toNullable(toFloat64({value}))"
        cells.append(f"{cell} AS u{n}")
    input_shape = replace(shape, condition=first_input.condition, by_name=True)
    keys = [
        f"{key.sql} AS k{n}, "
        for n, key in enumerate(shape.group_columns)
        if first_input.is_grouped
    ]
    group_by = _key_names(shape.group_columns) if first_input.is_grouped else "name"
    return f"""\
SELECT {"".join(keys)}{", ".join(cells)}
{shape_rows_sql(input_shape, frozenset({first_input.metric}), slots, steps=needs_steps(aggregates))}
GROUP BY {group_by}"""


def _formula_columns(formula_groups: FormulaGroups, values: Sequence[str]) -> dict[str, str]:
    """Return the SQL of each input as the API presents it: filled, and a rate per time."""
    return {
        formula_input.name: _presented_value(formula_groups, formula_input, value)
        for formula_input, value in zip(formula_groups.inputs, values, strict=True)
    }


def _presented_value(formula_groups: FormulaGroups, formula_input: FormulaInput, value: str) -> str:
    if formula_input.value.kind is AggregateKind.RATE:
        duration = formula_groups.duration_ms
        value = f"if({duration} > 0, {value} * {formula_input.value.per} / {duration}, NULL)"
    missing_is_zero = formula_input.value.kind in ZERO_OF_NOTHING
    if formula_input.is_grouped:
        missing_is_zero = formula_groups.missing_is_zero
    return f"ifNull({value}, 0)" if missing_is_zero else value


class _Page(NamedTuple):
    """A page of ranked groups: the condition of its groups, and the index of a group on it.

    `matches_search` is the condition of the search, or empty.
    """

    ranking: Ranking
    key_names: str
    is_on_page: str
    page_index: str
    matches_search: str

    @classmethod
    def from_ranking(cls, ranking: Ranking, keys: Sequence[GroupColumn], slots: Slots) -> "_Page":
        """Return the page of a ranking."""
        page_index, matches_search = "place", ""
        is_on_page = f"place <= {slots.bind('UInt32', ranking.limit)}"
        if ranking.offset:
            offset = slots.bind("UInt32", ranking.offset)
            page_index = f"place - {offset}"
            last = slots.bind("UInt32", ranking.offset + ranking.limit)
            is_on_page = f"place > {offset} AND place <= {last}"
        if ranking.search:
            matches_search = contains(slots, _group_label(keys), ranking.search)
            is_on_page = f"found AND {is_on_page}"
        return cls(ranking, _key_names(keys), is_on_page, page_index, matches_search)

    def columns_sql(self, order_sql: str, metric_column: str = "") -> str:
        """Select keys, number of groups, and rank by an expression, for each metric by itself."""
        direction = "DESC" if self.ranking.order.descending else "ASC"
        groups = "countIf(found)" if self.matches_search else "count()"
        search_column = f"{self.matches_search} AS found, " if self.matches_search else ""
        metric_partition = f"PARTITION BY {metric_column}" if metric_column else ""
        rank_columns = (metric_column, self.matches_search and "found")
        partition_columns = ", ".join(filter(None, rank_columns))
        rank_partition = f"PARTITION BY {partition_columns}" if partition_columns else ""
        groups = f"{groups} OVER ({metric_partition})"
        return f"""{search_column}[{self.key_names}] AS keys, {groups} AS groups,
        row_number() OVER (
            {rank_partition} ORDER BY {order_sql} {direction} NULLS LAST, {self.key_names}
        ) AS place"""


def _key_columns(keys: Sequence[GroupColumn]) -> str:
    return ", ".join(f"{key.row_text} AS k{n}" for n, key in enumerate(keys))


def _key_names(keys: Sequence[GroupColumn]) -> str:
    return ", ".join(f"k{n}" for n in range(len(keys)))


def _group_label(keys: Sequence[GroupColumn]) -> str:
    """Return the label of a group with the keys `k0`, `k1`, …, equal to the label of the API."""
    texts = []
    for n, key in enumerate(keys):
        text = f"k{n}"
        if key.is_json:
            text = f"if(startsWith(k{n}, '\"'), JSONExtractString(k{n}), k{n})"
        texts.append(f"if(k{n} = '', '{NO_VALUE}', {text})")
    return f"arrayStringConcat([{', '.join(texts)}], ', ')"
