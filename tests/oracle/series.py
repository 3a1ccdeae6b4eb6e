"""Comparison of a series answer with the result that the oracle computes from the rows."""

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from schema.buckets import Granularity
from schema.scalars import Instant, parse_instant, rfc3339
from tests.harness.panels import Group, Panel
from tests.oracle.aggregates import (
    NULL,
    Aggregate,
    Expected,
    Row,
    counter_increases,
    expected_value,
)
from tests.oracle.buckets import ExpectedBuckets, cut_range
from tests.oracle.columns import ExpectedColumns, Side
from tests.oracle.filters import passes
from tests.oracle.group_keys import key_name, matches_key
from tests.oracle.ranges import Interval, comparison_range, expected_range

BUCKETED_FIELDS: Final = frozenset({"points", "columns", "previousColumns"})


def _filter_row(row: Row) -> Mapping[str, Any]:
    """Return a row under the field names of a filter."""
    return {
        "name": row.name,
        "value": row.value,
        "tags": row.tags,
        "properties": row.properties,
        "userId": row.user,
        "sessionId": row.session,
    }


def assert_result(panel: Panel, answer: Mapping[str, Any], rows: Sequence[Row], now: int) -> None:
    """Compare an answer with the result that the oracle computes from the rows."""
    try:
        _Checker(panel, answer, rows, now).check()
    except AssertionError as error:
        sorted_rows = sorted(rows, key=lambda row: (row.time, row.position))
        texts = [f"{rfc3339(Instant(row.time))} {row}" for row in sorted_rows]
        error.add_note("\n".join([panel.text("query", "p"), json.dumps(answer), *texts]))
        raise


class _Checker:
    """A panel, its answer, and the rows of both ranges."""

    def __init__(
        self, panel: Panel, answer: Mapping[str, Any], rows: Sequence[Row], now: int
    ) -> None:
        self.panel, self.answer, self.now = panel, answer, now
        meta = answer["meta"]
        self.buckets = self._expected_buckets(meta["range"])
        rows = [row for row in rows if passes(panel.where, _filter_row(row))]
        times = [row.time for row in rows]
        expected = expected_range(
            panel.range, now, panel.zone, times, sunday_weeks=panel.sunday_weeks
        )
        assert (self.buckets.start, self.buckets.end) == expected
        self.all_rows = rows
        all_time = "ALL_TIME" in f"{panel.range} {panel.compare}"
        self.last_instant = max(*times, now) if all_time and times else now
        self.columns = ExpectedColumns(panel, rows, self.last_instant)
        self.rows = self._inside(rows, self.buckets)
        self.increases = counter_increases(self.rows)
        comparison = meta["comparisonRange"]
        assert (comparison is None) == (panel.compare is None)
        self.previous_buckets = None
        self.previous_rows: list[Row] = []
        if comparison and panel.compare:
            buckets = self._expected_buckets(comparison, self.buckets)
            self._check_comparison_range(panel.compare, (buckets.start, buckets.end), times)
            self.previous_buckets = buckets
            self.previous_rows = self._inside(rows, buckets)
        self.previous_increases = counter_increases(self.previous_rows)

    def _check_comparison_range(self, compare: str, actual: Interval, times: Sequence[int]) -> None:
        if "mode" in compare:
            interval = self.buckets.start, self.buckets.end
            mode = compare.split()[1].strip("}")
            expected = comparison_range(mode, self.panel.range, interval, self.panel.zone)
        else:
            expected = expected_range(
                compare, self.now, self.panel.zone, times, sunday_weeks=self.panel.sunday_weeks
            )
        assert expected in (None, actual)

    def _expected_buckets(
        self, time_range: Mapping[str, str], current: ExpectedBuckets | None = None
    ) -> ExpectedBuckets:
        start, end = (int(parse_instant(time_range[key])) for key in ("from", "to"))
        panel = self.panel
        if not panel.has_buckets or (current and current.granularity is Granularity.AUTO):
            return ExpectedBuckets(start, end, Granularity.AUTO, (start, end))
        granularity = current.granularity if current else panel.granularity
        return cut_range(
            start,
            end,
            granularity,
            panel.max_points,
            panel.zone,
            sunday_weeks=panel.sunday_weeks,
        )

    @staticmethod
    def _inside(rows: Sequence[Row], buckets: ExpectedBuckets) -> list[Row]:
        return [row for row in rows if buckets.start <= row.time < buckets.end]

    def check(self) -> None:
        """Check all parts of the answer."""
        groups = self._groups(self.rows)
        meta, panel = self.answer["meta"], self.panel
        matching_keys = [
            key for key in groups if panel.search.casefold() in self._label(key).casefold()
        ]
        assert meta["range"]["granularity"] == self.buckets.granularity.name
        assert meta["range"]["timezone"] == panel.zone
        excess = len(matching_keys) - panel.offset - panel.limit
        is_truncated = bool(panel.group_keys) and not panel.other_group and excess > 0
        is_ahead = self.last_instant - self.now > 1000
        expected_codes = ["TRUNCATED"] * is_truncated + ["CLOCK_AHEAD"] * is_ahead
        assert meta["totalGroups"] == (len(matching_keys) if panel.group_keys else 1)
        assert meta["truncated"] == is_truncated
        codes = [warning["code"] for warning in meta["warnings"]]
        codes = [code for code in codes if code in ("TRUNCATED", "CLOCK_AHEAD")]
        assert codes == expected_codes
        series_keys = [self._key_of_series(series, groups) for series in self.answer["series"]]
        unlisted_groups = {key: rows for key, rows in groups.items() if key not in series_keys}
        listed_keys = [key for key in series_keys if key is not None]
        if panel.group_keys:
            count = max(0, min(panel.limit, len(matching_keys) - panel.offset))
            assert len(listed_keys) == len(set(listed_keys)) == count
            assert set(listed_keys) <= set(matching_keys)
            other_keys = {
                key for key in self._groups(self.previous_rows) if key not in listed_keys
            } | unlisted_groups.keys()
            has_other_series = panel.other_group and bool(other_keys)
            assert series_keys[len(listed_keys) :] == [None] * has_other_series
            later_keys = [] if panel.offset else unlisted_groups.keys() & set(matching_keys)
            later_groups = [groups[key] for key in later_keys]
            self._check_order([groups[key] for key in listed_keys], later_groups)
        else:
            assert series_keys == [()]
        has_all_groups = (
            panel.other_group or (panel.overall_fields or frozenset()) & BUCKETED_FIELDS
        )
        self.indexes, self.previous_indexes = self._visible_buckets(
            None if has_all_groups else listed_keys
        )
        if "times" in panel.series_fields:
            assert self.answer["times"] == _times(self.buckets, self.indexes)
        if "previousTimes" in panel.series_fields:
            buckets = self.previous_buckets
            previous_times = _times(buckets, self.previous_indexes) if buckets else None
            assert self.answer["previousTimes"] == previous_times
        for key, series in zip(series_keys, self.answer["series"], strict=True):
            row_lists = [
                self._rows_of_series(rows, key, listed_keys)
                for rows in (self.rows, self.previous_rows, self.all_rows)
            ]
            self._check_series(series, *self._sides(*row_lists), panel.series_fields)
        if panel.overall_fields is not None:
            overall = self.answer["overall"]
            name = panel.source if panel.table == "metrics" else "Events"
            assert (overall["key"], overall["label"], overall["isOther"]) == ([], name, False)
            sides = self._sides(self.rows, self.previous_rows, self.all_rows)
            self._check_series(overall, *sides, panel.overall_fields)

    def _sides(
        self, rows: Sequence[Row], previous_rows: Sequence[Row], all_rows: Sequence[Row]
    ) -> tuple[Side, Side | None]:
        """Return a series in its range, and in the range before if there is a comparison."""
        current = Side(rows, all_rows, self.increases, self.buckets, self.indexes)
        if not self.previous_buckets:
            return current, None
        return current, Side(
            previous_rows,
            all_rows,
            self.previous_increases,
            self.previous_buckets,
            self.previous_indexes,
        )

    def _label(self, group: Group) -> str:
        """Return the label of a group; a panel with a search has groups of texts only."""
        if not self.panel.search:
            return ""
        return ", ".join("(none)" if part is None else part[1] for part in group)

    def _rows_of_series(
        self, rows: Sequence[Row], key: Group | None, listed_keys: Sequence[Group]
    ) -> list[Row]:
        """Return the rows of a group; without a key, the rows of all unlisted groups."""
        grouped_rows = [(self.panel.group_of(row), row) for row in rows]
        return [
            row
            for group, row in grouped_rows
            if (group == key if key is not None else group not in listed_keys)
        ]

    def _groups(self, rows: Sequence[Row]) -> dict[Group, list[Row]]:
        groups: dict[Group, list[Row]] = {}
        for row in rows:
            groups.setdefault(self.panel.group_of(row), []).append(row)
        return groups

    def _key_of_series(
        self, series: Mapping[str, Any], groups: Mapping[Group, object]
    ) -> Group | None:
        """Return the group of a series; None for the series of the other groups."""
        keys, panel = series["key"], self.panel
        if series["isOther"]:
            assert (series["label"], keys) == ("Other", [])
            return None
        assert [key["name"] for key in keys] == [key_name(key) for key in panel.group_keys]
        if not panel.group_keys:
            label = panel.source if panel.table == "metrics" else "Events"
            assert series["label"] == label
            return ()
        texts = [key["value"] for key in keys]
        assert series["label"] == ", ".join("(none)" if t is None else t for t in texts)
        matches = [
            group for group in groups if all(map(matches_key, panel.group_keys, group, keys))
        ]
        assert len(matches) == 1, (keys, list(groups))
        return matches[0]

    def _check_order(
        self, listed_groups: Sequence[Sequence[Row]], later_groups: Sequence[Sequence[Row]]
    ) -> None:
        """Check that no series must come after the next one, nor the last after a later group."""
        aggregate, direction = self.panel.order or (Aggregate("count", "count", {}), "DESC")
        ranks = [self._rank(aggregate, direction, rows) for rows in listed_groups]
        pairs = [*pairwise(ranks)]
        if ranks:
            pairs += [(ranks[-1], self._rank(aggregate, direction, rows)) for rows in later_groups]
        for rank, next_rank in pairs:
            assert rank[0] <= next_rank[1], (rank, next_rank)

    def _rank(
        self, aggregate: Aggregate, direction: str, rows: Sequence[Row]
    ) -> tuple[float, float]:
        """Return the bounds of a group's sort value: the smallest comes first, null last."""
        value = expected_value(
            aggregate, rows, self.increases, self.buckets.end - self.buckets.start
        )
        if value == NULL:
            return float("inf"), float("inf")
        low, high = value.bounds
        return (low, high) if direction == "ASC" else (-high, -low)

    def _visible_buckets(self, listed_keys: Sequence[Group] | None) -> list[Sequence[int]]:
        """Return the indexes of visible buckets in both ranges; NONE looks at the listed groups."""
        lengths = [
            len(buckets.starts) if buckets else 0
            for buckets in (self.buckets, self.previous_buckets)
        ]
        if self.panel.fill_mode != "NONE":
            return [range(length) for length in lengths]
        present = {
            buckets.index_of(row.time)
            for rows, buckets in (
                (self.rows, self.buckets),
                (self.previous_rows, self.previous_buckets),
            )
            for row in rows
            if buckets and (listed_keys is None or self.panel.group_of(row) in listed_keys)
        }
        return [sorted(n for n in present if n < length) for length in lengths]

    def _check_series(
        self,
        series: Mapping[str, Any],
        current: Side,
        previous: Side | None,
        fields: frozenset[str],
    ) -> None:
        if "share" in fields:
            self._check_shares(series)
        if "total" in fields:
            self._check_total(series["total"], current)
        if "columns" in fields:
            self._check_columns(series["columns"], current)
        if "change" in fields:
            self._check_changes(series)
        for field, check_field in (
            ("previousTotal", self._check_total),
            ("previousColumns", self._check_columns),
        ):
            if field in fields and not previous:
                assert series[field] is None
            elif field in fields:
                check_field(series[field], previous)
        if "points" in fields:
            self._check_points(series["points"], current, previous)

    def _check_total(self, answer: Mapping[str, Any], side: Side | None) -> None:
        assert side
        ms = min(side.buckets.end, self.last_instant + 1) - side.buckets.start
        for aggregate in self.panel.aggregates:
            expected = expected_value(aggregate, side.rows, side.increases, ms)
            total = answer[aggregate.key]
            assert expected.allows(total), (aggregate, total, expected)

    def _check_shares(self, series: Mapping[str, Any]) -> None:
        """Check that a share is its series' total, checked before, over the total of all rows."""
        for aggregate in self.panel.share_aggregates:
            overall = expected_value(aggregate, self.rows, self.increases, 0)
            total, share = series["total"][aggregate.key], series[f"share_{aggregate.key}"]
            low, high = (0.0, 0.0) if overall == NULL else overall.bounds
            if total is None or low == high == 0:
                assert share is None
            elif not low <= 0 <= high:
                minimum, maximum = sorted((total / low, total / high))
                assert minimum - 1e-12 <= share <= maximum + 1e-12, (aggregate, series, overall)

    def _check_changes(self, series: Mapping[str, Any]) -> None:
        """Check that a change is the difference of two totals, checked before."""
        for aggregate in self.panel.change_aggregates:
            change = series[f"change_{aggregate.key}"]
            if not self.previous_buckets:
                assert change is None
                continue
            totals, previous_totals = series["total"], series["previousTotal"]
            current, previous = totals[aggregate.key], previous_totals[aggregate.key]
            has_both = current is not None and previous is not None
            absolute = Expected((current - previous if has_both else None,))
            ratio = Expected(
                ((current - previous) / abs(previous) if has_both and previous else None,)
            )
            assert change["previous"] == previous
            assert absolute.allows(change["absolute"]), (aggregate, change, current, previous)
            assert ratio.allows(change["ratio"]), (aggregate, change, current, previous)

    def _check_columns(
        self, answer: Mapping[str, Any], side: Side | None, count: int | None = None
    ) -> None:
        """Check columns; with a count, the answer has only that many first cells."""
        assert side
        for aggregate in self.panel.aggregates:
            column = answer[aggregate.key]
            assert len(column) == (len(side.indexes) if count is None else count)
            if count is not None and self.panel.fill_mode == "LINEAR" and not aggregate.is_count:
                continue  # an interpolated cell depends on cells after the first ones
            expected_column = self.columns.column(aggregate, side, column)
            for n, value, expected in zip(side.indexes, column, expected_column, strict=False):
                assert expected.allows(value), (aggregate, n, value, expected)

    def _check_points(
        self, points: Sequence[Mapping[str, Any]], current: Side, previous: Side | None
    ) -> None:
        assert [point["time"] for point in points] == _times(self.buckets, current.indexes)
        partial = [self.buckets.is_partial(n, self.now) for n in current.indexes]
        assert [point["isPartial"] for point in points] == partial
        keys = [aggregate.key for aggregate in self.panel.aggregates]
        columns = {key: [point["values"][key] for point in points] for key in keys}
        self._check_columns(columns, current)
        previous_count = len(previous.buckets.starts) if previous else 0
        assert [point["previous"] is not None for point in points] == [
            n < previous_count for n in current.indexes
        ]
        previous_values = [point["previous"] for point in points if point["previous"]]
        if previous:
            columns = {key: [values[key] for values in previous_values] for key in keys}
            self._check_columns(columns, previous, len(previous_values))


def _times(buckets: ExpectedBuckets, indexes: Sequence[int]) -> list[str]:
    return [rfc3339(Instant(buckets.edges[n])) for n in indexes]
