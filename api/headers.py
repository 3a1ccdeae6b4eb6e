"""The headers of a request by name."""

from typing import Final

from starlette.types import Scope

_HEADERS_KEY: Final = "analytics.headers"


def headers_of(scope: Scope) -> dict[bytes, bytes]:
    """Return the headers of a request by name, in lower case; of equal names the first.

    The dictionary is made once for each request. Starlette's `Headers` decodes every name at each
    look-up: twice the time of decoding a row.
    """
    headers: dict[bytes, bytes] | None = scope.get(_HEADERS_KEY)
    if headers is None:
        headers = scope[_HEADERS_KEY] = dict(reversed(scope["headers"]))
    return headers
