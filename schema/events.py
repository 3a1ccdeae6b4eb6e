"""The Event type."""

from collections.abc import Callable
from typing import Annotated

import strawberry
from strawberry import argument

from schema.node import Node
from schema.scalars import Instant, Json


@strawberry.type(description="Event, as it was recorded.")
class Event(Node):
    id: strawberry.ID = strawberry.field(
        description="`event_` and a UUID of version 7; ids sort by arrival."
    )
    name: str = strawberry.field(description="Name of the event.")
    time: Instant = strawberry.field(description="Time of the event.")
    user_id: str | None = strawberry.field(
        description="User of the event; null if it was recorded without."
    )
    session_id: str | None = strawberry.field(
        description="Session of the event; null if it was recorded without."
    )
    properties: Json = strawberry.field(description="Properties, as they were sent.")
    at_path: strawberry.Private[Callable[[str], Json | None]]

    @strawberry.field(description="Value at a path in the properties; null if there is none.")
    def property(
        self,
        key: Annotated[
            str,
            argument(
                description="Path in the syntax of filters: `cart.total` is `total` in `cart`;"
                " `tags[]` is"
                " each entry of the array `tags`."
            ),
        ],
    ) -> Json | None:
        return self.at_path(key)
