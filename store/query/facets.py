"""Facets: the keys of tags and properties in their JSON text, and the values of each key."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from store.query.catalogue import contains
from store.query.fields.canonical_json import MAYBE_INEXACT, mark, unmark
from store.query.filters.row_set import RowSet
from store.query.sql import Statement
from store.query.tables import EVENTS, METRICS

MAX_LISTED_KEYS: Final = 1000
MAX_KEY_BYTES: Final = 1000
MAX_VALUE_CHARACTERS: Final = 1000

# A JSON key may be empty, and no text has the byte 254.
_EVERY_ROW: Final = "char(254)"
"""The path of a pair that is added to each row, so that all rows of a name are counted."""

# Merged into one step, the selects of `_pairs` take three times as long to plan.
_SETTINGS: Final = "SETTINGS max_result_bytes = 16777216, query_plan_merge_expressions = 0"


@dataclass(frozen=True, slots=True)
class Facet:
    """The SQL by which one JSON column is read as pairs of a key and a value.

    `row_clauses` select `name`, the JSON `text`, and the number `n` of rows with this text.
    `pairs` splits the text in steps; the last one selects `pairs`. `path` and `raw` read a pair;
    `initial` is the first byte of its JSON.
    """

    table: str
    row_clauses: tuple[str, str]
    pairs: tuple[str, ...]
    key: str
    is_set: str
    distinct: str
    value: str
    initial: str
    raw: str = "pair.2"
    path: str = "pair.1"


def _nested_pairs(level: str) -> str:
    """Return the pairs inside the objects of a level, each with its path.

    The byte 255, which no text contains, separates the keys of a path.
    """
    return (
        "arrayFlatten(arrayMap(p -> arrayMap(q -> (concat(p.1, char(255), q.1), q.2),"
        f" JSONExtractKeysAndValuesRaw(p.2)), arrayFilter(p -> startsWith(p.2, '{{'), {level})))"
    )


# Points share few sets of tags. Parsing each set once takes 0.9 s at 10 M points, not 5.5.
TAGS: Final = Facet(
    table=METRICS.name,
    row_clauses=("SELECT name, tags AS text, count() AS n", "GROUP BY name, tags"),
    pairs=("JSONExtractKeysAndValues(text, 'String') AS pairs",),
    key="path",
    is_set="1",
    distinct="uniqCombined(raw)",
    value="raw",
    initial="ascii('\"')",
)
# Filters read a path with escapes: `\.` for a dot in a key, `\\` for a backslash, `\[]` for a final
# `[]`.
_ESCAPED_PATH: Final = (
    r"replaceAll(concat(replaceAll(replaceAll(path, '\\', '\\\\'), '.', '\\.'), '\xFF'),"
    r" '[]\xFF', '\\[]\xFF')"
)
_PATH: Final = (
    rf"replaceAll(substring({_ESCAPED_PATH}, 1, length({_ESCAPED_PATH}) - 1), '\xFF', '.')"
)

# Three levels of keys: each level costs about 0.7 of the first. The engine's own JSON type finds
# all paths, and takes twelve times as long.
PROPERTIES: Final = Facet(
    table=EVENTS.name,
    row_clauses=("SELECT name, properties AS text, 1 AS n", ""),
    pairs=(
        # Marking costs a second pass, and few texts have numbers that the engine writes inexactly.
        f"match(text, {MAYBE_INEXACT}) AS is_marked",
        f"JSONExtractKeysAndValuesRaw(if(is_marked, {mark('text')}, text)) AS level1",
        f"{_nested_pairs('level1')} AS level2",
        f"arrayConcat(level1, level2, {_nested_pairs('level2')}) AS pairs",
    ),
    key=_PATH,
    is_set="raw != 'null'",
    distinct="uniqCombined(raw)",
    value="if(startsWith(raw, '\"'), JSONExtractString(raw), raw)",
    initial="ascii(raw)",
    raw=f"if(is_marked, {unmark('pair.2')}, pair.2)",
    path=(
        f"if(is_marked AND pair.1 != {_EVERY_ROW},"
        " substring(replaceAll(pair.1, '\\xFFs', '\\xFF'), 2), pair.1)"
    ),
)

_INSTANT: Final = (
    r"^\"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})\"$"
)
_KEY_COLUMNS: Final = {
    "rows": "sum(n)",
    "cardinality": "{facet.distinct}",
    "initials": "groupUniqArray(ascii(raw))",
    "instants": (
        "sum(n * (length(raw) BETWEEN 22 AND 37 AND substring(raw, 12, 1) IN ('T', 't')"
        f" AND match(raw, '{_INSTANT}')))"
    ),
}


class KeyRow(msgspec.Struct):
    """A key of a name, the number of rows with it, and the selected columns about its values.

    A null `key` counts all rows of the name. `initials` are the first bytes of the values as JSON.
    `instants` counts the rows with an RFC 3339 text.
    """

    name: str
    key: str | None
    rows: int
    cardinality: int | None = None
    initials: list[int] | None = None
    instants: int | None = None


class ValueRow(msgspec.Struct):
    name: str
    key: str
    value: str
    count: int
    initial: int


def facet_keys(facet: Facet, rows: RowSet, column_names: Collection[str]) -> Statement:
    """List the most frequent keys of each name, at most `MAX_LISTED_KEYS`; `KeyRow`s.

    One row more shows that there are more keys.
    """
    columns = [
        f"{text.format(facet=facet) if '{facet' in text else text} AS {key}"
        for key, text in _KEY_COLUMNS.items()
        if key in column_names or key == "rows"
    ]
    if set(column_names) <= {"rows"}:
        # The canonical text of a value takes 20 ms to plan. A null is the same text without it.
        facet = replace(facet, raw="pair.2")
    return _statement(
        rows,
        f"SELECT name, if(path = {_EVERY_ROW}, NULL, {facet.key}) AS key, {', '.join(columns)}\n"
        f"FROM (\n{_pairs(facet, rows)}\n)\n"
        f"WHERE path = {_EVERY_ROW} OR ({facet.is_set} AND length(path) <= {MAX_KEY_BYTES})\n"
        "GROUP BY name, path\n"
        f"ORDER BY name, sum(n) DESC, path\nLIMIT {MAX_LISTED_KEYS + 1} BY name\n{_SETTINGS}",
    )


def facet_values(facet: Facet, rows: RowSet, text: str | None, first: int) -> Statement:
    """List the `first` most frequent values of each key of each name; `ValueRow`s."""
    rows = rows.copy()
    pairs = _pairs(facet, rows)
    test = f" AND {contains(rows, facet.value, text)}" if text else ""
    limit = rows.bind("UInt32", first)
    return _statement(
        rows,
        f"SELECT name, {facet.key} AS key,"
        f" substringUTF8({facet.value}, 1, {MAX_VALUE_CHARACTERS}) AS value, sum(n) AS count,"
        f" {facet.initial} AS initial\n"
        f"FROM (\n{pairs}\n)\nWHERE path != {_EVERY_ROW} AND {facet.is_set}"
        f" AND length(path) <= {MAX_KEY_BYTES}{test}\nGROUP BY name, path, value, initial\n"
        "ORDER BY name, path, count DESC, value, initial\n"
        f"LIMIT {limit} BY name, path\n{_SETTINGS}",
    )


def _pairs(facet: Facet, rows: RowSet) -> str:
    """Select one row for each key of each row, and one for the row itself, which is counted.

    Each step is a SELECT. The engine copies an alias to each place that names it: in one SELECT the
    first level would be planned eleven times, which takes 50 ms more.
    """
    text = rows.statement(*facet.row_clauses).text
    every_row = f"arrayJoin(arrayPushBack(pairs, ({_EVERY_ROW}, 'null'))) AS pair"
    for columns in (*facet.pairs, every_row):
        text = f"SELECT *, {columns}\nFROM (\n{text}\n)"
    return f"SELECT name, n, {facet.path} AS path, {facet.raw} AS raw\nFROM (\n{text}\n)"


def _statement(rows: RowSet, text: str) -> Statement:
    return rows.slots.statement(text, (rows.scan,))
