"""Row types of GraphQL inputs: their fields have other names, and times are texts.

Rows that these types do not decode are for `Dialect.translate`, which knows all rules of GraphQL.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final, Generic

import msgspec

from store.ingest.row_errors import GRAPHQL_NAMES
from store.ingest.rows import (
    EVENT,
    METRIC,
    Decoders,
    Dialect,
    EventRow,
    MetricRow,
    Name,
    Row,
    RowType,
    depth,
)

_MAX_BRACKETS: Final = 256
"""Brackets of a row that decoders of any stack depth accept."""


class _MetricInput(
    MetricRow,
    rename=GRAPHQL_NAMES,
    forbid_unknown_fields=True,
    omit_defaults=True,
    kw_only=True,
    gc=False,
):
    metric_name: Name
    timestamp: str | None = None


class _EventInput(
    EventRow,
    rename=GRAPHQL_NAMES,
    forbid_unknown_fields=True,
    omit_defaults=True,
    kw_only=True,
    gc=False,
):
    event_name: Name
    user_id: Name | None = None
    session_id: Name | None = None
    timestamp: str | None = None


def metric_inputs(translate: Callable[[bytes | msgspec.Raw], bytes]) -> RowType[MetricRow]:
    """Return the row type of `MetricInput`."""
    return _input_type(METRIC, _MetricInput, translate)


def event_inputs(translate: Callable[[bytes | msgspec.Raw], bytes]) -> RowType[EventRow]:
    """Return the row type of `EventInput`."""
    return _input_type(EVENT, _EventInput, translate)


class _RowDecoder(Generic[Row]):
    """Decoder of an input's rows to structs of the REST API, which have the same layout."""

    def __init__(self, input_struct: type[Row], rest_struct: type[Row]) -> None:
        self._decoder: msgspec.json.Decoder[Row] = msgspec.json.Decoder(input_struct)
        self._rest_struct: type[Row] = rest_struct

    def decode(self, text: bytes | msgspec.Raw, /) -> Row:
        if is_deep(text):
            raise RecursionError
        row = self._decoder.decode(text)
        row.__class__ = self._rest_struct
        return row

    def decode_lines(self, lines: bytes, /) -> list[Row]:
        return _as_rest_rows(self._decoder.decode_lines(lines), self._rest_struct)


class _ArrayDecoder(Generic[Row]):
    """Decoder of an array of an input's rows to structs of the REST API."""

    def __init__(self, input_struct: type[Row], rest_struct: type[Row]) -> None:
        self._decoder = msgspec.json.Decoder(list[input_struct])  # type: ignore[valid-type]  # mypy knows no types at run time
        self._rest_struct: type[Row] = rest_struct

    def decode(self, array: bytes, /) -> list[Row]:
        return _as_rest_rows(self._decoder.decode(array), self._rest_struct)


def _as_rest_rows(rows: list[Row], rest_struct: type[Row]) -> list[Row]:
    """Change the class of rows: to make new ones takes four times as long."""
    for row in rows:
        row.__class__ = rest_struct
    return rows


def is_deep(text: bytes | msgspec.Raw) -> bool:
    """Return whether a row is so deep that its decoding may depend on the depth of the stack."""
    row = bytes(text)
    if row.count(b"{") + row.count(b"[") <= _MAX_BRACKETS:
        return False
    try:
        return depth(msgspec.json.decode(row)) > _MAX_BRACKETS
    except RecursionError:
        return True
    except (msgspec.MsgspecError, ValueError):
        return False


def _input_type(
    rest_type: RowType[Row],
    struct: type[Row],
    translate: Callable[[bytes | msgspec.Raw], bytes],
) -> RowType[Row]:
    rest_keys = {field.encode_name for field in msgspec.structs.fields(rest_type.row)}
    keys = {key: rest_key for rest_key, key in GRAPHQL_NAMES.items() if rest_key in rest_keys}
    return replace(
        rest_type,
        decoders=Decoders(_RowDecoder(struct, rest_type.row), _ArrayDecoder(struct, rest_type.row)),
        dialect=Dialect(rest_type, keys, translate),
    )
