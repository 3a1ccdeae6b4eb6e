"""Deletion of rows, with the scope DELETE."""

from resolvers.context import Context
from schema.access import Scope
from store.query import statements
from store.query.filters.row_set import RowSet


async def delete(ctx: Context, rows: RowSet, name: str | None = None) -> int:
    """Delete rows, of one `name` if it is given; return their number.

    Raises FORBIDDEN without the scope.
    """
    ctx.grant.require(Scope.DELETE)
    (deletable,) = await ctx.batch.select(statements.deletable(rows), statements.DeletableRow)
    if deletable.rows:
        names = None if name is None else (name,)
        await ctx.store.delete(statements.delete(rows, deletable.newest), ctx.grant.project, names)
    return deletable.rows
