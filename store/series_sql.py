"""Questions about series, compiled: one statement for all that are asked at the same time.

A statement is a list of branches. Each branch answers in lines of JSON, `[branch, part, series,
keys, groups, totals…, buckets, columns…]`, so that branches of different shapes share a statement,
and so that a column of a chart comes as the text of an array, to be passed on unread.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, TypeAlias

from schema.aggregates import Aggregate
from store.aggregates import Plan, Property, in_engine, needs_steps, plan
from store.buckets import bucket_number
from store.fields import keys_of, property_group, property_number
from store.operators import TIME_OPERATORS
from store.series_types import OTHER, Branch, Key, Question, Shape
from store.sql import Slots, Statement

_Aggregates: TypeAlias = frozenset[Aggregate]

_SEPARATED: Final = ", '\\n', "

# The growth of a counter since its series' row before, in this range: after a reset it began at 0.
# Tags are one series in whatever order they were sent. In compact JSON of texts `","` is nowhere
# but between two of them, unless a text has a quote in it or is a comma: such tags are parsed,
# which takes twice as long, to the same texts.
_STEPS: Final = """(
    SELECT *, if(value >= before, value - before, value) AS step
    FROM (
        SELECT *, lagInFrame(value, 1, value) OVER (
            PARTITION BY name,
                sipHash64(arraySort(if(
                    multiSearchAny(tags, ['\\\\', ':","', '",":']),
                    arrayMap(tag -> concat(
                        replaceAll(replaceAll(tag.1, '\\\\', '\\\\\\\\'), '"', '\\\\"'), '":"',
                        replaceAll(replaceAll(tag.2, '\\\\', '\\\\\\\\'), '"', '\\\\"')
                    ), JSONExtractKeysAndValues(tags, 'String')),
                    splitByString('","', substring(tags, 3, greatest(length(tags), 4) - 4))
                )))
            ORDER BY time, batch, row
            ROWS BETWEEN 1 PRECEDING AND CURRENT ROW
        ) AS before
        FROM metrics
        WHERE {where}
    )
)"""


def branches(questions: Iterable[Question], slots: Slots) -> list[tuple[Branch, list[Question]]]:
    """Fuse questions: same rows into one branch, parts that ask for the same into one branch."""
    same_rows: dict[tuple[Shape, str], list[Question]] = {}
    for question in questions:
        same_rows.setdefault((question.shape, question.part), []).append(question)
    fused: dict[tuple[Shape, _Aggregates, _Aggregates], list[Question]] = {}
    for (shape, _), asked in same_rows.items():
        totals = frozenset().union(*(question.totals for question in asked))
        columns = frozenset().union(*(question.columns for question in asked))
        fused.setdefault((shape, totals, columns), []).extend(asked)
    made = []
    for number, ((shape, totals, columns), asked) in enumerate(fused.items()):
        parts = frozenset(question.part for question in asked)
        made.append((_branch(number, (shape, parts, totals, columns), slots), asked))
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


class _Draft(NamedTuple):
    """What a branch is made of: `part` and `source` are the SQL of its rows."""

    number: int
    shape: Shape
    wanted: Plan
    shown: tuple[Aggregate, ...]
    charted: tuple[Aggregate, ...]
    part: str
    source: str
    slots: Slots

    def line(self, *values: str) -> str:
        """Select values as one line of the answer."""
        row = ", ".join([str(self.number), *values])
        return f"SELECT formatRowNoNewline('JSONCompactEachRow', {row}) AS line"

    def states(self) -> str:
        """Select the states of a group of rows."""
        return ", ".join(f"{state.kept} AS s{n}" for n, state in enumerate(self.wanted.states))

    def merged(self) -> list[str]:
        """Return the totals over some states."""
        places = [self.wanted.places[each] for each in self.shown]
        return [f"{self.wanted.states[n].merged(f's{n}')}{pick}" for n, pick in places]


def _branch(
    number: int, of: tuple[Shape, frozenset[str], _Aggregates, _Aggregates], slots: Slots
) -> Branch:
    shape, parts, totals, columns = of
    wanted = totals | columns | ({shape.ranked.order.by} if shape.ranked else set())
    draft = _Draft(
        number=number,
        shape=shape,
        wanted=plan(wanted, _properties(slots)),
        shown=tuple(sorted({in_engine(each) for each in totals}, key=repr)),
        charted=tuple(sorted({in_engine(each) for each in columns}, key=repr)),
        part="name" if shape.by_name else "''",
        source=_source(shape, parts, slots, steps=needs_steps(wanted)),
        slots=slots,
    )
    made = _ranked if shape.ranked else _charted if draft.charted else _counted
    return Branch(number, made(draft), draft.shown, draft.charted)


def _properties(slots: Slots) -> Callable[[str], Property]:
    def of(path: str) -> Property:
        keys = keys_of(path, "property")
        return Property(property_number(slots, keys), property_group(slots, keys))

    return of


def _source(shape: Shape, parts: frozenset[str], slots: Slots, *, steps: bool) -> str:
    """Return what stands behind SELECT: the rows of a shape."""
    conditions = [shape.condition]
    if shape.listed:
        conditions.append(f"name IN (\n{shape.listed}\n)")
    elif shape.by_name:
        conditions.append(f"name IN {slots.bind('Array(String)', sorted(parts))}")
    for operator, moment in zip(("gte", "lt"), shape.span, strict=True):
        type_name, template = TIME_OPERATORS[operator]
        conditions.append(template.format(column="time", value=slots.bind(type_name, moment)))
    where = "\n  AND ".join(conditions)
    if steps:
        return f"FROM {_STEPS.format(where=where)}\nWHERE 1"
    return f"FROM {shape.table}\nWHERE {where}"


def _series(draft: _Draft) -> tuple[str, str]:
    """Return the number of the series that a row belongs to, and what leaves out the others."""
    placed = draft.shape.placed
    if placed is None:
        return "1", ""
    told = _unmistakable(draft.shape.keys)
    joined = [
        "\n".join([part, *(of.text(text) for of, text in zip(told, texts, strict=True))])
        for part, *texts in placed.groups
    ]
    groups = draft.slots.bind("Array(String)", joined)
    texts = _SEPARATED.join([draft.part, *(of.sql for of in told)])
    numbers = f"range(1, {len(placed.groups) + 1})"
    number = f"transform(concat({texts}), {groups}, {numbers}, {OTHER})"
    return number, "" if placed.others else f"\n  AND {number} != {OTHER}"


class _Told(NamedTuple):
    """How a key is told among others, a line for each: its SQL, and a text in the same form."""

    sql: str
    text: Callable[[str], str]


def _unmistakable(keys: Sequence[Key]) -> list[_Told]:
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


def _counted(draft: _Draft) -> str:
    """Series without columns: each aggregate over all its rows."""
    places = [draft.wanted.places[each] for each in draft.shown]
    values = [f"{draft.wanted.states[n].whole}{pick}" for n, pick in places]
    series, only = _series(draft)
    by = f"{draft.part}, series" if draft.shape.by_name else "series"
    return f"""\
{draft.line(draft.part, f"{series} AS series", "[]", "1", *values)}
{draft.source}{only}
GROUP BY {by}"""


def _charted(draft: _Draft) -> str:
    """Series with columns: the states of each bucket, and the totals merged from them."""
    assert draft.shape.buckets  # noqa: S101 - there are columns
    bucket = bucket_number(draft.shape.buckets, draft.slots.bind)
    series, only = _series(draft)
    places = [draft.wanted.places[each] for each in draft.charted]
    ended = [f"finalizeAggregation(s{n}){pick}" for n, pick in places]
    totals = [f"t{n}" for n in range(len(draft.shown))]
    named = "".join(f"{sql} AS {t}, " for sql, t in zip(draft.merged(), totals, strict=True))
    columns = [f"cells.{n}" for n in range(1, len(ended) + 2)]
    return f"""\
{draft.line("part", "series", "[]", "1", *totals, *columns)}
FROM (
    SELECT part, series, {named}
        arraySort(cell -> cell.1, groupArray(tuple({", ".join(["bucket", *ended])}))) AS cells
    FROM (
        SELECT {draft.part} AS part, {series} AS series, {bucket} AS bucket,
            {draft.states()}
        {draft.source}{only}
        GROUP BY part, series, bucket
    )
    GROUP BY part, series
)"""


def _ranked(draft: _Draft) -> str:
    """The first groups by an aggregate, and the others as one: all from one pass over the rows."""
    assert draft.shape.ranked  # noqa: S101 - that is why this is called
    order = draft.shape.ranked.order
    limit = draft.slots.bind("UInt32", draft.shape.ranked.limit)
    state, pick = draft.wanted.places[in_engine(order.by)]
    direction = "DESC" if order.descending else "ASC"
    keys = ", ".join(f"{key.sql} AS k{n}" for n, key in enumerate(draft.shape.keys))
    names = ", ".join(f"k{n}" for n in range(len(draft.shape.keys)))
    only = "" if draft.shape.ranked.others else f"\nWHERE place <= {limit}"
    series = f"if(place <= {limit}, place, {OTHER}) AS series"
    return f"""\
{draft.line("part", series, "any(keys)", "any(groups)", *draft.merged())}
FROM (
    SELECT *, [{names}] AS keys, count() OVER (PARTITION BY part) AS groups, row_number() OVER (
        PARTITION BY part
        ORDER BY finalizeAggregation(s{state}){pick} {direction} NULLS LAST, {names}
    ) AS place
    FROM (
        SELECT {draft.part} AS part, {keys},
            {draft.states()}
        {draft.source}
        GROUP BY part, {names}
    )
){only}
GROUP BY part, series"""
