"""GraphQL types of recording and deletion: inputs, payloads, row counters."""

from collections.abc import Sequence
from typing import Final, cast

import strawberry
from strawberry.types import Info

from schema.encoding import attributes
from schema.filters import EventFilter
from schema.scalars import Instant, Json, Long, RowInstant, UnreadableInstant, rfc3339
from schema.selection import selected_fields

_ROW_TIME: Final = (
    "RFC 3339 with an offset, from 1970 to 2099; any other time rejects this row only."
)


def sent_time(time: RowInstant | None) -> str | None:
    """Return the time of a row as text: the sent text if it is unreadable, else RFC 3339."""
    if isinstance(time, UnreadableInstant):
        return time.text
    return None if time is None else rfc3339(cast("Instant", time))


@strawberry.input(description="Point of a metric to record.")
class MetricInput:
    name: str = strawberry.field(description="Name, 1 to 200 characters, no control characters.")
    value: float = strawberry.field(description="Measured value: any finite number.")
    time: RowInstant | None = strawberry.field(
        default=None, description=f"Time of the measurement; default: now. {_ROW_TIME}"
    )
    tags: Json | None = strawberry.field(
        default=None, description="Tags: an object of texts, at most 64."
    )
    id: str | None = strawberry.field(
        default=None,
        description="Client id. A point that is sent again with this id within 7 days counts once.",
    )


@strawberry.input(description="Event to record.")
class EventInput:
    name: str = strawberry.field(description="Name, 1 to 200 characters, no control characters.")
    time: RowInstant | None = strawberry.field(
        default=None, description=f"Time of the event; default: now. {_ROW_TIME}"
    )
    user_id: str | None = strawberry.field(default=None, description="User of the event.")
    session_id: str | None = strawberry.field(default=None, description="Session of the event.")
    properties: Json | None = strawberry.field(
        default=None, description="Properties: a JSON object of at most 255 keys and 32 KiB."
    )
    id: str | None = strawberry.field(
        default=None,
        description="Client id. An event that is sent again with this id within 7 days counts"
        " once.",
    )


@strawberry.input(description="Batch of points.")
class RecordMetricsInput:
    metrics: list[MetricInput] = strawberry.field(description="Points, 1 to 50,000.")


@strawberry.input(description="Batch of events.")
class RecordEventsInput:
    events: list[EventInput] = strawberry.field(description="Events, 1 to 50,000.")


@strawberry.type(description="Error of a rejected row in a batch; the valid rows are stored.")
class RowError:
    index: int = strawberry.field(description="Index of the row in the batch, from 0.")
    id: str | None = strawberry.field(description="Client id of the row, if it has one.")
    field: str | None = strawberry.field(
        description="Name of the wrong field, if the error is about one."
    )
    code: str = strawberry.field(description="Stable code, as in `errors[].extensions.code`.")
    message: str = strawberry.field(description="Reason, with the limit if the row breaks one.")


@strawberry.type(description="Outcome of a batch. A batch without a valid row is an error instead.")
class RecordPayload:
    accepted: int = strawberry.field(description="Number of rows that are stored durably.")
    duplicates: int = strawberry.field(
        description="Number of rows with an `id` that was recorded in the last 7 days; not stored"
        " again."
    )
    rejected: int = strawberry.field(
        description="Number of rows that are not valid and not stored."
    )
    row_errors: strawberry.Private[Sequence[RowError]]

    @strawberry.field(description="One entry for each rejected row.")
    def errors(self, info: Info) -> list[RowError]:
        fields = selected_fields(info._raw_info)  # noqa: SLF001 - the only way to the document
        return attributes(fields, self.row_errors)  # type: ignore[return-value]  # the executor sends it as a list


@strawberry.input(description="Metric to delete, with all its points.")
class DeleteMetricsInput:
    name: str = strawberry.field(description="Name of the metric, in full.")


@strawberry.input(description="Events to delete: set either `where` or `all`.")
class DeleteEventsInput:
    where: EventFilter | None = strawberry.field(
        default=None,
        description=(
            "Filter of the events. No part of it may select every event or none: `{}`,"
            ' `{userId: {eq: null}}`, `OR: []`, `notIn: []` and `contains: ""` are refused at any'
            " level. `performed` is refused too."
        ),
    )
    all: bool | None = strawberry.field(
        default=None, description="`true` deletes every event; `false` means the same as null."
    )


@strawberry.type(description="Outcome of a deletion.")
class DeletePayload:
    matched_rows: Long = strawberry.field(description="Number of rows that were deleted.")


@strawberry.type(
    description=(
        "Row counters of one stream since the start of the service. `received = stored + duplicates"
        " + rejected + unavailable + pending`; `stored + recovered = loaded + waiting + setAside`."
    )
)
class StreamStats:
    stream: str = strawberry.field(
        description="Stream: `metrics`, `series` (of metrics) or `events`."
    )
    received: Long = strawberry.field(description="Rows received in requests.")
    stored: Long = strawberry.field(description="Rows acknowledged as durable.")
    duplicates: Long = strawberry.field(description="Rows with an id that was recorded before.")
    rejected: Long = strawberry.field(description="Rows rejected as not valid.")
    unavailable: Long = strawberry.field(description="Rows refused with 503, to be sent again.")
    pending: Long = strawberry.field(description="Rows of requests that are not answered yet.")
    recovered: Long = strawberry.field(description="Rows recovered from the journal at the start.")
    loaded: Long = strawberry.field(description="Rows loaded from the journal into their table.")
    waiting: Long = strawberry.field(description="Rows in the journal that wait for the engine.")
    set_aside: Long = strawberry.field(
        description="Rows set aside because the engine cannot read them."
    )


@strawberry.type(description="Row that was acknowledged, but that the engine cannot read.")
class SetAsideRow:
    id: strawberry.ID = strawberry.field(
        description="Id of the row: its journal segment, and its index there."
    )
    stream: str = strawberry.field(description="Stream of the row, as in `StreamStats`.")
    text: str = strawberry.field(
        description="Text of the row in the journal, at most 10,000 characters."
    )


@strawberry.type(description="Outcome of a replay of the rows that were set aside.")
class ReplayPayload:
    stored: Long = strawberry.field(description="Number of rows that this replay stored.")
    duplicates: Long = strawberry.field(description="Number of rows that were stored before.")
    left: Long = strawberry.field(
        description="Number of rows that stay set aside: the engine still cannot read them, or the"
        " project has too many names."
    )
