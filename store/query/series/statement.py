"""The statement of series queries: one statement for all queries of a batch.

A statement is a union of branches. Each branch answers with rows of JSON, `[branch, metric, series,
keys, groups, totals…, buckets, columns…]`. So branches of different shapes share a statement, and a
column of a chart arrives as the text of an array, which is passed on without parsing.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple, TypeAlias

from schema.series.aggregates import Aggregate
from store.query.series.aggregates import in_engine, needs_steps
from store.query.series.branch import (
    BranchDraft,
    numbers_with_overall,
    property_expressions,
    shape_rows_sql,
)
from store.query.series.plan import NO_RESULTS, plan
from store.query.series.ranking import formula_groups_sql, ranked_groups_sql
from store.query.series.types import OTHER_SERIES, Branch, GroupColumn, QueryShape, SeriesQuery
from store.query.sql import Scan, Slots, Statement
from store.query.time.buckets import bucket_number

_Aggregates: TypeAlias = frozenset[Aggregate]

_MAX_COMPUTED: Final = 3000
"""Maximum number of buckets whose sums Python rounds, at 0.7 µs each; beyond it the engine does."""

_KEY_SEPARATOR: Final = ", '\\n', "


def branches(
    queries: Iterable[SeriesQuery], slots: Slots, *, long_numbers: bool = False
) -> list[tuple[Branch, list[SeriesQuery]]]:
    """Fuse queries into branches, each with its queries.

    Queries of the same rows share a branch, and so do metrics with the same aggregates.
    `long_numbers` as in `QueryShape`.
    """
    queries_by_rows: dict[tuple[QueryShape, str], list[SeriesQuery]] = {}
    for query in queries:
        queries_by_rows.setdefault((query.shape, query.metric), []).append(query)
    queries_by_branch: dict[tuple[QueryShape, _Aggregates, _Aggregates], list[SeriesQuery]] = {}
    for (shape, _), row_queries in queries_by_rows.items():
        totals = frozenset().union(*(query.totals for query in row_queries))
        columns = frozenset().union(*(query.columns for query in row_queries))
        queries_by_branch.setdefault((shape, totals, columns), []).extend(row_queries)
    result = []
    for number, ((shape, totals, columns), branch_queries) in enumerate(queries_by_branch.items()):
        metrics = frozenset(query.metric for query in branch_queries)
        branch_shape = replace(
            shape,
            long_numbers=long_numbers,
            group_columns=tuple(
                key.for_numbers(long_numbers=long_numbers) for key in shape.group_columns
            ),
        )
        branch = _branch(number, branch_shape, metrics, totals, columns, slots=slots)
        result.append((branch, branch_queries))
    return result


def series_statement(
    branches: Sequence[Branch], scans: Iterable[Scan], slots: Slots, page: Statement | None = None
) -> Statement:
    """Return the statement of branches, which read `scans`; rows of a `page` are JSON objects."""
    texts = [branch.text for branch in branches]
    if page:
        row = "SELECT formatRowNoNewline('JSONEachRow', *) AS line"
        texts.append(f"{row}\nFROM (\n{page.text}\n)")
    text = "\nUNION ALL\n".join(texts)
    return slots.statement(text, tuple(dict.fromkeys(scans)))


def _branch(
    number: int,
    shape: QueryShape,
    metrics: frozenset[str],
    totals: _Aggregates,
    columns: _Aggregates,
    *,
    slots: Slots,
) -> Branch:
    if shape.formula_groups:
        return Branch(number, formula_groups_sql(number, shape, slots), NO_RESULTS, NO_RESULTS)
    aggregates = totals | columns | ({shape.ranking.order.aggregate} if shape.ranking else set())
    draft = BranchDraft(
        number=number,
        shape=shape,
        plan=plan(
            aggregates,
            property_expressions(slots, long_numbers=shape.long_numbers),
            in_sql=_aggregates_in_sql(shape, columns),
            long_numbers=shape.long_numbers,
        ),
        total_aggregates=tuple(sorted({in_engine(aggregate) for aggregate in totals}, key=repr)),
        column_aggregates=tuple(sorted({in_engine(aggregate) for aggregate in columns}, key=repr)),
        metric_sql="name" if shape.by_name else "''",
        rows_sql=shape_rows_sql(shape, metrics, slots, steps=needs_steps(aggregates)),
        slots=slots,
    )
    if shape.ranking:
        text = ranked_groups_sql(draft)
    elif draft.column_aggregates:
        text = _columns_sql(draft)
    else:
        text = totals_sql(draft)
    return Branch(number, text, draft.totals, draft.columns)


def _aggregates_in_sql(shape: QueryShape, columns: _Aggregates) -> _Aggregates:
    """Return the aggregates with values in SQL: of a ranking, and of many buckets."""
    ranked_by = frozenset({shape.ranking.order.aggregate} if shape.ranking else ())
    series = len(shape.ranked_groups.groups) if shape.ranked_groups else 1
    buckets = len(shape.buckets.starts) if shape.buckets else 0
    return ranked_by | columns if series * buckets > _MAX_COMPUTED else ranked_by


def series_number(draft: BranchDraft) -> tuple[str, str]:
    """Return the number of a row's series, and the condition that the row has a series."""
    ranked_groups = draft.shape.ranked_groups
    if ranked_groups is None:
        return "1", ""
    encoded_keys = _length_prefixed(_item_keys(draft.shape.group_columns))
    group_texts = [
        "\n".join(
            [metric, *(key.encode(text) for key, text in zip(encoded_keys, texts, strict=True))]
        )
        for metric, *texts in ranked_groups.groups
    ]
    groups = draft.slots.bind("Array(String)", group_texts)
    texts = _KEY_SEPARATOR.join([draft.metric_sql, *(key.sql for key in encoded_keys)])
    numbers = f"range(1, {len(ranked_groups.groups) + 1})"
    number = f"transform(concat({texts}), {groups}, {numbers}, {OTHER_SERIES})"
    arrays = [key for key in draft.shape.group_columns if key.is_array]
    if arrays:
        return _distinct_series(number, arrays, other_group=ranked_groups.other_group), ""
    all_rows = ranked_groups.other_group or ranked_groups.overall_series
    return number, "" if all_rows else f"\n  AND {number} != {OTHER_SERIES}"


def _item_keys(keys: Sequence[GroupColumn]) -> list[GroupColumn]:
    """Return keys with the name of an item in place of the expression of each array."""
    arrays = [key for key in keys if key.is_array]
    return [key._replace(sql=f"group{arrays.index(key)}") if key.is_array else key for key in keys]


def _distinct_series(number: str, arrays: Sequence[GroupColumn], *, other_group: bool) -> str:
    """Return the distinct numbers of the series of a row with arrays as keys, as rows."""
    for index, key in reversed(list(enumerate(arrays))):
        number = f"arrayMap(group{index} -> {number}, {key.items})"
    numbers = f"arrayDistinct(arrayFlatten({number}))"
    if not other_group:
        numbers = f"arrayFilter(number -> number != {OTHER_SERIES}, {numbers})"
    return f"arrayJoin({numbers})"


class _EncodedKey(NamedTuple):
    """A group key as one line of a joined text: its SQL, and the same encoding in Python."""

    sql: str
    encode: Callable[[str], str]


def _length_prefixed(keys: Sequence[GroupColumn]) -> list[_EncodedKey]:
    """Prefix plain-text keys with their length when there are several.

    Joined keys cannot collide then. JSON keys have no raw newlines, and need no prefix.
    """
    if sum(not key.is_json for key in keys) < 2:
        return [_EncodedKey(key.sql, str) for key in keys]
    return [
        _EncodedKey(key.sql, str)
        if key.is_json
        else _EncodedKey(f"concat(toString(length({key.sql})), ':', {key.sql})", _prefix_length)
        for key in keys
    ]


def _prefix_length(text: str) -> str:
    return f"{len(text.encode())}:{text}"


def totals_sql(draft: BranchDraft) -> str:
    """Select series without columns: each aggregate over all rows of a series."""
    series, series_condition = series_number(draft)
    ranked_groups = draft.shape.ranked_groups
    if ranked_groups and ranked_groups.overall_series:
        numbers = numbers_with_overall(
            f"series != {OTHER_SERIES}", "series", other_group=ranked_groups.other_group
        )
        return f"""\
{draft.select_row("part", f"{numbers} AS number", "[]", "1", *draft.totals.expressions)}
FROM (
    SELECT {draft.metric_sql} AS part, {series} AS series,
        {draft.states_sql()}
    {draft.rows_sql}
    GROUP BY part, series
)
GROUP BY part, number"""
    group_by = f"{draft.metric_sql}, series" if draft.shape.by_name else "series"
    return f"""\
{draft.select_row(draft.metric_sql, f"{series} AS series", "[]", "1", *draft.totals.expressions)}
{draft.rows_sql}{series_condition}
GROUP BY {group_by}"""


def _columns_sql(draft: BranchDraft) -> str:
    """Select series with columns: the values of each bucket, and totals from merged states."""
    column_expressions = draft.columns.expressions
    total_expressions = draft.totals.expressions
    totals = [f"t{n}" for n in range(len(total_expressions))]
    named_totals = "".join(
        f"{sql} AS {t}, " for sql, t in zip(total_expressions, totals, strict=True)
    )
    columns = [f"cells.{n}" for n in range(1, len(column_expressions) + 2)]
    cell = ", ".join(["bucket", *column_expressions])
    return f"""\
{draft.select_row("part", "series", "[]", "1", *totals, *columns)}
FROM (
    SELECT part, series, {named_totals}
        arraySort(cell -> cell.1, groupArray(tuple({cell}))) AS cells
    FROM (
{_bucket_states_sql(draft)}
    )
    GROUP BY part, series
)"""


def _bucket_states_sql(draft: BranchDraft) -> str:
    """Select the states of each bucket of each series."""
    assert draft.shape.buckets  # noqa: S101 - there are columns
    bucket = bucket_number(draft.shape.buckets, draft.slots.bind)
    series, series_condition = series_number(draft)
    ranked_groups = draft.shape.ranked_groups
    has_overall = ranked_groups is not None and ranked_groups.overall_series
    number = "number" if has_overall else "series"
    cells = f"""\
        SELECT {draft.metric_sql} AS part, {series} AS {number}, {bucket} AS bucket,
            {draft.states_sql("r" if has_overall else "s")}
        {draft.rows_sql}{series_condition}
        GROUP BY part, {number}, bucket"""
    if ranked_groups is None or not has_overall:
        return cells
    numbers = numbers_with_overall(
        f"number != {OTHER_SERIES}", "number", other_group=ranked_groups.other_group
    )
    states = enumerate(draft.plan.states)
    regrouped_states = ", ".join(
        f"{state.regrouped_state_sql(f'r{n}')} AS s{n}" for n, state in states
    )
    return f"""\
        SELECT part, {numbers} AS series, bucket, {regrouped_states}
        FROM (
{cells}
        )
        GROUP BY part, series, bucket"""
