"""Live series: a query whose clock stands at the end of the current bucket.

So the range moves bucket by bucket. Between two moves, only rows change the answer.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from resolvers.context import Context
from resolvers.live.changes import changed_buckets, has_same_totals
from resolvers.live.question import LiveQuestion
from resolvers.series.request import SeriesArguments
from schema.buckets import Granularity
from schema.encoding import items
from schema.scalars import Instant
from schema.series.bucket_times import instants
from schema.series.event_series import EventResult
from schema.series.metric_series import MetricResult
from schema.series.results import ResultMeta
from schema.series.series import Series, SeriesResult
from schema.time.instants import parse_rfc3339
from store.query.time.buckets import Buckets, bucket_at, buckets

ResultT = TypeVar("ResultT", EventResult, MetricResult)


class LiveSeries(LiveQuestion[ResultT]):
    """A series query that is asked again; a message has the buckets that changed, and all totals.

    `query` runs the query in a context; `arguments` has its range and its buckets.
    """

    def __init__(
        self,
        query: Callable[[Context], Awaitable[ResultT]],
        arguments: SeriesArguments,
        throttle_ms: int,
        table: str,
        names: frozenset[str] | None,
    ) -> None:
        """Ask nothing yet."""
        super().__init__(throttle_ms, frozenset({table}), names)
        self._query: Callable[[Context], Awaitable[ResultT]] = query
        self._arguments = arguments
        self._bucket: Buckets | None = None
        self._answer: ResultT | None = None

    @property
    def magnitude(self) -> int:
        """Number of digits of the range's length in milliseconds; 0 before the first answer."""
        if self._answer is None:
            return 0
        time_range = self._answer.meta.range
        return len(str(time_range.to - time_range.from_))

    def is_over(self, now_ms: int) -> bool:
        """Say whether the current bucket is another one; the clock may have been put back."""
        return self._bucket is not None and not (
            self._bucket.starts[0] <= now_ms < self._bucket.end
        )

    async def ask(self, ctx: Context) -> Sequence[ResultT]:
        """Run the query again; return the result, or the part of it that changed."""
        now = ctx.now()
        bucket = self._bucket_at(ctx, now)
        result = await self._query(ctx.at_instant(Instant(bucket.end - 1)))
        result.meta.fresh_as_of = now
        result.result = _mark_partial(result.result, Instant(bucket.starts[0]))
        result.meta.first_time = _first_time(result)
        before, self._answer, self._bucket = self._answer, result, bucket
        return [result] if before is None else _change(before, result)

    @property
    def answer(self) -> Sequence[ResultT]:
        """The whole result."""
        return [self._answer] if self._answer else []

    def _bucket_at(self, ctx: Context, now: Instant) -> Buckets:
        arguments = self._arguments
        zone, week_start = arguments.zone, arguments.week_start
        time_range = ctx.resolve_range(arguments.range, zone, week_start)
        granularity = buckets(
            time_range, arguments.granularity, arguments.max_points, zone, week_start
        ).granularity
        if granularity is Granularity.AUTO:
            granularity = Granularity.MINUTE
        return bucket_at(max(now, ctx.latest or now), granularity, zone, week_start)


def _mark_partial(result: SeriesResult, start: Instant) -> SeriesResult:
    """Mark the bucket that begins at an instant as partial: it has not ended."""
    times, start_text = items(result.times), instants([start])[1:-1]
    if start_text not in times:
        return result
    index = times.index(start_text)

    def mark(series: Series) -> Series:
        flags = list(items(series.partial))
        flags[index : index + 1] = [b"true"] if flags else []
        return replace(series, partial=b"[" + b",".join(flags) + b"]")

    overall = mark(result.overall) if result.overall else None
    return replace(result, series=list(map(mark, result.series)), overall=overall)


def _first_time(result: EventResult | MetricResult) -> Instant | None:
    """Return the start of the first bucket."""
    times = items(result.result.times)
    return Instant(parse_rfc3339(times[0].decode().strip('"'))) if times else None


def _change(before: ResultT, after: ResultT) -> Sequence[ResultT]:
    """Return the part of a result that changed; nothing if nothing did."""
    change = changed_buckets(before.result, after.result)
    if change is None:
        return [after]
    is_same = (
        change.times == b"[]"
        and has_same_totals(before.result, after.result)
        and _facts(before.meta) == _facts(after.meta)
    )
    if is_same:
        return []
    return [type(after)(result=change, meta=replace(after.meta, is_snapshot=False))]


def _facts(meta: ResultMeta) -> tuple[object, ...]:
    """Return what a client may show of a meta, apart from its times and costs."""
    warnings = [(warning.code, warning.message) for warning in meta.warnings]
    return meta.range, meta.comparison_range, meta.total_groups, meta.truncated, warnings
