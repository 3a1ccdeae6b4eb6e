"""GraphQL types with fields that ask further questions."""

from typing import Annotated, Final

import strawberry
from graphql import FieldNode, FragmentDefinitionNode, FragmentSpreadNode, InlineFragmentNode
from strawberry import argument
from strawberry.types import Info
from strawberry.types.nodes import convert_directives

from resolvers import events, metrics
from resolvers.context import Context
from schema.events import Event, EventFilter
from schema.metrics import MetricResult
from schema.ranges import TimeRangeInput
from schema.scalars import Long

Asked = Info[Context, None]

Range = Annotated[TimeRangeInput, argument(description="Which time.")]

_IF: Final = {"if": True}


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether more follow.")
    has_previous_page: bool = strawberry.field(description="Whether any came before.")
    start_cursor: str | None = strawberry.field(description="Cursor of the first entry.")
    end_cursor: str | None = strawberry.field(description="Cursor of the last, to go on `after`.")


@strawberry.type(description="A number that is measured again and again.")
class Metric:
    name: str = strawberry.field(description="Its name.")

    @strawberry.field(description="Its values in a range, as for `GET /metrics/{name}`.")
    async def query(self, info: Asked, range: Range) -> MetricResult:  # noqa: A002
        return await metrics.aggregate(info.context, self.name, range)


@strawberry.type(description="A metric in a list.")
class MetricEdge:
    cursor: str = strawberry.field(description="Its place in the list.")
    node: Metric = strawberry.field(description="The metric.")


@strawberry.type(description="A page of metrics, sorted by name.")
class MetricConnection:
    edges: list[MetricEdge] = strawberry.field(description="The metrics with their cursors.")
    nodes: list[Metric] = strawberry.field(description="The metrics.")
    page_info: PageInfo = strawberry.field(description="Where the page stands.")
    total_count: Long = strawberry.field(description="Metrics in the whole list.")


@strawberry.type(description="An event in a list.")
class EventEdge:
    cursor: str = strawberry.field(description="Its place in the list, whatever arrives meanwhile.")
    node: Event = strawberry.field(description="The event.")


@strawberry.type(description="A page of events, newest first.")
class EventConnection:
    edges: list[EventEdge] = strawberry.field(description="The events with their cursors.")
    nodes: list[Event] = strawberry.field(description="The events.")
    page_info: PageInfo = strawberry.field(description="Where the page stands.")
    where: strawberry.Private[EventFilter]
    range: strawberry.Private[TimeRangeInput | None]

    @strawberry.field(description="Events in the whole list; counted only when it is selected.")
    async def total_count(self, info: Asked) -> Long:
        return Long(await events.total(info.context, self.where, self.range))


def selected_names(info: Asked) -> set[str]:
    """Return the names of the fields that are selected below this one, through fragments.

    Not by `info.selected_fields`: it expands a fragment each time it is spread, which takes 13 s
    for a document of 20 that each spread the next one twice, and it keeps what is skipped.
    """
    raw = info._raw_info  # noqa: SLF001 - the only way to the document
    names: set[str] = set()
    spread: set[str] = set()
    below: list[FieldNode | FragmentDefinitionNode | InlineFragmentNode] = [*raw.field_nodes]
    while below:
        parent = below.pop()
        for node in parent.selection_set.selections if parent.selection_set else ():
            directives = convert_directives(raw, node.directives)
            if directives.get("skip", {}).get("if") or not directives.get("include", _IF)["if"]:
                continue
            if isinstance(node, FieldNode):
                names.add(node.name.value)
            elif isinstance(node, InlineFragmentNode):
                below.append(node)
            elif isinstance(node, FragmentSpreadNode) and node.name.value not in spread:
                spread.add(node.name.value)
                below.append(raw.fragments[node.name.value])
    return names


def metric_connection(
    names: list[str], search: str | None, first: int, after: str | None
) -> MetricConnection:
    """Cut a page out of the sorted names; a name is its own cursor."""
    found = [name for name in names if search is None or search in name]
    rest = [name for name in found if after is None or name > after]
    shown = [Metric(name=name) for name in rest[:first]]
    return MetricConnection(
        edges=[MetricEdge(cursor=metric.name, node=metric) for metric in shown],
        nodes=shown,
        page_info=_page_info([metric.name for metric in shown], after, has_next=len(rest) > first),
        total_count=Long(len(found)),
    )


def event_connection(
    page: events.EventPage,
    where: EventFilter,
    range: TimeRangeInput | None,  # noqa: A002
    after: str | None,
) -> EventConnection:
    """Present a page of events."""
    edges = [
        EventEdge(cursor=cursor, node=event)
        for cursor, event in zip(page.cursors, page.events, strict=True)
    ]
    return EventConnection(
        edges=edges,
        nodes=page.events,
        page_info=_page_info(page.cursors, after, has_next=page.has_next),
        where=where,
        range=range,
    )


def _page_info(cursors: list[str], after: str | None, *, has_next: bool) -> PageInfo:
    return PageInfo(
        has_next_page=has_next,
        has_previous_page=after is not None,
        start_cursor=cursors[0] if cursors else None,
        end_cursor=cursors[-1] if cursors else None,
    )
