"""Questions about metrics."""

from resolvers import deletion
from resolvers.context import Context
from schema.errors import AnalyticsError
from schema.metrics import MetricAggregates, MetricResult, MetricSeries, ResultMeta
from schema.ranges import TimeRangeInput, resolve_range
from schema.recording import DeletePayload
from schema.scalars import Long
from store import queries


async def names(ctx: Context) -> list[str]:
    """Return the names of all metrics, sorted."""
    everything = queries.Rows("metrics", ctx.project)
    rows = await ctx.store.select(queries.names(everything), queries.NameRow)
    return [row.name for row in rows]


async def check_known(ctx: Context, name: str) -> None:
    """Raise NOT_FOUND if there is no such metric."""
    points = queries.metric_rows(ctx.project, name)
    (found,) = await ctx.store.select(queries.count(points), queries.CountRow)
    if found.rows == 0:
        raise _unknown(name)


async def aggregate(ctx: Context, name: str, asked: TimeRangeInput) -> MetricResult:
    """Aggregate one metric over a range; NOT_FOUND if there is no such metric at any time."""
    span = resolve_range(asked, ctx.now())
    points = queries.metric_rows(ctx.project, name, span)
    (row,) = await ctx.store.select(queries.aggregates(points), queries.AggregatesRow)
    if row.count == 0:
        await check_known(ctx, name)
    total = MetricAggregates(
        count=Long(row.count), sum=row.sum, avg=row.avg, min=row.min, max=row.max
    )
    return MetricResult(series=[MetricSeries(total=total)], meta=ResultMeta(range=span))


async def delete(ctx: Context, name: str) -> DeletePayload:
    """Delete all points of a metric; NOT_FOUND if there are none."""
    matched = await deletion.delete(ctx, queries.metric_rows(ctx.project, name))
    if matched == 0:
        raise _unknown(name)
    return DeletePayload(matched_rows=Long(matched))


def _unknown(name: str) -> AnalyticsError:
    return AnalyticsError("NOT_FOUND", f"There is no metric {name!r}.")
