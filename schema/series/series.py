"""Series of a result: totals as values, columns as the JSON text of arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from schema.answer_budget import AnswerBudget
from schema.encoding import Columns, EncodedValue, FieldValues, encoded_text, items, texts
from schema.filters import PropertyCast
from schema.selection import SelectedField
from schema.series.aggregates import Aggregate, AggregateKind, additive, aggregate, field_aggregate
from schema.series.results import Change, GroupKey, finite

Totals = Mapping[Aggregate, int | float | None]


@dataclass(frozen=True, slots=True)
class Series:
    """One series of a result. A column is the JSON text of an array of numbers and nulls.

    So a column of the engine is sent undecoded, and points are joined from texts.
    `compared_count` is the number of points that have a bucket at their index in the other range.
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
        """Columns, encoded."""
        return _encode(self.texts)

    @property
    def previous_columns(self) -> dict[Aggregate, EncodedValue] | None:
        """Columns of the other range, encoded; None without a comparison."""
        return None if self.previous_texts is None else _encode(self.previous_texts)

    def change(
        self,
        kind: AggregateKind,
        property: str | None = None,  # noqa: A002 - its name in the API
        q: float | None = None,
        cast: PropertyCast | None = None,
    ) -> Change | None:
        """Compare the totals of an aggregate; None without a comparison."""
        if self.previous_totals is None:
            return None
        key = aggregate(self.table, kind, property, q, cast=cast)
        return Change.from_values(self.totals[key], self.previous_totals[key])

    def share(
        self,
        kind: AggregateKind,
        property: str | None = None,  # noqa: A002 - its name in the API
        cast: PropertyCast | None = None,
    ) -> float | None:
        """Return the share of an aggregate's total in the total of all rows; None without rows."""
        key = additive(self.table, kind, property, cast)
        part, whole = self.totals[key], self.overall_totals[key]
        return None if part is None or not whole else finite(part / whole)

    @property
    def point_count(self) -> int:
        """Number of points."""
        return self.times.count(b",") + 1 if len(self.times) > len(b"[]") else 0

    def points(self, fields: Sequence[SelectedField], budget: AnswerBudget) -> Any:  # noqa: ANN401 - it stands for a list
        """Encode the selected fields of all points; the last points may have no `previous`.

        The other range may also have more buckets than this one: see `previous_columns`.
        """
        count = self.point_count
        parts = [
            texts(
                fields,
                self._columns(slice(0, self.compared_count), has_previous=True),
                self.compared_count,
                budget,
            ),
            texts(
                fields,
                self._columns(slice(self.compared_count, count)),
                count - self.compared_count,
                budget,
            ),
        ]
        return EncodedValue(msgspec.Raw(b"[" + b",".join(filter(None, parts)) + b"]"))

    def _columns(self, part: slice, *, has_previous: bool = False) -> Columns:
        """Return the lookup of the fields of a part of the points.

        `has_previous`: the points have a bucket at their index in the other range.
        """

        def value_columns(values: Mapping[Aggregate, bytes]) -> Columns:
            def column(field: SelectedField) -> FieldValues:
                key = field_aggregate(self.table, field.name, field.arguments)
                return items(values[key])[part]

            return column

        def column(field: SelectedField) -> FieldValues:
            match field.name:
                case "time":
                    return items(self.times)[part]
                case "isPartial":
                    return items(self.partial)[part]
                case "values":
                    return value_columns(self.texts)
                case _:  # previous
                    texts = self.previous_texts if has_previous else None
                    return None if texts is None else value_columns(texts)

        return column


@dataclass(frozen=True, slots=True)
class SeriesResult:
    """The series of one query, with the start times of their buckets as JSON text.

    `previous_times` belong to the other range; None without a comparison.
    """

    times: bytes
    series: list[Series]
    has_rows: bool
    overall: Series | None = None
    previous_times: bytes | None = None

    @property
    def overall_series(self) -> Series:
        """The series of all rows. Raises `LookupError` if it was not queried."""
        if self.overall is None:
            raise LookupError("the series of all rows was not queried")
        return self.overall

    @property
    def encoded_times(self) -> Any:  # noqa: ANN401 - it stands for a list
        """Start times of the buckets, encoded."""
        return encoded_text(self.times)

    @property
    def encoded_previous_times(self) -> Any:  # noqa: ANN401 - it stands for a list, or null
        """Start times of the buckets of the other range, encoded; None without one."""
        times = self.previous_times
        return None if times is None else encoded_text(times)


def _encode(texts: Mapping[Aggregate, bytes]) -> dict[Aggregate, Any]:
    return {aggregate: encoded_text(text) for aggregate, text in texts.items()}
