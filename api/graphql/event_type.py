"""The EventType type; its properties are looked up when they are selected."""

from collections.abc import Sequence

import strawberry

from api.graphql.arguments import (
    Part,
    Values,
)
from api.graphql.info import ContextInfo, selected_names, selected_value
from resolvers.context import Context
from resolvers.facets import Facets, property_type
from resolvers.global_ids import EVENT_TYPE, global_id
from schema.catalogue import PropertyType, TagValue
from schema.node import Node
from schema.scalars import Instant, Long
from store.query.catalogue import SummaryRow
from store.query.facets import PROPERTIES, KeyRow


@strawberry.type(description="A property that events of a name have.")
class PropertyInfo:
    key: str = strawberry.field(
        description=(
            "Its key, as filters take it: `a.b` is the key `b` in the object `a`, to the third"
            r" level; a dot in a key is written `\.`, a backslash `\\`."
        )
    )
    event_name: strawberry.Private[str]
    events: strawberry.Private[int]
    row: strawberry.Private[KeyRow]
    keys: strawberry.Private[Facets]

    @strawberry.field(description="What its values are.")
    def type(self) -> PropertyType:
        return property_type(self.row)

    @strawberry.field(description="Share of the events that have it, not null: above 0, up to 1.")
    def coverage(self) -> float:
        return self.row.rows / self.events

    @strawberry.field(
        description="Number of its values as texts; approximate beyond some hundreds."
    )
    def cardinality(self) -> Long:
        return Long(selected_value(self.row.cardinality))

    @strawberry.field(description="Its values as texts or as JSON, most frequent first.")
    async def values(self, search: Part = None, first: Values = 20) -> list[TagValue]:
        return await self.keys.values(self.event_name, self.key, search, first)


@strawberry.type(description="All events of one name.")
class EventType(Node):
    name: str = strawberry.field(description="What happened.")
    summary: strawberry.Private[SummaryRow]
    keys: strawberry.Private[Facets]

    @strawberry.field(description="Number of events.")
    def count(self) -> Long:
        return Long(selected_value(self.summary.count))

    @strawberry.field(description="The earliest time of its events.")
    def first_seen_at(self) -> Instant:
        return Instant(selected_value(self.summary.first))

    @strawberry.field(description="The latest time of its events.")
    def last_seen_at(self) -> Instant:
        return Instant(selected_value(self.summary.last))

    @strawberry.field(
        description=("The properties that its events have, sorted; at most the 1000 most frequent.")
    )
    async def properties(self, info: ContextInfo) -> list[PropertyInfo]:
        found, everything = await self.keys.list_keys(self.name, selected_names(info))
        return [
            PropertyInfo(
                key=row.key or "", event_name=self.name, events=everything, row=row, keys=self.keys
            )
            for row in found
        ]


def event_types_of(ctx: Context, rows: Sequence[SummaryRow]) -> list[EventType]:
    """Present kinds of events of one list, which ask for their properties together."""
    keys = Facets(ctx, PROPERTIES, [row.name for row in rows])
    return [
        EventType(id=global_id(EVENT_TYPE, row.name), name=row.name, summary=row, keys=keys)
        for row in rows
    ]
