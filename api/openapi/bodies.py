"""OpenAPI schemas of the bodies that record: rows, and batches of rows."""

from typing import Final

import msgspec

from api.openapi.operations import JsonObject
from api.precision import PARAMETERS
from store.ingest.rows import (
    MAX_INTEGER,
    MAX_POINTS,
    MAX_PROPERTIES_BYTES,
    MAX_ROWS,
    EventRow,
    MetricRow,
    SeriesRow,
)
from store.timestamps import MAX_TIME, MILLISECONDS, UNITS

METRIC, EVENT, SERIES = (
    msgspec.json.schema(row)["$defs"][row.__name__] for row in (MetricRow, EventRow, SeriesRow)
)
_NO_CONTROL_CHARACTERS: Final = r"^[^\u0000-\u001f\u007f]*$"
_TEXT_TIME: Final = {
    "type": "string",
    "format": "date-time",
    # The last day of 1969 and the first of 2100 are in other years in UTC.
    "pattern": "^(1969-12-31|19[789][0-9]-|20[0-9]{2}-|2100-01-01)",
}
_FINEST: Final = max(unit.per_second for unit in UNITS.values())
_NUMERIC_TIME: Final = {
    "type": "integer",
    "minimum": 0,
    "maximum": (MAX_TIME + 1) * (_FINEST // MILLISECONDS.per_second) - 1,
}
_TIME_DESCRIPTION: Final = (
    "RFC 3339 with an offset, rounded down to milliseconds; or a number since 1970, in milliseconds"
    " or in the unit of `precision`. From 1970 to 2099."
)
_VALUE: Final = {
    "anyOf": [
        {"type": "integer", "minimum": -MAX_INTEGER, "maximum": MAX_INTEGER},
        {"type": "number"},
    ],
    "description": "A finite number; without a fraction or an exponent at most 2^53-1.",
}
METRIC["description"] = "One metric point."
METRIC["properties"]["value"] = _VALUE
EVENT["description"] = "One event."
EVENT["properties"]["properties"]["description"] = (
    f"Any JSON object of at most {MAX_PROPERTIES_BYTES:,} bytes."
)
SERIES["description"] = "Points that share name and tags, as two arrays of equal length."
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
        "minItems": 1,
        "maxItems": MAX_POINTS,
        "description": _TIME_DESCRIPTION,
    },
    "values": {
        "type": "array",
        "items": _VALUE,
        "minItems": 1,
        "maxItems": MAX_POINTS,
        "description": "Values of the points, one for each timestamp.",
    },
}
for row_schema, name in ((METRIC, "metric_name"), (EVENT, "event_name"), (SERIES, "metric_name")):
    row_schema["properties"][name]["pattern"] = _NO_CONTROL_CHARACTERS
for row_schema in (METRIC, SERIES):
    tags = row_schema["properties"]["tags"]["anyOf"][0]
    tags["propertyNames"]["pattern"] = _NO_CONTROL_CHARACTERS

# Texts of times are valid with each `precision`. So are series of one point with each other array
# of one entry, which Schemathesis puts in.
METRIC["examples"] = [
    {"metric_name": "page_views", "value": 150, "tags": {"page": "/dashboard"}},
    {"metric_name": "latency", "value": 12.5, "timestamp": "2025-10-30T12:34:56.789Z", "id": "m-1"},
]
EVENT["examples"] = [
    {"event_name": "signup", "user_id": "user_123", "properties": {"plan": "premium"}},
    {
        "event_name": "click",
        "session_id": "s-1",
        "timestamp": "2025-10-30T12:34:56.789Z",
        "id": "e-1",
    },
]
SERIES["examples"] = [
    {
        "metric_name": "cpu",
        "tags": {"host": "a"},
        "timestamps": ["2025-10-30T12:34:56.789Z"],
        "values": [0.5],
        "id": "s-1",
    }
]


def body(row: JsonObject) -> JsonObject:
    """Return the OpenAPI declaration of a request body of one row."""
    content = {"application/json": {"schema": row}}
    return {"parameters": PARAMETERS, "requestBody": {"required": True, "content": content}}


def batch(row: JsonObject) -> JsonObject:
    """Return the OpenAPI declaration of a request body of many rows, as an array or NDJSON."""
    rows = {"type": "array", "items": row, "minItems": 1, "maxItems": MAX_ROWS}
    content = {
        "application/json": {"schema": rows | {"examples": [row["examples"]]}},
        "application/x-ndjson": {"schema": row},
    }
    return {"parameters": PARAMETERS, "requestBody": {"required": True, "content": content}}
