"""The documented REST API: each route reads its request, calls a resolver and answers."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from api import rest_models as models
from api.access.credentials import address_of, context_of, open_context_of, recorder_of
from api.bodies import MAX_BATCH_BODY, MAX_BODY, read_body
from api.disconnect import cancel_on_disconnect
from api.fast_lane import RawRoute, StrictRoute
from api.headers import CONTEXT_KEY
from api.openapi import bodies
from api.openapi.operations import PROBE_ERRORS, RECORD_ERRORS, link
from api.precision import unit_of
from api.responses import answer
from resolvers import events, metrics, names, overview, recording
from resolvers.context import Context
from resolvers.overview import SERVICE
from resolvers.series.request import SeriesArguments, SeriesSelection
from schema.events import Event
from schema.limits import LISTED_NAMES
from schema.paging import MAX_PAGE, Paging
from schema.ranges import MAX_HOURS, TimeRangeInput
from schema.recording import DeleteEventsInput, RecordPayload
from schema.scalars import MS_PER_HOUR, DurationMs, rfc3339
from schema.series.aggregates import COUNT, Aggregate, AggregateKind
from store.ingest.rows import MAX_NAME, Row
from store.ingest.streams import EVENT_STREAM, METRIC_STREAM, SERIES_STREAM, Stream
from store.journal.row_ids import row_id
from store.query.tables import METRICS


async def _context_of_request(request: Request) -> AsyncIterator[Context]:
    ctx = context_of(request).for_request()
    request.scope[CONTEXT_KEY] = ctx
    async with cancel_on_disconnect(request, ctx.batch.stop):
        yield ctx


async def _context_of_flight(request: Request) -> Context:
    """Return the context of a query, which the route has made."""
    ctx: Context = request.state.context
    return ctx


async def _context_of_anyone(request: Request) -> Context:
    return open_context_of(request)


Ctx = Annotated[Context, Depends(_context_of_request)]
QueryCtx = Annotated[Context, Depends(_context_of_flight)]
OpenCtx = Annotated[Context, Depends(_context_of_anyone)]
MetricName = Annotated[
    str,
    Path(
        description="Name of the metric, percent-encoded; it may contain slashes.",
        json_schema_extra={"minLength": 1},  # the path without a name is another one
    ),
]


_REJECTED_AT_ONCE: Final = 1_000
"""Rejected rows that are encoded without a thread; 50,000 take 50 ms."""

_SUM: Final = Aggregate(AggregateKind.SUM)
_AVG: Final = Aggregate(AggregateKind.AVG)
_MIN: Final = Aggregate(AggregateKind.MIN)
_MAX: Final = Aggregate(AggregateKind.MAX)

TAGS: Final = [
    {
        "name": "Record",
        "description": "Durable once the response arrives, and visible to the next query.",
    },
    {
        "name": "Query",
        "description": "Names, aggregates, events and counts. GraphQL at `/graphql` has more.",
    },
    {"name": "Delete", "description": "In production with an admin key only."},
    {"name": "Health", "description": "State of the service."},
]

_METRIC_PATH: Final = "/metrics/{metric_name}"
_LINKS_TO_METRIC: Final = {
    "aggregate": link("get", _METRIC_PATH, "Aggregate the metric.", metric_name="metric_name"),
    "delete": link("delete", _METRIC_PATH, "Delete the metric.", metric_name="metric_name"),
}

recording_routes: Final = APIRouter(route_class=RawRoute, tags=["Record"])
routes: Final = APIRouter(route_class=StrictRoute)
probes: Final = APIRouter(tags=["Health"])


@recording_routes.post(
    "/metrics",
    summary="Record one metric point",
    openapi_extra=bodies.body(bodies.METRIC),
    responses=models.answers(models.MetricRecorded, RECORD_ERRORS, _LINKS_TO_METRIC),
)
async def record_metric(request: Request) -> Response:
    """Store the point durably; the next query sees it."""
    unit = unit_of(request)
    ctx = recorder_of(request, rows=1)
    body = await read_body(request, MAX_BODY)
    point = await recording.record_one(ctx, METRIC_STREAM, body, unit)
    return answer(
        models.MetricRecorded(
            success=True,
            metric_id=f"metric_{row_id(point.position)}",
            metric_name=point.row.metric_name,
            value=point.row.value,
            timestamp=rfc3339(point.time),
            service=SERVICE,
            duplicate=point.duplicate,
        )
    )


@recording_routes.post(
    "/events",
    summary="Record one event",
    openapi_extra=bodies.body(bodies.EVENT),
    responses=models.answers(models.EventRecorded, RECORD_ERRORS),
)
async def record_event(request: Request) -> Response:
    """Store the event durably; the next query sees it."""
    unit = unit_of(request)
    ctx = recorder_of(request, rows=1)
    body = await read_body(request, MAX_BODY)
    event = await recording.record_one(ctx, EVENT_STREAM, body, unit)
    return answer(
        models.EventRecorded(
            success=True,
            event_id=events.event_id(event.position),
            event_name=event.row.event_name,
            timestamp=rfc3339(event.time),
            service=SERVICE,
            duplicate=event.duplicate,
        )
    )


@recording_routes.post(
    "/metrics/batch",
    summary="Record many metric points",
    openapi_extra=bodies.batch(bodies.METRIC),
    responses=models.answers(models.BatchRecorded, RECORD_ERRORS),
)
async def record_metrics(request: Request) -> Response:
    """Store the valid points durably, and report the rejected points by index."""
    return await _record_batch(request, METRIC_STREAM)


@recording_routes.post(
    "/metrics/series",
    summary="Record many points by series",
    openapi_extra=bodies.batch(bodies.SERIES),
    responses=models.answers(models.BatchRecorded, RECORD_ERRORS),
)
async def record_series(request: Request) -> Response:
    """Store series durably: arrays of points that share name and tags. The fastest way to record.

    `accepted` and `duplicates` count points; `rejected` counts series.
    """
    return await _record_batch(request, SERIES_STREAM)


@recording_routes.post(
    "/events/batch",
    summary="Record many events",
    openapi_extra=bodies.batch(bodies.EVENT),
    responses=models.answers(models.BatchRecorded, RECORD_ERRORS),
)
async def record_events(request: Request) -> Response:
    """Store the valid events durably, and report the rejected events by index."""
    return await _record_batch(request, EVENT_STREAM)


async def _record_batch(request: Request, stream: Stream[Row]) -> Response:
    unit = unit_of(request)
    ctx = recorder_of(request, rows=0)
    body = await read_body(request, MAX_BATCH_BODY)
    address = address_of(request, ctx)
    payload = await recording.record_batch(ctx, stream, body, unit=unit, address=address)
    if payload.rejected <= _REJECTED_AT_ONCE:
        return _batch_answer(payload)
    return await asyncio.to_thread(_batch_answer, payload)


def _batch_answer(payload: RecordPayload) -> Response:
    return answer(
        models.BatchRecorded(
            success=True,
            accepted=payload.accepted,
            duplicates=payload.duplicates,
            rejected=payload.rejected,
            errors=msgspec.convert(
                payload.row_errors, list[models.RejectedRow], from_attributes=True
            ),
            service=SERVICE,
        )
    )


@probes.get("/health", summary="Health", responses=models.answers(models.Health, PROBE_ERRORS))
@probes.get(
    "/health-check", summary="Health (alias)", responses=models.answers(models.Health, PROBE_ERRORS)
)
async def health(ctx: OpenCtx) -> Response:
    """Return the state of the service: `ok` is false when a check fails."""
    state = await overview.health(ctx)
    return answer(
        models.Health(
            ok=not state.checks, service=state.service, python_version=state.python_version
        )
    )


@routes.get(
    "/metrics",
    tags=["Query"],
    summary="List all metrics",
    responses=models.answers(models.MetricNames),
)
async def list_metrics(
    ctx: QueryCtx,
    limit: Annotated[
        int,
        Query(
            ge=1,
            le=LISTED_NAMES.value,
            description=f"Maximum number of names, 1 to {LISTED_NAMES.value}, the default.",
        ),
    ] = LISTED_NAMES.value,
    after: Annotated[
        str | None,
        Query(
            max_length=MAX_NAME,
            description="List only names after this one: the last name of the page before.",
        ),
    ] = None,
) -> Response:
    """List the names of metrics with points, sorted by their UTF-8 bytes. `count` counts all."""
    metric_list = await names.first_names(ctx, METRICS.name, limit, after)
    return answer(models.MetricNames(metrics=metric_list.names, count=metric_list.total))


@routes.get(
    "/metrics/{metric_name:text}",
    tags=["Query"],
    summary="Aggregate one metric",
    responses=models.answers(models.MetricAggregation),
)
async def aggregate_metric(
    ctx: QueryCtx,
    metric_name: MetricName,
    hours: Annotated[
        int,
        Query(
            ge=1,
            le=MAX_HOURS,
            description=f"Length of the period up to now, in hours, 1 to {MAX_HOURS}; default 24.",
        ),
    ] = 24,
) -> Response:
    """Return count, sum, average, minimum and maximum of the values of the last `hours`."""
    arguments = SeriesArguments(TimeRangeInput(last=DurationMs(hours * MS_PER_HOUR)))
    selection = SeriesSelection(totals=frozenset((COUNT, _SUM, _AVG, _MIN, _MAX)))
    aggregation = await metrics.query(ctx, metric_name, None, arguments, selection)
    totals, time_range = aggregation.result.series[0].totals, aggregation.meta.range
    return answer(
        models.MetricAggregation(
            metric_name=metric_name,
            count=int(totals[COUNT] or 0),
            sum=_number(totals[_SUM]),
            average=_number(totals[_AVG]),
            min=_number(totals[_MIN]),
            max=_number(totals[_MAX]),
            period_start=rfc3339(time_range.from_),
            period_end=rfc3339(time_range.to),
        )
    )


@routes.delete(
    "/metrics/{metric_name:text}",
    tags=["Delete"],
    summary="Delete one metric",
    responses=models.answers(models.MetricDeleted),
)
async def delete_metric(ctx: Ctx, metric_name: MetricName) -> Response:
    """Delete a metric with all its points. In production it needs an admin key."""
    payload = await metrics.delete(ctx, metric_name)
    return answer(
        models.MetricDeleted(
            success=True, deleted=payload.matched_rows, metric_name=metric_name, service=SERVICE
        )
    )


@routes.get(
    "/events",
    tags=["Query"],
    summary="List events",
    responses=models.answers(models.EventList),
)
async def list_events(
    ctx: QueryCtx,
    event_name: Annotated[
        str | None, Query(description="Name of the events, in full; default: events of all names.")
    ] = None,
    limit: Annotated[
        int,
        Query(
            ge=1,
            le=MAX_PAGE,
            description=f"Maximum number of events, 1 to {MAX_PAGE}; default 100.",
        ),
    ] = 100,
) -> Response:
    """List events, newest first. `total` counts all events that pass the filter."""
    where = events.name_filter(event_name)
    page, total = await asyncio.gather(
        events.page(ctx, where, paging=Paging(first=limit)), events.total(ctx, where)
    )
    entries = [_list_entry(event) for event in page.entries]
    return answer(models.EventList(events=entries, count=len(entries), total=total))


def _list_entry(event: Event) -> models.ListedEvent:
    return models.ListedEvent(
        id=event.id,
        event_name=event.name,
        user_id=event.user_id,
        properties=event.properties,
        timestamp=rfc3339(event.time),
        session_id=event.session_id or None,
    )


@routes.delete(
    "/events",
    tags=["Delete"],
    summary="Delete all events",
    responses=models.answers(models.EventsDeleted),
)
async def delete_events(ctx: Ctx) -> Response:
    """Delete all events. In production it needs an admin key."""
    payload = await events.delete(ctx, DeleteEventsInput(all=True))
    return answer(models.EventsDeleted(success=True, deleted=payload.matched_rows, service=SERVICE))


@routes.get(
    "/dashboard",
    tags=["Query"],
    summary="Dashboard statistics",
    responses=models.answers(models.Dashboard),
)
async def dashboard(ctx: QueryCtx) -> Response:
    """Count the metric points and events that are stored, and list the first names of metrics."""
    counts = await overview.overview(ctx)
    return answer(
        models.Dashboard(
            total_metrics_tracked=counts.metric_count,
            unique_metric_types=counts.metric_name_count,
            total_events_tracked=counts.event_count,
            metric_names=counts.metric_names,
            timestamp=rfc3339(counts.time),
        )
    )


def _number(value: float | None) -> float | None:
    """Return an integral value as an integer: 150, not 150.0."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value
