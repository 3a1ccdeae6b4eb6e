"""Time ranges, always half-open: `[from, to)`."""

import strawberry

from schema.errors import bad_input
from schema.scalars import MS_PER_HOUR, DurationMs, Instant

MAX_HOURS = 87_600


@strawberry.input(description="Two instants; `to` is now unless it is given.")
class TimeBetweenInput:
    from_: Instant = strawberry.field(name="from", description="First instant in the range.")
    to: Instant | None = strawberry.field(
        default=None, description="First instant behind the range; now unless given."
    )


@strawberry.input(
    one_of=True, description="A range of time, half-open: [from, to). Exactly one field."
)
class TimeRangeInput:
    last: DurationMs | None = strawberry.field(
        default=strawberry.UNSET, description=f"Up to now; at most {MAX_HOURS} hours."
    )
    between: TimeBetweenInput | None = strawberry.field(
        default=strawberry.UNSET, description="Two instants."
    )


@strawberry.type(description="A range as it was executed, half-open: [from, to).")
class TimeRange:
    from_: Instant = strawberry.field(name="from", description="First instant in the range.")
    to: Instant = strawberry.field(description="First instant behind the range.")


def resolve_range(asked: TimeRangeInput, now: Instant) -> TimeRange:
    """Return the instants that are meant; the millisecond of `now` itself is in the range.

    Raises `AnalyticsError` for a range that is empty or longer than `MAX_HOURS`.
    """
    end = Instant(now + 1)
    if asked.last is not None and asked.last is not strawberry.UNSET:
        resolved = TimeRange(from_=Instant(end - asked.last), to=end)
        field = "last"
    elif asked.between:
        resolved = TimeRange(from_=asked.between.from_, to=asked.between.to or end)
        field = "between"
    else:
        raise bad_input("range", "needs one of last, between")
    if resolved.to <= resolved.from_:
        raise bad_input(field, "must end after it begins")
    if resolved.to - resolved.from_ > MAX_HOURS * MS_PER_HOUR:
        raise bad_input(field, f"must be at most {MAX_HOURS} hours", limit=MAX_HOURS)
    return resolved
