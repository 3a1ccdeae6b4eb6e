"""The baseline: the two write endpoints in a simple FastAPI service.

Each body and response has a pydantic model. Ids are random UUIDs, and times come from the clock.
The rows stay in lists in memory and end with the process. The service omits CORS and logging,
which would slow it down. It uses the fastest of the usual ways to return a response.
"""

from collections import defaultdict
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from fastapi import FastAPI
from pydantic import BaseModel, Field

app = FastAPI(title="naive analytics-service")

metrics: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
events: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)


class MetricBody(BaseModel):
    metric_name: str
    value: float
    tags: dict[str, str] = Field(default_factory=dict)


class MetricResponse(BaseModel):
    success: bool
    metric_id: str
    metric_name: str
    value: float
    timestamp: datetime
    service: str


class EventBody(BaseModel):
    event_name: str
    user_id: str | None = None
    properties: dict[str, Any] = Field(default_factory=dict)


class EventResponse(BaseModel):
    success: bool
    event_id: str
    event_name: str
    timestamp: datetime
    service: str


@app.post("/metrics")
async def track_metric(body: MetricBody) -> MetricResponse:
    metric_id = f"metric_{uuid4()}"
    now = datetime.now(UTC)
    metrics[body.metric_name].append(
        {"id": metric_id, "value": body.value, "tags": body.tags, "timestamp": now}
    )
    return MetricResponse(
        success=True,
        metric_id=metric_id,
        metric_name=body.metric_name,
        value=body.value,
        timestamp=now,
        service="analytics-service",
    )


@app.post("/events")
async def track_event(body: EventBody) -> EventResponse:
    event_id = f"event_{uuid4()}"
    now = datetime.now(UTC)
    events[body.event_name].append(
        {
            "id": event_id,
            "user_id": body.user_id,
            "properties": body.properties,
            "timestamp": now,
        }
    )
    return EventResponse(
        success=True,
        event_id=event_id,
        event_name=body.event_name,
        timestamp=now,
        service="analytics-service",
    )
