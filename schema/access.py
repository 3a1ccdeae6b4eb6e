"""Access: scopes, kinds of keys, the grant of a caller; GraphQL types of keys and sessions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

import strawberry

from schema.errors import AnalyticsError
from schema.filters import EventFilter, MetricFilter
from schema.scalars import DurationMs, Instant, Json

PROJECT: Final = "default"
"""The project that always exists. A project is the first column of every table's key."""


@strawberry.enum(description="Permission of a key.")
class Scope(Enum):
    RECORD = strawberry.enum_value("record", description="Record metrics and events.")
    QUERY = strawberry.enum_value(
        "query", description="Query what is stored, and the schema itself."
    )
    DESCRIBE = strawberry.enum_value(
        "describe", description="Describe metrics; save, restore and delete dashboards."
    )
    DELETE = strawberry.enum_value("delete", description="Delete metrics and events.")
    OPERATE = strawberry.enum_value(
        "operate",
        description="See counters, rows that were set aside and SQL; replay rows.",
    )
    MANAGE_ACCESS = strawberry.enum_value(
        "manage_access",
        description="Make and list projects; make, list and revoke keys; save, list and delete"
        " trusted documents.",
    )


@strawberry.enum(description="Kind of a key. The key itself begins with it.")
class KeyKind(Enum):
    PUBLIC = strawberry.enum_value(
        "pk", description="`pk_…`: records only, so a browser may have it."
    )
    SECRET = strawberry.enum_value("sk", description="`sk_…`: records and queries, for back ends.")
    ADMIN = strawberry.enum_value(
        "admin",
        description="`admin_…`: has all rights, in each project that a request names.",
    )


SCOPES: Final[Mapping[KeyKind, frozenset[Scope]]] = {
    KeyKind.PUBLIC: frozenset({Scope.RECORD}),
    KeyKind.SECRET: frozenset({Scope.RECORD, Scope.QUERY, Scope.DESCRIBE}),
    KeyKind.ADMIN: frozenset(Scope),
}
"""The scopes of each kind of key. A key of the kind SECRET may have fewer."""


@strawberry.input(
    description="Rows that a key shows. Every query with the key sees these rows only. A part that"
    " is left out shows none; an empty filter `{}` shows all."
)
class RowFilter:
    events: EventFilter | None = strawberry.field(
        default=None, description="Events that are shown, without `performed`; default: none."
    )
    metrics: MetricFilter | None = strawberry.field(
        default=None, description="Points that are shown; default: none."
    )


def intersection(first: RowFilter, second: RowFilter) -> RowFilter:
    """Return the filter of the rows that both filters show."""
    events = metrics = None
    if first.events is not None and second.events is not None:
        events = EventFilter(and_=[first.events, second.events])
    if first.metrics is not None and second.metrics is not None:
        metrics = MetricFilter(and_=[first.metrics, second.metrics])
    return RowFilter(events=events, metrics=metrics)


@dataclass(frozen=True, slots=True)
class Grant:
    """The rights of a caller: a project, and scopes in it, perhaps for some rows only.

    The key is None without one; the session is None for a caller who did not sign in on the pages.
    With `trusted_only`, the caller executes trusted documents only. A key that `is_public` is in
    browsers.
    The hash leaves the row filter out, because filters have none; grants with other filters differ.
    """

    scopes: frozenset[Scope]
    project: str = PROJECT
    key_id: str | None = None
    key_prefix: str = ""
    row_filter: RowFilter | None = field(default=None, hash=False)
    trusted_only: bool = False
    session_id: str | None = None
    is_public: bool = False

    def require(self, scope: Scope) -> None:
        """Raise UNAUTHENTICATED or FORBIDDEN if the caller lacks a scope."""
        if scope in self.scopes:
            return
        if self.key_id is None:
            raise needs_key()
        message = f"The key {self.key_prefix}… lacks the scope {scope.name}."
        raise AnalyticsError("FORBIDDEN", message)


ALL_RIGHTS: Final = Grant(frozenset(Scope))
"""The rights of anyone in development."""

NO_RIGHTS: Final = Grant(frozenset())
"""The rights of a caller without a key in production."""


def needs_key() -> AnalyticsError:
    """Return the error for a caller without a key."""
    message = "A key is needed: send the header `Authorization: Bearer <key>`."
    return AnalyticsError("UNAUTHENTICATED", message)


@strawberry.type(description="Key of a client. The secret itself is not stored.")
class ApiKey:
    id: strawberry.ID = strawberry.field(description="Id of the key, to revoke it.")
    kind: KeyKind = strawberry.field(description="Kind of the key.")
    name: str = strawberry.field(description="Name for people.")
    project: str = strawberry.field(
        description="Project of the key. A request with an ADMIN key may name another one."
    )
    prefix: str = strawberry.field(description="First characters of the secret, to recognise it.")
    scopes: list[Scope] = strawberry.field(description="Permissions of the key.")
    origins: list[str] = strawberry.field(
        description="Origins of the pages that may use the key; empty: any page and any program."
    )
    members: list[str] = strawberry.field(
        description="People who get the rights of the key when they sign in by OpenID Connect."
    )
    row_filter: Json | None = strawberry.field(
        description="Rows that the key shows, in the form of `RowFilter`; null: all."
    )
    signs_tokens: bool = strawberry.field(description="Whether the key has a token secret.")
    trusted_documents_only: bool = strawberry.field(
        description="Whether the key executes no other GraphQL documents than trusted ones."
    )
    created_at: Instant = strawberry.field(description="Time of its creation.")
    expires_at: Instant | None = strawberry.field(
        description="Time from which the key is refused; null: never."
    )
    revoked_at: Instant | None = strawberry.field(
        description="Time of its revocation; null: not revoked."
    )
    last_used_at: Instant | None = strawberry.field(
        description="Time of its latest use, at most a minute old after a restart; null: never."
    )


@strawberry.type(description="Session of a person who signed in on the pages.")
class Session:
    id: strawberry.ID = strawberry.field(description="Id of the session, to revoke it.")
    person: str = strawberry.field(
        description="Name of the key that the person signed in with, or his e-mail address."
    )
    api_key: ApiKey = strawberry.field(description="Key whose rights the session has.")
    user_agent: str = strawberry.field(description="Browser, as it names itself.")
    created_at: Instant = strawberry.field(description="Time of the sign-in.")
    expires_at: Instant = strawberry.field(
        description="Time from which the person must sign in again."
    )
    last_used_at: Instant | None = strawberry.field(
        description="Time of its latest use, at most a minute old after a restart; null: never."
    )


@strawberry.type(
    description="What a key may spend on queries. A cost of 1 is about 1 ms of one core."
)
class Budget:
    limit: float = strawberry.field(description="Cost that a full budget covers.")
    available: float = strawberry.field(
        description="Cost that is left now; negative after a query that cost more."
    )
    per_second: float = strawberry.field(description="Cost that comes back each second.")


@strawberry.type(description="Limit of the service.")
class ServiceLimit:
    name: str = strawberry.field(description="Name, as in errors and in `ANALYTICS_LIMITS`.")
    value: float = strawberry.field(description="Value in this service.")
    unit: str = strawberry.field(description="Unit of the value.")
    description: str = strawberry.field(description="What is limited.")


@strawberry.type(description="Caller of this request.")
class Viewer:
    project: str = strawberry.field(description="Project of the caller.")
    scopes: list[Scope] = strawberry.field(description="Permissions of the caller.")
    api_key: ApiKey | None = strawberry.field(
        description="Key of the caller; null in development without a key."
    )
    session: Session | None = strawberry.field(
        description="Session of the caller; null for a caller who did not sign in on the pages."
    )
    budget: Budget | None = strawberry.field(
        description="Budget of the key; null without a key or a limit."
    )
    limits: list[ServiceLimit] = strawberry.field(description="All limits of the service.")


@strawberry.type(
    description="Project: metrics, events and client ids of its own. No key sees another's."
)
class Project:
    name: str = strawberry.field(description="Name of the project.")
    created_at: Instant | None = strawberry.field(
        description="Time of its creation; null for the project `default`, which always exists."
    )


@strawberry.input(description="Project to make.")
class CreateProjectInput:
    name: str = strawberry.field(
        description="Name: 1 to 64 lower-case letters, digits, `-` and `_`; a letter or digit"
        " first."
    )


@strawberry.type(description="Project that was made.")
class CreateProjectPayload:
    project: Project = strawberry.field(description="The project.")


@strawberry.input(description="Key to make.")
class CreateApiKeyInput:
    name: str = strawberry.field(description="Name for people, 1 to 100 characters.")
    kind: KeyKind = strawberry.field(description="Kind of the key.")
    scopes: list[Scope] | None = strawberry.field(
        default=None, description="Permissions; default: all that the kind has."
    )
    project: str = strawberry.field(default=PROJECT, description="Project of the key.")
    origins: list[str] | None = strawberry.field(
        default=None,
        description="Origins like `https://app.example` whose pages may use a PUBLIC key, at most"
        " 20; default: any page and any program.",
    )
    members: list[str] | None = strawberry.field(
        default=None,
        description="People who get the rights of a key with the scope QUERY when they sign in by"
        " OpenID Connect, at most 1,000: `ann@app.example`, `*@app.example`, `group:analysts`, or"
        " `*` for anyone whom the provider lets in; default: nobody. Several keys: the closest"
        " counts.",
    )
    row_filter: RowFilter | None = strawberry.field(
        default=None,
        description="Rows that a SECRET key shows, whose only scope is QUERY; default: all.",
    )
    signs_tokens: bool = strawberry.field(
        default=False,
        description="Whether a SECRET key with QUERY gets a secret to sign tokens with.",
    )
    trusted_documents_only: bool = strawberry.field(
        default=False,
        description="Whether a PUBLIC or SECRET key, and its tokens, execute no other GraphQL"
        " documents than trusted ones.",
    )
    expires_in: DurationMs | None = strawberry.field(
        default=None, description="Duration after which the key is refused; default: never."
    )


@strawberry.type(description="Key that was made.")
class CreateApiKeyPayload:
    secret: str = strawberry.field(description="The key itself. It is shown only here.")
    token_secret: str | None = strawberry.field(
        description="Secret that signs tokens (JWT, HS256). It is shown only here; null: none."
    )
    api_key: ApiKey = strawberry.field(description="What is stored of the key.")


@strawberry.input(description="Key to revoke.")
class RevokeApiKeyInput:
    id: strawberry.ID = strawberry.field(description="Id of the key.")


@strawberry.type(description="Key that was revoked.")
class RevokeApiKeyPayload:
    api_key: ApiKey = strawberry.field(description="What is stored of the key.")


@strawberry.input(description="Session to revoke.")
class RevokeSessionInput:
    id: strawberry.ID = strawberry.field(description="Id of the session.")


@strawberry.type(description="Session that was revoked.")
class RevokeSessionPayload:
    session: Session = strawberry.field(description="The session, as it was.")
