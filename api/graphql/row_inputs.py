"""Rows in arguments of mutations: as the REST API's fields, or parsed before the execution."""

from collections.abc import Mapping
from typing import Any, Final

from graphql import FieldNode, ObjectValueNode, VariableNode

from api.graphql.info import ContextInfo
from schema.errors import AnalyticsError
from schema.recording import EventInput, MetricInput, sent_time
from store.ingest.decoder import Batch

MUTATIONS: Final = frozenset({"recordMetrics", "recordEvents"})
_INPUT: Final = "input"


def metric_row(point: MetricInput) -> Mapping[str, object]:
    """Return a point with the REST API's fields."""
    return {
        "metric_name": point.name,
        "value": point.value,
        "tags": point.tags,
        "timestamp": sent_time(point.time),
        "id": point.id,
    }


def event_row(event: EventInput) -> Mapping[str, object]:
    """Return an event with the REST API's fields."""
    return {
        "event_name": event.name,
        "user_id": event.user_id,
        "session_id": event.session_id,
        "properties": event.properties,
        "timestamp": sent_time(event.time),
        "id": event.id,
    }


def rows_variable(node: FieldNode) -> str | None:
    """Return the variable that has the rows of a mutation, alone or in a literal of its input."""
    for argument in node.arguments or ():
        if argument.name.value == _INPUT:
            value = argument.value
            if isinstance(value, ObjectValueNode) and len(value.fields) == 1:
                value = value.fields[0].value
            return value.name.value if isinstance(value, VariableNode) else None
    return None


def row_batch(info: ContextInfo) -> Batch[Any] | AnalyticsError | None:
    """Return the rows of a mutation if they were parsed before the execution, or their error."""
    node = info._raw_info.field_nodes[0]  # noqa: SLF001 - the only way to the document
    name = rows_variable(node)
    return None if name is None else info.context.row_batches.get(name)
