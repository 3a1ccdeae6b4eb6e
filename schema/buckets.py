"""How a range is cut into buckets, and what an empty one holds."""

from enum import Enum

import strawberry


@strawberry.enum(description="The length of a bucket; all begin by the clocks of the time zone.")
class Granularity(Enum):
    AUTO = strawberry.enum_value(
        "AUTO",
        description=(
            "The finest with at most `maxPoints` buckets, or, should YEAR have more, the range as"
            " one bucket. In an answer: the range is one bucket."
        ),
    )
    SECOND = strawberry.enum_value("SECOND", description="A second.")
    TEN_SECONDS = strawberry.enum_value("TEN_SECONDS", description="From :00, :10, :20 and so on.")
    THIRTY_SECONDS = strawberry.enum_value("THIRTY_SECONDS", description="From :00 and :30.")
    MINUTE = strawberry.enum_value("MINUTE", description="A minute.")
    FIVE_MINUTES = strawberry.enum_value(
        "FIVE_MINUTES", description="From :00, :05, :10 and so on."
    )
    FIFTEEN_MINUTES = strawberry.enum_value(
        "FIFTEEN_MINUTES", description="From :00, :15, :30 and :45."
    )
    THIRTY_MINUTES = strawberry.enum_value("THIRTY_MINUTES", description="From :00 and :30.")
    HOUR = strawberry.enum_value(
        "HOUR", description="An hour; the one that is repeated in autumn is a bucket of its own."
    )
    TWO_HOURS = strawberry.enum_value(
        "TWO_HOURS",
        description="From 00:00, 02:00 and so on; 1 or 3 hours where clocks change.",
    )
    SIX_HOURS = strawberry.enum_value(
        "SIX_HOURS",
        description="From 00:00, 06:00, 12:00 and 18:00; 5 or 7 hours where clocks change.",
    )
    TWELVE_HOURS = strawberry.enum_value(
        "TWELVE_HOURS", description="From 00:00 and 12:00; 11 or 13 hours where clocks change."
    )
    DAY = strawberry.enum_value(
        "DAY", description="From midnight; 23 or 25 hours where clocks change."
    )
    WEEK = strawberry.enum_value("WEEK", description="From Monday, or Sunday: see `weekStart`.")
    MONTH = strawberry.enum_value("MONTH", description="From the first of a month.")
    QUARTER = strawberry.enum_value(
        "QUARTER", description="From the first of January, April, July or October."
    )
    YEAR = strawberry.enum_value("YEAR", description="From the first of January.")


@strawberry.enum(description="The first day of a week.")
class WeekStart(Enum):
    MONDAY = strawberry.enum_value("MONDAY", description="Weeks begin on Monday, as in ISO 8601.")
    SUNDAY = strawberry.enum_value("SUNDAY", description="Weeks begin on Sunday.")


@strawberry.enum(description="What a bucket without data holds.")
class Fill(Enum):
    NULL = strawberry.enum_value("NULL", description="Null: no data.")
    ZERO = strawberry.enum_value("ZERO", description="0: counted nothing.")
    PREVIOUS = strawberry.enum_value(
        "PREVIOUS",
        description=(
            "The value of the last bucket with data before it, also from before the range. A bucket"
            " that begins after now stays null."
        ),
    )
    LINEAR = strawberry.enum_value(
        "LINEAR",
        description=(
            "The value on the line between its neighbours with data, by the times at which the"
            " buckets begin. Without a neighbour on one side it stays null."
        ),
    )
    NONE = strawberry.enum_value("NONE", description="It is left out.")
