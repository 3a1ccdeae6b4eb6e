"""The shapes of the REST API's bodies, as OpenAPI shows them."""

from typing import Any, Final

import msgspec
from pydantic import BaseModel, Field

from api.precision import PARAMETERS
from store.ingest.rows import MAX_ROWS, EventRow, MetricRow, SeriesRow
from store.timestamps import MAX_TIME, MIN_BARE_NUMBER

_NUMBER: Final = "An integral value is an integer."
_DUPLICATE: Final = "True, or absent: the id was recorded before, and this is where that row is."


class MetricRecorded(BaseModel):
    success: bool
    metric_id: str = Field(examples=["metric_01993f3e-8c55-7a41-8000-000000000001"])
    metric_name: str
    value: int | float = Field(description="As it was sent.")
    timestamp: str
    service: str
    duplicate: bool = Field(default=False, description=_DUPLICATE)


class EventRecorded(BaseModel):
    success: bool
    event_id: str = Field(examples=["event_01993f3e-8c55-7a41-8000-000000000001"])
    event_name: str
    timestamp: str
    service: str
    duplicate: bool = Field(default=False, description=_DUPLICATE)


class RefusedRow(BaseModel):
    index: int = Field(description="Position of the row in the batch, from 0.")
    id: str | None
    field: str | None
    code: str
    message: str


class BatchRecorded(BaseModel):
    success: bool
    accepted: int = Field(description="Rows that are stored durably.")
    duplicates: int = Field(description="Rows whose id was recorded before; they count once.")
    rejected: int = Field(description="Rows that were refused.")
    errors: list[RefusedRow]
    service: str


class Health(BaseModel):
    ok: bool
    service: str
    python_version: str


class MetricNames(BaseModel):
    metrics: list[str]
    count: int


class MetricAggregation(BaseModel):
    metric_name: str
    count: int
    sum: int | float | None = Field(description=_NUMBER)
    average: int | float | None = Field(description=f"{_NUMBER} Null without points.")
    min: int | float | None = Field(description=f"{_NUMBER} Null without points.")
    max: int | float | None = Field(description=f"{_NUMBER} Null without points.")
    period_start: str
    period_end: str = Field(description="The period is half-open: this instant is not in it.")


class ListedEvent(BaseModel):
    id: str
    event_name: str
    user_id: str | None
    properties: dict[str, Any]
    timestamp: str
    session_id: str | None = Field(default=None, description="Absent if the event has none.")


class EventList(BaseModel):
    events: list[ListedEvent]
    count: int = Field(description="Events in this answer.")
    total: int = Field(description="Events that pass the filter.")


class Deleted(BaseModel):
    success: bool
    deleted: int
    service: str


class MetricDeleted(Deleted):
    metric_name: str


class Dashboard(BaseModel):
    total_metrics_tracked: int = Field(description="Metric points stored.")
    unique_metric_types: int
    total_events_tracked: int
    metric_names: list[str]
    timestamp: str


class ErrorExtensions(BaseModel):
    code: str = Field(description="Stable, for programs.")
    field: str | None = Field(
        default=None, description="The offending input or parameter, when it is one."
    )
    limit: float | None = Field(default=None, description="The bound that was broken.")


class ErrorEntry(BaseModel):
    message: str
    extensions: ErrorExtensions


class Errors(BaseModel):
    """The one shape of every error, the same as GraphQL's."""

    errors: list[ErrorEntry]


ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    "4XX": {"model": Errors, "description": "The request was refused, and nothing of it stored."},
    "503": {"model": Errors, "description": "Not now: try again after `Retry-After` seconds."},
}


METRIC, EVENT, SERIES = (
    msgspec.json.schema(row)["$defs"][row.__name__] for row in (MetricRow, EventRow, SeriesRow)
)
_TEXT_TIME: Final = {"type": "string", "format": "date-time"}
_NUMERIC_TIME: Final = {"type": "integer", "minimum": MIN_BARE_NUMBER, "maximum": MAX_TIME}
_TIME_DESCRIPTION: Final = (
    "RFC 3339 with an offset, rounded down to milliseconds; or milliseconds since 1970, in another"
    " unit with `precision`. From 1970 to 2099."
)
for row_schema in (METRIC, EVENT):
    row_schema["properties"]["timestamp"] = {
        "anyOf": [_TEXT_TIME, _NUMERIC_TIME, {"type": "null"}],
        "default": None,
        "description": f"{_TIME_DESCRIPTION} Now unless given.",
    }
SERIES["properties"] |= {
    "timestamps": {
        "type": "array",
        "items": {"anyOf": [_TEXT_TIME, _NUMERIC_TIME]},
        "description": _TIME_DESCRIPTION,
    },
    "values": {
        "type": "array",
        "items": {"type": "number"},
        "description": "As many as timestamps.",
    },
}


def body(row: dict[str, Any]) -> dict[str, Any]:
    """Document a request body of one row."""
    content = {"application/json": {"schema": row}}
    return {"parameters": PARAMETERS, "requestBody": {"required": True, "content": content}}


def batch(row: dict[str, Any]) -> dict[str, Any]:
    """Document a request body of many rows."""
    content = {
        "application/json": {"schema": {"type": "array", "items": row, "maxItems": MAX_ROWS}},
        "application/x-ndjson": {"schema": row},
    }
    return {"parameters": PARAMETERS, "requestBody": {"required": True, "content": content}}
