"""Who calls; keys and projects: made, listed, revoked."""

import strawberry

from resolvers.context import Context
from schema.access import (
    PROJECT,
    ApiKey,
    Budget,
    CreateApiKeyInput,
    CreateApiKeyPayload,
    CreateProjectPayload,
    Project,
    RevokeApiKeyPayload,
    Scope,
    ServiceLimit,
    Session,
    Viewer,
)
from schema.errors import AnalyticsError
from schema.scalars import Instant, Json
from store.access import sessions
from store.access.registry import Key, KeyRequest


def viewer(ctx: Context) -> Viewer:
    """Return the caller of a request. Raises UNAUTHENTICATED without any right."""
    ctx.grant.require(Scope.QUERY)
    key = ctx.store.keys.by_id(ctx.grant.key_id) if ctx.grant.key_id else None
    return Viewer(
        project=ctx.grant.project,
        scopes=[scope for scope in Scope if scope in ctx.grant.scopes],
        api_key=api_key(key) if key else None,
        session=session_of_caller(ctx),
        budget=_budget(ctx),
        limits=[
            ServiceLimit(
                name=limit.name,
                value=limit.value,
                unit=limit.unit,
                description=limit.description,
            )
            for limit in ctx.limits
        ],
    )


def session_of_caller(ctx: Context) -> Session | None:
    """Return the session of a caller; None if he did not sign in on the pages."""
    session_id = ctx.grant.session_id
    session = ctx.store.keys.session(session_id) if session_id else None
    return session_of(ctx, session) if session else None


def _budget(ctx: Context) -> Budget | None:
    state = ctx.batch.budget
    return state and Budget(
        limit=state.limit, available=state.available, per_second=state.per_second
    )


def list_keys(ctx: Context) -> list[ApiKey]:
    """List all keys, oldest first, revoked ones too."""
    ctx.grant.require(Scope.MANAGE_ACCESS)
    return [api_key(key) for key in ctx.store.keys.all_keys()]


async def create_key(ctx: Context, key: CreateApiKeyInput) -> CreateApiKeyPayload:
    """Make a key, durably. Raises `AnalyticsError` that names the wrong field."""
    ctx.grant.require(Scope.MANAGE_ACCESS)
    request = KeyRequest(
        name=key.name,
        kind=key.kind,
        scopes=key.scopes,
        project=key.project,
        origins=key.origins or (),
        members=key.members or (),
        row_filter=key.row_filter,
        signs_tokens=key.signs_tokens,
        trusted_only=key.trusted_documents_only,
        expires_in=key.expires_in,
    )
    new_key, secret = await ctx.store.keys.create(request)
    return CreateApiKeyPayload(
        secret=secret, token_secret=new_key.token_secret, api_key=api_key(new_key)
    )


async def revoke_key(ctx: Context, key_id: str) -> RevokeApiKeyPayload:
    """Revoke a key, durably and at once. Raises NOT_FOUND if there is no such key."""
    ctx.grant.require(Scope.MANAGE_ACCESS)
    return RevokeApiKeyPayload(api_key=api_key(await ctx.store.keys.revoke(key_id)))


def list_projects(ctx: Context) -> list[Project]:
    """List all projects: the default one, then the others in the order of their creation."""
    ctx.grant.require(Scope.MANAGE_ACCESS)
    projects = ctx.store.keys.registry.projects
    return [
        Project(name=PROJECT, created_at=None),
        *(
            Project(name=project.name, created_at=Instant(project.created_ms))
            for project in projects
        ),
    ]


async def create_project(ctx: Context, name: str) -> CreateProjectPayload:
    """Make a project, durably. Raises `AnalyticsError` that names the field."""
    ctx.grant.require(Scope.MANAGE_ACCESS)
    project = await ctx.store.keys.create_project(name)
    return CreateProjectPayload(
        project=Project(name=project.name, created_at=Instant(project.created_ms))
    )


def api_key(key: Key) -> ApiKey:
    """Return what people see of a key."""
    return ApiKey(
        id=strawberry.ID(key.id),
        kind=key.kind,
        name=key.name,
        project=key.project,
        prefix=key.prefix,
        scopes=list(key.scopes),
        origins=list(key.origins),
        members=list(key.members),
        signs_tokens=key.token_secret is not None,
        trusted_documents_only=key.trusted_only,
        row_filter=None if key.row_filter is None else Json(key.row_filter),
        created_at=Instant(key.created_ms),
        expires_at=_instant(key.expires_ms),
        revoked_at=_instant(key.revoked_ms),
        last_used_at=_instant(key.last_used_ms),
    )


def session_of(ctx: Context, session: sessions.Session) -> Session:
    """Return what people see of a session."""
    key = ctx.store.keys.by_id(session.key_id)
    if key is None:  # its key made room for a newer one
        raise AnalyticsError("NOT_FOUND", "There is no such session.", field="id")
    return Session(
        id=strawberry.ID(session.id),
        person=session.person,
        api_key=api_key(key),
        user_agent=session.user_agent,
        created_at=Instant(session.created_ms),
        expires_at=Instant(session.expires_ms),
        last_used_at=_instant(session.last_used_ms),
    )


def _instant(ms: int | None) -> Instant | None:
    return None if ms is None else Instant(ms)
