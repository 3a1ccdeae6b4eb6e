"""Whether an answer about series is what the oracle says of the rows."""

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from schema.buckets import Granularity
from schema.scalars import Instant, parse_instant, rfc3339
from tests.harness.panels import Group, Panel
from tests.oracle.aggregates import (
    NULL,
    ZERO,
    Aggregate,
    Expected,
    Row,
    counter_increases,
    expected_value,
    number_at,
)
from tests.oracle.buckets import ExpectedBuckets, cut_range
from tests.oracle.fills import carry_forward, interpolate
from tests.oracle.filters import passes
from tests.oracle.group_keys import key_name, matches_key
from tests.oracle.ranges import Interval, comparison_range, expected_range

BUCKETED_FIELDS: Final = frozenset({"points", "columns", "previousColumns"})


def _in_words(row: Row) -> Mapping[str, Any]:
    """Return a row in the words of a filter."""
    people = {"userId": row.user, "sessionId": row.session}
    told = {"name": row.name, "value": row.value, "tags": row.tags, "properties": row.properties}
    return people | told


def assert_result(panel: Panel, answer: Mapping[str, Any], rows: Sequence[Row], now: int) -> None:
    """Compare an answer with what the oracle says of the rows."""
    try:
        _Checker(panel, answer, rows, now).check()
    except AssertionError as error:
        told = sorted(rows, key=lambda row: (row.time, row.position))
        texts = [f"{rfc3339(Instant(row.time))} {row}" for row in told]
        error.add_note("\n".join([panel.text("asked", "p"), json.dumps(answer), *texts]))
        raise


class _Checker:
    """Compares an answer with what the oracle says of the rows."""

    def __init__(
        self, panel: Panel, answer: Mapping[str, Any], rows: Sequence[Row], now: int
    ) -> None:
        self.panel, self.answer, self.now = panel, answer, now
        meta = answer["meta"]
        self.cut = self._cut(meta["range"])
        rows = [row for row in rows if passes(panel.where, _in_words(row))]
        times = [row.time for row in rows]
        right = expected_range(panel.range, now, panel.zone, times, sunday_weeks=panel.sunday_weeks)
        assert (self.cut.start, self.cut.end) == right
        self.all_rows = rows
        all_time = "ALL_TIME" in f"{panel.range} {panel.compare}"
        self.until = max(*times, now) if all_time and times else now
        self.rows = self._inside(rows, self.cut)
        self.grown = counter_increases(self.rows)
        other = meta["comparisonRange"]
        assert (other is None) == (panel.compare is None)
        self.before = self._cut(other, self.cut) if other else None
        if self.before and panel.compare:
            self._check_compared(panel.compare, (self.before.start, self.before.end), times)
        self.old = self._inside(rows, self.before) if self.before else []
        self.old_grown = counter_increases(self.old)

    def _check_compared(self, asked: str, found: Interval, times: Sequence[int]) -> None:
        if "mode" in asked:
            span = self.cut.start, self.cut.end
            mode = asked.split()[1].strip("}")
            right = comparison_range(mode, self.panel.range, span, self.panel.zone)
        else:
            right = expected_range(
                asked, self.now, self.panel.zone, times, sunday_weeks=self.panel.sunday_weeks
            )
        assert right in (None, found)

    def _cut(self, span: Mapping[str, str], like: ExpectedBuckets | None = None) -> ExpectedBuckets:
        first, behind = (int(parse_instant(span[end])) for end in ("from", "to"))
        panel = self.panel
        if not panel.has_buckets or (like and like.granularity is Granularity.AUTO):
            return ExpectedBuckets(first, behind, Granularity.AUTO, (first, behind))
        granularity = like.granularity if like else panel.granularity
        return cut_range(
            first,
            behind,
            granularity,
            panel.max_points,
            panel.zone,
            sunday_weeks=panel.sunday_weeks,
        )

    @staticmethod
    def _inside(rows: Sequence[Row], cut: ExpectedBuckets) -> list[Row]:
        return [row for row in rows if cut.start <= row.time < cut.end]

    def check(self) -> None:
        """Check everything that was answered."""
        groups = self._groups(self.rows)
        meta, panel = self.answer["meta"], self.panel
        found = [key for key in groups if panel.search.casefold() in self._label(key).casefold()]
        assert meta["range"]["granularity"] == self.cut.granularity.name
        assert meta["range"]["timezone"] == panel.zone
        beyond = len(found) - panel.offset - panel.limit
        truncated = bool(panel.group_keys) and not panel.other_group and beyond > 0
        ahead = self.until - self.now > 1000
        codes = ["TRUNCATED"] * truncated + ["CLOCK_AHEAD"] * ahead
        assert meta["totalGroups"] == (len(found) if panel.group_keys else 1)
        assert meta["truncated"] == truncated
        found_codes = [each["code"] for each in meta["warnings"]]
        assert [code for code in found_codes if code in ("TRUNCATED", "CLOCK_AHEAD")] == codes
        shown = [self._shown(series, groups) for series in self.answer["series"]]
        left = {key: rows for key, rows in groups.items() if key not in shown}
        own = [key for key in shown if key is not None]
        if panel.group_keys:
            count = max(0, min(panel.limit, len(found) - panel.offset))
            assert len(own) == len(set(own)) == count
            assert set(own) <= set(found)
            other = {key for key in self._groups(self.old) if key not in own} | left.keys()
            assert shown[len(own) :] == ([None] if panel.other_group and other else [])
            behind = [] if panel.offset else [groups[key] for key in left if key in found]
            self._check_order([groups[key] for key in own], behind)
        else:
            assert shown == [()]
        whole = panel.other_group or (panel.overall_fields or frozenset()) & BUCKETED_FIELDS
        self.numbers, self.old_numbers = self._shown_buckets(None if whole else own)
        if "times" in panel.series_fields:
            assert self.answer["times"] == _times(self.cut, self.numbers)
        if "previousTimes" in panel.series_fields:
            old = _times(self.before, self.old_numbers) if self.before else None
            assert self.answer["previousTimes"] == old
        for key, series in zip(shown, self.answer["series"], strict=True):
            mine = [self._mine(rows, key, own) for rows in (self.rows, self.old, self.all_rows)]
            self._check_series(series, *self._sides(*mine), panel.series_fields)
        if panel.overall_fields is not None:
            overall = self.answer["overall"]
            name = panel.source if panel.table == "metrics" else "Events"
            assert (overall["key"], overall["label"], overall["isOther"]) == ([], name, False)
            sides = self._sides(self.rows, self.old, self.all_rows)
            self._check_series(overall, *sides, panel.overall_fields)

    def _sides(
        self, rows: Sequence[Row], old: Sequence[Row], everything: Sequence[Row]
    ) -> "tuple[_Side, _Side | None]":
        """Return both ranges of a series."""
        now = _Side(rows, everything, self.grown, self.cut, self.numbers)
        if not self.before:
            return now, None
        return now, _Side(old, everything, self.old_grown, self.before, self.old_numbers)

    def _label(self, group: Group) -> str:
        """Return the label of a group of texts, which is all that a panel searches."""
        if not self.panel.search:
            return ""
        return ", ".join("(none)" if part is None else part[1] for part in group)

    def _mine(self, rows: Sequence[Row], key: Group | None, own: Sequence[Group]) -> list[Row]:
        """Return the rows of a group, or of all that have no series of their own."""
        of = [(self.panel.group_of(row), row) for row in rows]
        return [row for group, row in of if (group == key if key is not None else group not in own)]

    def _groups(self, rows: Sequence[Row]) -> dict[Group, list[Row]]:
        groups: dict[Group, list[Row]] = {}
        for row in rows:
            groups.setdefault(self.panel.group_of(row), []).append(row)
        return groups

    def _shown(self, series: Mapping[str, Any], groups: Mapping[Group, object]) -> Group | None:
        """Find the group that a series says it is; None if it is all others."""
        keys, panel = series["key"], self.panel
        if series["isOther"]:
            assert (series["label"], keys) == ("Other", [])
            return None
        assert [key["name"] for key in keys] == [key_name(key) for key in panel.group_keys]
        if not panel.group_keys:
            whole = panel.source if panel.table == "metrics" else "Events"
            assert series["label"] == whole
            return ()
        texts = [key["value"] for key in keys]
        assert series["label"] == ", ".join("(none)" if t is None else t for t in texts)
        found = [group for group in groups if all(map(matches_key, panel.group_keys, group, keys))]
        assert len(found) == 1, (keys, list(groups))
        return found[0]

    def _check_order(self, shown: Sequence[Sequence[Row]], left: Sequence[Sequence[Row]]) -> None:
        """Each series must be able to come before the next one, and the last before all others."""
        by, direction = self.panel.order or (Aggregate("count", "count", {}), "DESC")
        places = [self._rank(by, direction, rows) for rows in shown]
        pairs = [*pairwise(places)]
        if places:
            pairs += [(places[-1], self._rank(by, direction, rows)) for rows in left]
        for one, other in pairs:
            assert one[0] <= other[1], (one, other)

    def _rank(self, by: Aggregate, direction: str, rows: Sequence[Row]) -> tuple[float, float]:
        """Return between which places a group can stand, the smallest first, null last."""
        value = expected_value(by, rows, self.grown, self.cut.end - self.cut.start)
        if value == NULL:
            return float("inf"), float("inf")
        low, high = value.bounds
        return (low, high) if direction == "ASC" else (-high, -low)

    def _shown_buckets(self, own: Sequence[Group] | None) -> list[Sequence[int]]:
        """Return the numbers of the buckets that are shown, of each range; `own`: only of these."""
        lengths = [len(cut.starts) if cut else 0 for cut in (self.cut, self.before)]
        if self.panel.fill_mode != "NONE":
            return [range(length) for length in lengths]
        present = {
            cut.index_of(row.time)
            for rows, cut in ((self.rows, self.cut), (self.old, self.before))
            for row in rows
            if cut and (own is None or self.panel.group_of(row) in own)
        }
        return [sorted(n for n in present if n < length) for length in lengths]

    def _check_series(
        self,
        series: Mapping[str, Any],
        now: "_Side",
        old: "_Side | None",
        parts: frozenset[str],
    ) -> None:
        if "share" in parts:
            self._check_shares(series)
        if "total" in parts:
            self._check_total(series["total"], now)
        if "columns" in parts:
            self._check_columns(series["columns"], now)
        if "change" in parts:
            self._check_changes(series)
        for part, check_part in (
            ("previousTotal", self._check_total),
            ("previousColumns", self._check_columns),
        ):
            if part in parts and not old:
                assert series[part] is None
            elif part in parts:
                check_part(series[part], old)
        if "points" in parts:
            self._check_points(series["points"], now, old)

    def _check_total(self, answer: Mapping[str, Any], side: "_Side | None") -> None:
        assert side
        ms = min(side.cut.end, self.until + 1) - side.cut.start
        for asked in self.panel.aggregates:
            expected = expected_value(asked, side.rows, side.grown, ms)
            assert expected.allows(answer[asked.key]), (asked, answer[asked.key], expected)

    def _check_shares(self, series: Mapping[str, Any]) -> None:
        """A share is made of the total, which was checked, and of that of all rows."""
        for asked in self.panel.share_aggregates:
            whole = expected_value(asked, self.rows, self.grown, 0)
            part, share = series["total"][asked.key], series[f"share_{asked.key}"]
            low, high = (0.0, 0.0) if whole == NULL else whole.bounds
            if part is None or low == high == 0:
                assert share is None
            elif not low <= 0 <= high:
                least, most = sorted((part / low, part / high))
                assert least - 1e-12 <= share <= most + 1e-12, (asked, series, whole)

    def _check_changes(self, series: Mapping[str, Any]) -> None:
        """A change is made of the two totals, which were checked."""
        for asked in self.panel.change_aggregates:
            change = series[f"change_{asked.key}"]
            if not self.before:
                assert change is None
                continue
            now, before = series["total"][asked.key], series["previousTotal"][asked.key]
            whole = now is not None and before is not None
            absolute = Expected((now - before if whole else None,))
            ratio = Expected(((now - before) / abs(before) if whole and before else None,))
            assert change["previous"] == before
            assert absolute.allows(change["absolute"]), (asked, change, now, before)
            assert ratio.allows(change["ratio"]), (asked, change, now, before)

    def _check_columns(
        self, answer: Mapping[str, Any], side: "_Side | None", count: int | None = None
    ) -> None:
        """Check columns, or the first `count` of their cells, which are all that there are."""
        assert side
        cells: dict[int, list[Row]] = {}
        for row in side.rows:
            cells.setdefault(side.cut.index_of(row.time), []).append(row)
        for asked in self.panel.aggregates:
            column = answer[asked.key]
            assert len(column) == (len(side.numbers) if count is None else count)
            expected = [
                expected_value(asked, cells[n], side.grown, side.cut.ms(n, self.until))
                if n in cells
                else NULL
                for n in side.numbers
            ]
            if count is not None and self.panel.fill_mode == "LINEAR" and not asked.is_count:
                continue  # what comes after the first cells is not known here
            filled = self._filled(asked, expected, column, side)
            for n, answered, right in zip(side.numbers, column, filled, strict=False):
                assert right.allows(answered), (asked, n, answered, right)

    def _filled(
        self, asked: Aggregate, cells: Sequence[Expected], answered: Sequence[Any], side: "_Side"
    ) -> list[Expected]:
        starts = [side.cut.starts[n] for n in side.numbers]
        if asked.is_count or self.panel.fill_mode == "ZERO":
            return [ZERO if cell == NULL else cell for cell in cells]
        if self.panel.fill_mode == "PREVIOUS":
            begun = sum(start <= self.until for start in starts)
            return [*carry_forward(cells[:begun], self._value_before(asked, side)), *cells[begun:]]
        if self.panel.fill_mode == "LINEAR":
            return interpolate(cells, answered, starts)
        return list(cells)

    def _value_before(self, asked: Aggregate, side: "_Side") -> Expected:
        """Return the value of the last bucket with a value before the range."""
        path = asked.arguments.get("property") if asked.field != "sum" else None
        earlier = [row for row in side.everything if row.time < side.cut.start]
        valued = [row for row in earlier if path is None or number_at(row, path) is not None]
        if not valued or side.cut.start > self.until:
            return NULL
        start, end = self._bucket(max(row.time for row in valued), side.cut)
        end = min(end, side.cut.start)
        before, _ = self._bucket(start - 1, side.cut)
        rows = [row for row in earlier if start <= row.time < end]
        grown = counter_increases([row for row in self.all_rows if before <= row.time < end])
        return expected_value(asked, rows, grown, end - start)

    def _bucket(self, moment: int, like: ExpectedBuckets) -> tuple[int, int]:
        """Return the bucket of an instant before the range."""
        if like.granularity is Granularity.AUTO:
            length = like.end - like.start
            start = like.start - -(-(like.start - moment) // length) * length
            return start, start + length
        panel = self.panel
        own = cut_range(
            moment, moment + 1, like.granularity, 1, panel.zone, sunday_weeks=panel.sunday_weeks
        )
        return own.edges[0], own.edges[1]

    def _check_points(
        self, points: Sequence[Mapping[str, Any]], now: "_Side", old: "_Side | None"
    ) -> None:
        assert [point["time"] for point in points] == _times(self.cut, now.numbers)
        partial = [self.cut.is_partial(n, self.now) for n in now.numbers]
        assert [point["isPartial"] for point in points] == partial
        keys = [asked.key for asked in self.panel.aggregates]
        columns = {key: [point["values"][key] for point in points] for key in keys}
        self._check_columns(columns, now)
        there = len(old.cut.starts) if old else 0
        assert [point["previous"] is not None for point in points] == [
            n < there for n in now.numbers
        ]
        shown = [point["previous"] for point in points if point["previous"]]
        if old:
            columns = {key: [values[key] for values in shown] for key in keys}
            self._check_columns(columns, old, len(shown))


class _Side(NamedTuple):
    """The rows of a series in a range and at any time, and how the range is cut."""

    rows: Sequence[Row]
    everything: Sequence[Row]
    grown: Mapping[int, float]
    cut: ExpectedBuckets
    numbers: Sequence[int]


def _times(cut: ExpectedBuckets, numbers: Sequence[int]) -> list[str]:
    return [rfc3339(Instant(cut.edges[n])) for n in numbers]
