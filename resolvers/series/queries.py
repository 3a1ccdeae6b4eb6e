"""Queries of a series result: one that ranks groups, and one for the series of each range."""

from dataclasses import dataclass, replace

from resolvers.series.request import SeriesArguments, SeriesSelection, SeriesSource
from resolvers.series.values import BucketedRange
from schema.buckets import Fill
from schema.series.aggregates import COUNT, Aggregate
from store.query.series.aggregates import in_engine
from store.query.series.types import QueryShape, RankedGroups, Ranking, SeriesQuery
from store.query.tables import METRICS
from store.query.time.buckets import Buckets


@dataclass(frozen=True, slots=True)
class SeriesQueries:
    """The queries of a result: a ranking of groups, and series of each range.

    `includes_overall`: the same queries return the overall series.
    """

    source: SeriesSource
    arguments: SeriesArguments
    totals: frozenset[Aggregate]
    columns: frozenset[Aggregate]
    includes_overall: bool

    @classmethod
    def for_groups(
        cls, source: SeriesSource, arguments: SeriesArguments, selection: SeriesSelection
    ) -> "SeriesQueries":
        """Return the queries of the series of groups, or of the single series without groups."""
        columns = frozenset(map(in_engine, selection.columns))
        if selection.times and arguments.fill is Fill.NONE and not columns:
            columns = frozenset({COUNT})  # tells which buckets have data
        totals = frozenset(map(in_engine, selection.totals))
        totals = totals if totals or columns else frozenset({COUNT})
        includes_overall = (
            bool(arguments.group_columns)
            and selection.overall is not None
            and not _has_overall_query(arguments, selection)
        )
        return cls(source, arguments, totals, columns, includes_overall)

    @classmethod
    def for_overall(
        cls, source: SeriesSource, arguments: SeriesArguments, selection: SeriesSelection
    ) -> "SeriesQueries | None":
        """Return the queries of the overall series; None if no query of its own is needed."""
        if not (
            arguments.group_columns
            and selection.overall
            and _has_overall_query(arguments, selection)
        ):
            return None
        return cls.for_groups(source, replace(arguments, group_columns=()), selection.overall)

    @property
    def needs_ranking_first(self) -> bool:
        """Whether the series are fetched after the ranking, instead of with it.

        A row in several groups of an array then counts once in the other group.
        """
        return bool(self.columns) or _has_arrays(self.arguments)

    def ranking(self, bucketed_range: BucketedRange) -> SeriesQuery:
        """Return the query that ranks groups; it has all totals if no other query follows."""
        arguments = self.arguments
        ranking = Ranking(
            arguments.order,
            arguments.limit,
            arguments.other_group,
            arguments.offset,
            arguments.search,
            overall_series=self.includes_overall and not self.needs_ranking_first,
        )
        query = self._query(bucketed_range, ranking=ranking)
        return replace(query, totals=frozenset({COUNT})) if self.needs_ranking_first else query

    def for_range(
        self, bucketed_range: BucketedRange, ranked_groups: RankedGroups | None
    ) -> SeriesQuery:
        """Return the query of the series in a range."""
        range_buckets = bucketed_range.buckets if self.columns else None
        return self._query(bucketed_range, range_buckets=range_buckets, ranked_groups=ranked_groups)

    def _query(
        self,
        bucketed_range: BucketedRange,
        *,
        range_buckets: Buckets | None = None,
        ranking: Ranking | None = None,
        ranked_groups: RankedGroups | None = None,
    ) -> SeriesQuery:
        time_range = bucketed_range.time_range
        shape = QueryShape(
            table=self.source.table,
            condition=self.source.condition(time_range),
            time_range=(time_range.from_, time_range.to),
            by_name=self.source.table == METRICS.name,
            event_names=self.source.event_names,
            group_columns=self.arguments.group_columns,
            buckets=range_buckets,
            ranking=ranking,
            ranked_groups=ranked_groups,
        )
        columns = self.columns if range_buckets else frozenset()
        return SeriesQuery(shape, self.source.metric, self.totals, columns)


def _has_arrays(arguments: SeriesArguments) -> bool:
    return any(column.is_array for column in arguments.group_columns)


def _has_overall_query(arguments: SeriesArguments, selection: SeriesSelection) -> bool:
    """Say whether the overall series has a query of its own.

    It needs one if a row can be in several groups of an array.
    """
    return selection.overall_needs_own_query or _has_arrays(arguments)
