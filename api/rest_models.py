"""Bodies of the REST API: the structs of its answers, and the OpenAPI schemas of both directions.

A struct of an answer is encoded as the JSON, and documented as the schema.
"""

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from api.access.credentials import KEY_PARAMETER
from api.precision import PARAMETERS
from api.responses import Errors
from schema.limits import LISTED_NAMES
from store.ingest.rows import MAX_ROWS, EventRow, MetricRow, SeriesRow
from store.timestamps import MAX_TIME, MIN_BARE_NUMBER

_REF: Final = "#/components/schemas/{name}"
_PARAMETERS: Final = [
    *PARAMETERS,
    {
        "name": KEY_PARAMETER,
        "in": "query",
        "schema": {"type": "string"},
        "description": "A public key (`pk_…`), for clients that can set no header.",
    },
]

SECURITY_SCHEMES: Final = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A key. Development needs none.",
    },
    "basic": {"type": "http", "scheme": "basic", "description": "A key as the user."},
}
"""The places of a key in OpenAPI."""

_NUMBER: Final = "An integer if the value is integral."


_Duplicate = Annotated[
    bool,
    Meta(
        description="True if the id was recorded before: id and timestamp are then from the"
        " earlier row. Absent otherwise."
    ),
]
_Number = Annotated[int | float | None, Meta(description=_NUMBER)]
_NumberOfPoints = Annotated[
    int | float | None, Meta(description=f"{_NUMBER} Null if the period has no points.")
]


class MetricRecorded(Struct, omit_defaults=True):
    success: bool
    metric_id: Annotated[str, Meta(examples=["metric_01993f3e-8c55-7a41-8000-000000000001"])]
    metric_name: str
    value: Annotated[int | float, Meta(description="The value as it was sent.")]
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
    index: Annotated[int, Meta(description="Index of the row in the batch, from 0.")]
    id: str | None
    field: str | None
    code: str
    message: str


class BatchRecorded(Struct):
    success: bool
    accepted: Annotated[int, Meta(description="Rows (of series: points) that are stored durably.")]
    duplicates: Annotated[
        int,
        Meta(description="Rows with an id that was recorded in the last 7 days; not stored again."),
    ]
    rejected: Annotated[int, Meta(description="Rows that are not valid and not stored.")]
    errors: list[RejectedRow]
    service: str


class Health(Struct):
    ok: bool
    service: str
    python_version: str


class MetricNames(Struct):
    metrics: list[str]
    count: Annotated[
        int, Meta(description="Number of all metrics, which may be more than are listed.")
    ]


class MetricAggregation(Struct):
    metric_name: str
    count: int
    sum: _Number
    average: _NumberOfPoints
    min: _NumberOfPoints
    max: _NumberOfPoints
    period_start: Annotated[str, Meta(description="Start of the period, inclusive.")]
    period_end: Annotated[str, Meta(description="End of the period, exclusive.")]


class ListedEvent(Struct, omit_defaults=True):
    id: str
    event_name: str
    user_id: str | None
    properties: Annotated[Any, Meta(extra_json_schema={"type": "object"})]
    timestamp: str
    session_id: Annotated[str | None, Meta(description="Absent if the event has no session.")] = (
        None
    )


class EventList(Struct):
    events: list[ListedEvent]
    count: Annotated[int, Meta(description="Number of events in this answer.")]
    total: Annotated[int, Meta(description="Number of stored events that pass the filter.")]


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
    total_metrics_tracked: Annotated[
        int, Meta(description="Number of metric points that are stored.")
    ]
    unique_metric_types: Annotated[int, Meta(description="Number of all metrics.")]
    total_events_tracked: int
    metric_names: Annotated[
        list[str],
        Meta(description=f"Names of metrics, sorted, the first {LISTED_NAMES.value:,}."),
    ]
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
"""OpenAPI schemas of all answers, by name."""


def answers(struct: type[Struct], *, errors: bool = True) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses of a route: its answer, and with `errors` the error shapes."""
    return {200: _content(struct)} | (ERRORS if errors else {})


def _content(struct: type[Struct]) -> dict[str, Any]:
    schema = {"$ref": _REF.format(name=struct.__name__)}
    return {"content": {"application/json": {"schema": schema}}}


ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    "4XX": {
        "description": "The request was refused; nothing of it is stored.",
        **_content(Errors),
    },
    "503": {
        "description": "Temporarily unavailable. Try again after the seconds in `Retry-After`.",
        **_content(Errors),
    },
}


METRIC, EVENT, SERIES = (
    msgspec.json.schema(row)["$defs"][row.__name__] for row in (MetricRow, EventRow, SeriesRow)
)
_TEXT_TIME: Final = {"type": "string", "format": "date-time"}
_NUMERIC_TIME: Final = {"type": "integer", "minimum": MIN_BARE_NUMBER, "maximum": MAX_TIME}
_TIME_DESCRIPTION: Final = (
    "RFC 3339 with an offset, rounded down to milliseconds; or a number since 1970, in milliseconds"
    " or in the unit of `precision`. From 1970 to 2099."
)
for row_schema in (METRIC, EVENT):
    row_schema["properties"]["timestamp"] = {
        "anyOf": [_TEXT_TIME, _NUMERIC_TIME, {"type": "null"}],
        "default": None,
        "description": f"{_TIME_DESCRIPTION} Default: now.",
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
        "description": "Values of the points, one for each timestamp.",
    },
}


def body(row: dict[str, Any]) -> dict[str, Any]:
    """Return the OpenAPI declaration of a request body of one row."""
    content = {"application/json": {"schema": row}}
    return {"parameters": _PARAMETERS, "requestBody": {"required": True, "content": content}}


def batch(row: dict[str, Any]) -> dict[str, Any]:
    """Return the OpenAPI declaration of a request body of many rows, as an array or NDJSON."""
    content = {
        "application/json": {"schema": {"type": "array", "items": row, "maxItems": MAX_ROWS}},
        "application/x-ndjson": {"schema": row},
    }
    return {"parameters": _PARAMETERS, "requestBody": {"required": True, "content": content}}
