"""JSON responses, and the one rendering of errors."""

import logging
import secrets
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from starlette.responses import Response

from schema.errors import AnalyticsError, ErrorEntry

_LOG: Final = logging.getLogger("analytics.http")


_ENCODE: Final = msgspec.json.Encoder().encode


class Errors(msgspec.Struct):
    """The one shape of every error, the same as GraphQL's."""

    errors: list[ErrorEntry]


def answer(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:  # noqa: ANN401 - whatever msgspec encodes
    """Return a JSON response."""
    return Response(_ENCODE(content), status, headers, media_type="application/json")


def error_answer(error: AnalyticsError) -> Response:
    """Render an error, in the one shape: `{"errors": [{message, extensions: {code, …}}]}`."""
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after else None
    return answer(Errors([error.render()]), error.status, headers)


def internal_error(error: BaseException) -> AnalyticsError:
    """Log a failure that is ours; return what its caller may know, with an id to find it by."""
    number = secrets.token_hex(6)
    _LOG.error("internal error %s", number, exc_info=error)
    message = f"Something went wrong on our side; the log has it under {number}."
    return AnalyticsError("INTERNAL_SERVER_ERROR", message)
