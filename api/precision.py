"""Unit of the numeric timestamps in a request, from its query string or its header."""

from typing import Any, Final

from starlette.datastructures import QueryParams
from starlette.requests import Request

from schema.errors import bad_input
from store.timestamps import UNITS, Unit

PARAMETER: Final = "precision"
HEADER: Final = "X-Timestamp-Precision"

_HEADER_KEY: Final = HEADER.lower().encode()
_SCHEMA: Final = {"type": "string", "enum": list(UNITS)}
_DESCRIPTION: Final = (
    "Unit of numeric timestamps: seconds, milliseconds, microseconds or nanoseconds."
    " Without it they are milliseconds, and those below 10^11 are refused: they look like seconds."
)

PARAMETERS: Final[list[dict[str, Any]]] = [
    {"name": PARAMETER, "in": "query", "schema": _SCHEMA, "description": _DESCRIPTION},
    {
        "name": HEADER,
        "in": "header",
        "schema": _SCHEMA,
        "description": f"Like the query parameter `{PARAMETER}`; given both, they must be equal.",
    },
]
"""The parameters as OpenAPI describes them."""


def unit_of(request: Request) -> Unit | None:
    """Return the unit that a request gives, None if it gives none.

    Raises `AnalyticsError` for an unknown unit, and for two different ones.
    """
    headers = request.scope["headers"]
    given = {value.decode("latin-1") for key, value in headers if key == _HEADER_KEY}
    if query := request.scope["query_string"]:
        given.update(QueryParams(query).getlist(PARAMETER))
    if not given:
        return None
    if len(given) > 1:
        shown = " and ".join(sorted(f"{symbol[:20]!r}" for symbol in given)[:2])
        raise bad_input(PARAMETER, f"is given as {shown}; parameter and header must agree")
    (symbol,) = given
    if symbol not in UNITS:
        raise bad_input(PARAMETER, f"must be one of {', '.join(UNITS)}, not {symbol[:20]!r}")
    return UNITS[symbol]
