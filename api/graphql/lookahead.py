"""Look-ahead: the series queries below metrics, read from the document before the metrics.

The resolvers run them in the statements that find the metrics.
"""

from collections.abc import Sequence

from strawberry.types import get_object_definition
from strawberry.types.arguments import convert_arguments

from api.graphql.arguments import metric_series_arguments
from api.graphql.info import ContextInfo
from api.graphql.metric import Metric
from resolvers import metrics
from resolvers.series.request import SeriesSelection
from schema.errors import AnalyticsError
from schema.selection import SelectedField, selected_fields
from store.query.series.types import SeriesQuery


def list_queries(info: ContextInfo) -> list[SeriesQuery]:
    """List the series queries below a list of metrics, whose names are not known yet."""
    fields = selected_fields(info._raw_info)  # noqa: SLF001 - the only way to the document
    nodes = [field for field in fields if field.name == "nodes"]
    for edges in fields:
        if edges.name == "edges":
            nodes += [field for field in edges.fields if field.name == "node"]
    return [query for node in nodes for query in _queries_below(info, node.fields, "")]


def metric_queries(info: ContextInfo, name: str) -> list[SeriesQuery]:
    """List the series queries below one metric, which may turn out not to exist."""
    return _queries_below(info, selected_fields(info._raw_info), name)  # noqa: SLF001 - as above


def _queries_below(
    info: ContextInfo, fields: Sequence[SelectedField], metric: str
) -> list[SeriesQuery]:
    query_fields = [field for field in fields if field.name == "query"]
    return [query for field in query_fields for query in _field_queries(info, field, metric)]


def _field_queries(info: ContextInfo, field: SelectedField, metric: str) -> list[SeriesQuery]:
    converter = info.schema.schema_converter
    definitions = get_object_definition(Metric, strict=True).fields
    (definition,) = (candidate for candidate in definitions if candidate.name == "query")
    try:
        values = convert_arguments(
            field.arguments, definition.arguments, converter.scalar_registry, info.schema.config
        )
        where = values.pop("where")
        arguments = metric_series_arguments(info.context, **values)
        selection = SeriesSelection.from_fields("metrics", field.fields)
    except AnalyticsError:
        return []  # the field itself raises it again, with its path
    return metrics.first_queries(info.context, metric, where, arguments, selection)
