"""Deletion of rows, with the scope DELETE."""

from resolvers.context import Context
from schema.access import Scope
from store.query import statements
from store.query.filters.row_set import RowSet


async def delete(ctx: Context, rows: RowSet) -> int:
    """Delete rows; return their number. Raises FORBIDDEN without the scope."""
    ctx.grant.require(Scope.DELETE)
    (deletable,) = await ctx.batch.select(statements.deletable(rows), statements.DeletableRow)
    if deletable.rows:
        await ctx.store.delete(statements.delete(rows, deletable.newest))
    return deletable.rows
