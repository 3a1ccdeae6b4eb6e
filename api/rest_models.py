"""The shapes of the REST API's bodies, as OpenAPI shows them."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from api.precision import PARAMETERS
from api.responses import Errors
from store.ingest.rows import MAX_ROWS, EventRow, MetricRow, SeriesRow
from store.timestamps import MAX_TIME, MIN_BARE_NUMBER

_REF: Final = "#/components/schemas/{name}"
_NUMBER: Final = "An integral value is an integer."


_Duplicate = Annotated[
    bool,
    Meta(description="True, or absent: the id was recorded before, and this is where that row is."),
]
_Number = Annotated[int | float | None, Meta(description=_NUMBER)]
_NumberOfPoints = Annotated[int | float | None, Meta(description=f"{_NUMBER} Null without points.")]


class MetricRecorded(Struct, omit_defaults=True):
    success: bool
    metric_id: Annotated[str, Meta(examples=["metric_01993f3e-8c55-7a41-8000-000000000001"])]
    metric_name: str
    value: Annotated[int | float, Meta(description="As it was sent.")]
    timestamp: str
    service: str
    duplicate: _Duplicate = False


class EventRecorded(Struct, omit_defaults=True):
    success: bool
    event_id: Annotated[str, Meta(examples=["event_01993f3e-8c55-7a41-8000-000000000001"])]
    event_name: str
    timestamp: str
    service: str
    duplicate: _Duplicate = False


class RejectedRow(Struct):
    index: Annotated[int, Meta(description="Position of the row in the batch, from 0.")]
    id: str | None
    field: str | None
    code: str
    message: str


class BatchRecorded(Struct):
    success: bool
    accepted: Annotated[int, Meta(description="Rows that are stored durably.")]
    duplicates: Annotated[
        int, Meta(description="Rows whose id was recorded before; they count once.")
    ]
    rejected: Annotated[int, Meta(description="Rows that were refused.")]
    errors: list[RejectedRow]
    service: str


class Health(Struct):
    ok: bool
    service: str
    python_version: str


class MetricNames(Struct):
    metrics: list[str]
    count: int


class MetricAggregation(Struct):
    metric_name: str
    count: int
    sum: _Number
    average: _NumberOfPoints
    min: _NumberOfPoints
    max: _NumberOfPoints
    period_start: str
    period_end: Annotated[
        str, Meta(description="The period is half-open: this instant is not in it.")
    ]


class ListedEvent(Struct, omit_defaults=True):
    id: str
    event_name: str
    user_id: str | None
    properties: Annotated[Any, Meta(extra_json_schema={"type": "object"})]
    timestamp: str
    session_id: Annotated[str | None, Meta(description="Absent if the event has none.")] = None


class EventList(Struct):
    events: list[ListedEvent]
    count: Annotated[int, Meta(description="Events in this answer.")]
    total: Annotated[int, Meta(description="Events that pass the filter.")]


class EventsDeleted(Struct):
    success: bool
    deleted: int
    service: str


class MetricDeleted(Struct):
    success: bool
    deleted: int
    metric_name: str
    service: str


class Dashboard(Struct):
    total_metrics_tracked: Annotated[int, Meta(description="Metric points stored.")]
    unique_metric_types: int
    total_events_tracked: int
    metric_names: list[str]
    timestamp: str


_, COMPONENTS = msgspec.json.schema_components(
    (
        MetricRecorded,
        EventRecorded,
        BatchRecorded,
        Health,
        MetricNames,
        MetricAggregation,
        EventList,
        EventsDeleted,
        MetricDeleted,
        Dashboard,
        Errors,
    ),
    ref_template=_REF,
)
"""The schemas of all answers, by name, as the components of OpenAPI."""


def answers(struct: type[Struct], *, errors: bool = True) -> dict[int | str, dict[str, Any]]:
    """Document the answer of a route, and its errors if it has any."""
    return {200: _content(struct)} | (ERRORS if errors else {})


def _content(struct: type[Struct]) -> dict[str, Any]:
    schema = {"$ref": _REF.format(name=struct.__name__)}
    return {"content": {"application/json": {"schema": schema}}}


ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    "4XX": {
        "description": "The request was refused, and nothing of it stored.",
        **_content(Errors),
    },
    "503": {
        "description": "Not now: try again after `Retry-After` seconds.",
        **_content(Errors),
    },
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
