"""Cookies of people on our own pages: of a session, and of a sign-in that has begun.

A cookie counts only in requests of our own pages. Pages of other sites, also of a neighbouring
name, can make a browser send it, but not say that they are ours.
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from api.headers import headers_of
from schema.errors import AnalyticsError

_SECURE_PREFIX: Final = "__Host-"
"""Begin of a name that browsers take from https only, and from no neighbouring name."""

SESSION: Final = "analytics-session"
"""Name of the cookie of a session."""

SIGN_IN: Final = "analytics-sign-in"
"""Name of the cookie of a sign-in that has begun."""

SIGN_IN_SECONDS: Final = 600
"""Seconds that a person has to sign in with a provider."""


def check_page(request: Request) -> None:
    """Raise FORBIDDEN for a request of another site's page."""
    if not is_from_our_page(request):
        raise AnalyticsError("FORBIDDEN", "Only pages of this service may sign in.")


def is_from_our_page(request: Request) -> bool:
    """Say whether a request is from our own page, or from no page at all.

    Browsers say so in `Sec-Fetch-Site`, older ones in `Origin` for all requests that write.
    """
    headers = headers_of(request.scope)
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        return site in {b"same-origin", b"none"}
    origin = headers.get(b"origin")
    return origin is None or origin.partition(b"://")[2] == headers.get(b"host")


def read(request: Request, name: str) -> str | None:
    """Return the value of a cookie; None if there is none."""
    if b"cookie" not in headers_of(request.scope):
        return None
    return request.cookies.get(_SECURE_PREFIX + name) or request.cookies.get(name)


def write(request: Request, response: Response, name: str, value: str, max_age: int) -> None:
    """Set a cookie for some seconds. A page on https gets one for https only."""
    is_secure = _is_secure(request)
    response.set_cookie(
        _SECURE_PREFIX + name if is_secure else name,
        value,
        max_age,
        path="/",
        secure=is_secure,
        httponly=True,
        # A provider of OpenID Connect sends the browser back, and that must have the cookie.
        samesite="lax" if name == SIGN_IN else "strict",
    )


def delete(request: Request, response: Response, name: str) -> None:
    """Delete a cookie, in both of its names."""
    for full_name in {_SECURE_PREFIX + name, name} & set(request.cookies):
        is_secure = full_name != name
        response.set_cookie(full_name, "", 0, path="/", secure=is_secure, httponly=True)


def _is_secure(request: Request) -> bool:
    """Say whether a page is on https. The request itself does not tell: a proxy may end TLS."""
    origin = headers_of(request.scope).get(b"origin", b"")
    return origin.startswith(b"https://") or _SECURE_PREFIX + SIGN_IN in request.cookies
