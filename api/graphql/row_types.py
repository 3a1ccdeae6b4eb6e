"""Types of rows in variables, and the rows among them that GraphQL refuses."""

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, Final

import msgspec
from graphql import GraphQLNonNull, Undefined, coerce_input_value
from strawberry.types import get_object_definition

from api.graphql.row_inputs import event_row, metric_row
from api.graphql.schema import schema
from schema.recording import EventInput, MetricInput
from store.ingest.graphql_rows import event_inputs, is_deep, metric_inputs
from store.ingest.rows import RowType

_MAX_REFUSED_ROWS: Final = 50
"""Number of refused rows, of which an answer has no more errors than this."""

_MAX_READ_ROWS: Final = 100_000
"""Number of rows that are checked, twice as many as a batch may have: each takes 0.7 us."""

_UNREADABLE: Final = (msgspec.MsgspecError, ValueError, RecursionError)
_TEXTS_DECODER: Final = msgspec.json.Decoder(list[msgspec.Raw])


class UnreadableRowError(Exception):
    """A row is no JSON, or is so deep that its decoding may depend on the depth of the stack."""


class RefusedRowError(Exception):
    """GraphQL refuses a request with this row."""


def _coerce(row: object, input_name: str) -> Any:  # noqa: ANN401 - an input's fields
    """Return a row as GraphQL reads it; Undefined if GraphQL refuses it."""
    core_type: Any = schema._schema.type_map[input_name]  # noqa: SLF001 - graphql-core's
    return coerce_input_value(row, GraphQLNonNull(core_type))


def _translator(
    input_type: type, rest_row: Callable[[Any], Mapping[str, object]]
) -> Callable[[bytes | msgspec.Raw], bytes]:
    """Return a function from the text of a row to its text with the REST API's fields."""
    name_of = schema.config.name_converter.get_graphql_name
    fields = get_object_definition(input_type, strict=True).fields
    attributes = {name_of(field): field.python_name for field in fields}

    def translate(text: bytes | msgspec.Raw) -> bytes:
        members = _coerce(_decode(text), input_type.__name__)
        if members is Undefined:
            raise RefusedRowError
        # Strawberry's conversion takes 0.1 ms longer, and does the same.
        row = input_type(**{attributes[name]: value for name, value in members.items()})
        return msgspec.json.encode(rest_row(row))

    return translate


def _decode(text: bytes | msgspec.Raw) -> object:
    if is_deep(text):
        raise UnreadableRowError
    try:
        return msgspec.json.decode(text)
    except _UNREADABLE:
        raise UnreadableRowError from None


METRIC_INPUTS: Final = metric_inputs(_translator(MetricInput, metric_row))
EVENT_INPUTS: Final = event_inputs(_translator(EventInput, event_row))
INPUT_NAMES: Final[Mapping[RowType[Any], str]] = {
    METRIC_INPUTS: MetricInput.__name__,
    EVENT_INPUTS: EventInput.__name__,
}


def refused_rows(row_type: RowType[Any], array: bytes) -> dict[int, object]:
    """Return the first rows that GraphQL refuses, by their indexes, among the first 100,000.

    Raises `UnreadableRowError` if a row is not readable, whether GraphQL refuses rows or not.
    """
    bad_rows: dict[int, object] = {}
    for index, text in enumerate(islice(_TEXTS_DECODER.decode(array), _MAX_READ_ROWS)):
        try:
            row_type.decoders.row.decode(text)
        except _UNREADABLE:
            row = _decode(text)
            if len(bad_rows) == _MAX_REFUSED_ROWS:
                continue
            if _coerce(row, INPUT_NAMES[row_type]) is Undefined:
                bad_rows[index] = row
    return bad_rows
