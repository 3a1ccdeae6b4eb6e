"""Encoded values: JSON text of lists of objects, which bypasses graphql-core."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from schema.answer_budget import AnswerBudget
from schema.selection import TYPENAME, SelectedField


class EncodedValue(NamedTuple):
    """A value in the shape of the response, which the executor sends as it is.

    graphql-core takes 2 µs to complete each leaf: for the 10,000 values of a chart longer than
    the query. The maker of the value is responsible for its nulls, names and order of fields.

    `size` is the number of its bytes that the budget of the answer has not counted.
    """

    value: Any
    size: int = 0


Cells: TypeAlias = Sequence[bytes]
"""Values of one field for many objects, in their order: JSON texts."""

FieldValues: TypeAlias = "Cells | Columns | None"
"""Values of one field for all objects: cells, the columns of nested objects, or None for null."""

Columns: TypeAlias = Callable[[SelectedField], FieldValues]
"""Lookup of the values of a selected field."""


def encoded_text(text: bytes) -> EncodedValue:
    """Return a JSON text as a value."""
    return EncodedValue(msgspec.Raw(text), len(text))


def objects(
    fields: Iterable[SelectedField], columns: Columns, count: int, budget: AnswerBudget
) -> EncodedValue:
    """Encode the selected fields of `count` objects as one JSON array."""
    return EncodedValue(msgspec.Raw(b"[" + texts(fields, columns, count, budget) + b"]"))


def texts(
    fields: Iterable[SelectedField], columns: Columns, count: int, budget: AnswerBudget
) -> bytes:
    """Encode the selected fields of `count` objects, with commas between the objects.

    One join of many texts takes half the time of a join for each object. A join of more texts than
    the processor's cache holds takes 2.5 times as long. Raises QUERY_TOO_EXPENSIVE before the text
    takes more than the budget.
    """
    cells: list[Cells] = []
    literals = (_template(fields, columns, cells, _Meter(count, budget)) + b",").split(_SLOT)
    width = 2 * len(cells) + 1
    step = max(1, _JOINED_PARTS // width)
    spans = [(start, min(count, start + step)) for start in range(0, count, step)]
    return b"".join(
        _join(literals, [column[start:end] for column in cells], end - start)
        for start, end in spans
    )[:-1]


def _join(literals: Sequence[bytes], cells: Sequence[Cells], count: int) -> bytes:
    """Put the cells of `count` objects between literals."""
    width = 2 * len(cells) + 1
    parts: list[bytes] = [b""] * (width * count)
    for index, text in enumerate(literals):
        parts[2 * index :: width] = [text] * count
    for index, column in enumerate(cells):
        parts[2 * index + 1 :: width] = column
    return b"".join(parts)


_SLOT: Final = b"%"
_JOINED_PARTS: Final = 20_000
_INLINE_CELLS: Final = 50_000
"""Cells that are encoded at once, in 10 ms."""
_MARKS: Final = len('"":,')


class _Meter(NamedTuple):
    """The number of objects, and the budget for their texts."""

    object_count: int
    budget: AnswerBudget

    def spend_text(self, *texts: str) -> None:
        """Count texts that each object has."""
        self.budget.spend_bytes((sum(map(len, texts)) + _MARKS) * self.object_count)

    def spend_cells(self, cells: Cells) -> None:
        """Count the values of all objects."""
        self.budget.spend_bytes(sum(map(len, cells)))


def _template(
    fields: Iterable[SelectedField], columns: Columns, cells: list[Cells], meter: _Meter
) -> bytes:
    """Return the JSON text of an object with a slot for each value, and add its columns to `cells`.

    Keys are GraphQL names, which need no escaping.
    """
    members = []
    for field in fields:
        meter.spend_text(field.key)
        if field.name == TYPENAME:
            meter.spend_text(field.type_name)
            value = b'"%b"' % field.type_name.encode()
        elif (values := columns(field)) is None:
            value = b"null"
        elif callable(values):
            value = _template(field.fields, values, cells, meter)
        else:
            meter.spend_cells(values)
            cells.append(values)
            value = _SLOT
        members.append(b'"%b":%b' % (field.key.encode(), value))
    return b"{" + b",".join(members) + b"}"


def encode_beside(
    encode: Callable[[], EncodedValue],
    fields: Iterable[SelectedField],
    count: int,
    budget: AnswerBudget,
) -> Any:  # noqa: ANN401 - a value, or an awaitable of it
    """Encode the fields of `count` objects; if they are many, in a thread beside other requests."""
    if _leaf_count(fields) * count <= _INLINE_CELLS:
        return encode()
    return asyncio.get_running_loop().run_in_executor(budget.encoder, encode)


def _leaf_count(fields: Iterable[SelectedField]) -> int:
    return sum(_leaf_count(field.fields) or 1 for field in fields)


def attributes(fields: Iterable[SelectedField], entries: Iterable[object]) -> EncodedValue:
    """Encode the selected attributes of objects; each attribute is a scalar named as its field."""
    selection = [(field.key, field.name, field.type_name) for field in fields]
    return EncodedValue(
        [
            {
                key: type_name if name == TYPENAME else getattr(entry, name)
                for key, name, type_name in selection
            }
            for entry in entries
        ]
    )


def items(text: bytes) -> Cells:
    """Split the JSON text of an array of numbers, nulls, booleans or instants."""
    inside = text[1:-1]
    return inside.split(b",") if inside else []
