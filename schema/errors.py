"""The error of both APIs: codes with their HTTP status, the exception, its rendered form."""

from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from schema.limits import MESSAGE_CHARACTERS, QUOTED_CHARACTERS, Limit

STATUS: Final = {
    "BAD_REQUEST": 400,
    "GRAPHQL_PARSE_FAILED": 400,
    "GRAPHQL_VALIDATION_FAILED": 400,
    "UNAUTHENTICATED": 401,
    "FORBIDDEN": 403,
    "NOT_FOUND": 404,
    "PERSISTED_QUERY_NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "NOT_ACCEPTABLE": 406,
    "REQUEST_TIMEOUT": 408,
    "CONFLICT": 409,
    "PAYLOAD_TOO_LARGE": 413,
    "URI_TOO_LONG": 414,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "BAD_USER_INPUT": 422,
    "QUERY_TOO_EXPENSIVE": 422,
    "RATE_LIMITED": 429,
    "HEADERS_TOO_LARGE": 431,
    "CLIENT_CLOSED_REQUEST": 499,
    "INTERNAL_SERVER_ERROR": 500,
    "UNAVAILABLE": 503,
}
"""HTTP status of every code. Any other code is a programming error."""


class ErrorExtensions(Struct, omit_defaults=True, rename={"retry_after": "retryAfter"}):
    code: Annotated[str, Meta(description="Stable code of the reason, for programs.")]
    field: Annotated[
        str | None,
        Meta(description="Name of the wrong field or parameter, if the error is about one."),
    ] = None
    limit: Annotated[
        float | None, Meta(description="Bound that the value breaks, if it breaks one.")
    ] = None
    retry_after: Annotated[
        int | None,
        Meta(description="Seconds until the same request may succeed, as in `Retry-After`."),
    ] = None
    rows: Annotated[
        list[dict[str, Any]] | None,
        Meta(description="First 100 rejected rows of a batch that has no valid row."),
    ] = None


class ErrorEntry(Struct):
    message: str
    extensions: ErrorExtensions


class AnalyticsError(Exception):
    """A refusal that the caller can act on.

    `field` is the wrong input by its name in the API of the caller. `limit` is the bound that the
    input breaks. `retry_after` is in seconds: after them the same request may succeed. Message and
    field are cut at `MESSAGE_CHARACTERS`: both may quote the input.
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
        self.message = shorten(message, MESSAGE_CHARACTERS)
        super().__init__(self.message)
        self.code = code
        self.status = STATUS[code]
        self.field = field and shorten(field, MESSAGE_CHARACTERS)
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


def limit_error(
    limit: Limit, code: str = "GRAPHQL_VALIDATION_FAILED", field: str = "query"
) -> AnalyticsError:
    """Return the refusal of an input that breaks a limit of the table."""
    message = f"{field}: takes at most {limit.value} {limit.unit} (limit `{limit.name}`)"
    return AnalyticsError(code, message, field=field, limit=limit.value)


def quote(text: str) -> str:
    """Return a value of the caller for a message, in quotes and cut."""
    return repr(shorten(text, QUOTED_CHARACTERS))


def shorten(text: str, limit: Limit) -> str:
    """Cut a text after as many characters as a limit says; the last one then is an ellipsis."""
    return text if len(text) <= limit.value else text[: limit.value - 1] + "…"
