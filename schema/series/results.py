"""Types that all results of series share: range, cost, warnings, group keys, changes."""

import math
from collections.abc import Mapping
from enum import Enum
from typing import Final

import strawberry

from schema.catalogue import PropertyType
from schema.ranges import TimeRange
from schema.scalars import Instant, Json, Long


@strawberry.enum(description="Source of the rows of a result.")
class ResultSource(Enum):
    RAW = strawberry.enum_value("raw", description="The rows as they were recorded.")


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
"""Reasons of warnings, by code."""


@strawberry.type(name="Warning", description="Warning about a result that is no error.")
class Caveat:
    code: str = strawberry.field(
        description="Stable code. "
        + "; ".join(f"{code}: {reason}" for code, reason in WARNING_CODES.items())
        + "."
    )
    message: str = strawberry.field(description="Reason in this result, for people.")
    field: str | None = strawberry.field(
        default=None,
        description="Argument that causes the warning, such as `where.AND[1].tag.key`.",
    )
    suggestions: list[str] = strawberry.field(
        default_factory=list,
        description="Up to 3 similar names, the most likely first.",
    )


@strawberry.type(description="Range, cost and warnings of a result.")
class ResultMeta:
    range: TimeRange = strawberry.field(description="Range as executed.")
    comparison_range: TimeRange | None = strawberry.field(
        default=None, description="Range of the comparison, as executed; null without `compare`."
    )
    total_groups: Long = strawberry.field(
        default=Long(1),
        description="Number of all groups; with `groupSearch`, of all matching groups.",
    )
    truncated: bool = strawberry.field(
        default=False,
        description="Whether groups after the returned ones are left out, and are in no other"
        " series.",
    )
    source: ResultSource = strawberry.field(
        default=ResultSource.RAW, description="Source of the rows."
    )
    rows_read: Long = strawberry.field(
        default=Long(0),
        description="Number of rows that the engine read, for all fields that shared the"
        " statements.",
    )
    elapsed_ms: float = strawberry.field(
        default=0.0, description="Time of the engine's statements, in milliseconds."
    )
    fresh_as_of: Instant = strawberry.field(
        description="Instant of the data: all rows acknowledged before it are in the result."
    )
    is_snapshot: bool = strawberry.field(
        default=True,
        description="Whether the result is whole, as each query's is. A later message of a"
        " subscription has only the buckets that changed, and all totals.",
    )
    first_time: Instant | None = strawberry.field(
        default=None,
        description="In a subscription: start of the first bucket of the whole result. Earlier"
        " buckets have left the range. Null in a query, and without buckets.",
    )
    warnings: list[Caveat] = strawberry.field(
        default_factory=list, description="Warnings about the result; empty if there are none."
    )
    sql: str | None = strawberry.field(
        default=None,
        description="SQL statements, ready for a console; null without the scope OPERATE.",
    )


@strawberry.type(description="Value by which rows are grouped.")
class GroupKey:
    name: str = strawberry.field(description="Name of the tag, property or field.")
    value: str | None = strawberry.field(
        description=(
            "Value as a text, or as JSON with all digits of an integer; null if it is missing."
        )
    )
    type: PropertyType | None = strawberry.field(
        description='Type of the value: `1` and `"1"` are two groups. Null if it is missing.'
    )
    filter: Json = strawberry.field(
        description=(
            "Filter for `where` that selects exactly the rows of this value. Combine several keys"
            " in an `AND`."
        )
    )


@strawberry.type(description="Change of a value from the other range.")
class Change:
    previous: float | None = strawberry.field(description="Value in the other range.")
    absolute: float | None = strawberry.field(
        description="Difference from the previous value; null if one of both is missing."
    )
    ratio: float | None = strawberry.field(
        description="Relative change: 0.12 is 12 % more. Null if the previous value is 0 or"
        " missing."
    )

    @classmethod
    def from_values(cls, now: float | None, before: float | None) -> "Change":
        """Compare two values, which may be missing. A result that no double can hold is None."""
        if now is None or before is None:
            return cls(previous=before, absolute=None, ratio=None)
        absolute = now - before
        ratio = absolute / abs(before) if before else None
        return cls(previous=before, absolute=finite(absolute), ratio=finite(ratio))


def finite(value: float | None) -> float | None:
    """Return a finite value, else None."""
    return value if value is not None and math.isfinite(value) else None
