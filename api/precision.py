"""The unit of numeric timestamps, from the query string or a header of a request."""

from typing import Any, Final

from starlette.datastructures import QueryParams
from starlette.requests import Request

from api.headers import headers_of
from schema.errors import bad_input
from store.timestamps import UNITS, Unit

PARAMETER: Final = "precision"
HEADER: Final = "X-Timestamp-Precision"

_HEADER_KEY: Final = HEADER.lower().encode()
_SCHEMA: Final = {"type": "string", "enum": list(UNITS)}
_DESCRIPTION: Final = (
    "Unit of numeric timestamps: s (seconds), ms (milliseconds), us (microseconds) or ns"
    " (nanoseconds). Default: ms; then a number below 10^11 is rejected, because it is likely"
    " seconds."
)

PARAMETERS: Final[list[dict[str, Any]]] = [
    {"name": PARAMETER, "in": "query", "schema": _SCHEMA, "description": _DESCRIPTION},
    {
        "name": HEADER,
        "in": "header",
        "schema": _SCHEMA,
        "description": f"As the query parameter `{PARAMETER}`; both in one request must be equal.",
    },
]
"""The OpenAPI declarations of the query parameter and the header."""


def unit_of(request: Request) -> Unit | None:
    """Return the timestamp unit of a request; None if it names no unit.

    Raises BAD_USER_INPUT for an unknown unit, and for two different units.
    """
    query = request.scope["query_string"]
    if not query and _HEADER_KEY not in headers_of(request.scope):
        return None
    symbols = {
        value.decode("latin-1") for key, value in request.scope["headers"] if key == _HEADER_KEY
    }
    symbols.update(QueryParams(query).getlist(PARAMETER))
    if not symbols:
        return None
    if len(symbols) > 1:
        pair = " and ".join(sorted(f"{symbol[:20]!r}" for symbol in symbols)[:2])
        raise bad_input(PARAMETER, f"is given as {pair}; parameter and header must agree")
    (symbol,) = symbols
    if symbol not in UNITS:
        raise bad_input(PARAMETER, f"must be one of {', '.join(UNITS)}, not {symbol[:20]!r}")
    return UNITS[symbol]
