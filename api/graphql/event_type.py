"""The EventType type: all events of one name. Its properties are queried only if selected."""

from collections.abc import Sequence

import strawberry

from api.graphql.arguments import (
    MaxValues,
    ValueSearch,
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


@strawberry.type(description="Property of the events of one name.")
class PropertyInfo:
    key: str = strawberry.field(
        description=(
            "Key in the syntax of filters: `a.b` is the key `b` in the object `a`, down to the"
            " third"
            r" level. A dot in a key is written `\.`, a backslash `\\`."
        )
    )
    event_name: strawberry.Private[str]
    event_count: strawberry.Private[int]
    row: strawberry.Private[KeyRow]
    facets: strawberry.Private[Facets]

    @strawberry.field(description="Type of the values.")
    def type(self) -> PropertyType:
        return property_type(self.row)

    @strawberry.field(
        description="Share of the events in which the property is not null: above 0, up to 1."
    )
    def coverage(self) -> float:
        return self.row.rows / self.event_count

    @strawberry.field(
        description="Number of different values, compared as texts; approximate above some"
        " hundreds."
    )
    def cardinality(self) -> Long:
        return Long(selected_value(self.row.cardinality))

    @strawberry.field(description="Values as texts or as JSON, most frequent first.")
    async def values(self, search: ValueSearch = None, first: MaxValues = 20) -> list[TagValue]:
        return await self.facets.values(self.event_name, self.key, search, first)


@strawberry.type(description="All events of one name.")
class EventType(Node):
    name: str = strawberry.field(description="Name of the events.")
    summary: strawberry.Private[SummaryRow]
    facets: strawberry.Private[Facets]

    @strawberry.field(description="Number of events.")
    def count(self) -> Long:
        return Long(selected_value(self.summary.count))

    @strawberry.field(description="Time of the earliest event.")
    def first_seen_at(self) -> Instant:
        return Instant(selected_value(self.summary.first))

    @strawberry.field(description="Time of the latest event.")
    def last_seen_at(self) -> Instant:
        return Instant(selected_value(self.summary.last))

    @strawberry.field(
        description=("Properties of the events, sorted by key: the 1000 most frequent at most.")
    )
    async def properties(self, info: ContextInfo) -> list[PropertyInfo]:
        rows, event_count = await self.facets.list_keys(self.name, selected_names(info))
        return [
            PropertyInfo(
                key=row.key or "",
                event_name=self.name,
                event_count=event_count,
                row=row,
                facets=self.facets,
            )
            for row in rows
        ]


def event_types_of(ctx: Context, rows: Sequence[SummaryRow]) -> list[EventType]:
    """Return the event types of one list; one statement finds the properties of all."""
    facets = Facets(ctx, PROPERTIES, [row.name for row in rows])
    return [
        EventType(id=global_id(EVENT_TYPE, row.name), name=row.name, summary=row, facets=facets)
        for row in rows
    ]
