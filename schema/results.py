"""What every answer about series has: its range, how it was made, its keys and changes."""

import math
from collections.abc import Mapping
from enum import Enum
from typing import Final

import strawberry

from schema.catalogue import PropertyType
from schema.ranges import TimeRange
from schema.scalars import Instant, Json, Long


@strawberry.enum(description="Where the rows of an answer were read.")
class ResultSource(Enum):
    RAW = strawberry.enum_value("raw", description="In the rows as they were recorded.")


WARNING_CODES: Final[Mapping[str, str]] = {
    "CLOCK_AHEAD": "with ALL_TIME, the newest row is later than now",
    "COUNTER_LEVEL": "the sum, avg, min, max, stddev or quantile of a metric that is a counter",
    "GAUGE_GROWTH": "the increase or rate of a metric that was described as a gauge",
    "INCOMPLETE": "some rows can't be read now",
    "NOT_NUMERIC": "values of a property are no numbers, and left out of an aggregate",
    "TRUNCATED": "groups were left out",
    "UNKNOWN_EVENT": "an event of this name was never recorded",
    "UNKNOWN_KEY": "no row ever had this tag or property",
}
"""The codes of warnings, and the reason for each."""


@strawberry.type(
    name="Warning", description="Something to know about an answer that is not an error."
)
class Caveat:
    code: str = strawberry.field(
        description="Stable code. "
        + "; ".join(f"{code}: {reason}" for code, reason in WARNING_CODES.items())
        + "."
    )
    message: str = strawberry.field(description="The reason in this answer, for people.")
    field: str | None = strawberry.field(
        default=None, description="The argument that it is about, such as `where.AND[1].tag.key`."
    )
    suggestions: list[str] = strawberry.field(
        default_factory=list,
        description="Up to 3 names that may have been meant, the most likely first.",
    )


@strawberry.type(description="How an answer was made.")
class ResultMeta:
    range: TimeRange = strawberry.field(description="The range as executed.")
    comparison_range: TimeRange | None = strawberry.field(
        default=None, description="The range that it is compared with, as executed."
    )
    total_groups: Long = strawberry.field(
        default=Long(1),
        description="Groups that there are, shown or not; with `groupSearch` those that are found.",
    )
    truncated: bool = strawberry.field(
        default=False,
        description="Whether groups after the shown ones were left out, and are in no other"
        " series.",
    )
    source: ResultSource = strawberry.field(
        default=ResultSource.RAW, description="Where the rows were read."
    )
    rows_read: Long = strawberry.field(
        default=Long(0),
        description="Rows that the engine read, for all that shared the statements.",
    )
    elapsed_ms: float = strawberry.field(
        default=0.0, description="Milliseconds until the engine's answers were there."
    )
    fresh_as_of: Instant = strawberry.field(
        description="All that was acknowledged before this instant is in the answer."
    )
    warnings: list[Caveat] = strawberry.field(
        default_factory=list, description="What to know about it."
    )
    sql: str | None = strawberry.field(
        default=None, description="The statements, for a console; null in production."
    )


@strawberry.type(description="One of the values by which rows are grouped.")
class GroupKey:
    name: str = strawberry.field(description="The tag, property or field.")
    value: str | None = strawberry.field(
        description=(
            "Its value as a text, or as JSON with all digits of an integer; null where it is"
            " missing."
        )
    )
    type: PropertyType | None = strawberry.field(
        description='Of which type it is: `1` and `"1"` are two groups. null where it is missing.'
    )
    filter: Json = strawberry.field(
        description=(
            "What `where` takes to choose exactly the rows of this value; of several keys in an"
            " `AND`."
        )
    )


@strawberry.type(description="How a value differs from that of the other range.")
class Change:
    previous: float | None = strawberry.field(description="The value in the other range.")
    absolute: float | None = strawberry.field(description="The difference; null without both.")
    ratio: float | None = strawberry.field(
        description="0.12 for 12 % more; null when the previous value is 0 or missing."
    )

    @classmethod
    def from_values(cls, now: float | None, before: float | None) -> "Change":
        """Compare two values, either of which may be missing; null is what no double can hold."""
        if now is None or before is None:
            return cls(previous=before, absolute=None, ratio=None)
        absolute = now - before
        ratio = absolute / abs(before) if before else None
        return cls(previous=before, absolute=finite(absolute), ratio=finite(ratio))


def finite(value: float | None) -> float | None:
    """Return a value that a double can hold, else None."""
    return value if value is not None and math.isfinite(value) else None
