"""Events, as they are told."""

from collections.abc import Callable
from typing import Annotated

import strawberry
from strawberry import argument

from schema.node import Node
from schema.scalars import Instant, Json


@strawberry.type(description="Something that happened, as it was recorded.")
class Event(Node):
    id: strawberry.ID = strawberry.field(description="`event_` and a UUID that sorts by arrival.")
    name: str = strawberry.field(description="What happened.")
    time: Instant = strawberry.field(description="When it happened.")
    user_id: str | None = strawberry.field(description="Who did it, if that was given.")
    session_id: str | None = strawberry.field(description="In which session, if that was given.")
    properties: Json = strawberry.field(description="The properties as they were sent.")
    at_path: strawberry.Private[Callable[[str], Json | None]]

    @strawberry.field(description="What is at a path in the properties; null if nothing is.")
    def property(
        self,
        key: Annotated[
            str,
            argument(
                description="A path, as filters take it: `cart.total` is `total` in `cart`;"
                " `tags[]` are the items of an array."
            ),
        ],
    ) -> Json | None:
        return self.at_path(key)
