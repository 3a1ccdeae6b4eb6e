"""The documented REST API: each route reads its request, asks a resolver, and answers."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from api import rest_models as shape
from api.bodies import MAX_BATCH_BODY, MAX_BODY, read_body
from api.disconnect import cancel_on_disconnect
from api.fast_lane import RawRoute, StrictRoute
from api.precision import unit_of
from api.responses import answer
from resolvers import events, metrics, overview, recording
from resolvers.context import Context
from resolvers.overview import SERVICE
from resolvers.series.request import SeriesArguments, SeriesSelection
from schema.aggregates import COUNT, Aggregate, AggregateKind
from schema.paging import MAX_PAGE, Paging
from schema.ranges import MAX_HOURS, TimeRangeInput
from schema.recording import DeleteEventsInput
from schema.scalars import MS_PER_HOUR, DurationMs, rfc3339
from store.ingest.rows import Row
from store.ingest.streams import EVENT_STREAM, METRIC_STREAM, SERIES_STREAM, Stream
from store.journal.row_ids import row_id


def context_of(request: Request) -> Context:
    """Return what the application put there at its start."""
    ctx: Context = request.app.state.context
    return ctx


async def _context_of_request(request: Request) -> AsyncIterator[Context]:
    ctx = context_of(request).for_request()
    async with cancel_on_disconnect(request, ctx.batch.stop):
        yield ctx


Ctx = Annotated[Context, Depends(_context_of_request)]
MetricName = Annotated[
    str, Path(description="Name of the metric, percent-encoded; it may contain slashes.")
]


_SHOWN: Final = {
    "count": COUNT,
    "sum": Aggregate(AggregateKind.SUM),
    "average": Aggregate(AggregateKind.AVG),
    "min": Aggregate(AggregateKind.MIN),
    "max": Aggregate(AggregateKind.MAX),
}
_DUPLICATE: Final = {"duplicate": True}

TAGS: Final = [
    {"name": "Record", "description": "Durable when the answer comes, and in the next answer."},
    {"name": "Ask", "description": "Front ends can ask for more at `/graphql`."},
    {"name": "Delete", "description": "In development only."},
    {"name": "Health", "description": "Whether all is well."},
]

recording_routes: Final = APIRouter(route_class=RawRoute, tags=["Record"])
routes: Final = APIRouter(route_class=StrictRoute)
probes: Final = APIRouter(tags=["Health"])


@recording_routes.post(
    "/metrics",
    summary="Record one metric point",
    response_model=shape.MetricRecorded,
    openapi_extra=shape.body(shape.METRIC),
    responses=shape.ERRORS,
)
async def record_metric(request: Request) -> Response:
    """Store the point durably. It is in the next answer."""
    unit = unit_of(request)
    body = await read_body(request, MAX_BODY)
    recorded = await recording.record_one(context_of(request), METRIC_STREAM, body, unit)
    told = {
        "success": True,
        "metric_id": f"metric_{row_id(recorded.position)}",
        "metric_name": recorded.row.metric_name,
        "value": recorded.row.value,
        "timestamp": rfc3339(recorded.time),
        "service": SERVICE,
    }
    return answer(told | _DUPLICATE if recorded.duplicate else told)


@recording_routes.post(
    "/events",
    summary="Record one event",
    response_model=shape.EventRecorded,
    openapi_extra=shape.body(shape.EVENT),
    responses=shape.ERRORS,
)
async def record_event(request: Request) -> Response:
    """Store the event durably. It is in the next answer."""
    unit = unit_of(request)
    body = await read_body(request, MAX_BODY)
    recorded = await recording.record_one(context_of(request), EVENT_STREAM, body, unit)
    told = {
        "success": True,
        "event_id": events.event_id(recorded.position),
        "event_name": recorded.row.event_name,
        "timestamp": rfc3339(recorded.time),
        "service": SERVICE,
    }
    return answer(told | _DUPLICATE if recorded.duplicate else told)


@recording_routes.post(
    "/metrics/batch",
    summary="Record many metric points",
    response_model=shape.BatchRecorded,
    openapi_extra=shape.batch(shape.METRIC),
    responses=shape.ERRORS,
)
async def record_metrics(request: Request) -> Response:
    """Store the good points durably, report the bad ones by index."""
    return await _record_batch(request, METRIC_STREAM)


@recording_routes.post(
    "/metrics/series",
    summary="Record many points by series",
    response_model=shape.BatchRecorded,
    openapi_extra=shape.batch(shape.SERIES),
    responses=shape.ERRORS,
)
async def record_series(request: Request) -> Response:
    """Store points that share name and tags, as arrays: the fastest way in.

    Counts are of points, except that a bad series is rejected as one row.
    """
    return await _record_batch(request, SERIES_STREAM)


@recording_routes.post(
    "/events/batch",
    summary="Record many events",
    response_model=shape.BatchRecorded,
    openapi_extra=shape.batch(shape.EVENT),
    responses=shape.ERRORS,
)
async def record_events(request: Request) -> Response:
    """Store the good events durably, report the bad ones by index."""
    return await _record_batch(request, EVENT_STREAM)


async def _record_batch(request: Request, stream: Stream[Row]) -> Response:
    unit = unit_of(request)
    body = await read_body(request, MAX_BATCH_BODY)
    payload = await recording.record_batch(context_of(request), stream, body, unit=unit)
    return answer({"success": True, **msgspec.to_builtins(payload), "service": SERVICE})


@probes.get("/health", summary="Health", response_model=shape.Health)
@probes.get("/health-check", summary="Health, by its other name", response_model=shape.Health)
async def health(ctx: Ctx) -> Response:
    """Say that the service is there, and whether all is well."""
    found = await overview.health(ctx)
    return answer(
        {
            "ok": not found.checks,
            "service": found.service,
            "python_version": found.python_version,
        }
    )


@routes.get("/metrics", tags=["Ask"], summary="List all metrics", response_model=shape.MetricNames)
async def list_metrics(ctx: Ctx) -> Response:
    """List the names of all metrics, sorted."""
    names = await metrics.names(ctx)
    return answer({"metrics": names, "count": len(names)})


@routes.get(
    "/metrics/{metric_name:text}",
    tags=["Ask"],
    summary="Aggregate one metric",
    response_model=shape.MetricAggregation,
    responses=shape.ERRORS,
)
async def aggregate_metric(
    ctx: Ctx,
    metric_name: MetricName,
    hours: Annotated[int, Query(ge=1, le=MAX_HOURS, description="How far back.")] = 24,
) -> Response:
    """Count, add up and average the values of the last hours."""
    asked = SeriesArguments(TimeRangeInput(last=DurationMs(hours * MS_PER_HOUR)))
    wanted = SeriesSelection(totals=frozenset(_SHOWN.values()))
    found = await metrics.query(ctx, metric_name, None, asked, wanted)
    totals, span = found.result.series[0].totals, found.meta.range
    return answer(
        {
            "metric_name": metric_name,
            **{name: _number(totals[aggregate]) for name, aggregate in _SHOWN.items()},
            "period_start": rfc3339(span.from_),
            "period_end": rfc3339(span.to),
        }
    )


@routes.delete(
    "/metrics/{metric_name:text}",
    tags=["Delete"],
    summary="Delete one metric",
    response_model=shape.MetricDeleted,
    responses=shape.ERRORS,
)
async def delete_metric(ctx: Ctx, metric_name: MetricName) -> Response:
    """Delete a metric with all its points; not in production."""
    deleted = await metrics.delete(ctx, metric_name)
    return answer(
        {
            "success": True,
            "deleted": deleted.matched_rows,
            "metric_name": metric_name,
            "service": SERVICE,
        }
    )


@routes.get(
    "/events",
    tags=["Ask"],
    summary="List events",
    response_model=shape.EventList,
    responses=shape.ERRORS,
)
async def list_events(
    ctx: Ctx,
    event_name: Annotated[str | None, Query(description="Only events of this name.")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE, description="At most so many.")] = 100,
) -> Response:
    """List events, newest first; `total` counts all that pass the filter."""
    tests = events.name_filter(event_name)
    page, total = await asyncio.gather(
        events.page(ctx, tests, paging=Paging(first=limit)), events.total(ctx, tests)
    )
    shown = [
        {
            "id": event.id,
            "event_name": event.name,
            "user_id": event.user_id,
            "properties": event.properties,
            "timestamp": rfc3339(event.time),
        }
        | ({"session_id": event.session_id} if event.session_id else {})
        for event in page.entries
    ]
    return answer({"events": shown, "count": len(shown), "total": total})


@routes.delete(
    "/events",
    tags=["Delete"],
    summary="Delete all events",
    response_model=shape.Deleted,
    responses=shape.ERRORS,
)
async def delete_events(ctx: Ctx) -> Response:
    """Delete all events; not in production."""
    deleted = await events.delete(ctx, DeleteEventsInput(all=True))
    return answer({"success": True, "deleted": deleted.matched_rows, "service": SERVICE})


@routes.get(
    "/dashboard", tags=["Ask"], summary="Dashboard statistics", response_model=shape.Dashboard
)
async def dashboard(ctx: Ctx) -> Response:
    """Count what is stored."""
    found = await overview.overview(ctx)
    return answer(
        {
            "total_metrics_tracked": found.metric_count,
            "unique_metric_types": len(found.metric_names),
            "total_events_tracked": found.event_count,
            "metric_names": found.metric_names,
            "timestamp": rfc3339(found.time),
        }
    )


def _number(value: float | None) -> float | None:
    """Return an integral value as an integer: 150, not 150.0."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value
