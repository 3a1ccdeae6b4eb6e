"""What is recorded and deleted, and what became of it."""

import strawberry

from schema.events import EventFilter
from schema.scalars import Instant, Json, Long


@strawberry.input(description="One point of a metric.")
class MetricInput:
    name: str = strawberry.field(description="1 to 200 characters, no control characters.")
    value: float = strawberry.field(description="Any finite number.")
    time: Instant | None = strawberry.field(
        default=None, description="When it was measured; now unless given."
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
    time: Instant | None = strawberry.field(
        default=None, description="When it happened; now unless given."
    )
    user_id: str | None = strawberry.field(default=None, description="Who did it.")
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


@strawberry.input(description="Which events to delete; an empty filter means all.")
class DeleteEventsInput:
    where: EventFilter = strawberry.field(description="Which; `{}` means all.")


@strawberry.type(description="What was deleted.")
class DeletePayload:
    matched_rows: Long = strawberry.field(description="Rows that were there and are deleted.")
