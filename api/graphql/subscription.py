"""The Subscription type: each field returns a live question."""

from collections.abc import AsyncIterable
from functools import partial
from typing import Annotated

import strawberry
from strawberry import argument

from api.graphql.arguments import (
    BucketFill,
    BucketSize,
    Comparison,
    EventConditions,
    EventKeys,
    FirstWeekday,
    GroupSearch,
    GroupTags,
    Limit,
    MaxPoints,
    Offset,
    OrderBy,
    OtherGroup,
    PointFilter,
    Range,
    TimeZone,
    event_series_arguments,
    metric_series_arguments,
)
from api.graphql.info import ContextInfo
from resolvers import event_series, ingestion, metrics, overview
from resolvers.context import Context
from resolvers.live.events import MAX_EVENTS, LiveEvents, checked_position, checked_replay
from resolvers.live.question import checked_throttle
from resolvers.live.series import LiveSeries
from resolvers.live.value import LiveValue
from resolvers.series.request import SeriesSelection
from schema.buckets import Fill, Granularity, WeekStart
from schema.errors import bad_input
from schema.events import Event
from schema.filters import EventFilter, scanned_names
from schema.overview import Overview
from schema.recording import StreamStats
from schema.scalars import UTC_ZONE, DurationMs
from schema.selection import selected_fields
from schema.series.event_series import EventResult
from schema.series.metric_series import MetricResult
from store.query.tables import EVENTS, METRICS

MetricName = Annotated[
    str, argument(description="Name of the metric, in full; it may have no points yet.")
]
Throttle = Annotated[
    DurationMs,
    argument(
        description="Least time between two messages, PT0.1S to PT1H. An answer that takes longer"
        " comes later."
    ),
]
_SECOND = DurationMs(1000)

_LIVE = (
    " The first message is the whole result; a later one has the buckets that changed and all"
    " totals (`meta.isSnapshot` is false), or again the whole result. The range moves by whole"
    " buckets: its end is the end of the current one."
)


Replay = Annotated[
    int,
    argument(description=f"Number of the last events to send first, 0 to {MAX_EVENTS}."),
]
LastId = Annotated[
    strawberry.ID | None,
    argument(
        description="Id of an event: send all events that arrived after it first, oldest first."
        " A client that reconnects names the last event that it has."
    ),
]


@strawberry.type(description="Subscriptions: each field sends a message whenever its data changes.")
class Subscription:
    @strawberry.subscription(
        description="Events as they arrive, a message each. Of more than"
        f" {MAX_EVENTS} events within `throttle`, the newest are sent."
    )
    async def event_added(
        self,
        where: EventConditions = None,
        replay: Replay = 0,
        after: LastId = None,
        throttle: Throttle = _SECOND,
    ) -> AsyncIterable[Event]:
        position = checked_position(after)
        if position and replay:
            raise bad_input("replay", "must not be given together with `after`")
        event_filter = where or EventFilter()
        return LiveEvents(
            event_filter, checked_replay(replay), position, checked_throttle(throttle)
        )

    @strawberry.subscription(
        description="Series of a metric, live: the query `Metric.query`." + _LIVE
    )
    async def metric_changed(
        self,
        info: ContextInfo,
        name: MetricName,
        range: Range,  # noqa: A002
        where: PointFilter = None,
        granularity: BucketSize = Granularity.AUTO,
        max_points: MaxPoints = 300,
        timezone: TimeZone = UTC_ZONE,
        week_start: FirstWeekday = WeekStart.MONDAY,
        group_by: GroupTags = None,
        order_by: OrderBy = None,
        limit: Limit = 10,
        offset: Offset = 0,
        group_search: GroupSearch = None,
        other_group: OtherGroup = True,
        fill: BucketFill = Fill.NULL,
        compare: Comparison = None,
        throttle: Throttle = _SECOND,
    ) -> AsyncIterable[MetricResult]:
        arguments = partial(
            metric_series_arguments,
            range=range,
            timezone=timezone,
            week_start=week_start,
            granularity=granularity,
            max_points=max_points,
            group_by=group_by,
            order_by=order_by,
            limit=limit,
            offset=offset,
            group_search=group_search,
            other_group=other_group,
            fill=fill,
            compare=compare,
        )
        selection = SeriesSelection.from_fields("metrics", selected_fields(info._raw_info))  # noqa: SLF001

        async def query(ctx: Context) -> MetricResult:
            return await metrics.query(ctx, name, where, arguments(ctx), selection, is_known=True)

        ms = checked_throttle(throttle)
        return LiveSeries(query, arguments(info.context), ms, METRICS.name, frozenset({name}))

    @strawberry.subscription(description="Series of events, live: the query `eventTrend`." + _LIVE)
    async def event_trend_changed(
        self,
        info: ContextInfo,
        range: Range,  # noqa: A002
        where: EventConditions = None,
        granularity: BucketSize = Granularity.AUTO,
        max_points: MaxPoints = 300,
        timezone: TimeZone = UTC_ZONE,
        week_start: FirstWeekday = WeekStart.MONDAY,
        group_by: EventKeys = None,
        order_by: OrderBy = None,
        limit: Limit = 10,
        offset: Offset = 0,
        group_search: GroupSearch = None,
        other_group: OtherGroup = True,
        fill: BucketFill = Fill.ZERO,
        compare: Comparison = None,
        throttle: Throttle = _SECOND,
    ) -> AsyncIterable[EventResult]:
        arguments = partial(
            event_series_arguments,
            range=range,
            timezone=timezone,
            week_start=week_start,
            granularity=granularity,
            max_points=max_points,
            group_by=group_by,
            order_by=order_by,
            limit=limit,
            offset=offset,
            group_search=group_search,
            other_group=other_group,
            fill=fill,
            compare=compare,
        )
        selection = SeriesSelection.from_fields("events", selected_fields(info._raw_info))  # noqa: SLF001

        async def query(ctx: Context) -> EventResult:
            return await event_series.query(ctx, where, arguments(ctx), selection)

        names = scanned_names(where) if where else None
        ms = checked_throttle(throttle)
        return LiveSeries(query, arguments(info.context), ms, EVENTS.name, names)

    @strawberry.subscription(
        description="Names and numbers of all that is stored, whenever they change: the query"
        " `overview`."
    )
    async def overview_changed(self, throttle: Throttle = _SECOND) -> AsyncIterable[Overview]:
        tables = frozenset({METRICS.name, EVENTS.name})
        return LiveValue(overview.overview, overview.facts, checked_throttle(throttle), tables)

    @strawberry.subscription(
        description="Row counters of each stream, whenever they change: the query `ingestion`. It"
        " needs the scope OPERATE."
    )
    async def ingestion_changed(
        self, info: ContextInfo, throttle: Throttle = _SECOND
    ) -> AsyncIterable[list[StreamStats]]:
        async def query(ctx: Context) -> list[StreamStats]:
            return ingestion.stream_stats(ctx)

        ingestion.stream_stats(info.context)  # raises FORBIDDEN
        return LiveValue(query, lambda stats: stats, checked_throttle(throttle), None)
