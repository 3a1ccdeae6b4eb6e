"""Series as they are answered: totals as values, columns as the text of JSON arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from schema.aggregates import Aggregate, AggregateKind, additive, aggregate, field_aggregate
from schema.filters import PropertyCast
from schema.ready import Columns, EncodedValue, FieldValues, items, texts
from schema.results import Change, GroupKey, finite
from schema.scalars import Instant, rfc3339
from schema.selection import SelectedField

PREVIOUS_TIMES: Final = (
    "When each bucket of the other range begins; null without `compare`. The first belongs to the"
    " first of `times` and so on, however many each range has."
)
PREVIOUS_COLUMNS: Final = (
    "Bucket by bucket over the other range, aligned with `previousTimes`; null without `compare`."
    " Longer or shorter than `columns` where the other range has more or fewer buckets."
)

Totals = Mapping[Aggregate, int | float | None]

_Rows: TypeAlias = npt.NDArray[Any]

_INSTANT: Final = np.dtype("S1, S10, S7, S3, S3, S3")
"""A quote, the date, hour and minute, the second, milliseconds, and what ends it."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line of an answer. A column is the text of an array of numbers and nulls.

    So a column that the engine made is sent unread, and a point is put together from texts.
    `compared` is how many points have a bucket at their place in the other range.
    """

    table: str
    keys: list[GroupKey]
    label: str
    is_other: bool
    totals: Totals
    overall_totals: Totals
    previous_totals: Totals | None
    texts: Mapping[Aggregate, bytes]
    previous_texts: Mapping[Aggregate, bytes] | None
    compared_count: int
    times: bytes
    partial: bytes

    @property
    def columns(self) -> dict[Aggregate, EncodedValue]:
        """Its columns, ready to be sent."""
        return _ready(self.texts)

    @property
    def previous_columns(self) -> dict[Aggregate, EncodedValue] | None:
        """The columns of the other range, if there is one."""
        return None if self.previous_texts is None else _ready(self.previous_texts)

    def change(
        self,
        kind: AggregateKind,
        property: str | None = None,  # noqa: A002 - its name in the API
        q: float | None = None,
        cast: PropertyCast | None = None,
    ) -> Change | None:
        """Compare an aggregate's totals; None if there is nothing to compare with."""
        if self.previous_totals is None:
            return None
        wanted = aggregate(self.table, kind, property, q, cast=cast)
        return Change.from_values(self.totals[wanted], self.previous_totals[wanted])

    def share(
        self,
        kind: AggregateKind,
        property: str | None = None,  # noqa: A002 - its name in the API
        cast: PropertyCast | None = None,
    ) -> float | None:
        """Relate an aggregate's total to that of all rows; None where there is nothing of it."""
        wanted = additive(self.table, kind, property, cast)
        part, whole = self.totals[wanted], self.overall_totals[wanted]
        return None if part is None or not whole else finite(part / whole)

    def points(self, selected: Sequence[SelectedField]) -> Any:  # noqa: ANN401 - it stands for a list
        """Put the selected fields of all points together; the last may have no previous one.

        The other range may have more buckets than there are points: see `previous_columns`.
        """
        count = len(items(self.times))
        parts = [
            texts(
                selected,
                self._columns(slice(0, self.compared_count), compared=True),
                self.compared_count,
            ),
            texts(
                selected,
                self._columns(slice(self.compared_count, count)),
                count - self.compared_count,
            ),
        ]
        return EncodedValue(msgspec.Raw(b"[" + b",".join(filter(None, parts)) + b"]"))

    def _columns(self, part: slice, *, compared: bool = False) -> Columns:
        """Return some of the points, field by field; `compared`: they have a previous one."""

        def of(values: Mapping[Aggregate, bytes]) -> Columns:
            def column(field: SelectedField) -> FieldValues:
                wanted = field_aggregate(self.table, field.name, field.arguments)
                return items(values[wanted])[part]

            return column

        def column(field: SelectedField) -> FieldValues:
            match field.name:
                case "time":
                    return items(self.times)[part]
                case "isPartial":
                    return items(self.partial)[part]
                case "values":
                    return of(self.texts)
                case _:  # previous
                    texts = self.previous_texts if compared else None
                    return None if texts is None else of(texts)

        return column


@dataclass(frozen=True, slots=True)
class SeriesResult:
    """The series of one answer, and when its buckets begin. `found`: any rows at all.

    `previous_times`: when the buckets of the other range begin, if there is one.
    """

    times: bytes
    series: list[Series]
    has_rows: bool
    overall: Series | None = None
    previous_times: bytes | None = None

    @property
    def whole(self) -> Series:
        """The series of all rows, which was found because it is selected."""
        if self.overall is None:
            raise LookupError("the series of all rows was not asked for")
        return self.overall

    def shown_times(self) -> Any:  # noqa: ANN401 - it stands for a list
        """When the buckets begin, ready to be sent."""
        return EncodedValue(msgspec.Raw(self.times))

    def shown_previous_times(self) -> Any:  # noqa: ANN401 - it stands for a list, or null
        """When the buckets of the other range begin, ready to be sent; null without one."""
        return (
            None if self.previous_times is None else EncodedValue(msgspec.Raw(self.previous_times))
        )


def instants(moments: Sequence[int]) -> bytes:
    """Return instants as the text of a JSON array: 10,000 of a chart in a tenth of a millisecond.

    One by one they take 100 times as long, more than all else of a chart's answer.
    """
    if not moments:
        return b"[]"
    if isinstance(moments, range):
        for period, unit, shown, clocks in _CLOCKS:
            aligned = not (period % moments.step or moments.start % unit or moments.step % unit)
            if aligned and period >= 4 * moments.step:
                return _on_clocks(moments, period, shown, clocks)
    return _in_columns(moments)


def _on_clocks(moments: range, period: int, shown: int, clocks: _Rows) -> bytes:
    """Write what shows the same clocks in each period, with the first `shown` letters before."""
    unit = period // len(clocks)
    parts = []
    for begin in range(moments.start - moments.start % period, moments.stop, period):
        first = max(moments.start - begin, moments.start % moments.step)
        behind = min(period, moments.stop - begin)
        of_period = clocks[first // unit : -(-behind // unit) : moments.step // unit].copy()
        before = rfc3339(Instant(begin))[:shown].encode()
        of_period["before"] = b'"' + before
        parts.append(of_period.tobytes())
    return b"[" + b"".join(parts)[:-1] + b"]"


def _table(shown: int, clocks: Sequence[bytes]) -> _Rows:
    """Return a row for each of the clocks of a period, of which `shown` letters are left empty."""
    rows = [(b"", clock + b'Z",') for clock in clocks]
    return np.array(rows, [("before", f"S{shown + 1}"), ("clock", f"S{len(rows[0][1])}")])


_CLOCKS: Final = (
    (
        86_400_000,
        60_000,
        11,
        _table(11, [b"%02d:%02d:00.000" % divmod(n, 60) for n in range(1440)]),
    ),
    (60_000, 1000, 17, _table(17, [b"%02d.000" % n for n in range(60)])),
)
"""Whole minutes of a day and seconds of a minute: period and unit in ms, letters before, rows."""


def _in_columns(moments: Sequence[int]) -> bytes:
    """Write any instants, each of their parts at once."""
    days, clock = np.divmod(np.array(moments, dtype=np.int64), 86_400_000)
    distinct, place = np.unique(days, return_inverse=True)
    dates = np.datetime_as_string(distinct.astype("datetime64[D]")).astype("S10")
    minutes, rest = np.divmod(clock, 60_000)
    seconds, ms = np.divmod(rest, 1000)
    cells = np.empty(len(moments), _INSTANT)
    cells["f0"] = b'"'
    cells["f1"] = dates[place]
    cells["f2"] = _MINUTES[minutes]
    cells["f3"] = _SECONDS[seconds]
    cells["f4"] = _MILLISECONDS[ms]
    cells["f5"] = b'Z",'
    return b"[" + cells.tobytes()[:-1] + b"]"


_MINUTES: Final = np.array([b"T%02d:%02d:" % divmod(n, 60) for n in range(1440)])
_SECONDS: Final = np.array([b"%02d." % n for n in range(60)])
_MILLISECONDS: Final = np.array([b"%03d" % n for n in range(1000)])


def _ready(texts: Mapping[Aggregate, bytes]) -> dict[Aggregate, Any]:
    return {one: EncodedValue(msgspec.Raw(text)) for one, text in texts.items()}
