"""Answers of the REST API: structs, each encoded as the JSON and documented as the schema."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from api.openapi import operations
from api.openapi.operations import BUDGET_HEADERS, QUERY_ERRORS, REF, JsonObject
from api.responses import Errors
from schema.limits import LISTED_NAMES

_NUMBER: Final = "An integer if the value is integral."

_Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
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
    timestamp: _Time
    service: str
    duplicate: _Duplicate = False


class EventRecorded(Struct, omit_defaults=True):
    success: bool
    event_id: Annotated[str, Meta(examples=["event_01993f3e-8c55-7a41-8000-000000000001"])]
    event_name: str
    timestamp: _Time
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
    period_start: Annotated[_Time, Meta(description="Start of the period, inclusive.")]
    period_end: Annotated[_Time, Meta(description="End of the period, exclusive.")]


class ListedEvent(Struct, omit_defaults=True):
    id: str
    event_name: str
    user_id: str | None
    properties: Annotated[Any, Meta(extra_json_schema={"type": "object"})]
    timestamp: _Time
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
    timestamp: _Time


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
    ref_template=REF,
)
"""OpenAPI schemas of all answers, by name."""


def answers(
    struct: type[Struct],
    errors: Iterable[int] = QUERY_ERRORS,
    links: Mapping[str, JsonObject] = MappingProxyType({}),
) -> dict[int | str, JsonObject]:
    """Return the OpenAPI responses of a route: its answer, and the errors of these statuses.

    Answers of routes that can spend a budget have its headers.
    """
    success = operations.content(struct.__name__)
    if links:
        success["links"] = dict(links)
    if errors == QUERY_ERRORS:
        success["headers"] = BUDGET_HEADERS
    return {200: success} | operations.errors(errors, Errors.__name__)
