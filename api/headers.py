"""The headers of a request by name."""

from typing import Final

from starlette.types import Scope

HEADERS_KEY: Final = "analytics.headers"
"""Key of a scope with the dictionary. `api/edge/protocol.py` sets it, other servers do not."""

CONTEXT_KEY: Final = "analytics.context"
"""Key of a scope with the context of its caller, once it is known."""

CONNECTION_KEY: Final = "analytics.connection"
"""Key of a scope with the connection of a request: `api/edge/protocol.py` sets it."""

STREAM_KEY: Final = "analytics.stream"
"""Key of a scope whose answer lasts until its client leaves: the log does not call it slow."""

HEAD_KEY: Final = "analytics.head"
"""Key of the scope of a HEAD request that is answered like GET: a stream must not begin."""


def headers_of(scope: Scope) -> dict[bytes, bytes]:
    """Return the headers of a request by name, in lower case; of equal names the first.

    The dictionary is made once for each request. Starlette's `Headers` decodes every name at each
    look-up: twice the time of decoding a row.
    """
    headers: dict[bytes, bytes] | None = scope.get(HEADERS_KEY)
    if headers is None:
        headers = scope[HEADERS_KEY] = dict(reversed(scope["headers"]))
    return headers
