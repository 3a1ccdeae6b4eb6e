"""Facets: the tags of metrics and the properties of events, and their values."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Final, TypeVar

from resolvers.context import Context
from resolvers.series.group_keys import display_text
from schema.catalogue import VALUE_TYPES, PropertyType, TagValue
from schema.paging import checked_count
from schema.scalars import Long
from store.query import facets
from store.query.facets import Facet, KeyRow, ValueRow
from store.query.filters.row_set import RowSet
from store.query.sql import Statement

COLUMNS_OF_FIELD: Final = {
    "cardinality": ("cardinality",),
    "type": ("initials", "instants"),
}
"""The columns of `KeyRow` that a field of a tag or a property needs."""

R = TypeVar("R", KeyRow, ValueRow)


class Facets:
    """Loads the keys and values in the rows of several names, of metrics or of event types.

    The first load of a name selects the rows of all names in one statement, and keeps them. So a
    list of names runs as many statements as one name.
    """

    def __init__(self, ctx: Context, facet: Facet, names: Sequence[str]) -> None:
        """Load for these names; another name has no keys."""
        self._ctx = ctx
        self._facet = facet
        self._names = names
        self._tasks: dict[Hashable, asyncio.Task[Any]] = {}

    async def list_keys(self, name: str, fields: set[str]) -> tuple[list[KeyRow], int]:
        """List the most frequent keys in the rows of a name, sorted; also return the row count."""
        columns = frozenset(
            column for field in fields for column in COLUMNS_OF_FIELD.get(field, ())
        )

        def statement(rows: RowSet) -> Statement:
            return facets.facet_keys(self._facet, rows, columns)

        rows_by_name = await self._select_once(columns, statement, KeyRow, _name)
        rows = rows_by_name.get(name, [])
        row_count = sum(row.rows for row in rows if row.key is None)
        return sorted((row for row in rows if row.key is not None), key=_key), row_count

    async def values(self, name: str, key: str, search: str | None, first: int) -> list[TagValue]:
        """List the most frequent values of a key, or its values that contain a text."""
        checked_count("first", first)

        def statement(rows: RowSet) -> Statement:
            return facets.facet_values(self._facet, rows, search, first)

        cache_key = (search or None, first)
        rows_by_key = await self._select_once(cache_key, statement, ValueRow, _name_and_key)
        return [_tag_value(row) for row in rows_by_key.get((name, key), [])]

    async def _select_once(
        self,
        cache_key: Hashable,
        statement: Callable[[RowSet], Statement],
        row_type: type[R],
        group: Callable[[R], Hashable],
    ) -> dict[Hashable, list[R]]:
        """Select the rows of all names, once for each cache key; return the rows by group."""

        async def select() -> dict[Hashable, list[R]]:
            rows = self._ctx.rows(self._facet.table)
            rows.add_names(self._names)
            rows_by_group: dict[Hashable, list[R]] = defaultdict(list)
            for row in await self._ctx.batch.select(statement(rows), row_type):
                rows_by_group[group(row)].append(row)
            return rows_by_group

        if cache_key not in self._tasks:
            self._tasks[cache_key] = asyncio.ensure_future(select())
        result: dict[Hashable, list[R]] = await self._tasks[cache_key]
        return result


def _key(row: KeyRow) -> str:
    return row.key or ""


def _name(row: KeyRow) -> Hashable:
    return row.name


def _name_and_key(row: ValueRow) -> Hashable:
    return row.name, row.key


def _tag_value(row: ValueRow) -> TagValue:
    value_type = VALUE_TYPES[row.initial]
    value = display_text(row.value) if value_type is PropertyType.NUMBER else row.value
    return TagValue(value=value, count=Long(row.count), type=value_type)


def property_type(row: KeyRow) -> PropertyType:
    """Return the type of all values of a property; MIXED if they have several types."""
    types = {VALUE_TYPES[initial] for initial in row.initials or ()}
    if len(types) != 1:
        return PropertyType.MIXED
    (value_type,) = types
    if value_type is PropertyType.STRING and row.instants == row.rows:
        return PropertyType.DATETIME
    return value_type
