"""The one error a caller can see, and the one shape it is rendered in."""

from typing import Any, Final

STATUS: Final = {
    "BAD_REQUEST": 400,
    "GRAPHQL_PARSE_FAILED": 400,
    "GRAPHQL_VALIDATION_FAILED": 400,
    "PERSISTED_QUERY_NOT_SUPPORTED": 400,
    "FORBIDDEN": 403,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "NOT_ACCEPTABLE": 406,
    "PAYLOAD_TOO_LARGE": 413,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "BAD_USER_INPUT": 422,
    "QUERY_TOO_EXPENSIVE": 422,
    "CLIENT_CLOSED_REQUEST": 499,
    "INTERNAL_SERVER_ERROR": 500,
    "UNAVAILABLE": 503,
}
"""HTTP status of every code; a code that is not here is a programming error."""


class AnalyticsError(Exception):
    """A refusal that the caller can act on.

    `field` names the offending input in the words of the door it came through, `limit` the
    bound that was broken, `retry_after` the seconds after which the same request may succeed.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        field: str | None = None,
        limit: float | None = None,
        retry_after: int | None = None,
    ) -> None:
        """Create the error; `code` must be a key of `STATUS`."""
        super().__init__(message)
        self.code = code
        self.status = STATUS[code]
        self.message = message
        self.field = field
        self.limit = limit
        self.retry_after = retry_after
        self.rows: list[dict[str, Any]] | None = None

    def extensions(self) -> dict[str, Any]:
        """Return the machine-readable half: `code`, and what of `field`, `limit`, … applies."""
        parts = {
            "code": self.code,
            "field": self.field,
            "limit": self.limit,
            "retryAfter": self.retry_after,
            "rows": self.rows,
        }
        return {key: value for key, value in parts.items() if value is not None}

    def render(self) -> dict[str, Any]:
        """Return the error as an entry of `errors`, the same on both doors."""
        return {"message": self.message, "extensions": self.extensions()}


def bad_input(field: str | None, message: str, *, limit: float | None = None) -> AnalyticsError:
    """Return a 422 for one input field."""
    text = f"{field}: {message}" if field else message
    return AnalyticsError("BAD_USER_INPUT", text, field=field, limit=limit)
