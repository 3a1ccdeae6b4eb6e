"""Buckets of a range: their length, and the value of an empty one."""

from enum import Enum

import strawberry


@strawberry.enum(description="Length of a bucket. Buckets begin at clock times of the time zone.")
class Granularity(Enum):
    AUTO = strawberry.enum_value(
        "AUTO",
        description=(
            "The shortest length with at most `maxPoints` buckets; one bucket if even YEAR has"
            " more."
            " In an answer: the range is one bucket."
        ),
    )
    SECOND = strawberry.enum_value("SECOND", description="One second.")
    TEN_SECONDS = strawberry.enum_value("TEN_SECONDS", description="From :00, :10, :20 and so on.")
    THIRTY_SECONDS = strawberry.enum_value("THIRTY_SECONDS", description="From :00 and :30.")
    MINUTE = strawberry.enum_value("MINUTE", description="One minute.")
    FIVE_MINUTES = strawberry.enum_value(
        "FIVE_MINUTES", description="From :00, :05, :10 and so on."
    )
    FIFTEEN_MINUTES = strawberry.enum_value(
        "FIFTEEN_MINUTES", description="From :00, :15, :30 and :45."
    )
    THIRTY_MINUTES = strawberry.enum_value("THIRTY_MINUTES", description="From :00 and :30.")
    HOUR = strawberry.enum_value(
        "HOUR", description="One hour. The hour that clocks repeat in autumn is two buckets."
    )
    TWO_HOURS = strawberry.enum_value(
        "TWO_HOURS",
        description="From 00:00, 02:00 and so on; 1 or 3 hours long when clocks change.",
    )
    SIX_HOURS = strawberry.enum_value(
        "SIX_HOURS",
        description="From 00:00, 06:00, 12:00 and 18:00; 5 or 7 hours long when clocks change.",
    )
    TWELVE_HOURS = strawberry.enum_value(
        "TWELVE_HOURS", description="From 00:00 and 12:00; 11 or 13 hours long when clocks change."
    )
    DAY = strawberry.enum_value(
        "DAY", description="From midnight; 23 or 25 hours long when clocks change."
    )
    WEEK = strawberry.enum_value("WEEK", description="From Monday or Sunday, as `weekStart` says.")
    MONTH = strawberry.enum_value("MONTH", description="From the first of a month.")
    QUARTER = strawberry.enum_value(
        "QUARTER", description="From the first of January, April, July or October."
    )
    YEAR = strawberry.enum_value("YEAR", description="From the first of January.")


@strawberry.enum(description="First day of a week.")
class WeekStart(Enum):
    MONDAY = strawberry.enum_value("MONDAY", description="Weeks begin on Monday, as in ISO 8601.")
    SUNDAY = strawberry.enum_value("SUNDAY", description="Weeks begin on Sunday.")


@strawberry.enum(description="Value of a bucket without data.")
class Fill(Enum):
    NULL = strawberry.enum_value("NULL", description="Null.")
    ZERO = strawberry.enum_value("ZERO", description="0.")
    PREVIOUS = strawberry.enum_value(
        "PREVIOUS",
        description=(
            "Value of the last earlier bucket with data, also from before the range. A bucket that"
            " begins after now stays null."
        ),
    )
    LINEAR = strawberry.enum_value(
        "LINEAR",
        description=(
            "Linear interpolation between the neighbouring buckets with data, by their start times."
            " A bucket without such a neighbour on one side stays null."
        ),
    )
    NONE = strawberry.enum_value("NONE", description="The bucket is left out.")
