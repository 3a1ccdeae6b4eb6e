"""What is said of rows that are refused: the field, the limit, in the words of the door."""

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
"""What the GraphQL inputs call a field whose REST name is another."""

REST_NAMES: Final[Mapping[str, str]] = {}


def row_error(index: int, row: object, error: AnalyticsError) -> RowError:
    return RowError(
        index=index,
        id=getattr(row, "id", None),
        field=error.field,
        code=error.code,
        message=error.message,
    )


_PATH: Final = re.compile(r" - at (?:`key` in )?`\$(?:\[\d+\])?\.?(\w+)?.*`$")
_QUOTED_FIELD: Final = re.compile(r"(?:required|unknown) field `(.*?)`")
_BOUND: Final = re.compile(r"(?:<=|>=) (-?\d+)")


def explain(
    error: Exception, field_names: Mapping[str, str], text: bytes | msgspec.Raw
) -> AnalyticsError:
    """Turn the error of decoding a text into one that names the field and the limit."""
    if isinstance(error, AnalyticsError):
        return rename_field(error, field_names)
    if isinstance(error, RecursionError):
        return bad_input(None, f"nested too deeply (at most {MAX_DEPTH})", limit=MAX_DEPTH)
    if fault := utf8_fault(text):
        return AnalyticsError("BAD_REQUEST", f"The row {fault}")
    message = str(error)
    if not isinstance(error, msgspec.ValidationError):
        return AnalyticsError("BAD_REQUEST", f"The row is not valid JSON: {message}")
    at, named, limit = _PATH.search(message), _QUOTED_FIELD.search(message), _BOUND.search(message)
    field = at[1] if at else None
    if named and not field:
        field = named[1][:MAX_NAME]
    bound = int(limit[1]) if limit else None
    reason = (message[: at.start()] if at else message)[: 2 * MAX_NAME]
    return rename_field(bad_input(field, reason.replace("`", ""), limit=bound), field_names)


def utf8_fault(text: bytes | msgspec.Raw) -> str | None:
    """Return where a text stops being UTF-8, as the predicate of a sentence; None if it is UTF-8.

    The decoder's own error counts from the beginning of a string, wherever that is.
    """
    try:
        bytes(text).decode()
    except UnicodeDecodeError as error:
        return f"is not UTF-8: byte {error.start} is 0x{error.object[error.start]:02X}."
    return None


def rename_field(error: AnalyticsError, field_names: Mapping[str, str]) -> AnalyticsError:
    """Speak of the field in the words of the door."""
    if error.field is None or error.field not in field_names:
        return error
    rest_name, api_name = error.field, field_names[error.field]
    message = error.message.replace(rest_name, api_name, 1)
    return bad_input(api_name, message.removeprefix(f"{api_name}: "), limit=error.limit)
