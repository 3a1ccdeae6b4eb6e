"""OpenID Connect: a provider tells who a person is. Authlib speaks the protocol.

The code flow with PKCE, `state` and `nonce`. What it must remember is in a signed cookie of the
browser, so no stranger can fill a memory here, and no other browser can end the sign-in.
"""

import logging
import secrets
from typing import Any, Final

import httpx2
import jwt
from authlib.integrations.starlette_client import OAuth, OAuthError
from joserfc.errors import JoseError
from starlette.requests import Request

from api.access.cookies import SIGN_IN_SECONDS
from schema.errors import AnalyticsError
from store.access.members import Person
from store.clock import wall_ms

_LOG: Final = logging.getLogger("analytics.openid")
_ALGORITHM: Final = "HS256"
_SCOPES: Final = ("openid", "email", "profile")
_GROUPS: Final = "groups"
_TIMEOUT_SECONDS: Final = 10
_FAILURES: Final = (
    *(OAuthError, JoseError, httpx2.HTTPError),
    *(ValueError, KeyError, TypeError, AttributeError, RuntimeError),
)
"""What Authlib raises when a provider is not reachable, refuses, or answers nonsense."""


class Provider:
    """A provider of OpenID Connect, known by its issuer."""

    def __init__(self, issuer: str, client_id: str, client_secret: str | None) -> None:
        """Use a provider; it is first asked when somebody signs in.

        Without a client secret, PKCE alone shows that the same service ends the sign-in.
        """
        self._issuer = issuer.rstrip("/")
        self._cookie_secret = secrets.token_bytes(32)
        self._client = OAuth().register(
            "provider",
            client_id=client_id,
            client_secret=client_secret,
            server_metadata_url=f"{self._issuer}/.well-known/openid-configuration",
            client_kwargs={
                "scope": " ".join(_SCOPES),
                "code_challenge_method": "S256",
                "timeout": _TIMEOUT_SECONDS,
                "verify": httpx2.create_ssl_context(),  # once: it reads all certificates
                **({} if client_secret else {"token_endpoint_auth_method": "none"}),
            },
        )

    @property
    def name(self) -> str:
        """The name of the provider for people: its host."""
        return httpx2.URL(self._issuer).host

    async def begin(self, request: Request, callback: str) -> tuple[str, str]:
        """Return the address at which a person signs in, and the cookie of the sign-in.

        Raises UNAVAILABLE if the provider can't be reached.
        """
        request.scope["session"] = {}
        try:
            metadata = await self._metadata()
            scopes = _SCOPES + (
                (_GROUPS,) if _GROUPS in metadata.get("scopes_supported", ()) else ()
            )
            redirect = await self._client.authorize_redirect(
                request, callback, scope=" ".join(scopes)
            )
        except _FAILURES as error:
            self._client.server_metadata.clear()  # Authlib asks for it once, for ever
            _LOG.warning("the provider of OpenID Connect can't be used: %r", error)
            message = f"{self.name} can't be reached now; the log says why."
            raise AnalyticsError("UNAVAILABLE", message, retry_after=5) from error
        expiry = wall_ms() // 1000 + SIGN_IN_SECONDS
        claims = {"exp": expiry, "session": request.scope["session"]}
        cookie = jwt.encode(claims, self._cookie_secret, _ALGORITHM)
        return redirect.headers["location"], cookie

    async def finish(self, request: Request, cookie: str | None) -> Person:
        """Return the person with whom a provider sent the browser back.

        Raises UNAUTHENTICATED for a sign-in that is too old or not of this browser, and for one
        that the provider refused.
        """
        try:
            claims = jwt.decode(cookie or "", self._cookie_secret, [_ALGORITHM])
        except jwt.InvalidTokenError:
            raise AnalyticsError("UNAUTHENTICATED", "The sign-in is too old.") from None
        request.scope["session"] = claims["session"]
        try:
            return await self._person(request)
        except _FAILURES as error:
            _LOG.warning("a sign-in by OpenID Connect failed: %r", error)
            message = f"{self.name} did not sign you in."
            raise AnalyticsError("UNAUTHENTICATED", message) from error

    async def _metadata(self) -> dict[str, Any]:
        metadata: dict[str, Any] = await self._client.load_server_metadata()
        issuer = str(metadata.get("issuer"))
        if issuer.rstrip("/") != self._issuer:
            raise ValueError(f"its issuer is {issuer}, not {self._issuer}")
        return metadata

    async def _person(self, request: Request) -> Person:
        metadata = await self._metadata()
        token = await self._client.authorize_access_token(
            request,
            claims_options={
                "iss": {"essential": True, "values": [metadata["issuer"]]},
                "aud": {"essential": True, "value": self._client.client_id},
            },
        )
        claims: dict[str, Any] = dict(token["userinfo"])  # of the token, whose signature holds
        if not claims.keys() >= {"email", _GROUPS} and "userinfo_endpoint" in metadata:
            more_claims = await self._client.userinfo(token=token)
            if more_claims["sub"] == claims["sub"]:
                claims = dict(more_claims) | claims
        return _person(claims)


def _person(claims: dict[str, Any]) -> Person:
    """Return a person; an address that the provider did not verify could be anybody's."""
    email = claims.get("email")
    is_verified = claims.get("email_verified") in {True, "true"}
    groups = claims.get(_GROUPS)
    return Person(
        name=str(email or claims.get("name") or claims["sub"]),
        email=str(email) if email and is_verified else None,
        groups=frozenset(map(str, groups)) if isinstance(groups, list) else frozenset(),
    )
