"""The keys and sessions of a running service, in memory: found by secrets, without the engine."""

import asyncio
import hmac
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from schema.errors import AnalyticsError
from store.access.locked_file import UnusableFileError
from store.access.registry import (
    Key,
    KeyRequest,
    Project,
    Registry,
    RegistryFile,
    add_key,
    add_project,
    revoke_key,
)
from store.access.sessions import Session, SignIn, add_session, digest, end_session
from store.clock import steady_ms, wall_ms

T = TypeVar("T")
Entry = TypeVar("Entry", Key, Session)

_LOG: Final = logging.getLogger("analytics.keys")
_POLL_SECONDS: Final = 0.2
"""Seconds between two looks at the file, which the command line may have changed."""

_SAVE_MS: Final = 60_000
"""Milliseconds between two writes of the times of use."""


class Keys:
    """All keys and sessions by the SHA-256 of their secrets.

    They follow the file: a key that the command line revoked is refused after `_POLL_SECONDS`, a
    key that it made is found at once.
    """

    def __init__(self, folder: Path) -> None:
        """Use the keys of a data folder; `open` reads them."""
        self._file = RegistryFile(folder)
        self._stamp = (0, 0, 0)
        self.registry = Registry()
        self._by_digest: dict[str, Key] = {}
        self._by_id: dict[str, Key] = {}
        self._sessions: dict[str, Session] = {}
        self._sessions_by_id: dict[str, Session] = {}
        self._last_uses: dict[str, int] = {}
        self._saved_at = steady_ms()
        self._watcher: asyncio.Task[None] | None = None
        self.origins: frozenset[str] = frozenset()

    def open(self) -> None:
        """Read the keys, and begin to watch their file.

        Raises `UnusableFileError` if the file is damaged: without keys, nobody could tell why.
        """
        self._read()
        self._watcher = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """Stop watching, and save the times of use."""
        if self._watcher:
            self._watcher.cancel()
            await asyncio.wait([self._watcher])
            await self._save_uses()

    @property
    def has_usable(self) -> bool:
        """Whether a key exists that is neither revoked nor expired."""
        now = wall_ms()
        return any(key.is_usable(now) for key in self._by_digest.values())

    def find(self, secret: bytes) -> Key:
        """Return the key of a secret, and note its use.

        Raises UNAUTHENTICATED for an unknown, a revoked and an expired key.
        """
        secret_digest = digest(secret)
        key = self._by_digest.get(secret_digest)
        if key is None and self._file.stamp() != self._stamp:
            self._reread()
            key = self._by_digest.get(secret_digest)
        if key is None or not hmac.compare_digest(key.sha256, secret_digest):
            raise AnalyticsError("UNAUTHENTICATED", "The key is unknown.")
        return self._use(key)

    def usable(self, key_id: str) -> Key:
        """Return the key with an id, and note its use. Raises UNAUTHENTICATED as `find` does."""
        if key_id not in self._by_id and self._file.stamp() != self._stamp:
            self._reread()
        if key_id not in self._by_id:
            raise AnalyticsError("UNAUTHENTICATED", "The key is unknown.")
        return self._use(self._by_id[key_id])

    def _use(self, key: Key) -> Key:
        now = wall_ms()
        if not key.is_usable(now):
            state = "has expired" if key.revoked_ms is None else "was revoked"
            raise AnalyticsError("UNAUTHENTICATED", f"The key {key.prefix}… {state}.")
        self._last_uses[key.id] = now
        return key

    def is_usable(self, key_id: str) -> bool:
        """Say whether the key with an id is neither revoked nor expired."""
        key = self._by_id.get(key_id)
        return key is not None and key.is_usable(wall_ms())

    def is_session_open(self, session_id: str) -> bool:
        """Say whether a session has not ended."""
        session = self._sessions_by_id.get(session_id)
        return session is not None and self._is_open(session)

    def by_id(self, key_id: str) -> Key | None:
        """Return the key with an id, and its latest use."""
        key = self._by_id.get(key_id)
        return _with_use(key, self._last_uses) if key else None

    def all_keys(self) -> list[Key]:
        """Return all keys in the order of their creation, with their latest uses."""
        return [_with_use(key, self._last_uses) for key in self._by_digest.values()]

    async def create(self, request: KeyRequest) -> tuple[Key, str]:
        """Make a key, durably; return it with its secret. It may be used at once.

        Raises `AnalyticsError` that names the wrong field, or UNAVAILABLE if the file can't be
        written.
        """
        return await self._change(lambda registry: add_key(registry, request, wall_ms()))

    async def revoke(self, key_id: str) -> Key:
        """Revoke a key, durably; from the return on it is refused. Raises NOT_FOUND."""
        key = await self._change(lambda registry: revoke_key(registry, key_id, wall_ms()))
        return _with_use(key, self._last_uses)

    def find_session(self, secret: bytes) -> tuple[Session, Key] | None:
        """Return the session of a secret and its key, and note their use; None if it has ended."""
        secret_digest = digest(secret)
        session = self._sessions.get(secret_digest)
        if session is None or not hmac.compare_digest(session.sha256, secret_digest):
            return None
        if not self._is_open(session):
            return None
        self._last_uses[session.id] = wall_ms()
        return session, self._use(self._by_id[session.key_id])

    def session(self, session_id: str) -> Session | None:
        """Return the session with an id; None if it has ended."""
        session = self._sessions_by_id.get(session_id)
        if session is None or not self._is_open(session):
            return None
        return _with_use(session, self._last_uses)

    def all_sessions(self) -> list[Session]:
        """Return the sessions that have not ended, oldest first, with their latest uses."""
        return [
            _with_use(session, self._last_uses)
            for session in self._sessions.values()
            if self._is_open(session)
        ]

    async def start_session(self, sign_in: SignIn) -> tuple[Session, str]:
        """Start a session, durably; return it with its secret. Raises as `create` does."""
        return await self._change(
            lambda registry: add_session(registry.sessions, sign_in, self._is_open, wall_ms())
        )

    async def end_session(self, session_id: str) -> Session:
        """End a session, durably; from the return on it is refused. Raises NOT_FOUND."""
        return await self._change(lambda registry: end_session(registry.sessions, session_id))

    def _is_open(self, session: Session) -> bool:
        """Say whether a session has neither expired nor lost its key."""
        now = wall_ms()
        key = self._by_id.get(session.key_id)
        return now < session.expires_ms and key is not None and key.is_usable(now)

    async def create_project(self, name: str) -> Project:
        """Make a project, durably. Raises as `create` does."""
        return await self._change(lambda registry: add_project(registry, name, wall_ms()))

    async def _change(self, operation: Callable[[Registry], T]) -> T:
        result = await self._file.change_beside(operation)
        self._read()
        return result

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            if self._file.stamp() != self._stamp:
                self._reread()
            if steady_ms() - self._saved_at > _SAVE_MS:
                await self._save_uses()

    def _reread(self) -> None:
        """Read the changed file; keep the keys if it is damaged."""
        try:
            self._read()
        except UnusableFileError as error:
            _LOG.error("the keys stay as they were: %s", error)

    def _read(self) -> None:
        self._stamp = self._file.stamp()  # first: a later change must be seen by the next look
        self.registry = self._file.read()
        self._by_digest = {key.sha256: key for key in self.registry.keys}
        self._by_id = {key.id: key for key in self.registry.keys}
        self._sessions = {session.sha256: session for session in self.registry.sessions}
        self._sessions_by_id = {session.id: session for session in self.registry.sessions}
        usable_keys = [key for key in self.registry.keys if key.is_usable(wall_ms())]
        self.origins = frozenset(origin for key in usable_keys for origin in key.origins)

    async def _save_uses(self) -> None:
        """Save the times of use; on a full disk they are saved later."""
        if not self._last_uses:
            return
        self._saved_at = steady_ms()
        uses, self._last_uses = self._last_uses, {}

        def save(registry: Registry) -> None:
            registry.keys = [_with_use(key, uses) for key in registry.keys]
            registry.sessions = [_with_use(session, uses) for session in registry.sessions]

        try:
            await self._change(save)
        except AnalyticsError:
            self._last_uses = uses | self._last_uses


def _with_use(entry: Entry, uses: Mapping[str, int]) -> Entry:
    """Return a key or a session with its latest use, in memory or in the file."""
    used_ms = max(uses.get(entry.id, 0), entry.last_used_ms or 0)
    return msgspec.structs.replace(entry, last_used_ms=used_ms) if used_ms else entry
