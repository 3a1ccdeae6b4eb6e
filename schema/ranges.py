"""Time ranges, always half-open: `[from, to)`, and what they are compared with."""

from enum import Enum
from typing import Final

import strawberry

from schema.buckets import Granularity
from schema.scalars import UTC_ZONE, DurationMs, Instant, ReadableInstants, Zone
from schema.time.dates import Day

MAX_HOURS: Final = 87_600
MAX_YEARS: Final = 10


@strawberry.enum(
    description="A range up to now, by the clocks of the time zone. Today counts as a whole day."
)
class TimeRangePreset(Enum):
    TODAY = strawberry.enum_value("TODAY", description="Since midnight.")
    YESTERDAY = strawberry.enum_value(
        "YESTERDAY", description="The whole day before today; it ends at midnight."
    )
    LAST_24_HOURS = strawberry.enum_value("LAST_24_HOURS", description="Exactly 24 hours.")
    LAST_7_DAYS = strawberry.enum_value(
        "LAST_7_DAYS", description="Today so far, and the 6 whole days before it."
    )
    LAST_28_DAYS = strawberry.enum_value(
        "LAST_28_DAYS", description="Today so far, and the 27 whole days before it."
    )
    LAST_30_DAYS = strawberry.enum_value(
        "LAST_30_DAYS", description="Today so far, and the 29 whole days before it."
    )
    LAST_90_DAYS = strawberry.enum_value(
        "LAST_90_DAYS", description="Today so far, and the 89 whole days before it."
    )
    LAST_91_DAYS = strawberry.enum_value(
        "LAST_91_DAYS", description="Today so far, and the 90 whole days before it."
    )
    THIS_WEEK = strawberry.enum_value(
        "THIS_WEEK", description="Since Monday, or Sunday: see `weekStart`."
    )
    LAST_WEEK = strawberry.enum_value(
        "LAST_WEEK", description="The whole week before this one; see `weekStart`."
    )
    THIS_MONTH = strawberry.enum_value("THIS_MONTH", description="Since the first of the month.")
    LAST_MONTH = strawberry.enum_value("LAST_MONTH", description="The whole month before this one.")
    THIS_YEAR = strawberry.enum_value("THIS_YEAR", description="Since the first of January.")
    YEAR_TO_DATE = strawberry.enum_value(
        "YEAR_TO_DATE", description="Since the first of January, as THIS_YEAR."
    )
    LAST_12_MONTHS = strawberry.enum_value(
        "LAST_12_MONTHS", description="This month so far, and the 11 whole months before it."
    )
    ALL_TIME = strawberry.enum_value(
        "ALL_TIME",
        description="From the oldest to the newest data, however long ago or ahead of the clock.",
    )


@strawberry.input(description="Two instants; `to` is now unless it is given.")
class TimeBetweenInput(ReadableInstants):
    from_: Instant = strawberry.field(name="from", description="First instant in the range.")
    to: Instant | None = strawberry.field(
        default=None, description="First instant behind the range; now unless given."
    )


@strawberry.input(description="Whole days of the calendar, both included, by the time zone.")
class DateRangeInput:
    from_: Day = strawberry.field(name="from", description="First day in the range.")
    to: Day | None = strawberry.field(
        default=None,
        description="Last day in the range; today unless given. Today counts as far as now.",
    )


@strawberry.input(
    one_of=True, description="A range of time, half-open: [from, to). Exactly one field."
)
class TimeRangeInput:
    last: DurationMs | None = strawberry.field(
        default=strawberry.UNSET,
        description=(
            f"Up to now; at most {MAX_HOURS} hours. Months and years (`P1M`, at most {MAX_YEARS}"
            " years) reach back to the same clock time of the time zone."
        ),
    )
    preset: TimeRangePreset | None = strawberry.field(
        default=strawberry.UNSET, description="A range that has a name."
    )
    between: TimeBetweenInput | None = strawberry.field(
        default=strawberry.UNSET,
        description=f"Two instants; at most {MAX_HOURS} hours.",
    )
    dates: DateRangeInput | None = strawberry.field(
        default=strawberry.UNSET,
        description=f"Days of the calendar; at most {MAX_YEARS} years.",
    )


@strawberry.enum(
    description=(
        "An earlier range, by the clocks of the time zone: a day is compared with a day, whatever"
        " its length."
    )
)
class CompareMode(Enum):
    PREVIOUS_PERIOD = strawberry.enum_value(
        "PREVIOUS_PERIOD",
        description=(
            "Directly before. Whole days: as many days. A range that begins at midnight and ends"
            " within a day: the same clock times as many days earlier (THIS_WEEK: a week,"
            " THIS_MONTH and LAST_MONTH: a month, THIS_YEAR and LAST_12_MONTHS: a year)."
            " Any other range, and `last`: as long."
        ),
    )
    PREVIOUS_PERIOD_MATCH_WEEKDAY = strawberry.enum_value(
        "PREVIOUS_PERIOD_MATCH_WEEKDAY",
        description="Earlier by the fewest whole weeks with which the two do not overlap.",
    )
    PREVIOUS_WEEK = strawberry.enum_value("PREVIOUS_WEEK", description="7 days earlier.")
    PREVIOUS_MONTH = strawberry.enum_value(
        "PREVIOUS_MONTH",
        description=(
            "A month earlier; for a day that it does not have, its last day: March 29 to 31 with"
            " February 28."
        ),
    )
    YEAR_OVER_YEAR = strawberry.enum_value(
        "YEAR_OVER_YEAR", description="A year earlier; for February 29, February 28."
    )


@strawberry.input(one_of=True, description="What a range is compared with. Exactly one field.")
class CompareInput:
    mode: CompareMode | None = strawberry.field(
        default=strawberry.UNSET, description="An earlier range, found from the one asked for."
    )
    range: TimeRangeInput | None = strawberry.field(
        default=strawberry.UNSET, description="Any other range."
    )


@strawberry.type(description="A range as it was executed, half-open: [from, to).")
class TimeRange:
    from_: Instant = strawberry.field(name="from", description="First instant in the range.")
    to: Instant = strawberry.field(description="First instant behind the range.")
    timezone: Zone = strawberry.field(
        default=UTC_ZONE, description="The zone whose clocks days and buckets go by."
    )
    granularity: Granularity = strawberry.field(
        default=Granularity.AUTO,
        description="The length of its buckets; AUTO when it is one bucket.",
    )
    period: strawberry.Private[Granularity | None] = None
    """The calendar period that the range was made of, from DAY on; None for a mere length."""
