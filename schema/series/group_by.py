"""Keys to group events by: a property, a field, bands of a number."""

from enum import Enum

import strawberry

from schema.filters import PropertyCast


@strawberry.enum(description="A field of every event, to group by.")
class EventField(Enum):
    NAME = strawberry.enum_value("name", description="Name of the event.")
    USER_ID = strawberry.enum_value("user_id", description="User of the event.")
    SESSION_ID = strawberry.enum_value("session_id", description="Session of the event.")


@strawberry.input(
    description="Bands of a number: below the first bound, between bounds, from the last bound on."
)
class NumberBucketInput:
    property: str = strawberry.field(
        description="Path of a property; `cart.total` is `total` in `cart`."
    )
    bounds: list[float] = strawberry.field(
        description="1 to 100 ascending bounds. `[10, 100)` has 10 in it, but not 100."
    )
    cast: PropertyCast | None = strawberry.field(
        default=None, description="Type to read texts as; null: they stay texts."
    )


@strawberry.input(one_of=True, description="A key to group by. Exactly one field.")
class GroupByInput:
    property: str | None = strawberry.field(
        default=strawberry.UNSET,
        description=(
            "A property, at any depth by its path; with `[]` after an array (`tags[]`,"
            " `items[].sku`) an event counts in the group of each item, once."
        ),
    )
    field: EventField | None = strawberry.field(
        default=strawberry.UNSET, description="A field of every event."
    )
    bucket_number: NumberBucketInput | None = strawberry.field(
        default=strawberry.UNSET, description="Bands of a numeric property."
    )
