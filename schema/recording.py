"""What is recorded and deleted, and what became of it."""

from typing import Final, cast

import strawberry

from schema.filters import EventFilter
from schema.scalars import Instant, Json, Long, RowInstant, UnreadableInstant, rfc3339

_ROW_TIME: Final = (
    "RFC 3339 with an offset, from 1970 to 2099; any other time refuses this row alone."
)


def sent_time(time: RowInstant | None) -> str | None:
    """Return a row's time as the text that it was sent as, or one that means the same."""
    if isinstance(time, UnreadableInstant):
        return time.text
    return None if time is None else rfc3339(cast("Instant", time))


@strawberry.input(description="One point of a metric.")
class MetricInput:
    name: str = strawberry.field(description="1 to 200 characters, no control characters.")
    value: float = strawberry.field(description="Any finite number.")
    time: RowInstant | None = strawberry.field(
        default=None, description=f"When it was measured; now unless given. {_ROW_TIME}"
    )
    tags: Json | None = strawberry.field(
        default=None, description="An object of texts; at most 64 tags."
    )
    id: str | None = strawberry.field(
        default=None,
        description="Your own id of the point: sent again within 7 days, it counts once.",
    )


@strawberry.input(description="One event.")
class EventInput:
    name: str = strawberry.field(description="1 to 200 characters, no control characters.")
    time: RowInstant | None = strawberry.field(
        default=None, description=f"When it happened; now unless given. {_ROW_TIME}"
    )
    user_id: str | None = strawberry.field(default=None, description="Who did it.")
    session_id: str | None = strawberry.field(default=None, description="In which session.")
    properties: Json | None = strawberry.field(
        default=None, description="Any JSON object of at most 255 keys and 32 KiB."
    )
    id: str | None = strawberry.field(
        default=None,
        description="Your own id of the event: sent again within 7 days, it counts once.",
    )


@strawberry.input(description="Points to record, at most 50,000 at once.")
class RecordMetricsInput:
    metrics: list[MetricInput] = strawberry.field(description="The points.")


@strawberry.input(description="Events to record, at most 50,000 at once.")
class RecordEventsInput:
    events: list[EventInput] = strawberry.field(description="The events.")


@strawberry.type(description="Why one row of a batch was refused; the good rows were kept.")
class RowError:
    index: int = strawberry.field(description="Position of the row in the batch, from 0.")
    id: str | None = strawberry.field(description="The row's own id, when it had one.")
    field: str | None = strawberry.field(description="The offending field, when it is one.")
    code: str = strawberry.field(description="Stable code, as in `errors[].extensions.code`.")
    message: str = strawberry.field(description="The reason, with the limit that was broken.")


@strawberry.type(description="What became of a batch; an error instead when no row is good.")
class RecordPayload:
    accepted: int = strawberry.field(description="Rows that are stored durably.")
    duplicates: int = strawberry.field(
        description="Rows whose `id` was recorded before, in the last 7 days; they count once."
    )
    rejected: int = strawberry.field(description="Rows that were refused.")
    errors: list[RowError] = strawberry.field(description="One entry for each refused row.")


@strawberry.input(description="Which metric to delete, with all its points.")
class DeleteMetricsInput:
    name: str = strawberry.field(description="Its name.")


@strawberry.input(
    description="The events to delete: those that pass `where`, or all. Give exactly one of both."
)
class DeleteEventsInput:
    where: EventFilter | None = strawberry.field(
        default=None,
        description=(
            "The filter that they pass. No part of it may select every event or none: `{}`,"
            ' `{userId: {eq: null}}`, `OR: []`, `notIn: []` and `contains: ""` are refused at any'
            " level. `performed` can't be used."
        ),
    )
    all: bool | None = strawberry.field(
        default=None, description="`true` deletes every event; `false` is as good as absent."
    )


@strawberry.type(description="What was deleted.")
class DeletePayload:
    matched_rows: Long = strawberry.field(description="Rows that were there and are deleted.")


@strawberry.type(
    description=(
        "What became of the rows of one stream since the start: `received = stored + duplicates"
        " + rejected + unavailable + pending`; `stored + recovered = loaded + waiting + setAside`."
    )
)
class StreamStats:
    stream: str = strawberry.field(description="`metrics`, `series` (of metrics) or `events`.")
    received: Long = strawberry.field(description="Rows that came.")
    stored: Long = strawberry.field(description="Rows that were acknowledged: they are durable.")
    duplicates: Long = strawberry.field(description="Rows whose id was recorded before.")
    rejected: Long = strawberry.field(description="Rows that are not valid.")
    unavailable: Long = strawberry.field(description="Rows refused for now, to be sent again.")
    pending: Long = strawberry.field(description="Rows whose request is not answered yet.")
    recovered: Long = strawberry.field(description="Rows found in the journal at the start.")
    loaded: Long = strawberry.field(description="Rows that went from the journal to the table.")
    waiting: Long = strawberry.field(description="Rows in the journal, on their way to the table.")
    set_aside: Long = strawberry.field(description="Rows set aside: the engine can't read them.")


@strawberry.type(description="A row that was acknowledged and that the engine could not read.")
class SetAsideRow:
    id: strawberry.ID = strawberry.field(description="Its segment and its place there.")
    stream: str = strawberry.field(description="Where it came in, as in `StreamStats`.")
    text: str = strawberry.field(description="The row as it is in the journal, 10,000 characters.")


@strawberry.type(description="What became of the rows that were set aside.")
class ReplayPayload:
    stored: Long = strawberry.field(description="Rows that are stored now.")
    duplicates: Long = strawberry.field(description="Rows that were stored already.")
    left: Long = strawberry.field(description="Rows that still can't be read.")
