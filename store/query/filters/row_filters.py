"""Row filters: the rows that a key shows, as limits of every row set."""

from collections.abc import Iterator

from schema.access import RowFilter
from schema.errors import bad_input
from schema.filters import EventFilter
from store.query.filters.conditions import event_condition, metric_condition
from store.query.filters.row_set import RowSet
from store.query.tables import METRICS

_NO_ROW = "0"


def restrict(rows: RowSet, row_filter: RowFilter) -> None:
    """Limit rows, and all subqueries over them, to those that a row filter shows.

    Raises `AnalyticsError` for a wrong filter, and for `performed`, whose meaning depends on the
    range of a query.
    """
    condition = _NO_ROW
    if rows.table == METRICS.name:
        if row_filter.metrics is not None:
            condition = metric_condition(row_filter.metrics, rows, "rowFilter.metrics")
    elif row_filter.events is not None:
        for field, where in _parts("rowFilter.events", row_filter.events):
            if where.performed is not None:
                raise bad_input(f"{field}.performed", "can't be in a row filter")
        condition = event_condition(row_filter.events, rows, None, "rowFilter.events")
    rows.restrict(condition)


def _parts(field: str, where: EventFilter) -> Iterator[tuple[str, EventFilter]]:
    """Yield a filter and all filters in it, with their names; the compiler limits their depth."""
    yield field, where
    for name, parts in (("AND", where.and_), ("OR", where.or_)):
        for index, part in enumerate(parts or ()):
            yield from _parts(f"{field}.{name}[{index}]", part)
    if where.not_ is not None:
        yield from _parts(f"{field}.NOT", where.not_)
