"""Credentials: the key or the session of a request, and the caller's context."""

import base64
import binascii
from typing import Final
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.types import Scope

from api.access import cookies
from api.addresses import Clients
from api.headers import headers_of
from resolvers.context import Context
from schema.access import KeyKind, needs_key
from schema.errors import AnalyticsError
from store.access.registry import Key
from store.access.sessions import Session
from store.clock import wall_ms

KEY_PARAMETER: Final = "key"
"""The query parameter of a public key, for clients that can set no header."""

PROJECT_HEADER: Final = "Analytics-Project"
"""The header with which requests of admin keys, and in development, name a project."""

_PROJECT_HEADER: Final = PROJECT_HEADER.lower().encode()
_MAX_SHOWN: Final = 100
_DOTS_OF_TOKEN: Final = 2  # a key has none
_PUBLIC_PREFIX: Final = b"pk_"
_SIMPLE_TYPES: Final = frozenset(
    {b"", b"text/plain", b"application/x-www-form-urlencoded", b"multipart/form-data"}
)
"""Content types that browsers send to any site, because forms did so first."""
_SCHEMES: Final = "Bearer, or Basic with the key as the user"


def context_of(request: Request) -> Context:
    """Return the context with the rights of the caller.

    Raises UNAUTHENTICATED for a wrong key, and in production for a caller without a key.
    """
    ctx = open_context_of(request)
    if not ctx.grant.scopes:
        raise needs_key()
    return ctx


def recorder_of(request: Request, rows: int) -> Context:
    """Return the context of a caller who records, and take rows from its limits.

    Raises as `context_of` does, and RATE_LIMITED if the caller has no rows left.
    """
    ctx = context_of(request)
    row_limits = ctx.store.row_limits
    if ctx.grant.is_public or row_limits.has_limit_of_keys:
        row_limits.spend(ctx.grant.key_id, address_of(request, ctx), rows)
    return ctx


def address_of(request: Request, ctx: Context) -> str:
    """Return the network of a caller with a public key; "" for others, whose addresses are free."""
    if not ctx.grant.is_public:
        return ""
    clients: Clients = request.app.state.clients
    return clients.network_of(request.scope)


def open_context_of(request: Request) -> Context:
    """Return the context as `context_of` does, also for a caller without any right."""
    ctx: Context = request.app.state.context
    secret = _secret(request.scope)
    project = headers_of(request.scope).get(_PROJECT_HEADER)
    if secret is None:
        session = _session(request, ctx)
        if session is not None:
            return ctx.for_session(*session, _project_of_key(ctx, session[1], project))
        _check_site(request)
        if project is None or not ctx.grant.scopes:  # a stranger learns no name of a project
            return ctx
        return ctx.in_project(_project(ctx, project))
    return context_of_secret(ctx, secret, headers_of(request.scope).get(b"origin"), project)


def context_of_secret(
    ctx: Context, secret: bytes, origin: bytes | None, project: bytes | None
) -> Context:
    """Return the context of a key or a token.

    `origin` is the one of the caller's page, and `project` the one that it names. Raises
    UNAUTHENTICATED for a wrong key, FORBIDDEN for another origin, NOT_FOUND for another project.
    """
    if secret.count(b".") == _DOTS_OF_TOKEN:
        token = ctx.store.tokens.read(secret)
        if project is not None and project != token.key.project.encode():
            raise _no_project(project)
        return ctx.for_token(token)
    key = ctx.store.keys.find(secret)
    if key.origins:
        _check_origin(key, origin)
    return ctx.for_key(key, _project_of_key(ctx, key, project))


def check_validity(ctx: Context) -> None:
    """Raise UNAUTHENTICATED if a caller's key, token or session is no longer valid."""
    grant, keys = ctx.grant, ctx.store.keys
    if grant.key_id is not None and not keys.is_usable(grant.key_id):
        message = f"The key {grant.key_prefix}… is no longer valid."
        raise AnalyticsError("UNAUTHENTICATED", message)
    if grant.session_id is not None and not keys.is_session_open(grant.session_id):
        raise AnalyticsError("UNAUTHENTICATED", "The session has ended.")
    if ctx.expires_ms is not None and wall_ms() >= ctx.expires_ms:
        raise AnalyticsError("UNAUTHENTICATED", "The token has expired.")


def _session(request: Request, ctx: Context) -> tuple[Session, Key] | None:
    """Return the session of a request of our own pages, and its key; None if there is none."""
    secret = cookies.read(request, cookies.SESSION)
    if secret is None or not cookies.is_from_our_page(request):
        return None
    return ctx.store.keys.find_session(secret.encode())


def _project_of_key(ctx: Context, key: Key, project: bytes | None) -> str:
    """Return the project of a key, or the one that a request with an admin key names."""
    if project is None:
        return key.project
    if key.kind is not KeyKind.ADMIN and project != key.project.encode():
        raise _no_project(project)
    return _project(ctx, project)


def _project(ctx: Context, header: bytes) -> str:
    name = header.decode("latin-1")
    if not ctx.store.keys.registry.has_project(name):
        raise _no_project(header)
    return name


def _no_project(header: bytes) -> AnalyticsError:
    name = header.decode("latin-1")[:_MAX_SHOWN]
    message = f"There is no project {name!r}, or the key is of another one."
    return AnalyticsError("NOT_FOUND", message, field=PROJECT_HEADER)


def _secret(scope: Scope) -> bytes | None:
    """Return the key that a request carries; None if it carries none.

    Raises UNAUTHENTICATED for credentials of another kind, and for a key in the wrong place.
    """
    header = headers_of(scope).get(b"authorization")
    query: bytes = scope["query_string"]
    parameter = _key_parameter(query) if b"key=" in query else None
    if header is None:
        return parameter
    secret = secret_of_header(header)
    if parameter is not None and parameter != secret:
        raise AnalyticsError("UNAUTHENTICATED", "The header and the address have two keys.")
    return secret


def secret_of_header(header: bytes) -> bytes:
    """Return the key or the token in the value of `Authorization`. Raises UNAUTHENTICATED."""
    scheme, _, credentials = header.strip().partition(b" ")
    credentials = credentials.strip()
    match scheme.lower():
        case b"bearer" if credentials:
            return credentials
        case b"basic":
            try:
                return base64.b64decode(credentials, validate=True).partition(b":")[0]
            except binascii.Error:
                pass
    raise AnalyticsError("UNAUTHENTICATED", f"Authorization must be {_SCHEMES}.")


def _key_parameter(query: bytes) -> bytes | None:
    """Return the key in a query string. Addresses are logged, so only public keys may be there."""
    # `parse_qs` of bytes fails for any character that is not ASCII.
    parameters = parse_qs(query.decode("latin-1"), keep_blank_values=True, encoding="latin-1")
    values = parameters.get(KEY_PARAMETER)
    if not values:
        return None
    if len(set(values)) > 1:
        raise AnalyticsError("UNAUTHENTICATED", "The address has two keys.")
    secret = values[0].encode("latin-1")
    if not secret.startswith(_PUBLIC_PREFIX):
        message = "Only a key that begins with pk_ may be in an address; send the header"
        raise AnalyticsError("UNAUTHENTICATED", f"{message} `Authorization: Bearer <key>`.")
    return secret


def _check_site(request: Request) -> None:
    """Refuse a write of another site's page that its browser sent without asking (no preflight).

    Raises FORBIDDEN.
    """
    headers = headers_of(request.scope)
    if headers.get(b"sec-fetch-site") != b"cross-site" or request.method != "POST":
        return
    media_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if media_type in _SIMPLE_TYPES:
        message = "Pages of other sites need a key, or the content type application/json."
        raise AnalyticsError("FORBIDDEN", message)


def _check_origin(key: Key, origin: bytes | None) -> None:
    if origin is None or origin.decode("latin-1").lower() not in key.origins:
        message = f"The key {key.prefix}… may be used by pages of its origins only."
        raise AnalyticsError("FORBIDDEN", message)
