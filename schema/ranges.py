"""Time ranges, always half-open `[from, to)`, and the ranges to compare with."""

from enum import Enum
from typing import Final

import strawberry

from schema.buckets import Granularity
from schema.scalars import UTC_ZONE, DurationMs, Instant, ReadableInstants, Zone
from schema.time.dates import Day

MAX_HOURS: Final = 87_600
MAX_YEARS: Final = 10


@strawberry.enum(
    description="Named range in the time zone, mostly up to now. Today counts as a whole day."
)
class TimeRangePreset(Enum):
    TODAY = strawberry.enum_value("TODAY", description="Since midnight.")
    YESTERDAY = strawberry.enum_value(
        "YESTERDAY", description="The day before today, up to midnight."
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
        "THIS_WEEK", description="Since Monday or Sunday, as `weekStart` says."
    )
    LAST_WEEK = strawberry.enum_value(
        "LAST_WEEK", description="The whole week before this week, by `weekStart`."
    )
    THIS_MONTH = strawberry.enum_value("THIS_MONTH", description="Since the first of the month.")
    LAST_MONTH = strawberry.enum_value(
        "LAST_MONTH", description="The whole month before this month."
    )
    THIS_YEAR = strawberry.enum_value("THIS_YEAR", description="Since the first of January.")
    YEAR_TO_DATE = strawberry.enum_value(
        "YEAR_TO_DATE", description="Since the first of January; equal to THIS_YEAR."
    )
    LAST_12_MONTHS = strawberry.enum_value(
        "LAST_12_MONTHS", description="This month so far, and the 11 whole months before it."
    )
    ALL_TIME = strawberry.enum_value(
        "ALL_TIME",
        description="From the oldest to the newest row, however old, or ahead of the clock.",
    )


@strawberry.input(description="Range between two instants.")
class TimeBetweenInput(ReadableInstants):
    from_: Instant = strawberry.field(name="from", description="Start of the range, inclusive.")
    to: Instant | None = strawberry.field(
        default=None, description="End of the range, exclusive; default: now."
    )


@strawberry.input(description="Range of whole calendar days in the time zone, both included.")
class DateRangeInput:
    from_: Day = strawberry.field(name="from", description="First day of the range.")
    to: Day | None = strawberry.field(
        default=None,
        description="Last day of the range; default: today. Today ends now.",
    )


@strawberry.input(
    one_of=True, description="Time range, half-open: [from, to). Set exactly one field."
)
class TimeRangeInput:
    last: DurationMs | None = strawberry.field(
        default=strawberry.UNSET,
        description=(
            f"Length of a range up to now, at most {MAX_HOURS} hours. Months and years (`P1M`, at"
            f" most {MAX_YEARS} years) reach back to the same clock time in the time zone."
        ),
    )
    preset: TimeRangePreset | None = strawberry.field(
        default=strawberry.UNSET, description="Named range, like LAST_7_DAYS."
    )
    between: TimeBetweenInput | None = strawberry.field(
        default=strawberry.UNSET,
        description=f"Range between two instants, at most {MAX_HOURS} hours.",
    )
    dates: DateRangeInput | None = strawberry.field(
        default=strawberry.UNSET,
        description=f"Range of calendar days, at most {MAX_YEARS} years.",
    )


@strawberry.enum(
    description=(
        "Earlier range to compare with, in clock times of the time zone: a day is compared with a"
        " day, also if their lengths in hours differ."
    )
)
class CompareMode(Enum):
    PREVIOUS_PERIOD = strawberry.enum_value(
        "PREVIOUS_PERIOD",
        description=(
            "The range directly before. Whole days: the same number of days. A range that begins at"
            " midnight and ends within a day: the same clock times, the same number of days earlier"
            " (THIS_WEEK: a week, THIS_MONTH and LAST_MONTH: a month, THIS_YEAR and LAST_12_MONTHS:"
            " a year). Any other range, and `last`: the same length."
        ),
    )
    PREVIOUS_PERIOD_MATCH_WEEKDAY = strawberry.enum_value(
        "PREVIOUS_PERIOD_MATCH_WEEKDAY",
        description="Earlier by the fewest whole weeks without an overlap of both ranges.",
    )
    PREVIOUS_WEEK = strawberry.enum_value("PREVIOUS_WEEK", description="7 days earlier.")
    PREVIOUS_MONTH = strawberry.enum_value(
        "PREVIOUS_MONTH",
        description=(
            "A month earlier. A day that the earlier month lacks is its last day: March 29 to 31"
            " are compared with February 28."
        ),
    )
    YEAR_OVER_YEAR = strawberry.enum_value(
        "YEAR_OVER_YEAR", description="A year earlier. February 29 is compared with February 28."
    )


@strawberry.input(one_of=True, description="Range to compare with. Set exactly one field.")
class CompareInput:
    mode: CompareMode | None = strawberry.field(
        default=strawberry.UNSET, description="Earlier range, derived from the range of the query."
    )
    range: TimeRangeInput | None = strawberry.field(
        default=strawberry.UNSET, description="Any range."
    )


@strawberry.type(description="Time range as executed, half-open: [from, to).")
class TimeRange:
    from_: Instant = strawberry.field(name="from", description="Start of the range, inclusive.")
    to: Instant = strawberry.field(description="End of the range, exclusive.")
    timezone: Zone = strawberry.field(
        default=UTC_ZONE, description="Time zone of days and buckets."
    )
    granularity: Granularity = strawberry.field(
        default=Granularity.AUTO,
        description="Length of the buckets; AUTO if the range is one bucket.",
    )
    period: strawberry.Private[Granularity | None] = None
    """Calendar period of the range, DAY or longer; None for a range of a fixed length."""
