"""Dashboards of a project: listed, found, saved, restored, deleted."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Literal, TypeAlias

from resolvers.context import Context
from resolvers.dashboards.content import content_from_json
from resolvers.global_ids import DASHBOARD, name_from_id
from resolvers.pages import ListPage, list_page
from schema.access import Scope
from schema.dashboards.content import DashboardContent, Problem
from schema.errors import AnalyticsError, bad_input
from schema.paging import Paging
from store import Store
from store.dashboards.dashboards import SaveRequest, no_dashboard
from store.dashboards.versions import Header, Spend, StoredVersion, VersionHeader

ContentCheck: TypeAlias = Callable[[DashboardContent], Sequence[Problem]]
"""Check of the documents of a dashboard against the schema; it may take a second."""

_LETTER: Final = "d"
_CURSOR: Final = tuple[Literal["d"], str, str]
_MAX_MESSAGE: Final = 500


async def page(ctx: Context, search: str | None, paging: Paging) -> ListPage[Header]:
    """List the dashboards whose titles or slugs contain a text, sorted by title."""
    ctx.grant.require(Scope.QUERY)
    word = (search or "").casefold()
    headers = [
        header
        for header in await ctx.store.dashboards.all_headers(ctx.grant.project)
        if word in header.title.casefold() or word in header.slug
    ]
    keys = [(header.title.casefold(), header.id) for header in headers]
    return list_page(_LETTER, headers, keys, _CURSOR, paging)


async def find(ctx: Context, global_id: str | None, slug: str | None) -> Header:
    """Return the dashboard with an id, or with a slug. Raises NOT_FOUND."""
    ctx.grant.require(Scope.QUERY)
    if (global_id is None) == (slug is None):
        raise bad_input("id", "either id or slug is needed")
    header = None
    if slug is not None:
        header = await ctx.store.dashboards.find_by_slug(ctx.grant.project, slug)
    elif dashboard_id := name_from_id(DASHBOARD, global_id or ""):
        header = await ctx.store.dashboards.find(ctx.grant.project, dashboard_id)
    if header is None:
        error = no_dashboard()
        error.field = "slug" if global_id is None else "id"
        raise error
    return header


async def read(ctx: Context, header: Header, number: int | None = None) -> StoredVersion:
    """Return a version of a dashboard, by default its newest one. Raises NOT_FOUND."""
    version_number = header.number if number is None else number
    version = await ctx.store.dashboards.read(
        ctx.grant.project, header.id, version_number, ctx.answer.spend_bytes
    )
    if version is None:
        raise AnalyticsError("NOT_FOUND", "There is no such version.", field="number")
    return version


async def history(ctx: Context, header: Header) -> list[VersionHeader]:
    """List the versions of a dashboard that are kept, newest first, without their panels."""
    project, spend_bytes = ctx.grant.project, ctx.answer.spend_bytes
    return await ctx.store.dashboards.history(project, header.id, spend_bytes)


async def save(
    ctx: Context,
    source: object,
    check: ContentCheck,
    message: str = "",
    edited_version: tuple[str, int | None] | None = None,
) -> Header:
    """Save a content, durably; return its dashboard.

    `edited_version` has the global id of the dashboard and the number of the version that was
    edited; without it the dashboard is new. Raises BAD_USER_INPUT that names the wrong part, as
    `panels[2].document`, and CONFLICT if another version was saved meanwhile.
    """
    ctx.grant.require(Scope.DESCRIBE)
    header = None
    if edited_version:
        header = await find(ctx, edited_version[0], None)
        if edited_version[1] is None:
            raise bad_input("version", "is needed with an id: the version that was edited")
    if len(message) > _MAX_MESSAGE or "\0" in message:
        raise bad_input("message", f"must have at most {_MAX_MESSAGE} characters", limit=500)
    content = content_from_json(source, ctx.limits)
    if problems := await asyncio.to_thread(check, content):
        raise problem_error(problems[0])
    request = SaveRequest(content, _author(ctx), message)
    if header and edited_version:
        request = request._replace(id=header.id, version=edited_version[1])
    dashboards = ctx.store.dashboards
    header = await dashboards.save(ctx.grant.project, request)
    dashboards.problem_lists[ctx.grant.project, header.id] = header.number, ()
    return header


async def restore(ctx: Context, global_id: str, number: int) -> Header:
    """Save the content of an earlier version as the newest one. Raises NOT_FOUND.

    The content is not checked: what this version of the service refuses is among its problems.
    """
    ctx.grant.require(Scope.DESCRIBE)
    header = await find(ctx, global_id, None)
    version = await read(ctx, header, number)
    message = f"Restored version {number}"
    request = SaveRequest(version.content, _author(ctx), message, header.id, header.number)
    return await ctx.store.dashboards.save(ctx.grant.project, request)


async def delete(ctx: Context, global_id: str) -> None:
    """Delete a dashboard with its history, durably. Raises NOT_FOUND."""
    ctx.grant.require(Scope.DESCRIBE)
    header = await find(ctx, global_id, None)
    await ctx.store.dashboards.delete(ctx.grant.project, header.id)


async def problems(
    store: Store, project: str, header: Header, check: ContentCheck, spend_bytes: Spend
) -> Sequence[Problem]:
    """Return what this version of the service refuses of a dashboard; a version is checked once.

    Raises NOT_FOUND if the dashboard was deleted meanwhile.
    """
    problem_lists, key = store.dashboards.problem_lists, (project, header.id)
    number, known_problems = problem_lists.get(key, (0, ()))
    if number == header.number:
        return known_problems
    version = await store.dashboards.read(project, header.id, header.number, spend_bytes)
    if version is None:
        raise no_dashboard()
    found_problems = await asyncio.to_thread(check, version.content)
    problem_lists[key] = header.number, found_problems
    return found_problems


def problem_error(problem: Problem) -> AnalyticsError:
    """Return the refusal of a content with a problem."""
    return bad_input(problem.field, problem.message, limit=problem.limit)


def author_name(ctx: Context, saved_by: str) -> str | None:
    """Return who saved a version; None if nobody signed in.

    A caller with a row filter may be a customer: people's names are not for him.
    """
    return saved_by or None if ctx.grant.row_filter is None else None


def _author(ctx: Context) -> str:
    """Return the person of a session, or the id of a key."""
    session_id = ctx.grant.session_id
    session = ctx.store.keys.session(session_id) if session_id else None
    return session.person if session else ctx.grant.key_id or ""
