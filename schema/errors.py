"""The one error a caller can see, and the one shape it is rendered in."""

from typing import Annotated, Any, Final

from msgspec import Meta, Struct

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


class ErrorExtensions(Struct, omit_defaults=True, rename={"retry_after": "retryAfter"}):
    code: Annotated[str, Meta(description="Stable, for programs.")]
    field: Annotated[
        str | None, Meta(description="The offending input or parameter, when it is one.")
    ] = None
    limit: Annotated[float | None, Meta(description="The bound that was broken.")] = None
    retry_after: Annotated[
        int | None,
        Meta(description="Seconds after which the same request may succeed, as `Retry-After`."),
    ] = None
    rows: Annotated[
        list[dict[str, Any]] | None,
        Meta(description="The first rejected rows of a batch in which no row is valid."),
    ] = None


class ErrorEntry(Struct):
    message: str
    extensions: ErrorExtensions


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

    def render(self) -> ErrorEntry:
        """Return the error as an entry of `errors`, the same in both APIs."""
        extensions = ErrorExtensions(self.code, self.field, self.limit, self.retry_after, self.rows)
        return ErrorEntry(self.message, extensions)


def bad_input(field: str | None, message: str, *, limit: float | None = None) -> AnalyticsError:
    """Return a 422 for one input field."""
    text = f"{field}: {message}" if field else message
    return AnalyticsError("BAD_USER_INPUT", text, field=field, limit=limit)
