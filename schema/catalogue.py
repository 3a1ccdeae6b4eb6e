"""Types of the catalogue: metric descriptions, property types, tag values, samples."""

from enum import Enum
from typing import Final

import strawberry

from schema.scalars import Instant, Json, Long


@strawberry.enum(description="Kind of a metric: the meaning of its values.")
class MetricKind(Enum):
    GAUGE = strawberry.enum_value("GAUGE", description="A level that goes up and down.")
    COUNTER = strawberry.enum_value(
        "COUNTER", description="A total that only grows, or restarts from 0."
    )
    HISTOGRAM = strawberry.enum_value("HISTOGRAM", description="Counts of values by size.")
    SUMMARY = strawberry.enum_value("SUMMARY", description="Quantiles that the sender computed.")


DEFAULT_KIND: Final = MetricKind.GAUGE


@strawberry.enum(description="Type of the values of a property. Null counts as no value.")
class PropertyType(Enum):
    STRING = strawberry.enum_value("STRING", description="Texts.")
    NUMBER = strawberry.enum_value("NUMBER", description="Numbers.")
    BOOLEAN = strawberry.enum_value("BOOLEAN", description="Booleans.")
    DATETIME = strawberry.enum_value("DATETIME", description="Texts that are RFC 3339 instants.")
    ARRAY = strawberry.enum_value("ARRAY", description="Arrays.")
    OBJECT = strawberry.enum_value("OBJECT", description="Objects.")
    MIXED = strawberry.enum_value("MIXED", description="Values of several types.")


VALUE_TYPES: Final = {
    **dict.fromkeys(b"-0123456789", PropertyType.NUMBER),
    **dict.fromkeys(b"tf", PropertyType.BOOLEAN),
    ord('"'): PropertyType.STRING,
    ord("["): PropertyType.ARRAY,
    ord("{"): PropertyType.OBJECT,
}
"""Type of a JSON value by its first byte."""


@strawberry.type(description="Value of a tag or of a property.")
class TagValue:
    value: str = strawberry.field(
        description="The text, or another value as JSON; truncated to 1000 characters."
    )
    count: Long = strawberry.field(description="Number of rows with this value.")
    type: PropertyType = strawberry.field(
        description='Type of the value: `1` and `"1"` are two values. A text is a STRING.'
    )


@strawberry.type(description="Point of a metric, as it was recorded.")
class Sample:
    time: Instant = strawberry.field(description="Time of the measurement.")
    value: float = strawberry.field(description="Measured value.")
    tags: Json = strawberry.field(
        description="Tags of the point: an object of texts, sorted by key."
    )


@strawberry.input(
    description="Description of a metric. A null field stays as it is; an empty text removes the"
    " old text."
)
class DescribeMetricInput:
    name: str = strawberry.field(description="Name of the metric; it may have no points yet.")
    kind: MetricKind | None = strawberry.field(default=None, description="New kind of the values.")
    unit: str | None = strawberry.field(
        default=None, description="New unit of the values, like `ms`; at most 100 characters."
    )
    description: str | None = strawberry.field(
        default=None, description="New description of the metric; at most 2000 characters."
    )


@strawberry.type(description="Description of a metric after the mutation.")
class DescribeMetricPayload:
    name: str = strawberry.field(description="Name of the metric.")
    kind: MetricKind = strawberry.field(description="Kind of the values; default: GAUGE.")
    unit: str | None = strawberry.field(description="Unit of the values; null if none is set.")
    description: str | None = strawberry.field(
        description="Description of the metric; null if none is set."
    )
