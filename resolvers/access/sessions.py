"""Sessions: people sign in on the pages with a key or as persons, and sign out."""

from resolvers.access.keys import session_of
from resolvers.context import Context
from schema.access import RevokeSessionPayload, Scope, Session
from schema.errors import AnalyticsError
from schema.scalars import MS_PER_HOUR
from store.access.members import Person
from store.access.registry import Key
from store.access.sessions import SignIn
from store.clock import wall_ms


async def sign_in_with_key(ctx: Context, secret: str, user_agent: str) -> tuple[Session, str]:
    """Start a session with the rights of a key; return it with its secret.

    Raises UNAUTHENTICATED for a wrong key, and FORBIDDEN for one that can't query.
    """
    key = ctx.store.keys.find(secret.encode())
    if Scope.QUERY not in key.scopes:
        message = f"The key {key.prefix}… lacks the scope QUERY, so nobody can sign in with it."
        raise AnalyticsError("FORBIDDEN", message, field="key")
    return await _start(ctx, key, key.name, user_agent)


async def sign_in_as_person(ctx: Context, person: Person, user_agent: str) -> tuple[Session, str]:
    """Start a session with the rights of the key that has a person as its member.

    Raises FORBIDDEN if no usable key has.
    """
    key = ctx.store.keys.registry.key_of(person, wall_ms())
    if key is None:
        raise AnalyticsError("FORBIDDEN", "No key has this person as its member.")
    return await _start(ctx, key, person.name, user_agent)


async def sign_out(ctx: Context) -> None:
    """End the session of the caller, if there is one that nobody ended meanwhile."""
    if ctx.grant.session_id is None:
        return
    try:
        await ctx.store.keys.end_session(ctx.grant.session_id)
    except AnalyticsError as error:
        if error.code != "NOT_FOUND":
            raise


def list_sessions(ctx: Context) -> list[Session]:
    """List the sessions that have not ended, oldest first."""
    ctx.grant.require(Scope.MANAGE_ACCESS)
    return [session_of(ctx, session) for session in ctx.store.keys.all_sessions()]


async def revoke_session(ctx: Context, session_id: str) -> RevokeSessionPayload:
    """End a session, durably and at once. Raises NOT_FOUND if there is none."""
    ctx.grant.require(Scope.MANAGE_ACCESS)
    session = await ctx.store.keys.end_session(session_id)
    return RevokeSessionPayload(session=session_of(ctx, session))


async def _start(ctx: Context, key: Key, person: str, user_agent: str) -> tuple[Session, str]:
    life_ms = ctx.store.engine.limits.session_hours * MS_PER_HOUR
    sign_in = SignIn(key.id, person, user_agent, life_ms)
    session, secret = await ctx.store.keys.start_session(sign_in)
    return session_of(ctx, session), secret
