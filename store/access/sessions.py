"""Sessions: people who are signed in on the pages, each with the rights of a key."""

import hashlib
import secrets
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from schema.errors import AnalyticsError

MAX_SESSIONS: Final = 10_000
"""Sessions in the file. A new one takes the place of the oldest."""

MAX_SESSIONS_OF_KEY: Final = 1_000
MAX_CHARACTERS: Final = 200
"""Characters of a person's name, and of the name of his browser, that are kept."""

_SECRET_BYTES: Final = 32


class Session(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A session as it is stored: without its secret. Times are milliseconds since 1970."""

    id: str
    key_id: str
    person: str
    sha256: str
    user_agent: str
    created_ms: int
    expires_ms: int
    last_used_ms: int | None = None


class SignIn(NamedTuple):
    """Wish for a session: the key whose rights it gets, and the person and his browser."""

    key_id: str
    person: str
    user_agent: str
    life_ms: int


def digest(secret: bytes) -> str:
    """Return the form of a secret that is stored: its SHA-256. 256 random bits need no salt."""
    return hashlib.sha256(secret).hexdigest()


def add_session(
    sessions: list[Session], sign_in: SignIn, is_usable: Callable[[Session], bool], now_ms: int
) -> tuple[Session, str]:
    """Add a session; return it with its secret. Sessions that are not usable are dropped."""
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    session = Session(
        id=f"session_{secrets.token_hex(8)}",
        key_id=sign_in.key_id,
        person=_display_text(sign_in.person),
        sha256=digest(secret.encode()),
        user_agent=_display_text(sign_in.user_agent),
        created_ms=now_ms,
        expires_ms=now_ms + sign_in.life_ms,
    )
    sessions[:] = [old for old in sessions if is_usable(old)]
    sessions_of_key = [old for old in sessions if old.key_id == sign_in.key_id]
    if len(sessions_of_key) >= MAX_SESSIONS_OF_KEY:
        sessions.remove(sessions_of_key[0])
    elif len(sessions) >= MAX_SESSIONS:
        del sessions[0]
    sessions.append(session)
    return session, secret


def end_session(sessions: list[Session], session_id: str) -> Session:
    """End a session, which is forgotten then; return it. Raises NOT_FOUND if there is none."""
    for session in sessions:
        if session.id == session_id:
            sessions.remove(session)
            return session
    raise AnalyticsError("NOT_FOUND", "There is no such session.", field="id")


def _display_text(text: str) -> str:
    """Return the begin of a stranger's text, without characters that a terminal would obey."""
    return "".join(char if char.isprintable() else " " for char in text[:MAX_CHARACTERS])
