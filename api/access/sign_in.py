"""Sign-in on the pages: the routes of `/session`, for our own pages only."""

from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import cookies
from api.access.credentials import open_context_of
from api.bodies import read_body
from api.responses import SAFETY, answer
from resolvers.access import sessions
from resolvers.access.keys import session_of_caller
from resolvers.context import Context
from schema.access import Scope, Session
from schema.errors import AnalyticsError, bad_input
from schema.scalars import rfc3339
from store.clock import wall_ms

if TYPE_CHECKING:  # Authlib takes 0.3 s to import, and most services need it never
    from api.access.openid import Provider

T = TypeVar("T")

MAX_BODY: Final = 16_384
_JSON: Final = "application/json"
_SIGN_IN_PAGE: Final = "../../sign-in"
"""The page that shows how a sign-in with a provider ended, seen from its callback."""


class Caller(msgspec.Struct):
    """What a page shows of its caller: how to sign in, and who is signed in."""

    is_open: bool
    provider: str | None
    person: str | None = None
    project: str | None = None
    scopes: list[str] = []
    expires_at: str | None = None


class KeyBody(msgspec.Struct, forbid_unknown_fields=True):
    """Body of a sign-in with a key."""

    key: str


class PageBody(msgspec.Struct, forbid_unknown_fields=True):
    """Body of a sign-in with the provider: the address of our pages, as the browser has it."""

    base: str


async def show_caller(request: Request) -> Response:
    """Answer who is signed in, and how a person signs in."""
    return answer(_caller(request, open_context_of(request)))


async def sign_in(request: Request) -> Response:
    """Start a session with the rights of the key in the body."""
    cookies.check_page(request)
    body = await _body(request, KeyBody)
    former_ctx = open_context_of(request)
    ctx: Context = request.app.state.context
    session, secret = await sessions.sign_in_with_key(ctx, body.key.strip(), _user_agent(request))
    await sessions.sign_out(former_ctx)
    response = _empty_answer()
    _give_session(request, response, session, secret)
    return response


async def sign_out(request: Request) -> Response:
    """End the session of the caller."""
    cookies.check_page(request)
    await sessions.sign_out(open_context_of(request))
    response = _empty_answer()
    cookies.delete(request, response, cookies.SESSION)
    return response


async def begin_with_provider(request: Request) -> Response:
    """Answer with the address at which a person signs in with the provider."""
    cookies.check_page(request)
    body = await _body(request, PageBody)
    origin = request.headers.get("origin")
    if not origin or not body.base.startswith(f"{origin}/"):
        raise bad_input("base", "must be an address of the page that sends it")
    callback = f"{body.base.rstrip('/')}/session/openid/callback"
    location, cookie = await _provider(request).begin(request, callback)
    response = answer({"location": location})
    cookies.write(request, response, cookies.SIGN_IN, cookie, cookies.SIGN_IN_SECONDS)
    return response


async def finish_with_provider(request: Request) -> Response:
    """Start a session for the person whom the provider sent back, and show our page."""
    ctx: Context = request.app.state.context
    try:
        cookie = cookies.read(request, cookies.SIGN_IN)
        person = await _provider(request).finish(request, cookie)
        session, secret = await sessions.sign_in_as_person(ctx, person, _user_agent(request))
    except AnalyticsError as error:
        response = _redirect(f"{_SIGN_IN_PAGE}?failure={error.code.lower()}")
    else:
        response = _redirect(_SIGN_IN_PAGE)
        _give_session(request, response, session, secret)
    cookies.delete(request, response, cookies.SIGN_IN)
    return response


def _caller(request: Request, ctx: Context) -> Caller:
    open_ctx: Context = request.app.state.context
    provider: Provider | None = request.app.state.provider
    caller = Caller(
        is_open=bool(open_ctx.grant.scopes), provider=None if provider is None else provider.name
    )
    if not ctx.grant.scopes:
        return caller
    caller.project = ctx.grant.project
    caller.scopes = [scope.name for scope in Scope if scope in ctx.grant.scopes]
    session = session_of_caller(ctx)
    if session:
        caller.person = session.person
        caller.expires_at = rfc3339(session.expires_at)
    return caller


def _empty_answer() -> Response:
    response = Response(status_code=204)
    response.raw_headers += SAFETY
    return response


def _redirect(address: str) -> Response:
    response = RedirectResponse(address, 303)
    response.raw_headers += SAFETY
    return response


async def _body(request: Request, content_type: type[T]) -> T:
    """Return the decoded body. Only JSON makes a browser ask before another site sends it."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _JSON:
        raise AnalyticsError("UNSUPPORTED_MEDIA_TYPE", f"The body must be {_JSON}.")
    try:
        return msgspec.json.decode(await read_body(request, MAX_BODY), type=content_type)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:  # the latter inside of texts
        raise AnalyticsError("BAD_REQUEST", f"The body is wrong: {error}") from None


def _provider(request: Request) -> "Provider":
    provider: Provider | None = request.app.state.provider
    if provider is None:
        message = "No provider of OpenID Connect is configured: ANALYTICS_OPENID_ISSUER names one."
        raise AnalyticsError("NOT_FOUND", message)
    return provider


def _user_agent(request: Request) -> str:
    return request.headers.get("user-agent", "")


def _give_session(request: Request, response: Response, session: Session, secret: str) -> None:
    seconds = (session.expires_at - wall_ms()) // 1000
    cookies.write(request, response, cookies.SESSION, secret, seconds)
