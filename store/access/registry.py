"""The projects, keys and sessions of a data folder, and their file."""

import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from schema.access import PROJECT, SCOPES, KeyKind, RowFilter, Scope
from schema.errors import AnalyticsError, bad_input
from schema.filter_json import filter_to_json
from schema.scalars import MS_PER_HOUR, DurationMs
from store.access.locked_file import LockedFile
from store.access.members import Person, check_members, rank
from store.access.sessions import Session, digest
from store.query.filters.row_filters import restrict
from store.query.filters.row_set import RowSet
from store.query.tables import TABLE_BY_NAME

MAX_KEYS: Final = 10_000
"""Keys in the file. A new key takes the place of the oldest one that is refused anyway."""

MAX_PROJECTS: Final = 1_000
MAX_NAME: Final = 100
MAX_ORIGINS: Final = 20

_MS_PER_DAY: Final = 24 * MS_PER_HOUR
MAX_LIFE_MS: Final = 3_650 * _MS_PER_DAY

_SECRET_BYTES: Final = 32
_PREFIX_CHARACTERS: Final = 6  # 36 of 256 bits
_ORIGIN: Final = re.compile(r"https?://[a-z0-9.-]+(:\d{1,5})?|https?://\[[0-9a-f:.]+\](:\d{1,5})?")
_PROJECT_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class Key(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key as it is stored: without its secret. Times are milliseconds since 1970.

    The token secret is stored as it is, because it must be known to verify a signature.
    """

    id: str
    kind: KeyKind
    name: str
    project: str
    prefix: str
    sha256: str
    scopes: tuple[Scope, ...]
    created_ms: int
    origins: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    row_filter: dict[str, Any] | None = None
    token_secret: str | None = None
    trusted_only: bool = False
    expires_ms: int | None = None
    revoked_ms: int | None = None
    last_used_ms: int | None = None

    def is_usable(self, now_ms: int) -> bool:
        """Say whether the key is neither revoked nor expired."""
        return self.revoked_ms is None and (self.expires_ms is None or now_ms < self.expires_ms)


class Project(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A project as it is stored; the default project is not."""

    name: str
    created_ms: int


class KeyRequest(NamedTuple):
    """Wish for a new key; None stands for the default of the kind."""

    name: str
    kind: KeyKind
    scopes: Sequence[Scope] | None = None
    project: str = PROJECT
    origins: Sequence[str] = ()
    members: Sequence[str] = ()
    row_filter: RowFilter | None = None
    signs_tokens: bool = False
    trusted_only: bool = False
    expires_in: DurationMs | None = None


class Registry(msgspec.Struct, forbid_unknown_fields=True):
    """All projects, keys and sessions, in the order of their creation."""

    version: int = 1
    projects: list[Project] = []
    keys: list[Key] = []
    sessions: list[Session] = []

    def has_project(self, name: str) -> bool:
        """Say whether a project exists."""
        return name == PROJECT or any(project.name == name for project in self.projects)

    def key_of(self, person: Person, now_ms: int) -> Key | None:
        """Return the usable key that names a person most closely, the oldest of equals."""
        ranks = {
            key.id: member_rank
            for key in self.keys
            if key.is_usable(now_ms) and (member_rank := rank(key.members, person)) is not None
        }
        return min(
            (key for key in self.keys if key.id in ranks),
            key=lambda key: ranks[key.id],
            default=None,
        )


class RegistryFile(LockedFile[Registry]):
    """The projects, keys and sessions of a data folder, on the disk."""

    def __init__(self, folder: Path) -> None:
        """Use the file in `folder`; it may not exist yet."""
        super().__init__(folder, "access", Registry, "Restore it, or remove it and make new keys.")


def add_project(registry: Registry, name: str, now_ms: int) -> Project:
    """Add a new project. Raises `AnalyticsError` for a wrong name, and for an existing one."""
    if not _PROJECT_NAME.fullmatch(name):
        message = "must have 1 to 64 of a-z, 0-9, - and _, a letter or digit first"
        raise bad_input("name", message, limit=64)
    if registry.has_project(name):
        raise bad_input("name", "is the name of a project already")
    if len(registry.projects) >= MAX_PROJECTS:
        raise bad_input("name", f"there are {MAX_PROJECTS} projects already", limit=MAX_PROJECTS)
    project = Project(name, now_ms)
    registry.projects.append(project)
    return project


def add_key(registry: Registry, request: KeyRequest, now_ms: int) -> tuple[Key, str]:
    """Add a new key; return it with its secret.

    Raises `AnalyticsError` that names the field and the limit.
    """
    _check(request)
    if not registry.has_project(request.project):
        raise bad_input("project", "there is no such project")
    keys = registry.keys
    kind_prefix = f"{request.kind.value}_"
    secret = kind_prefix + secrets.token_urlsafe(_SECRET_BYTES)
    allowed_scopes = SCOPES[request.kind] if request.scopes is None else frozenset(request.scopes)
    key = Key(
        id=f"key_{secrets.token_hex(8)}",
        kind=request.kind,
        name=request.name,
        project=request.project,
        prefix=secret[: len(kind_prefix) + _PREFIX_CHARACTERS],
        sha256=digest(secret.encode()),
        scopes=tuple(scope for scope in Scope if scope in allowed_scopes),
        created_ms=now_ms,
        origins=tuple(dict.fromkeys(request.origins)),
        members=tuple(dict.fromkeys(request.members)),
        token_secret=secrets.token_urlsafe(_SECRET_BYTES) if request.signs_tokens else None,
        trusted_only=request.trusted_only,
        row_filter=None if request.row_filter is None else filter_to_json(request.row_filter),
        expires_ms=None if request.expires_in is None else now_ms + request.expires_in,
    )
    if len(keys) >= MAX_KEYS:
        refused_key = next((old for old in keys if not old.is_usable(now_ms)), None)
        if refused_key is None:
            message = f"There are {MAX_KEYS} keys, the maximum; revoke one first."
            raise AnalyticsError("BAD_USER_INPUT", message, limit=MAX_KEYS)
        keys.remove(refused_key)
    keys.append(key)
    return key, secret


def revoke_key(registry: Registry, key_id: str, now_ms: int) -> Key:
    """Revoke a key; return it. A revoked key keeps the time of its revocation.

    Raises NOT_FOUND if there is no such key.
    """
    keys = registry.keys
    for index, key in enumerate(keys):
        if key.id == key_id:
            if key.revoked_ms is None:
                keys[index] = msgspec.structs.replace(key, revoked_ms=now_ms)
            return keys[index]
    raise AnalyticsError("NOT_FOUND", "There is no such key.", field="id")


def _check(request: KeyRequest) -> None:
    if not 0 < len(request.name) <= MAX_NAME:
        raise bad_input("name", f"must have 1 to {MAX_NAME} characters", limit=MAX_NAME)
    if _CONTROL.search(request.name):
        raise bad_input("name", "must have no control characters")
    if request.scopes is not None:
        _check_scopes(request.kind, frozenset(request.scopes))
    _check_origins(request)
    _check_members(request)
    _check_row_filter(request)
    if request.signs_tokens and (
        request.kind is not KeyKind.SECRET or Scope.QUERY not in (request.scopes or Scope)
    ):
        raise bad_input("signsTokens", "is for a SECRET key with the scope QUERY")
    if request.trusted_only and request.kind is KeyKind.ADMIN:
        raise bad_input("trustedDocumentsOnly", "is for a PUBLIC or a SECRET key")
    if request.expires_in is not None:
        if request.expires_in.months:
            raise bad_input("expiresIn", "must be weeks or less, like 90d: months vary")
        if request.expires_in <= 0:
            raise bad_input("expiresIn", "must be positive")
        if request.expires_in > MAX_LIFE_MS:
            limit = MAX_LIFE_MS // _MS_PER_DAY
            raise bad_input("expiresIn", f"must be at most {limit} days", limit=limit)


def _check_scopes(kind: KeyKind, scopes: frozenset[Scope]) -> None:
    if not scopes:
        raise bad_input("scopes", "must not be empty")
    if kind is KeyKind.ADMIN and scopes != SCOPES[kind]:
        raise bad_input("scopes", "an ADMIN key has all scopes; make a SECRET key for fewer")
    if excess := scopes - SCOPES[kind]:
        names = ", ".join(sorted(scope.name for scope in excess))
        raise bad_input("scopes", f"a {kind.name} key can't have {names}")


def _check_row_filter(request: KeyRequest) -> None:
    if request.row_filter is None:
        return
    if request.kind is not KeyKind.SECRET or set(request.scopes or ()) != {Scope.QUERY}:
        raise bad_input("rowFilter", "is for a SECRET key whose only scope is QUERY")
    for table in TABLE_BY_NAME:
        restrict(RowSet(table, request.project), request.row_filter)


def _check_members(request: KeyRequest) -> None:
    if request.members and (
        request.kind is KeyKind.PUBLIC or Scope.QUERY not in (request.scopes or Scope)
    ):
        raise bad_input("members", "are for a SECRET key with the scope QUERY, or an ADMIN key")
    check_members(request.members)


def _check_origins(request: KeyRequest) -> None:
    if request.origins and request.kind is not KeyKind.PUBLIC:
        raise bad_input("origins", "only a PUBLIC key has origins")
    if len(request.origins) > MAX_ORIGINS:
        raise bad_input("origins", f"must be at most {MAX_ORIGINS}", limit=MAX_ORIGINS)
    for origin in request.origins:
        if len(origin) > 300 or not _ORIGIN.fullmatch(origin):
            raise bad_input(
                "origins", "must be like https://app.example: no path, no slash, lower case"
            )
