"""Signed tokens: a customer's back end mints them for its users, who query some rows."""

from typing import Any, Final, NamedTuple

import jwt
from jwt.types import Options

from schema.access import RowFilter, Scope, intersection
from schema.errors import AnalyticsError
from schema.filter_json import filter_from_json
from schema.scalars import MS_PER_HOUR
from store.access.keys import Keys
from store.access.registry import Key
from store.clock import wall_ms
from store.query.filters.row_filters import restrict
from store.query.filters.row_set import RowSet
from store.query.tables import TABLE_BY_NAME

MAX_TOKEN_HOURS: Final = 24
"""Maximum time that a token has left: it can't be revoked alone."""

_MAX_BYTES: Final = 8_192
_ALGORITHM: Final = "HS256"
_OPTIONS: Final[Options] = {
    "require": ["exp"],
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
}
"""Claims about audience, issuer and user are the customer's own."""

_CACHE_SIZE: Final = 1_000
"""Tokens that are not verified again: to verify one takes 50 us, to find it 1 us."""


class Token(NamedTuple):
    """A verified token: the key that signed it, the rows that it shows, and its expiry."""

    key: Key
    row_filter: RowFilter
    expires_ms: int


class Tokens:
    """Verifies tokens with the secrets of keys. A revoked key revokes its tokens."""

    def __init__(self, keys: Keys) -> None:
        """Use the keys of a service."""
        self._keys = keys
        self._tokens_by_text: dict[bytes, Token] = {}

    def read(self, text: bytes) -> Token:
        """Return a token. Raises UNAUTHENTICATED, with the reason, if it is not valid."""
        token = self._tokens_by_text.get(text)
        if token is None or self._keys.usable(token.key.id) is not token.key:
            token = self._verify(text)
            if len(self._tokens_by_text) >= _CACHE_SIZE:
                self._tokens_by_text.clear()
            self._tokens_by_text[text] = token
        if wall_ms() >= token.expires_ms:
            raise _invalid("has expired")
        return token

    def _verify(self, text: bytes) -> Token:
        if len(text) > _MAX_BYTES:
            raise _invalid(f"is larger than {_MAX_BYTES} bytes")
        try:
            key_id = jwt.get_unverified_header(text).get("kid")
        except jwt.InvalidTokenError:
            raise _invalid("is no JWT") from None
        if not isinstance(key_id, str):
            raise _invalid("names no key: `kid` in its header must be the id of one")
        key = self._keys.usable(key_id)
        if key.token_secret is None:
            raise _invalid("names a key that signs no tokens")
        claims = _claims(text, key.token_secret)
        expires_ms = int(claims["exp"]) * 1000
        if expires_ms > wall_ms() + MAX_TOKEN_HOURS * MS_PER_HOUR:
            raise _invalid(f"is valid for more than {MAX_TOKEN_HOURS} hours")
        if claims.get("project", key.project) != key.project:
            raise _invalid("is of another project than its key")
        return Token(key, _row_filter(claims, key), expires_ms)


def _claims(text: bytes, secret: str) -> dict[str, Any]:
    try:
        return jwt.decode(text, secret, [_ALGORITHM], options=_OPTIONS)
    except jwt.ExpiredSignatureError:
        raise _invalid("has expired") from None
    except jwt.ImmatureSignatureError:
        raise _invalid("is not valid yet") from None
    except jwt.MissingRequiredClaimError:
        raise _invalid("has no expiry: `exp` must be its second") from None
    except (jwt.InvalidTokenError, ValueError, OverflowError):
        raise _invalid(f"is not signed with {_ALGORITHM} and the token secret of its key") from None


def _row_filter(claims: dict[str, Any], key: Key) -> RowFilter:
    """Return the rows that both a token and its key show."""
    if "rowFilter" not in claims:
        raise _invalid("has no rowFilter: it says which rows it shows")
    try:
        row_filter = filter_from_json(RowFilter, claims["rowFilter"], "rowFilter")
        if key.row_filter is not None:
            key_filter = filter_from_json(RowFilter, key.row_filter, "rowFilter")
            row_filter = intersection(row_filter, key_filter)
        for table in TABLE_BY_NAME:
            restrict(RowSet(table, key.project), row_filter)
    except AnalyticsError as error:
        raise _invalid(f"has a wrong filter: {error.message}") from None
    return row_filter


def _invalid(reason: str) -> AnalyticsError:
    return AnalyticsError("UNAUTHENTICATED", f"The token {reason}.")


TOKEN_SCOPES: Final = frozenset({Scope.QUERY})
"""The scopes of a token."""
