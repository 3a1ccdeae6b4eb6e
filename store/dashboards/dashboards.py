"""The dashboards of a running service: an index of each project in memory, contents on the disk."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import msgspec

from schema.dashboards.content import DashboardContent, Problem
from schema.errors import AnalyticsError, bad_input, limit_error
from schema.limits import DASHBOARD_VERSIONS, DASHBOARDS, LimitTable
from store.clock import wall_ms
from store.dashboards.slugs import free_slug
from store.dashboards.versions import (
    NO_STAMP,
    Header,
    ProjectFolder,
    Spend,
    Stamp,
    StoredVersion,
    VersionHeader,
)

T = TypeVar("T")

_LOG: Final = logging.getLogger("analytics.dashboards")
_ID_BYTES: Final = 8
_FILE_PREFIX: Final = "file-"
"""Begin of the id of a dashboard from a file; the ids of others are hexadecimal digits."""


class SaveRequest(NamedTuple):
    """A content to save: as a new dashboard without an id, else after the edited version."""

    content: DashboardContent
    saved_by: str = ""
    message: str = ""
    id: str | None = None
    version: int | None = None


class FileDashboard(NamedTuple):
    """A dashboard from a file of the operator: it has one version, and nobody changes it."""

    project: str
    path: Path
    version: StoredVersion


class _Index(NamedTuple):
    """The dashboards of a project as of a stamp."""

    stamp: Stamp = NO_STAMP
    headers: Mapping[str, Header] = {}

    def with_header(self, header: Header) -> "_Index":
        return self._replace(headers={**self.headers, header.id: header})


class Dashboards:
    """The dashboards of a data folder by project, and those of files.

    They follow the folder, which the command line may change, too.
    """

    def __init__(self, data: Path, limits: LimitTable) -> None:
        """Use the dashboards of a data folder; nothing is read yet."""
        self._root = data / "dashboards"
        self._limits = limits
        self._indexes: dict[str, _Index] = {}
        self._files: dict[tuple[str, str], FileDashboard] = {}
        self.problem_lists: dict[tuple[str, str], tuple[int, Sequence[Problem]]] = {}
        """Problems of dashboards by project and id, with the number of their version."""

    def use_files(self, dashboards: Sequence[FileDashboard]) -> None:
        """Show the dashboards of files beside the stored ones."""
        self._files = {(entry.project, _file_id(entry)): entry for entry in dashboards}

    def is_file(self, dashboard_id: str) -> bool:
        """Say whether the id is that of a dashboard from a file."""
        return dashboard_id.startswith(_FILE_PREFIX)

    def projects(self) -> list[str]:
        """List the projects that have dashboards; it may wait for the disk."""
        folders = [path.name for path in self._root.iterdir()] if self._root.is_dir() else []
        return sorted({*folders, *(project for project, _ in self._files)})

    async def all_headers(self, project: str) -> list[Header]:
        """Return the dashboards of a project, those of files too, sorted by title."""
        index = await self._index(project)
        headers = [*self._file_headers(project), *index.headers.values()]
        return sorted(headers, key=lambda header: (header.title.casefold(), header.id))

    async def find(self, project: str, dashboard_id: str) -> Header | None:
        """Return the dashboard with an id; None if the project has none."""
        if (project, dashboard_id) in self._files:
            return _file_header(self._files[project, dashboard_id])
        return (await self._index(project)).headers.get(dashboard_id)

    async def find_by_slug(self, project: str, slug: str) -> Header | None:
        """Return the dashboard with a slug; one of a file precedes a stored one."""
        index = await self._index(project)
        headers = [*self._file_headers(project), *index.headers.values()]
        return next((header for header in headers if header.slug == slug), None)

    async def read(
        self, project: str, dashboard_id: str, number: int, spend_bytes: Spend
    ) -> StoredVersion | None:
        """Return a version of a dashboard; None if it is not kept. Raises UNAVAILABLE.

        `spend_bytes` gets the length of each file that is read, in a thread, and may raise.
        """
        if (project, dashboard_id) in self._files:
            version = self._files[project, dashboard_id].version
            return version if version.number == number else None
        folder = ProjectFolder(self._root, project)
        return await self._run_beside(lambda: folder.read(dashboard_id, number, spend_bytes))

    async def history(
        self, project: str, dashboard_id: str, spend_bytes: Spend
    ) -> list[VersionHeader]:
        """Return the versions of a dashboard that are kept, newest first; raises as `read`."""
        if (project, dashboard_id) in self._files:
            version = self._files[project, dashboard_id].version
            return [msgspec.convert(version, VersionHeader, from_attributes=True)]
        folder = ProjectFolder(self._root, project)
        return await self._run_beside(lambda: folder.read_history(dashboard_id, spend_bytes))

    async def save(self, project: str, request: SaveRequest) -> Header:
        """Save a content durably as a new version; return the dashboard.

        Raises NOT_FOUND for an unknown id, CONFLICT if another version was saved meanwhile,
        BAD_USER_INPUT for a slug of another dashboard, UNAVAILABLE if the disk fails.
        """
        self._refuse_file(request.id)
        header, index = await self._run_beside(lambda: self.save_now(project, request))
        self._indexes[project] = index
        return header

    def save_now(self, project: str, request: SaveRequest) -> tuple[Header, _Index]:
        """Save a content as `save` does, but wait for the disk here."""
        folder = ProjectFolder(self._root, project)
        with folder.change() as stamp:
            index = self._current_index(project, folder, stamp)
            before = _edited_header(index, request)
            content = self._with_slug(project, index, request, before)
            now = wall_ms()
            version = StoredVersion(
                number=before.number + 1 if before else 1,
                created_ms=before.created_ms if before else now,
                saved_ms=now,
                saved_by=request.saved_by,
                message=request.message,
                content=content,
            )
            dashboard_id = before.id if before else secrets.token_hex(_ID_BYTES)
            header = folder.write(dashboard_id, version, self._limits[DASHBOARD_VERSIONS].value)
            return header, index.with_header(header)._replace(stamp=folder.stamp())

    async def delete(self, project: str, dashboard_id: str) -> None:
        """Delete a dashboard with its history, durably. Raises NOT_FOUND and UNAVAILABLE."""
        self._refuse_file(dashboard_id)
        if await self.find(project, dashboard_id) is None:
            raise no_dashboard()

        def delete_now() -> _Index:
            folder = ProjectFolder(self._root, project)
            with folder.change() as stamp:
                index = self._current_index(project, folder, stamp)
                if dashboard_id not in index.headers:
                    raise no_dashboard()
                folder.delete(dashboard_id)
                headers = {key: index.headers[key] for key in index.headers.keys() - {dashboard_id}}
                return _Index(folder.stamp(), headers)

        self._indexes[project] = await self._run_beside(delete_now)
        self.problem_lists.pop((project, dashboard_id), None)

    def _refuse_file(self, dashboard_id: str | None) -> None:
        if dashboard_id is not None and self.is_file(dashboard_id):
            message = "is a dashboard from a file, which is read-only here: save it as a new one"
            raise bad_input("id", message)

    def _with_slug(
        self, project: str, index: _Index, request: SaveRequest, before: Header | None
    ) -> DashboardContent:
        """Return the content with its slug; a dashboard keeps its slug, a new one has a free one.

        Raises BAD_USER_INPUT for a slug of another dashboard, and if the project has no room.
        """
        headers = (*index.headers.values(), *self._file_headers(project))
        slugs = {header.slug for header in headers if header.id != request.id}
        content, limit = request.content, self._limits[DASHBOARDS]
        if before is None and len(index.headers) >= limit.value:
            raise limit_error(limit, "BAD_USER_INPUT", "dashboard")
        slug = content.slug or (before and before.slug) or free_slug(content.title, slugs)
        if slug in slugs:
            raise bad_input("slug", "is the slug of another dashboard of the project")
        return msgspec.structs.replace(content, slug=slug)

    def _file_headers(self, project: str) -> list[Header]:
        return [_file_header(entry) for entry in self._files.values() if entry.project == project]

    async def _index(self, project: str) -> _Index:
        """Return the index of a project; read it again if the folder changed."""
        folder = ProjectFolder(self._root, project)
        index = self._indexes.get(project, _Index())
        if folder.stamp() != index.stamp:
            stamp, headers = await self._run_beside(folder.headers)
            index = _Index(stamp, {header.id: header for header in headers})
            self._indexes[project] = index
        return index

    def _current_index(self, project: str, folder: ProjectFolder, stamp: Stamp) -> _Index:
        """Return the index before a change, as of a stamp; the caller has the lock."""
        index = self._indexes.get(project)
        if index is None or index.stamp != stamp:
            headers = folder.read_headers()
            index = _Index(headers={header.id: header for header in headers})
        return index

    async def _run_beside(self, operation: Callable[[], T]) -> T:
        """Run an operation in a thread, because the disk may be slow."""
        try:
            return await asyncio.to_thread(operation)
        except (OSError, msgspec.MsgspecError) as error:
            _LOG.error("the dashboards can't be used: %s", error)
            message = "The dashboards can't be used now; the log says why."
            raise AnalyticsError("UNAVAILABLE", message, retry_after=5) from error


def no_dashboard() -> AnalyticsError:
    """Return the error for an id or a slug that the project does not have."""
    return AnalyticsError("NOT_FOUND", "There is no such dashboard.", field="id")


def _edited_header(index: _Index, request: SaveRequest) -> Header | None:
    """Return the dashboard that a request changes; None for a new one."""
    if request.id is None:
        return None
    header = index.headers.get(request.id)
    if header is None:
        raise no_dashboard()
    if request.version != header.number:
        message = (
            f"version: the dashboard has version {header.number}, saved meanwhile;"
            " load it, and edit it again"
        )
        raise AnalyticsError("CONFLICT", message, field="version")
    return header


def _file_id(entry: FileDashboard) -> str:
    return _FILE_PREFIX + entry.version.content.slug


def _file_header(entry: FileDashboard) -> Header:
    version, content = entry.version, entry.version.content
    return Header(
        _file_id(entry),
        content.slug,
        content.title,
        content.description,
        version.number,
        version.created_ms,
        version.saved_ms,
        version.saved_by,
    )
