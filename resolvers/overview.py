"""Overview of the stored rows, and the health of the service."""

import asyncio
import platform

from resolvers.context import Context
from schema.health import Health, HealthStatus
from schema.overview import Overview
from schema.scalars import Json, Long
from store.query import statements
from store.query.tables import EVENTS, METRICS

SERVICE = "analytics-service"


async def overview(ctx: Context) -> Overview:
    """Return the names of metrics and events, and the numbers of their rows."""
    metrics, events = await asyncio.gather(
        *(
            ctx.batch.select(statements.names(ctx.rows(table)), statements.NameRow)
            for table in (METRICS.name, EVENTS.name)
        )
    )
    return Overview(
        metric_count=Long(sum(row.rows for row in metrics)),
        metric_names=[row.name for row in metrics],
        event_count=Long(sum(row.rows for row in events)),
        event_names=[row.name for row in events],
        time=ctx.now(),
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
