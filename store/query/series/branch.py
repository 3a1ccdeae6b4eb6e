"""Drafts of branches: the rows of a branch, and the states over the rows."""

from typing import Final, NamedTuple

from schema.series.aggregates import Aggregate
from store.query.fields.json_fields import keys_of, property_double, property_group
from store.query.filters.operators import TIME_OPERATORS
from store.query.series.plan import Plan, Property, PropertyOf, Results
from store.query.series.types import OTHER_SERIES, OVERALL_SERIES, QueryShape
from store.query.sql import Slots
from store.query.tables import METRICS, TABLE_BY_NAME

# The step of a counter since the previous row of its series in the range; a reset starts at 0.
# Tags are stored sorted, so equal tags are equal texts. Their hash takes less memory.
_STEPS: Final = f"""(
    SELECT *, if(value >= before, value - before, value) AS step
    FROM (
        SELECT *, lagInFrame(value, 1, value) OVER (
            PARTITION BY name, sipHash64(tags)
            ORDER BY {", ".join(METRICS.row_order)}
            ROWS BETWEEN 1 PRECEDING AND CURRENT ROW
        ) AS before
        FROM {METRICS.name}
        WHERE {{where}}
    )
)"""


class BranchDraft(NamedTuple):
    """The parts of a branch: `metric_sql` is its metric's name, `rows_sql` its FROM and WHERE."""

    number: int
    shape: QueryShape
    plan: Plan
    total_aggregates: tuple[Aggregate, ...]
    column_aggregates: tuple[Aggregate, ...]
    metric_sql: str
    rows_sql: str
    slots: Slots

    def select_row(self, *values: str) -> str:
        """Select values as one row of the branch's answer."""
        return select_row(self.number, *values)

    def states_sql(self, prefix: str = "s") -> str:
        """Select the states of a group of rows."""
        return self.plan.states_sql(prefix)

    @property
    def columns(self) -> Results:
        """The results of each bucket, over finished states."""
        return self.plan.results_over_finished_states(self.column_aggregates)

    @property
    def totals(self) -> Results:
        """The totals over merged states, or over rows where the branch has no states."""
        ranked_groups = self.shape.ranked_groups
        if (
            self.shape.ranking
            or self.column_aggregates
            or (ranked_groups and ranked_groups.overall_series)
        ):
            return self.plan.results_over_merged_states(self.total_aggregates)
        return self.plan.results_over_rows(self.total_aggregates)


def select_row(number: int, *values: str) -> str:
    """Select values as one row of a branch's answer: a JSON array that begins with its number."""
    row = ", ".join([str(number), *values])
    return f"SELECT formatRowNoNewline('JSONCompactEachRow', {row}) AS line"


def property_expressions(slots: Slots, *, long_numbers: bool) -> PropertyOf:
    """Return a function from paths to expressions of properties.

    `long_numbers` as in `QueryShape`.
    """

    def property_of(path: str, *, cast: bool) -> Property:
        keys = keys_of(path, "property")
        return Property(
            property_double(slots, keys, cast, long_numbers=long_numbers),
            property_group(slots, keys, long_numbers=long_numbers),
        )

    return property_of


def shape_rows_sql(shape: QueryShape, metrics: frozenset[str], slots: Slots, *, steps: bool) -> str:
    """Return FROM and WHERE for the rows of a shape; with `steps` for rows with their steps."""
    time_column = TABLE_BY_NAME[shape.table].time_column
    conditions = [shape.condition]
    if shape.names_sql:
        conditions.append(f"name IN (\n{shape.names_sql}\n)")
    elif shape.by_name:
        conditions.append(f"name IN {slots.bind('Array(String)', sorted(metrics))}")
    for operator, moment in zip(("gte", "lt"), shape.time_range, strict=True):
        type_name, template = TIME_OPERATORS[operator]
        conditions.append(template.format(column=time_column, value=slots.bind(type_name, moment)))
    where = "\n  AND ".join(conditions)
    if steps:
        return f"FROM {_STEPS.format(where=where)}\nWHERE 1"
    return f"FROM {shape.table}\nWHERE {where}"


def numbers_with_overall(has_series: str, number: str, *, other_group: bool) -> str:
    """Return the series of a group as rows: its own or the other series, and the overall series.

    `has_series` is the condition that the group has a series of its own.
    """
    own_number = f"toInt64({number})"
    if other_group:
        return f"arrayJoin([if({has_series}, {own_number}, {OTHER_SERIES}), {OVERALL_SERIES}])"
    return f"arrayJoin(if({has_series}, [{own_number}, {OVERALL_SERIES}], [{OVERALL_SERIES}]))"
