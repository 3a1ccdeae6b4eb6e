"""Lists of the names in a table: the first ones, and the numbers of all names and rows."""

from typing import NamedTuple

from resolvers.context import Context
from schema.limits import LISTED_NAMES
from store.query import statements
from store.query.statements import NameCountRow, NameRow


class NameList(NamedTuple):
    """Sorted names, and the numbers of all names and rows of the table."""

    names: list[str]
    total: int
    rows: int


async def first_names(
    ctx: Context, table: str, first: int = LISTED_NAMES.value, after: str | None = None
) -> NameList:
    """Return the first names of a table, or the first ones after a text, sorted by their bytes."""
    rows = ctx.rows(table)
    name_rows = await ctx.batch.select(statements.names(rows, first, after), NameRow)
    names = [row.name for row in name_rows[:first]]
    if after is None and len(name_rows) <= first:
        return NameList(names, len(names), sum(row.rows for row in name_rows))
    (totals,) = await ctx.batch.select(statements.count_names(ctx.rows(table)), NameCountRow)
    return NameList(names, totals.names, totals.rows)
