"""Time ranges of a series query, resolved to instants and cut into buckets."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from resolvers.context import Context
from resolvers.series.request import SeriesArguments, SeriesSource
from resolvers.series.values import BucketedRange
from schema.ranges import TimeRangePreset
from schema.scalars import Instant
from store.query import statements
from store.query.time.buckets import buckets, previous_buckets
from store.query.time.ranges import ALL_TIME, Extent


@dataclass(frozen=True, slots=True)
class BucketedRanges:
    """The time range of a query, and the range that it is compared with, if any.

    `newest` is the time of the newest row; only ALL_TIME reads it.
    """

    now: Instant
    newest: Instant | None
    current: BucketedRange
    comparison: BucketedRange | None

    def __iter__(self) -> Iterator[BucketedRange]:
        """Go through the one or two ranges, the current range first."""
        yield self.current
        if self.comparison:
            yield self.comparison

    @property
    def data_end(self) -> Instant:
        """The latest time that a row can have: rows may be ahead of the clock."""
        return self.now if self.newest is None else max(self.now, self.newest)


async def resolve_ranges(
    ctx: Context,
    sources: Sequence[SeriesSource],
    arguments: SeriesArguments,
    *,
    with_buckets: bool,
) -> BucketedRanges:
    """Return the range and the comparison range, with buckets if a column or a time is selected.

    ALL_TIME reaches from the oldest to the newest row of all sources.
    """
    extent = await _extent(ctx, sources, arguments)
    return bucketed_ranges(ctx, arguments, extent, with_buckets=with_buckets)


async def _extent(
    ctx: Context, sources: Sequence[SeriesSource], arguments: SeriesArguments
) -> Extent | None:
    """Return the times of the oldest and the newest row, read for ALL_TIME only; None: no rows."""
    if not has_all_time(arguments):
        return ALL_TIME
    row_sources = [
        statements.ExtentSource(source.table, source.condition(None), source.metric)
        for source in sources
    ]
    statement = statements.extent(row_sources, ctx.batch.slots)
    (row,) = await ctx.batch.select(statement, statements.ExtentRow)
    if row.oldest is None or row.newest is None:
        return None
    return Extent(Instant(row.oldest), Instant(row.newest))


def has_all_time(arguments: SeriesArguments) -> bool:
    """Say whether the range or the comparison range is ALL_TIME, which reads the extent."""
    ranges = [arguments.range, arguments.compare.range if arguments.compare else None]
    return any(
        range_input and range_input.preset is TimeRangePreset.ALL_TIME for range_input in ranges
    )


def bucketed_ranges(
    ctx: Context, arguments: SeriesArguments, extent: Extent | None, *, with_buckets: bool
) -> BucketedRanges:
    """Return the range and the comparison range for an extent; None as extent means no rows."""
    now, zone, week_start = ctx.now(), arguments.zone, arguments.week_start
    time_range = ctx.resolve_range(arguments.range, zone, week_start, extent)
    range_buckets = None
    if with_buckets:
        range_buckets = buckets(
            time_range, arguments.granularity, arguments.max_points, zone, week_start
        )
        time_range = replace(time_range, granularity=range_buckets.granularity)
    newest = extent.newest if extent and has_all_time(arguments) else None
    current = BucketedRange(time_range, range_buckets)
    if arguments.compare is None:
        return BucketedRanges(now, newest, current, None)
    other_range = ctx.resolve_comparison(time_range, arguments.compare, zone, week_start, extent)
    other_buckets = (
        previous_buckets(range_buckets, other_range, zone, week_start) if range_buckets else None
    )
    return BucketedRanges(now, newest, current, BucketedRange(other_range, other_buckets))
