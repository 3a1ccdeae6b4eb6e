"""GraphQL types with fields that ask further questions."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, TypeVar

import strawberry
from strawberry import argument
from strawberry.types import get_object_definition
from strawberry.types.arguments import convert_arguments

from api.graphql.connections import After, Before, Connection, First, Last
from api.graphql.info import Asked, selected_names
from resolvers import catalogue, events, metrics
from resolvers.catalogue import kind_of
from resolvers.context import Context
from resolvers.facets import Keys, property_type
from resolvers.global_ids import EVENT_TYPE, METRIC, name_in, named_id
from resolvers.series import request as trends
from schema.aggregates import OrderByInput, ordered
from schema.buckets import Fill, Granularity, WeekStart
from schema.catalogue import MetricKind, PropertyType, Sample, TagValue
from schema.errors import AnalyticsError
from schema.filters import MetricFilter
from schema.metric_series import MetricResult
from schema.node import Node
from schema.paging import Paging
from schema.ranges import CompareInput, TimeRangeInput
from schema.scalars import UTC_ZONE, Instant, Long, Zone
from schema.selection import Selected, selection
from store.query.catalogue import SummaryRow
from store.query.facets import PROPERTIES, TAGS, KeyRow
from store.query.series.types import Question
from store.query.time.buckets import MAX_BUCKETS
from store.query.time.ranges import resolve_range

Range = Annotated[TimeRangeInput, argument(description="Which time.")]
WhichPoints = Annotated[MetricFilter | None, argument(description="Which points; all if null.")]
Grain = Annotated[Granularity, argument(description="The length of a bucket.")]
MaxPoints = Annotated[
    int, argument(description=f"With AUTO, at most so many buckets, 1 to {MAX_BUCKETS}.")
]
InZone = Annotated[Zone, argument(description="The zone whose clocks ranges and buckets go by.")]
Weeks = Annotated[WeekStart, argument(description="The first day of a week.")]
Tags = Annotated[list[str] | None, argument(description="Tags to group by, at most 5.")]
Ordered = Annotated[OrderByInput | None, argument(description="Which series come first.")]
Limit = Annotated[int, argument(description="At most so many groups, 1 to 1000.")]
Offset = Annotated[
    int, argument(description="After so many groups in their order: `limit` for the second page.")
]
GroupSearch = Annotated[
    str | None,
    argument(
        description="Only groups whose label has this text in it, in any case; all others are among"
        " the other groups."
    ),
]
OtherGroup = Annotated[
    bool,
    argument(description="Whether all groups that have no line of their own are a line, too."),
]
Filled = Annotated[Fill, argument(description="What a bucket without data holds.")]
Compared = Annotated[CompareInput | None, argument(description="What to compare with.")]
Values = Annotated[int, argument(description="At most so many, 1 to 1000.")]
Part = Annotated[str | None, argument(description="A part of the text, in any case.")]

T = TypeVar("T")


def _computed(value: T | None) -> T:
    """Return what was computed because it is selected."""
    if value is None:
        raise LookupError("what is selected was not computed")
    return value


@strawberry.type(description="A tag that points of a metric have.")
class TagInfo:
    name: str = strawberry.field(description="Its name.")
    metric: strawberry.Private[str]
    row: strawberry.Private[KeyRow]
    keys: strawberry.Private[Keys]

    @strawberry.field(description="Number of its values; approximate beyond some hundreds.")
    def cardinality(self) -> Long:
        return Long(_computed(self.row.cardinality))

    @strawberry.field(description="Its values, most frequent first.")
    async def values(self, search: Part = None, first: Values = 20) -> list[TagValue]:
        return await self.keys.values(self.metric, self.name, search, first)


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
    keys: strawberry.Private[Keys]

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
        return Long(_computed(self.row.cardinality))

    @strawberry.field(description="Its values as texts or as JSON, most frequent first.")
    async def values(self, search: Part = None, first: Values = 20) -> list[TagValue]:
        return await self.keys.values(self.event_name, self.key, search, first)


@strawberry.type(description="A number that is measured again and again.")
class Metric(Node):
    name: str = strawberry.field(description="Its name.")
    summary: strawberry.Private[SummaryRow]
    keys: strawberry.Private[Keys]

    @strawberry.field(description="How to read its values; GAUGE unless `describeMetric` said.")
    def kind(self) -> MetricKind:
        return kind_of(_computed(self.summary.kind))

    @strawberry.field(description="What its values count, if that was said.")
    def unit(self) -> str | None:
        return _computed(self.summary.unit) or None

    @strawberry.field(description="What it measures, if that was said.")
    def description(self) -> str | None:
        return _computed(self.summary.description) or None

    @strawberry.field(description="The earliest time of its points.")
    def first_seen_at(self) -> Instant:
        return Instant(_computed(self.summary.first))

    @strawberry.field(description="The latest time of its points.")
    def last_seen_at(self) -> Instant:
        return Instant(_computed(self.summary.last))

    @strawberry.field(
        description="Number of different sets of tags, in whatever order they are sent;"
        " approximate beyond some hundreds."
    )
    def series_count(self) -> Long:
        return Long(_computed(self.summary.series))

    @strawberry.field(
        description="The tags that its points have, sorted; at most the 1000 most frequent."
    )
    async def tags(self, info: Asked) -> list[TagInfo]:
        found, _ = await self.keys.of(self.name, selected_names(info))
        return [
            TagInfo(name=row.key or "", metric=self.name, row=row, keys=self.keys) for row in found
        ]

    @strawberry.field(description="Its values in a range. `GET /metrics/{name}` asks this.")
    async def query(
        self,
        info: Asked,
        range: Range,  # noqa: A002
        where: WhichPoints = None,
        granularity: Grain = Granularity.AUTO,
        max_points: MaxPoints = 300,
        timezone: InZone = UTC_ZONE,
        week_start: Weeks = WeekStart.MONDAY,
        group_by: Tags = None,
        order_by: Ordered = None,
        limit: Limit = 10,
        offset: Offset = 0,
        group_search: GroupSearch = None,
        other_group: OtherGroup = True,
        fill: Filled = Fill.NULL,
        compare: Compared = None,
    ) -> MetricResult | None:
        asked = _asked(
            info.context,
            range=range,
            granularity=granularity,
            max_points=max_points,
            timezone=timezone,
            week_start=week_start,
            group_by=group_by,
            order_by=order_by,
            limit=limit,
            offset=offset,
            group_search=group_search,
            other_group=other_group,
            fill=fill,
            compare=compare,
        )
        wanted = trends.Wanted.of("metrics", selection(info._raw_info))  # noqa: SLF001
        return await metrics.query(info.context, self.name, where, asked, wanted, known=True)

    @strawberry.field(description="Its points in a range, newest first.")
    async def samples(
        self,
        info: Asked,
        *,
        range: Range,  # noqa: A002
        where: WhichPoints = None,
        timezone: InZone = UTC_ZONE,
        week_start: Weeks = WeekStart.MONDAY,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Sample] | None:
        paging = Paging(first, after, last, before)
        span = resolve_range(range, info.context.now(), timezone, week_start=week_start)
        span = info.context.up_to_latest(span)
        found = await metrics.samples(info.context, self.name, span, where, paging)
        return Connection.of(found)


@strawberry.type(description="All events of one name.")
class EventType(Node):
    name: str = strawberry.field(description="What happened.")
    summary: strawberry.Private[SummaryRow]
    keys: strawberry.Private[Keys]

    @strawberry.field(description="Number of events.")
    def count(self) -> Long:
        return Long(_computed(self.summary.count))

    @strawberry.field(description="The earliest time of its events.")
    def first_seen_at(self) -> Instant:
        return Instant(_computed(self.summary.first))

    @strawberry.field(description="The latest time of its events.")
    def last_seen_at(self) -> Instant:
        return Instant(_computed(self.summary.last))

    @strawberry.field(
        description=("The properties that its events have, sorted; at most the 1000 most frequent.")
    )
    async def properties(self, info: Asked) -> list[PropertyInfo]:
        found, everything = await self.keys.of(self.name, selected_names(info))
        return [
            PropertyInfo(
                key=row.key or "", event_name=self.name, events=everything, row=row, keys=self.keys
            )
            for row in found
        ]


def _asked(ctx: Context, **given: Any) -> trends.Asked:  # noqa: ANN401 - arguments of `query`
    return trends.Asked(
        range=given["range"],
        zone=given["timezone"],
        week_start=given["week_start"],
        granularity=given["granularity"],
        max_points=given["max_points"],
        keys=metrics.keys(ctx, given["group_by"] or []),
        order=ordered("metrics", given["order_by"]),
        limit=given["limit"],
        offset=given["offset"],
        search=given["group_search"] or "",
        others=given["other_group"],
        fill=given["fill"],
        compare=given["compare"],
    )


def questions_of_list(info: Asked) -> list[Question]:
    """Return what each metric of a list that is selected will be asked, before they are known."""
    tree = selection(info._raw_info)  # noqa: SLF001 - the only way to the document
    nodes = [one for one in tree if one.name == "nodes"]
    nodes += [one for of in tree if of.name == "edges" for one in of.below if one.name == "node"]
    return [question for node in nodes for question in _questions_below(info, node.below, "")]


def questions_of_metric(info: Asked, name: str) -> list[Question]:
    """Return what the metric that is selected will be asked, before it is known to be there."""
    return _questions_below(info, selection(info._raw_info), name)  # noqa: SLF001 - as above


def _questions_below(info: Asked, fields: Sequence[Selected], metric: str) -> list[Question]:
    queries = [field for field in fields if field.name == "query"]
    return [question for field in queries for question in _questions(info, field, metric)]


def _questions(info: Asked, field: Selected, metric: str) -> list[Question]:
    converter = info.schema.schema_converter
    fields = get_object_definition(Metric, strict=True).fields
    (query,) = (each for each in fields if each.name == "query")
    try:
        given = convert_arguments(
            field.arguments, query.arguments, converter.scalar_registry, info.schema.config
        )
        where = given.pop("where")
        asked = _asked(info.context, **given)
        wanted = trends.Wanted.of("metrics", field.below)
    except AnalyticsError:
        return []  # the metrics will say why, each at its place
    return metrics.questions_of(info.context, metric, where, asked, wanted)


def metrics_of(ctx: Context, rows: Sequence[SummaryRow]) -> list[Metric]:
    """Present metrics of one list, which ask for their tags together."""
    keys = Keys(ctx, TAGS, [row.name for row in rows])
    return [
        Metric(id=named_id(METRIC, row.name), name=row.name, summary=row, keys=keys) for row in rows
    ]


def event_types_of(ctx: Context, rows: Sequence[SummaryRow]) -> list[EventType]:
    """Present kinds of events of one list, which ask for their properties together."""
    keys = Keys(ctx, PROPERTIES, [row.name for row in rows])
    return [
        EventType(id=named_id(EVENT_TYPE, row.name), name=row.name, summary=row, keys=keys)
        for row in rows
    ]


_Presented = Callable[[Context, Sequence[SummaryRow]], Sequence[Node]]
_NAMED: Final[dict[str, tuple[str, _Presented]]] = {
    METRIC: ("metrics", metrics_of),
    EVENT_TYPE: ("events", event_types_of),
}
"""Whose ids hold a name: the table, and how a row is presented."""


async def find(info: Asked, id: str) -> Node | None:  # noqa: A002
    """Find what has an id; None for an id that nothing has, whatever it looks like."""
    kind = id.partition(":")[0]
    if kind not in _NAMED:
        return await events.find(info.context, id)
    table, presented = _NAMED[kind]
    name = name_in(kind, id)
    if name is None:
        return None
    asked = catalogue.wanted(table, selected_names(info))
    row = await catalogue.summary(info.context, table, name, asked)
    return presented(info.context, [row])[0] if row else None
