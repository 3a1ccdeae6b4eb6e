"""OpenAPI parts that many operations share: security, answers by status, headers, links."""

from collections.abc import Iterable
from typing import Any, Final

from api.access.credentials import KEY_PARAMETER

JsonObject = dict[str, Any]

REF: Final = "#/components/schemas/{name}"
"""Reference to the schema of an answer."""

SECURITY_SCHEMES: Final[JsonObject] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A key, or a token that was signed for a user. Development needs none.",
    },
    "basic": {
        "type": "http",
        "scheme": "basic",
        "description": "A key as the user, with any password.",
    },
    "publicKey": {
        "type": "apiKey",
        "in": "query",
        "name": KEY_PARAMETER,
        "description": "A public key (`pk_…`), for clients that can set no header.",
    },
}
"""The places of a key."""

_HEADER_SCHEMES: Final = ("bearer", "basic")

_DESCRIPTIONS: Final = {
    400: "The request or its JSON can't be read, or its `Host` is not served.",
    401: "The key is missing or not valid.",
    403: "The key lacks the scope, or the page may not use it.",
    404: "There is no such metric, or no such project for this key.",
    408: "Headers or body arrive too slowly.",
    413: "The body, or the number of its rows, is too large.",
    414: "The address is too long.",
    415: "The body has an encoding or a charset that is not supported.",
    422: "A row or a parameter is not valid, or the query is too expensive; `field` names it.",
    429: "The budget of the key is spent, or the rows of the key or of the address.",
    431: "The headers are too large.",
    503: "Temporarily unavailable.",
}
_ALWAYS: Final = (400, 401, 403, 404, 408, 414, 431, 503)

PROBE_ERRORS: Final = _ALWAYS
"""Statuses of the errors of a health route."""

QUERY_ERRORS: Final = (*_ALWAYS, 422, 429)
"""Statuses of the errors of a route that queries or deletes."""

RECORD_ERRORS: Final = (*_ALWAYS, 413, 415, 422, 429)
"""Statuses of the errors of a route that records."""

_RETRY_AFTER: Final[JsonObject] = {
    "Retry-After": {
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
        "description": "Seconds after which the same request may succeed.",
    }
}
_ERROR_HEADERS: Final[dict[int, JsonObject]] = {
    401: {
        "WWW-Authenticate": {
            "required": True,
            "schema": {"type": "string"},
            "description": "The scheme to send a key with.",
        }
    },
    429: _RETRY_AFTER,
    503: _RETRY_AFTER,
}
BUDGET_HEADERS: Final[JsonObject] = {
    "RateLimit-Policy": {
        "schema": {"type": "string"},
        "description": "Budget of the key, if it has one: cost (`q`) in seconds (`w`).",
    },
    "RateLimit": {
        "schema": {"type": "string"},
        "description": "Cost that is left (`r`), and the seconds until all of it is back (`t`).",
    },
}
"""Headers of answers to a key with a budget."""


def content(name: str) -> JsonObject:
    """Return the content of an answer whose schema has a name."""
    return {"content": {"application/json": {"schema": {"$ref": REF.format(name=name)}}}}


def errors(statuses: Iterable[int], name: str) -> dict[int | str, JsonObject]:
    """Return the responses of these statuses; the schema of an error has this name."""
    return {
        status: {
            "description": _DESCRIPTIONS[status],
            **content(name),
            **({"headers": _ERROR_HEADERS[status]} if status in _ERROR_HEADERS else {}),
        }
        for status in sorted(statuses)
    }


def link(method: str, path: str, description: str, **parameters: str) -> JsonObject:
    """Return a link to an operation, whose parameters are members of the answer."""
    escaped_path = path.replace("~", "~0").replace("/", "~1")
    return {
        "operationRef": f"#/paths/{escaped_path}/{method}",
        "parameters": {name: f"$response.body#/{member}" for name, member in parameters.items()},
        "description": description,
    }


def add_security(document: JsonObject, *, production: bool) -> None:
    """Add the security of all operations: production needs a key, development takes one.

    Operations that declare their own security keep it, beside the tag `Record`: these take a
    public key in the address.
    """
    schemes: list[JsonObject] = [{name: []} for name in _HEADER_SCHEMES]
    optional: list[JsonObject] = [] if production else [{}]
    document["components"]["securitySchemes"] = SECURITY_SCHEMES
    document["security"] = [*optional, *schemes]
    for operations in document["paths"].values():
        for operation in operations.values():
            if "Record" in operation["tags"]:
                operation["security"] = [*optional, *schemes, {"publicKey": []}]
            elif "Health" in operation["tags"]:
                operation["security"] = [{}, *schemes]
