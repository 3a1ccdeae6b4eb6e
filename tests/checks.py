"""Whether an answer about series is what the oracle says of the rows."""

import json
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from schema.buckets import Granularity
from schema.scalars import Instant, parse_instant, rfc3339
from tests.aggregates import NULL, ZERO, Asked, Expected, Row, identity, steps, total
from tests.cuts import Cut, cut
from tests.oracle import passes
from tests.panels import Band, Key, Panel
from tests.spans import Span, compared, meant

CHARTED: Final = frozenset({"points", "columns", "previousColumns"})


def _in_words(row: Row) -> Mapping[str, Any]:
    """Return a row in the words of a filter."""
    people = {"userId": row.user, "sessionId": row.session}
    told = {"name": row.name, "value": row.value, "tags": row.tags, "properties": row.properties}
    return people | told


def name_of(key: Any) -> str:
    """Return how a group key is called in an answer."""
    return key.property if isinstance(key, Band) else str(key).removeprefix("=")


def shows(key: Any, part: Any, answer: str | None) -> bool:
    """Say whether an answer shows one part of a group's identity."""
    if part is None or answer is None:
        return part is None and answer is None
    kind, value = part
    if isinstance(key, Band):
        return _shows_band(key, int(value), answer)
    if kind == "str":
        return bool(answer == json.loads(value))
    try:
        return bool(identity(json.loads(answer)) == part)
    except ValueError:
        return False


def _shows_band(key: Band, place: int, answer: str) -> bool:
    """Say whether a label is that of a band: `< 1`, `[1, 2)`, `>= 2`."""
    sign = "<" if place == 0 else ">=" if place == len(key.bounds) else "["
    found = [float(text) for text in re.findall(r"-?[\d.e+-]+", answer)]
    return answer.startswith(sign) and found == [*key.bounds[max(0, place - 1) : place + 1]]


def check(panel: Panel, answer: Mapping[str, Any], rows: Sequence[Row], now: int) -> None:
    """Compare an answer with what the oracle says of the rows."""
    try:
        _Checker(panel, answer, rows, now).check()
    except AssertionError as error:
        told = sorted(rows, key=lambda row: (row.time, row.order))
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
        assert (self.cut.first, self.cut.behind) == meant(panel.range, now, panel.zone, times)
        all_time = "ALL_TIME" in f"{panel.range} {panel.compare}"
        self.until = max(*times, now) if all_time and times else now
        self.rows = self._inside(rows, self.cut)
        self.grown = steps(self.rows)
        other = meta["comparisonRange"]
        assert (other is None) == (panel.compare is None)
        self.before = self._cut(other, self.cut) if other else None
        if self.before and panel.compare:
            self._check_compared(panel.compare, (self.before.first, self.before.behind), times)
        self.old = self._inside(rows, self.before) if self.before else []
        self.old_grown = steps(self.old)

    def _check_compared(self, asked: str, found: Span, times: Sequence[int]) -> None:
        if "mode" in asked:
            span = self.cut.first, self.cut.behind
            right = compared(asked.split()[1].strip("}"), span, self.panel.zone)
        else:
            right = meant(asked, self.now, self.panel.zone, times)
        assert right in (None, found)

    def _cut(self, span: Mapping[str, str], like: Cut | None = None) -> Cut:
        first, behind = (int(parse_instant(span[end])) for end in ("from", "to"))
        panel = self.panel
        if not panel.cut_up or (like and like.granularity is Granularity.AUTO):
            return Cut(first, behind, Granularity.AUTO, (first, behind))
        granularity = like.granularity if like else panel.granularity
        return cut(first, behind, granularity, panel.points, panel.zone)

    @staticmethod
    def _inside(rows: Sequence[Row], cut: Cut) -> list[Row]:
        return [row for row in rows if cut.first <= row.time < cut.behind]

    def check(self) -> None:
        """Check everything that was answered."""
        groups = self._groups(self.rows)
        meta, panel = self.answer["meta"], self.panel
        found = [key for key in groups if panel.search.casefold() in self._label(key).casefold()]
        assert meta["range"]["granularity"] == self.cut.granularity.name
        assert meta["range"]["timezone"] == panel.zone
        beyond = len(found) - panel.offset - panel.limit
        truncated = bool(panel.keys) and not panel.others and beyond > 0
        ahead = self.until - self.now > 1000
        codes = ["TRUNCATED"] * truncated + ["CLOCK_AHEAD"] * ahead
        assert meta["totalGroups"] == (len(found) if panel.keys else 1)
        assert meta["truncated"] == truncated
        assert [each["code"] for each in meta["warnings"]] == codes
        shown = [self._shown(series, groups) for series in self.answer["series"]]
        left = {key: rows for key, rows in groups.items() if key not in shown}
        own = [key for key in shown if key is not None]
        if panel.keys:
            count = max(0, min(panel.limit, len(found) - panel.offset))
            assert len(own) == len(set(own)) == count
            assert set(own) <= set(found)
            other = {key for key in self._groups(self.old) if key not in own} | left.keys()
            assert shown[len(own) :] == ([None] if panel.others and other else [])
            behind = [] if panel.offset else [groups[key] for key in left if key in found]
            self._check_order([groups[key] for key in own], behind)
        else:
            assert shown == [()]
        whole = panel.others or (panel.whole or frozenset()) & CHARTED
        numbers = self._shown_buckets(
            [*groups.values()] if whole else [groups.get(key, []) for key in own]
        )
        if "times" in panel.parts:
            assert self.answer["times"] == self._times(numbers)
        for key, series in zip(shown, self.answer["series"], strict=True):
            mine = (self._mine(self.rows, key, own), self._mine(self.old, key, own))
            self._check_series(series, mine, panel.parts, numbers)
        if panel.whole is not None:
            overall = self.answer["overall"]
            name = panel.source if panel.table == "metrics" else "Events"
            assert (overall["key"], overall["label"], overall["isOther"]) == ([], name, False)
            self._check_series(overall, (self.rows, self.old), panel.whole, numbers)

    def _label(self, group: Key) -> str:
        """Return the label of a group of texts, which is all that a panel searches."""
        if not self.panel.search:
            return ""
        return ", ".join("(none)" if part is None else json.loads(part[1]) for part in group)

    def _mine(self, rows: Sequence[Row], key: Key | None, own: Sequence[Key]) -> list[Row]:
        """Return the rows of a group, or of all that have no series of their own."""
        of = [(self.panel.key_of(row), row) for row in rows]
        return [row for group, row in of if (group == key if key is not None else group not in own)]

    def _groups(self, rows: Sequence[Row]) -> dict[Key, list[Row]]:
        groups: dict[Key, list[Row]] = {}
        for row in rows:
            groups.setdefault(self.panel.key_of(row), []).append(row)
        return groups

    def _shown(self, series: Mapping[str, Any], groups: Mapping[Key, object]) -> Key | None:
        """Find the group that a series says it is; None if it is all others."""
        keys, panel = series["key"], self.panel
        if series["isOther"]:
            assert (series["label"], keys) == ("Other", [])
            return None
        assert [key["name"] for key in keys] == [name_of(key) for key in panel.keys]
        if not panel.keys:
            whole = panel.source if panel.table == "metrics" else "Events"
            assert series["label"] == whole
            return ()
        texts = [key["value"] for key in keys]
        assert series["label"] == ", ".join("(none)" if t is None else t for t in texts)
        found = [group for group in groups if all(map(shows, panel.keys, group, texts))]
        assert len(found) == 1, (texts, list(groups))
        return found[0]

    def _check_order(self, shown: Sequence[Sequence[Row]], left: Sequence[Sequence[Row]]) -> None:
        """Each series must be able to come before the next one, and the last before all others."""
        by, direction = self.panel.order or (Asked("count", "count", {}), "DESC")
        places = [self._rank(by, direction, rows) for rows in shown]
        pairs = [*pairwise(places)]
        if places:
            pairs += [(places[-1], self._rank(by, direction, rows)) for rows in left]
        for one, other in pairs:
            assert one[0] <= other[1], (one, other)

    def _rank(self, by: Asked, direction: str, rows: Sequence[Row]) -> tuple[float, float]:
        """Return between which places a group can stand, the smallest first, null last."""
        value = total(by, rows, self.grown, self.cut.behind - self.cut.first)
        if value == NULL:
            return float("inf"), float("inf")
        low, high = value.span
        return (low, high) if direction == "ASC" else (-high, -low)

    def _shown_buckets(self, groups: Any) -> Sequence[int]:
        if self.panel.filled != "NONE":
            return range(len(self.cut.starts))
        return sorted({self.cut.place(row.time) for rows in groups for row in rows})

    def _times(self, numbers: Sequence[int]) -> list[str]:
        return [rfc3339(Instant(self.cut.edges[n])) for n in numbers]

    def _check_series(
        self,
        series: Mapping[str, Any],
        mine: tuple[Sequence[Row], Sequence[Row]],
        parts: frozenset[str],
        numbers: Sequence[int],
    ) -> None:
        rows, old = mine
        if "share" in parts:
            self._check_shares(series)
        if "total" in parts:
            self._check_total(series["total"], rows, self.grown, self.cut)
        if "previousTotal" in parts and not self.before:
            assert series["previousTotal"] is None
        elif "previousTotal" in parts:
            self._check_total(series["previousTotal"], old, self.old_grown, self.before)
        if "change" in parts:
            self._check_changes(series)
        if "columns" in parts:
            self._check_columns(series["columns"], rows, self.grown, self.cut, numbers)
        if "previousColumns" in parts and not self.before:
            assert series["previousColumns"] is None
        elif "previousColumns" in parts:
            self._check_columns(
                series["previousColumns"], old, self.old_grown, self.before, numbers
            )
        if "points" in parts:
            self._check_points(series["points"], rows, old, numbers)

    def _check_total(
        self, answer: Mapping[str, Any], rows: Sequence[Row], grown: Any, cut: Cut | None
    ) -> None:
        assert cut
        ms = min(cut.behind, self.until + 1) - cut.first
        for asked in self.panel.aggregates:
            expected = total(asked, rows, grown, ms)
            assert expected.allows(answer[asked.key]), (asked, answer[asked.key], expected)

    def _check_shares(self, series: Mapping[str, Any]) -> None:
        """A share is made of the total, which was checked, and of that of all rows."""
        for asked in self.panel.shared:
            whole = total(asked, self.rows, self.grown, 0)
            part, share = series["total"][asked.key], series[f"share_{asked.key}"]
            low, high = (0.0, 0.0) if whole == NULL else whole.span
            if part is None or low == high == 0:
                assert share is None
            elif not low <= 0 <= high:
                least, most = sorted((part / low, part / high))
                assert least - 1e-12 <= share <= most + 1e-12, (asked, series, whole)

    def _check_changes(self, series: Mapping[str, Any]) -> None:
        """A change is made of the two totals, which were checked."""
        for asked in self.panel.changed:
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
        self,
        answer: Mapping[str, Any],
        rows: Sequence[Row],
        grown: Mapping[int, float],
        cut: Cut | None,
        numbers: Sequence[int],
    ) -> None:
        assert cut
        cells: dict[int, list[Row]] = {}
        for row in rows:
            cells.setdefault(cut.place(row.time), []).append(row)
        for asked in self.panel.aggregates:
            column = answer[asked.key]
            assert len(column) == len(numbers)
            expected = [
                total(asked, cells[n], grown, cut.ms(n, self.until)) if n in cells else NULL
                for n in numbers
            ]
            filled = fill(self.panel.filled, asked, expected, column)
            for n, answered, right in zip(numbers, column, filled, strict=True):
                assert right.allows(answered), (asked, n, answered, right)

    def _check_points(
        self,
        points: Sequence[Mapping[str, Any]],
        rows: Sequence[Row],
        old: Sequence[Row],
        numbers: Sequence[int],
    ) -> None:
        assert [point["time"] for point in points] == self._times(numbers)
        partial = [self.cut.is_partial(n, self.now) for n in numbers]
        assert [point["isPartial"] for point in points] == partial
        keys = [asked.key for asked in self.panel.aggregates]
        columns = {key: [point["values"][key] for point in points] for key in keys}
        self._check_columns(columns, rows, self.grown, self.cut, numbers)
        there = len(self.before.starts) if self.before else 0
        assert [point["previous"] is not None for point in points] == [n < there for n in numbers]
        shown = [point["previous"] for point in points if point["previous"]]
        if self.before:
            columns = {key: [values[key] for values in shown] for key in keys}
            self._check_columns(
                columns, old, self.old_grown, self.before, [n for n in numbers if n < there]
            )


def fill(
    how: str, asked: Asked, cells: Sequence[Expected], answered: Sequence[Any]
) -> list[Expected]:
    """Fill gaps; what lies between two cells is made of what was answered for these."""
    if asked.counts or how == "ZERO":
        return [ZERO if cell == NULL else cell for cell in cells]
    known = [n for n, cell in enumerate(cells) if cell != NULL]
    filled = list(cells)
    for left, right in pairwise([*known, len(cells)]):
        for n in range(left + 1, right):
            start = answered[left]
            if how == "PREVIOUS":
                filled[n] = Expected((start,))
            elif how == "LINEAR" and right < len(cells):
                slope = (answered[right] - start) / (right - left)
                rounding = max(abs(answered[right]), abs(start)) * 1e-12
                filled[n] = Expected((start + slope * (n - left),), rounding)
    return filled
