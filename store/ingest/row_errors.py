"""Validation errors of rows: field, limit and message, in the field names of the calling API."""

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from schema.errors import AnalyticsError, bad_input
from schema.recording import RowError
from store.ingest.rows import MAX_DEPTH, MAX_NAME

GRAPHQL_NAMES: Final[Mapping[str, str]] = {
    "metric_name": "name",
    "event_name": "name",
    "user_id": "userId",
    "session_id": "sessionId",
    "timestamp": "time",
}
"""The GraphQL name of each field whose REST name differs."""

REST_NAMES: Final[Mapping[str, str]] = {}


def row_error(index: int, row: object, error: AnalyticsError) -> RowError:
    """Return the error of the row at an index, with the row's id if it has one."""
    return RowError(
        index=index,
        id=getattr(row, "id", None),
        field=error.field,
        code=error.code,
        message=error.message,
    )


_PATH: Final = re.compile(r" - at (?:`key` in )?`\$(?:\[\d+\])?\.?(\w+)?.*`$")
_QUOTED_FIELD: Final = re.compile(r"(?:required|unknown) field `(.*?)`")
_LIMIT_NUMBER: Final = re.compile(r"(?:<=|>=) (-?\d+)")


def explain(
    error: Exception, field_names: Mapping[str, str], text: bytes | msgspec.Raw
) -> AnalyticsError:
    """Turn the error of decoding a row into an error that names the field and the limit."""
    if isinstance(error, AnalyticsError):
        return rename_field(error, field_names)
    if isinstance(error, RecursionError):
        return bad_input(None, f"nested too deeply (at most {MAX_DEPTH})", limit=MAX_DEPTH)
    if fault := utf8_fault(text):
        return AnalyticsError("BAD_REQUEST", f"The row {fault}")
    message = str(error)
    if not isinstance(error, msgspec.ValidationError):
        return AnalyticsError("BAD_REQUEST", f"The row is not valid JSON: {message}")
    path = _PATH.search(message)
    quoted_field = _QUOTED_FIELD.search(message)
    limit = _LIMIT_NUMBER.search(message)
    field = path[1] if path else None
    if quoted_field and not field:
        field = quoted_field[1][:MAX_NAME]
    reason = (message[: path.start()] if path else message)[: 2 * MAX_NAME].replace("`", "")
    error = bad_input(field, reason, limit=int(limit[1]) if limit else None)
    return rename_field(error, field_names)


def utf8_fault(text: bytes | msgspec.Raw) -> str | None:
    """Return the first byte that is not UTF-8, as the predicate of a sentence; None if all is.

    The decoder's own error gives an offset in a string of the body, not in the body.
    """
    try:
        bytes(text).decode()
    except UnicodeDecodeError as error:
        return f"is not UTF-8: byte {error.start} is 0x{error.object[error.start]:02X}."
    return None


def rename_field(error: AnalyticsError, field_names: Mapping[str, str]) -> AnalyticsError:
    """Replace the REST name of a field by the calling API's name, in the message too."""
    if error.field is None or error.field not in field_names:
        return error
    rest_name, api_name = error.field, field_names[error.field]
    message = error.message.replace(rest_name, api_name, 1)
    return bad_input(api_name, message.removeprefix(f"{api_name}: "), limit=error.limit)
