"""The `node` field: a Metric, EventType, Event or Dashboard by its id."""

from collections.abc import Callable, Sequence
from typing import Final

from api.graphql.dashboards.types import dashboard_of
from api.graphql.event_type import event_types_of
from api.graphql.info import ContextInfo, selected_names
from api.graphql.metric import metrics_of
from resolvers import catalogue, events
from resolvers.context import Context
from resolvers.dashboards import dashboards
from resolvers.global_ids import DASHBOARD, EVENT_TYPE, METRIC, name_from_id
from schema.errors import AnalyticsError
from schema.node import Node
from store.query.catalogue import SummaryRow

_NodeFactory = Callable[[Context, Sequence[SummaryRow]], Sequence[Node]]

_NAMED_TYPES: Final[dict[str, tuple[str, _NodeFactory]]] = {
    METRIC: ("metrics", metrics_of),
    EVENT_TYPE: ("events", event_types_of),
}
"""Types whose ids hold a name: the table of each, and the factory of its nodes."""


async def find(info: ContextInfo, id: str) -> Node | None:  # noqa: A002
    """Find a node by its id; None for any text that is no id of a node."""
    kind = id.partition(":")[0]
    if kind == DASHBOARD:
        return await _find_dashboard(info.context, id)
    if kind not in _NAMED_TYPES:
        return await events.find(info.context, id)
    table, make_nodes = _NAMED_TYPES[kind]
    name = name_from_id(kind, id)
    if name is None:
        return None
    columns = catalogue.summary_columns(table, selected_names(info))
    row = await catalogue.summary(info.context, table, name, columns)
    return make_nodes(info.context, [row])[0] if row else None


async def _find_dashboard(ctx: Context, id: str) -> Node | None:  # noqa: A002
    try:
        return dashboard_of(await dashboards.find(ctx, id, None))
    except AnalyticsError as error:
        if error.code != "NOT_FOUND":
            raise
        return None
