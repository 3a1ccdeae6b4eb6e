"""Evidence for warnings: unknown keys, unknown names, and values that are not numbers.

The engine stops each statement after `MAX_SECONDS`. It finds a key that exists in 15 ms of CPU. A
key that does not exist takes a scan of one column: 0.25 s at 2 million events, 0.55 s at 6 million
points. The next scan takes 10 ms, because the engine remembers where a condition fails.
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
# A lookup ends at its first row: with blocks of one granule after 15 ms of CPU, not 60.
_LOOKUP: Final = f"SETTINGS {_TIME_LIMIT}, max_block_size = 8192"

_OTHER_VALUES: Final = '"tf[{'
"""First characters of the JSON of every value but numbers and null."""


class IndexRow(msgspec.Struct, rename={"index": "place"}):
    """The index of a key in the list of keys to look up."""

    index: int


class NameRow(msgspec.Struct):
    name: str


class CountRow(msgspec.Struct, rename={"index": "place"}):
    """A number of rows, and the index of its count in the statement."""

    index: int
    rows: int


def present_keys(rows: RowSet, paths: Sequence[tuple[str, ...]]) -> Statement:
    """Look up which keys occur in the rows; one `IndexRow` for each key that occurs.

    A path has the keys of a property, or the one key of a tag.
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
    """Count all rows, and for each path the rows whose property is set and not a number.

    Each path comes with a flag: whether numeric texts count as numbers. Null counts as not set.
    One `CountRow` of index 0 counts all rows; the paths have the indexes from 1 on.
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
    """Look up which names occur; one `NameRow` for each name that occurs."""
    rows = rows.copy()
    rows.add_names(names)
    return rows.statement("SELECT name", f"GROUP BY name\nSETTINGS {_TIME_LIMIT}")


def frequent_names(rows: RowSet) -> Statement:
    """List the most frequent names; `NameRow`s."""
    end_clauses = (
        f"GROUP BY name\nORDER BY count() DESC, name\nLIMIT {MAX_LISTED}\nSETTINGS {_TIME_LIMIT}"
    )
    return rows.statement("SELECT name", end_clauses)


def recent_keys(rows: RowSet) -> Statement:
    """List the keys of the newest 10,000 rows, most frequent first; `KeyRow`s."""
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
    return rows.slots.statement(f"SELECT * FROM (\n{union}\n)\n{_LOOKUP}", (rows.scan,))
