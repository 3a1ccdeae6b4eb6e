"""What is known of metrics and events as kinds of things: descriptions, keys, values."""

from enum import Enum
from typing import Final

import strawberry

from schema.scalars import Instant, Json, Long


@strawberry.enum(description="How the values of a metric are to be read.")
class MetricKind(Enum):
    GAUGE = strawberry.enum_value("GAUGE", description="A level that goes up and down.")
    COUNTER = strawberry.enum_value("COUNTER", description="A sum that only grows, or restarts.")
    HISTOGRAM = strawberry.enum_value("HISTOGRAM", description="Counts of values by size.")
    SUMMARY = strawberry.enum_value("SUMMARY", description="Quantiles made by the sender.")


DEFAULT_KIND: Final = MetricKind.GAUGE


@strawberry.enum(description="What the values of a property are; null is no value.")
class PropertyType(Enum):
    STRING = strawberry.enum_value("STRING", description="Texts.")
    NUMBER = strawberry.enum_value("NUMBER", description="Numbers.")
    BOOLEAN = strawberry.enum_value("BOOLEAN", description="true or false.")
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


@strawberry.type(description="A value of a tag or of a property.")
class TagValue:
    value: str = strawberry.field(
        description="The text, or the value as JSON; cut after 1000 characters."
    )
    count: Long = strawberry.field(description="Rows that have it.")
    type: PropertyType = strawberry.field(
        description='Of which type it is: `1` and `"1"` are two values. A text is a STRING.'
    )


@strawberry.type(description="One point of a metric, as it was recorded.")
class Sample:
    time: Instant = strawberry.field(description="When it was measured.")
    value: float = strawberry.field(description="What was measured.")
    tags: Json = strawberry.field(description="Its tags, sorted by key; an object of texts.")


@strawberry.input(
    description="What to say of a metric. What is null stays as it is; an empty text removes."
)
class DescribeMetricInput:
    name: str = strawberry.field(description="Its name; it need not have points yet.")
    kind: MetricKind | None = strawberry.field(default=None, description="How to read it.")
    unit: str | None = strawberry.field(
        default=None, description="What its values count, like `ms`; at most 100 characters."
    )
    description: str | None = strawberry.field(
        default=None, description="What it measures; at most 2000 characters."
    )


@strawberry.type(description="What is said of a metric now.")
class DescribeMetricPayload:
    name: str = strawberry.field(description="Its name.")
    kind: MetricKind = strawberry.field(description="How to read it; GAUGE unless it was said.")
    unit: str | None = strawberry.field(description="What its values count.")
    description: str | None = strawberry.field(description="What it measures.")
