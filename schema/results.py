"""What every answer about series has: its range, how it was made, its keys and changes."""

import math
from enum import Enum

import strawberry

from schema.ranges import TimeRange
from schema.scalars import Instant, Long


@strawberry.enum(description="Where the rows of an answer were read.")
class ResultSource(Enum):
    RAW = strawberry.enum_value("raw", description="In the rows as they were recorded.")


@strawberry.type(
    name="Warning", description="Something to know about an answer that is not an error."
)
class Caveat:
    code: str = strawberry.field(description="Stable code: CLOCK_AHEAD, INCOMPLETE, TRUNCATED.")
    message: str = strawberry.field(description="What it means here.")


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
    value: str | None = strawberry.field(description="Its value; null where it is missing.")


@strawberry.type(description="How a value differs from that of the other range.")
class Change:
    previous: float | None = strawberry.field(description="The value in the other range.")
    absolute: float | None = strawberry.field(description="The difference; null without both.")
    ratio: float | None = strawberry.field(
        description="0.12 for 12 % more; null when the previous value is 0 or missing."
    )

    @classmethod
    def between(cls, now: float | None, before: float | None) -> "Change":
        """Compare two values, either of which may be missing; null is what no double can hold."""
        if now is None or before is None:
            return cls(previous=before, absolute=None, ratio=None)
        absolute = now - before
        ratio = absolute / abs(before) if before else None
        return cls(previous=before, absolute=finite(absolute), ratio=finite(ratio))


def finite(value: float | None) -> float | None:
    """Return a value that a double can hold, else None."""
    return value if value is not None and math.isfinite(value) else None
