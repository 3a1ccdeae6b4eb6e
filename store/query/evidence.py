"""Statements that find out whether an answer can mislead: by a key, a name, a value.

The engine stops each after some seconds. A key that is there is found in 15 ms of CPU; one that
never was takes a scan of one column: 0.25 s at 2 million events, 0.55 at 6 million points, and then
10 ms, because the engine remembers where a condition fails.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

import msgspec

from store.query import facets
from store.query.fields import json_fields
from store.query.filters.row_set import RowSet
from store.query.sql import Statement
from store.query.tables import METRICS

MAX_SECONDS: Final = 3
MAX_LISTED: Final = 1000

_SAMPLED_ROWS: Final = 10_000
_TIME_LIMIT: Final = f"max_execution_time = {MAX_SECONDS}"
# A look ends at its first row: with blocks of one granule that is after 15 ms of CPU, not 60.
_LOOKUP: Final = f"SETTINGS {_TIME_LIMIT}, max_block_size = 8192"

_OTHER_VALUES: Final = '"tf[{'
"""How the JSON of a value that is no number and not null begins."""


class IndexRow(msgspec.Struct, rename={"index": "place"}):
    """The place of a key among those that were looked for."""

    index: int


class NameRow(msgspec.Struct):
    name: str


class CountRow(msgspec.Struct, rename={"index": "place"}):
    """A number of rows, and which it is."""

    index: int
    rows: int


def present_keys(rows: RowSet, paths: Sequence[tuple[str, ...]]) -> Statement:
    """Find out which keys occur in any of some rows; the `PlaceRow`s of those that do.

    A path is that of a property, or the one key of a tag.
    """
    return _union([_lookup(rows, index, path) for index, path in enumerate(paths)], rows)


def _lookup(rows: RowSet, index: int, path: tuple[str, ...]) -> str:
    key_rows, slots = rows.copy(), rows.slots
    if rows.table == METRICS.name:
        (tag,) = path
        key_rows.conditions += [
            json_fields.may_have_tag(slots, tag),
            json_fields.tag_is_set(slots, tag),
        ]
    else:
        key_rows.conditions += [
            json_fields.may_have_property(slots, path),
            json_fields.property_is_set(slots, path),
        ]
    return key_rows.sql(f"SELECT {index} AS place", "LIMIT 1")


def not_numbers(rows: RowSet, paths: Sequence[tuple[tuple[str, ...], bool]]) -> Statement:
    """Count rows, and the rows in which each property has a value that is no number.

    A path comes with whether texts are taken for numbers.

    `CountRow`s: of place 0 for all rows, then for each path. Null is no value.
    """
    counts = [rows.sql("SELECT 0 AS place, count() AS rows", "")]
    for index, (path, cast) in enumerate(paths, 1):
        property_rows, slots = rows.copy(), rows.slots
        begins = json_fields.may_have_property_starting(slots, path, _OTHER_VALUES)
        number = json_fields.property_any_number(slots, path, cast)
        is_set = json_fields.property_is_set(slots, path)
        property_rows.conditions += [begins, is_set, f"isNull({number})"]
        counts.append(property_rows.sql(f"SELECT {index} AS place, count() AS rows", ""))
    return _union(counts, rows)


def present_names(rows: RowSet, names: Collection[str]) -> Statement:
    """Find out which names occur; their `NameRow`s."""
    rows = rows.copy()
    rows.conditions.append(f"name IN {rows.bind('Array(String)', sorted(names))}")
    return rows.statement("SELECT name", f"GROUP BY name\nSETTINGS {_TIME_LIMIT}")


def frequent_names(rows: RowSet) -> Statement:
    """List the most frequent names; `NameRow`s."""
    end_clauses = (
        f"GROUP BY name\nORDER BY count() DESC, name\nLIMIT {MAX_LISTED}\nSETTINGS {_TIME_LIMIT}"
    )
    return rows.statement("SELECT name", end_clauses)


def recent_keys(rows: RowSet) -> Statement:
    """List the keys in the newest rows, most frequent first; `KeyRow`s."""
    facet, column = (
        (facets.TAGS, "tags") if rows.table == METRICS.name else (facets.PROPERTIES, "properties")
    )
    sample = (
        f"SELECT name, {column} AS text, 1 AS n",
        f"ORDER BY time DESC LIMIT {_SAMPLED_ROWS}",
    )
    key_statement = facets.facet_keys(replace(facet, row_clauses=sample), rows, ())
    return replace(key_statement, text=f"{key_statement.text}, {_TIME_LIMIT}")


def _union(texts: Sequence[str], rows: RowSet) -> Statement:
    union = "\nUNION ALL\n".join(f"(\n{text}\n)" for text in texts)
    return rows.slots.statement(f"SELECT * FROM (\n{union}\n)\n{_LOOKUP}", (rows.table,))
