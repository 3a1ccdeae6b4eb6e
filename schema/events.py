"""Events, and the filters on them."""

import strawberry

from schema.scalars import Instant, Json


@strawberry.type(description="Something that happened, as it was recorded.")
class Event:
    id: strawberry.ID = strawberry.field(description="`event_` and a UUID that sorts by arrival.")
    name: str = strawberry.field(description="What happened.")
    time: Instant = strawberry.field(description="When it happened.")
    user_id: str | None = strawberry.field(description="Who did it, if that was given.")
    properties: Json = strawberry.field(description="The properties as they were sent.")


@strawberry.input(description="Tests of a text. All that are given must hold.")
class StringFilter:
    eq: str | None = strawberry.field(default=None, description="Is equal.")
    in_: list[str] | None = strawberry.field(
        name="in", default=None, description="Is one of these, at most 1000."
    )


@strawberry.input(description="Tests of an instant. All that are given must hold.")
class DateTimeFilter:
    gt: Instant | None = strawberry.field(default=None, description="Is after.")
    gte: Instant | None = strawberry.field(default=None, description="Is not before.")
    lt: Instant | None = strawberry.field(default=None, description="Is before.")
    lte: Instant | None = strawberry.field(default=None, description="Is not after.")


@strawberry.input(description="Which events. All that is given must hold; nothing given: all.")
class EventFilter:
    name: StringFilter | None = strawberry.field(default=None, description="What happened.")
    user_id: StringFilter | None = strawberry.field(
        default=None, description="Who did it; an event without a user passes no test of it."
    )
    time: DateTimeFilter | None = strawberry.field(default=None, description="When it happened.")
