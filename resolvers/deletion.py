"""Deletion of rows, outside production only."""

from resolvers.context import Context
from schema.errors import AnalyticsError
from store.query import statements
from store.query.filters.row_set import RowSet


def check_allowed(ctx: Context) -> None:
    """Raise FORBIDDEN in production: deleting there will take a key with the admin scope."""
    if ctx.production:
        raise AnalyticsError("FORBIDDEN", "Deleting is not allowed in production.")


async def delete(ctx: Context, rows: RowSet) -> int:
    """Delete rows; return their number. Raises FORBIDDEN in production."""
    check_allowed(ctx)
    (deletable,) = await ctx.batch.select(statements.deletable(rows), statements.DeletableRow)
    if deletable.rows:
        await ctx.store.delete(statements.delete(rows, deletable.newest))
    return deletable.rows
