"""Look-ahead: series queries below a metric, read from the document before its rows are known."""

from collections.abc import Sequence

from strawberry.types import get_object_definition
from strawberry.types.arguments import convert_arguments

from api.graphql.arguments import metric_series_arguments
from api.graphql.info import ContextInfo
from api.graphql.metric import Metric
from resolvers import metrics
from resolvers.series import request as trends
from schema.errors import AnalyticsError
from schema.selection import SelectedField, selected_fields
from store.query.series.types import SeriesQuery


def list_queries(info: ContextInfo) -> list[SeriesQuery]:
    """Return what each metric of a list that is selected will be asked, before they are known."""
    tree = selected_fields(info._raw_info)  # noqa: SLF001 - the only way to the document
    nodes = [one for one in tree if one.name == "nodes"]
    nodes += [one for of in tree if of.name == "edges" for one in of.fields if one.name == "node"]
    return [question for node in nodes for question in _questions_below(info, node.fields, "")]


def metric_queries(info: ContextInfo, name: str) -> list[SeriesQuery]:
    """Return what the metric that is selected will be asked, before it is known to be there."""
    return _questions_below(info, selected_fields(info._raw_info), name)  # noqa: SLF001 - as above


def _questions_below(
    info: ContextInfo, fields: Sequence[SelectedField], metric: str
) -> list[SeriesQuery]:
    queries = [field for field in fields if field.name == "query"]
    return [question for field in queries for question in _questions(info, field, metric)]


def _questions(info: ContextInfo, field: SelectedField, metric: str) -> list[SeriesQuery]:
    converter = info.schema.schema_converter
    fields = get_object_definition(Metric, strict=True).fields
    (query,) = (each for each in fields if each.name == "query")
    try:
        given = convert_arguments(
            field.arguments, query.arguments, converter.scalar_registry, info.schema.config
        )
        where = given.pop("where")
        asked = metric_series_arguments(info.context, **given)
        wanted = trends.SeriesSelection.from_fields("metrics", field.fields)
    except AnalyticsError:
        return []  # the metrics will say why, each at its place
    return metrics.first_queries(info.context, metric, where, asked, wanted)
