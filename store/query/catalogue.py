"""The catalogue: names of metrics and of kinds of events, with counts and descriptions."""

from collections.abc import Collection, Mapping
from typing import Final

import msgspec

from store.query.filters.row_set import RowSet
from store.query.pages import METRIC_ORDER, Slice, within_slice
from store.query.sql import Slots, Statement
from store.query.statements import IN_ORDER

SUMMARY: Final = {
    "count": "count()",
    "first": "toUnixTimestamp64Milli(min(time))",
    "last": "toUnixTimestamp64Milli(max(time))",
    "series": "uniqCombined(tags)",
}
"""Aggregates over the rows of one name."""
DESCRIPTION_COLUMNS: Final = ("kind", "unit", "description")
"""Texts that users write about a metric; the empty text stands for none."""

# The table is sorted by name, so reading in order stops at the end of the page. At 50 metrics of
# 10 M points, 3 names take 6 ms instead of 44.
_CONTAINS: Final = "position(caseFoldUTF8({column}), caseFoldUTF8({value})) > 0"


class SummaryRow(msgspec.Struct):
    """A name with its selected columns; the other columns are None."""

    name: str
    count: int | None = None
    first: int | None = None
    last: int | None = None
    series: int | None = None
    kind: str | None = None
    unit: str | None = None
    description: str | None = None


class DescriptionRow(msgspec.Struct):
    kind: str
    unit: str
    description: str


def search(rows: RowSet, text: str | None) -> None:
    """Narrow rows to names that contain a text, ignoring case."""
    if text:
        rows.conditions.append(contains(rows, "name", text))


def contains(rows: RowSet | Slots, column: str, text: str) -> str:
    """Return the condition that a column contains a text, by full Unicode case folding."""
    return _CONTAINS.format(column=column, value=rows.bind("String", text))


def with_kind(rows: RowSet, kind: str, default: str) -> None:
    """Narrow metrics to one kind; a metric without a description has the default kind."""
    slot = rows.bind("String", kind)
    if kind == default:
        other_names = f"SELECT name FROM ({_descriptions(rows)}) WHERE kind NOT IN ('', {slot})"
        rows.conditions.append(f"name NOT IN ({other_names})")
    else:
        rows.conditions.append(
            f"name IN (SELECT name FROM ({_descriptions(rows)}) WHERE kind = {slot})"
        )


def summaries(rows: RowSet, column_names: Collection[str], list_slice: Slice) -> Statement:
    """List names with the selected columns, in one statement; up to `count` + 1 `SummaryRow`s."""
    rows = within_slice(rows, METRIC_ORDER, list_slice)
    rows.scan = rows.scan._replace(name_limit=list_slice.count + 1)
    columns = [
        "name",
        *(f"{text} AS {key}" for key, text in SUMMARY.items() if key in column_names),
    ]
    order = METRIC_ORDER.order_by(backward=list_slice.backward)
    summary_rows = rows.statement(
        f"SELECT {', '.join(columns)}",
        f"GROUP BY name\n{order}\nLIMIT {rows.bind('UInt32', list_slice.count + 1)}\n{IN_ORDER}",
    )
    if not any(key in column_names for key in DESCRIPTION_COLUMNS):
        return summary_rows
    text = (
        f"SELECT * FROM (\n{summary_rows.text}\n) AS found\n"
        f"LEFT JOIN (\n{_descriptions(rows)}\n) AS described USING (name)\n{order}"
    )
    return rows.slots.statement(text, (rows.scan,))


def first(rows: RowSet) -> Statement:
    """Read one name from the first row alone; one `SummaryRow`, or none without rows."""
    rows.scan = rows.scan._replace(stops_early=True)
    return rows.statement("SELECT name", "LIMIT 1")


def total(rows: RowSet) -> Statement:
    """Count names; one `CountRow`."""
    return rows.statement("SELECT uniqExact(name) AS rows")


def _descriptions(rows: RowSet) -> str:
    """Select the descriptions of a project, which is the first condition of every row set."""
    return (
        "SELECT name, kind, unit, description FROM metric_descriptions FINAL"
        f" WHERE {rows.conditions[0]}"
    )


def description(project: str, name: str) -> Statement:
    """Read the description of a metric; one `DescriptionRow`, or none."""
    rows = RowSet("metric_descriptions", project)
    text = f"{_descriptions(rows)} AND name = {rows.bind('String', name)}"
    return rows.slots.statement(text, ())


def describe(project: str, name: str, texts: Mapping[str, str]) -> Statement:
    """Describe a metric by the columns in `texts`; the other columns keep their values."""
    columns = [
        f"{{{key}:String}}" if key in texts else f"argMax({key}, version)"
        for key in DESCRIPTION_COLUMNS
    ]
    return Statement(
        "INSERT INTO metric_descriptions\n"
        f"(project, name, {', '.join(DESCRIPTION_COLUMNS)}, version)\n"
        f"SELECT {{p0:String}}, {{p1:String}}, {', '.join(columns)}, max(version) + 1\n"
        "FROM metric_descriptions WHERE project = {p0:String} AND name = {p1:String}",
        {"p0": project, "p1": name, **texts},
    )
