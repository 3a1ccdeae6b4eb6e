"""Events, as they are told."""

import strawberry

from schema.identity import Node
from schema.scalars import Instant, Json


@strawberry.type(description="Something that happened, as it was recorded.")
class Event(Node):
    id: strawberry.ID = strawberry.field(description="`event_` and a UUID that sorts by arrival.")
    name: str = strawberry.field(description="What happened.")
    time: Instant = strawberry.field(description="When it happened.")
    user_id: str | None = strawberry.field(description="Who did it, if that was given.")
    session_id: str | None = strawberry.field(description="In which session, if that was given.")
    properties: Json = strawberry.field(description="The properties as they were sent.")
