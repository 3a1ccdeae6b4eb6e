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
    MINUTE = strawberry.enum_value("MINUTE", description="A minute.")
    FIVE_MINUTES = strawberry.enum_value(
        "FIVE_MINUTES", description="From :00, :05, :10 and so on."
    )
    FIFTEEN_MINUTES = strawberry.enum_value(
        "FIFTEEN_MINUTES", description="From :00, :15, :30 and :45."
    )
    HOUR = strawberry.enum_value(
        "HOUR", description="An hour; the one that is repeated in autumn is a bucket of its own."
    )
    DAY = strawberry.enum_value(
        "DAY", description="From midnight; 23 or 25 hours where clocks change."
    )
    WEEK = strawberry.enum_value("WEEK", description="From Monday.")
    MONTH = strawberry.enum_value("MONTH", description="From the first of a month.")
    QUARTER = strawberry.enum_value(
        "QUARTER", description="From the first of January, April, July or October."
    )
    YEAR = strawberry.enum_value("YEAR", description="From the first of January.")


@strawberry.enum(description="What a bucket without data holds.")
class Fill(Enum):
    NULL = strawberry.enum_value("NULL", description="Null: no data.")
    ZERO = strawberry.enum_value("ZERO", description="0: counted nothing.")
    PREVIOUS = strawberry.enum_value("PREVIOUS", description="What the bucket before it holds.")
    LINEAR = strawberry.enum_value(
        "LINEAR", description="What lies on the line between its neighbours with data."
    )
    NONE = strawberry.enum_value("NONE", description="It is left out.")
