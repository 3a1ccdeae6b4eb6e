"""Overview of the stored rows, and the health of the service."""

import asyncio
import platform

from resolvers import names
from resolvers.context import Context
from schema.health import Health, HealthStatus
from schema.overview import Overview
from schema.scalars import Json, Long
from store.query.tables import EVENTS, METRICS

SERVICE = "analytics-service"


async def overview(ctx: Context) -> Overview:
    """Return the first names of metrics and events, and the numbers of all names and rows."""
    metrics, events = await asyncio.gather(
        *(names.first_names(ctx, table) for table in (METRICS.name, EVENTS.name))
    )
    return Overview(
        metric_count=Long(metrics.rows),
        metric_names=metrics.names,
        metric_name_count=Long(metrics.total),
        event_count=Long(events.rows),
        event_names=events.names,
        event_name_count=Long(events.total),
        time=ctx.now(),
    )


def facts(counts: Overview) -> tuple[object, ...]:
    """Return the numbers and names of an overview, without its time."""
    return (
        *(counts.metric_count, counts.metric_name_count, counts.metric_names),
        *(counts.event_count, counts.event_name_count, counts.event_names),
    )


async def health(ctx: Context) -> Health:
    """Return the health of the service, without a statement: the engine may not answer."""
    problems = ctx.store.problems() | ctx.store.set_aside_problems()
    return Health(
        status=HealthStatus.DEGRADED if problems else HealthStatus.OK,
        service=SERVICE,
        python_version=platform.python_version(),
        checks=Json(problems),
    )
