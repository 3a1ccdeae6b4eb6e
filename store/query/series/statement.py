"""Questions about series, compiled: one statement for all that are asked at the same time.

A statement is a list of branches. Each branch answers in lines of JSON, `[branch, part, series,
keys, groups, totals…, buckets, columns…]`, so that branches of different shapes share a statement,
and so that a column of a chart comes as the text of an array, to be passed on unread.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple, TypeAlias

from schema.aggregates import Aggregate
from store.query.series.aggregates import NO_RESULTS, in_engine, needs_steps, plan
from store.query.series.branch import BranchDraft, properties, source_of, with_overall
from store.query.series.ranking import joined_groups, ranked_groups
from store.query.series.types import OTHER_SERIES, Branch, GroupColumn, QueryShape, SeriesQuery
from store.query.sql import Slots, Statement
from store.query.time.buckets import bucket_number

_Aggregates: TypeAlias = frozenset[Aggregate]

_MOST_COMPUTED: Final = 3000
"""Buckets whose sums are finished in Python, at 0.7 µs each; for more the engine is faster."""

_SEPARATED: Final = ", '\\n', "


def branches(
    questions: Iterable[SeriesQuery], slots: Slots, *, wide: bool = False
) -> list[tuple[Branch, list[SeriesQuery]]]:
    """Fuse questions: same rows into one branch, parts that ask for the same into one branch.

    For `wide` see `Shape`.
    """
    same_rows: dict[tuple[QueryShape, str], list[SeriesQuery]] = {}
    for question in questions:
        same_rows.setdefault((question.shape, question.metric), []).append(question)
    fused: dict[tuple[QueryShape, _Aggregates, _Aggregates], list[SeriesQuery]] = {}
    for (shape, _), asked in same_rows.items():
        totals = frozenset().union(*(question.totals for question in asked))
        columns = frozenset().union(*(question.columns for question in asked))
        fused.setdefault((shape, totals, columns), []).extend(asked)
    made = []
    for number, ((shape, totals, columns), asked) in enumerate(fused.items()):
        parts = frozenset(question.metric for question in asked)
        read = replace(
            shape,
            wide=wide,
            group_columns=tuple(key.read(wide=wide) for key in shape.group_columns),
        )
        made.append((_branch(number, (read, parts, totals, columns), slots), asked))
    return made


def statement(
    some: Sequence[Branch], tables: Iterable[str], slots: Slots, beside: Statement | None = None
) -> Statement:
    """Return branches as one statement; the rows of one `beside` them come as JSON objects."""
    texts = [branch.text for branch in some]
    if beside:
        row = "SELECT formatRowNoNewline('JSONEachRow', *) AS line"
        texts.append(f"{row}\nFROM (\n{beside.text}\n)")
    text = "\nUNION ALL\n".join(texts)
    return slots.statement(text, tuple(sorted(set(tables))))


def _branch(
    number: int, of: tuple[QueryShape, frozenset[str], _Aggregates, _Aggregates], slots: Slots
) -> Branch:
    shape, parts, totals, columns = of
    if shape.formula_groups:
        return Branch(number, joined_groups(number, shape, slots), NO_RESULTS, NO_RESULTS)
    wanted = totals | columns | ({shape.ranking.order.aggregate} if shape.ranking else set())
    draft = BranchDraft(
        number=number,
        shape=shape,
        plan=plan(
            wanted,
            properties(slots, wide=shape.wide),
            in_sql=_finished_by_engine(shape, columns),
            wide=shape.wide,
        ),
        total_aggregates=tuple(sorted({in_engine(each) for each in totals}, key=repr)),
        column_aggregates=tuple(sorted({in_engine(each) for each in columns}, key=repr)),
        part="name" if shape.by_name else "''",
        source=source_of(shape, parts, slots, steps=needs_steps(wanted)),
        slots=slots,
    )
    made = ranked_groups if shape.ranking else _charted if draft.column_aggregates else _counted
    return Branch(number, made(draft), draft.totals, draft.columns)


def _finished_by_engine(shape: QueryShape, columns: _Aggregates) -> _Aggregates:
    """Return the aggregates that groups are ranked by, and those of many buckets."""
    ranked_by = frozenset({shape.ranking.order.aggregate} if shape.ranking else ())
    series = len(shape.ranked_groups.groups) if shape.ranked_groups else 1
    buckets = len(shape.buckets.starts) if shape.buckets else 0
    return ranked_by | columns if series * buckets > _MOST_COMPUTED else ranked_by


def _series(draft: BranchDraft) -> tuple[str, str]:
    """Return the number of the series that a row belongs to, and what leaves out the others."""
    placed = draft.shape.ranked_groups
    if placed is None:
        return "1", ""
    told = _unmistakable(_by_item(draft.shape.group_columns))
    joined = [
        "\n".join([part, *(of.text(text) for of, text in zip(told, texts, strict=True))])
        for part, *texts in placed.groups
    ]
    groups = draft.slots.bind("Array(String)", joined)
    texts = _SEPARATED.join([draft.part, *(of.sql for of in told)])
    numbers = f"range(1, {len(placed.groups) + 1})"
    number = f"transform(concat({texts}), {groups}, {numbers}, {OTHER_SERIES})"
    arrays = [key for key in draft.shape.group_columns if key.is_array]
    if arrays:
        return _each_once(number, arrays, others=placed.other_group), ""
    all_rows = placed.other_group or placed.overall
    return number, "" if all_rows else f"\n  AND {number} != {OTHER_SERIES}"


def _by_item(keys: Sequence[GroupColumn]) -> list[GroupColumn]:
    """Return keys with the name of an item in place of each array."""
    arrays = [key for key in keys if key.is_array]
    return [key._replace(sql=f"group{arrays.index(key)}") if key.is_array else key for key in keys]


def _each_once(number: str, arrays: Sequence[GroupColumn], *, others: bool) -> str:
    """Return the numbers of the series that a row is in as rows; it is in each once."""
    for place, key in reversed(list(enumerate(arrays))):
        number = f"arrayMap(group{place} -> {number}, {key.items})"
    numbers = f"arrayDistinct(arrayFlatten({number}))"
    if not others:
        numbers = f"arrayFilter(number -> number != {OTHER_SERIES}, {numbers})"
    return f"arrayJoin({numbers})"


class _Told(NamedTuple):
    """How a key is told among others, a line for each: its SQL, and a text in the same form."""

    sql: str
    text: Callable[[str], str]


def _unmistakable(keys: Sequence[GroupColumn]) -> list[_Told]:
    """Tell where texts end, of which more than one could have line breaks; in JSON are none."""
    if sum(not key.is_json for key in keys) < 2:
        return [_Told(key.sql, str) for key in keys]
    return [
        _Told(key.sql, str)
        if key.is_json
        else _Told(f"concat(toString(length({key.sql})), ':', {key.sql})", _measured)
        for key in keys
    ]


def _measured(text: str) -> str:
    return f"{len(text.encode())}:{text}"


def _counted(draft: BranchDraft) -> str:
    """Series without columns: each aggregate over all its rows."""
    series, only = _series(draft)
    placed = draft.shape.ranked_groups
    if placed and placed.overall:
        numbers = with_overall(f"series != {OTHER_SERIES}", "series", others=placed.other_group)
        return f"""\
{draft.line("part", f"{numbers} AS number", "[]", "1", *draft.totals.expressions)}
FROM (
    SELECT {draft.part} AS part, {series} AS series,
        {draft.states()}
    {draft.source}
    GROUP BY part, series
)
GROUP BY part, number"""
    by = f"{draft.part}, series" if draft.shape.by_name else "series"
    return f"""\
{draft.line(draft.part, f"{series} AS series", "[]", "1", *draft.totals.expressions)}
{draft.source}{only}
GROUP BY {by}"""


def _charted(draft: BranchDraft) -> str:
    """Series with columns: the states of each bucket, and the totals merged from them."""
    ended = draft.columns.expressions
    merged = draft.totals.expressions
    totals = [f"t{n}" for n in range(len(merged))]
    named = "".join(f"{sql} AS {t}, " for sql, t in zip(merged, totals, strict=True))
    columns = [f"cells.{n}" for n in range(1, len(ended) + 2)]
    return f"""\
{draft.line("part", "series", "[]", "1", *totals, *columns)}
FROM (
    SELECT part, series, {named}
        arraySort(cell -> cell.1, groupArray(tuple({", ".join(["bucket", *ended])}))) AS cells
    FROM (
{_cells(draft)}
    )
    GROUP BY part, series
)"""


def _cells(draft: BranchDraft) -> str:
    """Select the states of each bucket of each series."""
    assert draft.shape.buckets  # noqa: S101 - there are columns
    bucket = bucket_number(draft.shape.buckets, draft.slots.bind)
    series, only = _series(draft)
    placed = draft.shape.ranked_groups
    overall = placed is not None and placed.overall
    number = "number" if overall else "series"
    cells = f"""\
        SELECT {draft.part} AS part, {series} AS {number}, {bucket} AS bucket,
            {draft.states("r" if overall else "s")}
        {draft.source}{only}
        GROUP BY part, {number}, bucket"""
    if placed is None or not overall:
        return cells
    numbers = with_overall(f"number != {OTHER_SERIES}", "number", others=placed.other_group)
    states = enumerate(draft.plan.states)
    regrouped = ", ".join(f"{state.regrouped(f'r{n}')} AS s{n}" for n, state in states)
    return f"""\
        SELECT part, {numbers} AS series, bucket, {regrouped}
        FROM (
{cells}
        )
        GROUP BY part, series, bucket"""
