"""The node field: any Metric, EventType or Event by its id."""

from collections.abc import Callable, Sequence
from typing import Final

from api.graphql.event_type import event_types_of
from api.graphql.info import ContextInfo, selected_names
from api.graphql.metric import metrics_of
from resolvers import catalogue, events
from resolvers.context import Context
from resolvers.global_ids import EVENT_TYPE, METRIC, name_from_id
from schema.node import Node
from store.query.catalogue import SummaryRow

_Presented = Callable[[Context, Sequence[SummaryRow]], Sequence[Node]]


_NAMED: Final[dict[str, tuple[str, _Presented]]] = {
    METRIC: ("metrics", metrics_of),
    EVENT_TYPE: ("events", event_types_of),
}
"""Whose ids hold a name: the table, and how a row is presented."""


async def find(info: ContextInfo, id: str) -> Node | None:  # noqa: A002
    """Find what has an id; None for an id that nothing has, whatever it looks like."""
    kind = id.partition(":")[0]
    if kind not in _NAMED:
        return await events.find(info.context, id)
    table, presented = _NAMED[kind]
    name = name_from_id(kind, id)
    if name is None:
        return None
    asked = catalogue.summary_columns(table, selected_names(info))
    row = await catalogue.summary(info.context, table, name, asked)
    return presented(info.context, [row])[0] if row else None
