"""Questions about metrics."""

from resolvers.context import Context
from resolvers.permission import require_deletion
from schema.errors import AnalyticsError
from schema.metrics import MetricAggregates, MetricResult, MetricSeries, ResultMeta
from schema.ranges import TimeRangeInput, resolve_range
from schema.recording import DeletePayload
from schema.scalars import Long
from store import queries


async def names(ctx: Context) -> list[str]:
    """Return the names of all metrics, sorted."""
    rows = await ctx.store.select(queries.names("metrics", ctx.project), queries.NameRow)
    return [row.name for row in rows]


async def check_known(ctx: Context, name: str) -> None:
    """Raise NOT_FOUND if there is no such metric."""
    await _count(ctx, name)


async def aggregate(ctx: Context, name: str, asked: TimeRangeInput) -> MetricResult:
    """Aggregate one metric over a range; NOT_FOUND if there is no such metric at any time."""
    span = resolve_range(asked, ctx.now())
    statement = queries.metric_aggregates(ctx.project, name, span)
    (row,) = await ctx.store.select(statement, queries.AggregatesRow)
    if row.count == 0:
        await check_known(ctx, name)
    total = MetricAggregates(
        count=Long(row.count), sum=row.sum, avg=row.avg, min=row.min, max=row.max
    )
    return MetricResult(series=[MetricSeries(total=total)], meta=ResultMeta(range=span))


async def delete(ctx: Context, name: str) -> DeletePayload:
    """Delete all points of a metric; NOT_FOUND if there are none."""
    require_deletion(ctx)
    found = await _count(ctx, name)
    await ctx.store.delete(queries.delete_metric(ctx.project, name, found.newest))
    return DeletePayload(matched_rows=Long(found.rows))


async def _count(ctx: Context, name: str) -> queries.CountRow:
    statement = queries.count_metric(ctx.project, name)
    (found,) = await ctx.store.select(statement, queries.CountRow)
    if found.rows == 0:
        raise AnalyticsError("NOT_FOUND", f"There is no metric {name!r}.", field="name")
    return found
