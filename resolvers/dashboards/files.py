"""Files of dashboards: a folder that an operator mounts, and what the command line imports."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from resolvers.dashboards.content import content_from_json
from schema.access import PROJECT
from schema.dashboards.content import DashboardContent
from schema.errors import AnalyticsError, bad_input
from schema.limits import DASHBOARD_BYTES, LimitTable
from store.dashboards.dashboards import FileDashboard
from store.dashboards.slugs import SLUG, free_slug
from store.dashboards.versions import StoredVersion

SourceCheck: TypeAlias = Callable[[object], AnalyticsError | None]
"""Check that JSON has the form of `DashboardInput`: its first error, or None."""

_PROJECT_MEMBER: Final = "project"
_ROOM_FOR_SPACES: Final = 8
"""Bytes of a file for each byte of its content: people indent JSON."""


class DashboardFile(NamedTuple):
    """The content of a file, and the project that it names."""

    project: str
    content: DashboardContent


def read_file(path: Path, check: SourceCheck, limits: LimitTable) -> DashboardFile:
    """Read the dashboard of a file; without a slug, the name of the file is its slug.

    Raises `AnalyticsError` whose message is one line for the operator.
    """
    source = _read_json(path, limits)
    project = source.pop(_PROJECT_MEMBER, PROJECT)
    if not isinstance(project, str):
        raise bad_input(_PROJECT_MEMBER, "must be a text")
    if error := check(source):
        raise error
    content = content_from_json(source, limits)
    if not content.slug:
        slug = path.stem if SLUG.fullmatch(path.stem) else free_slug(path.stem, ())
        content = msgspec.structs.replace(content, slug=slug)
    return DashboardFile(project, content)


def _read_json(path: Path, limits: LimitTable) -> dict[str, Any]:
    limit = limits[DASHBOARD_BYTES].value * _ROOM_FOR_SPACES
    try:
        with path.open("rb") as file:
            text = file.read(limit + 1)
        if len(text) > limit:
            raise bad_input("FILE", f"has more than {limit} bytes", limit=limit)
        source: dict[str, Any] = msgspec.json.decode(text, type=dict[str, Any])
    except OSError as error:
        raise bad_input("FILE", f"can't be read ({error.strerror})") from None
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise bad_input("FILE", f"is no JSON object: {error}") from None
    return source


def read_folder(
    folder: Path,
    check: SourceCheck,
    limits: LimitTable,
    has_project: Callable[[str], bool],
) -> tuple[list[FileDashboard], list[str]]:
    """Read the `*.json` files of a folder; return their dashboards, and a line for each bad one."""
    dashboards: dict[tuple[str, str], FileDashboard] = {}
    problems = []
    if not folder.is_dir():
        return [], [f"{folder} is no folder"]
    for path in _files_of(folder):
        try:
            project, content = read_file(path, check, limits)
            if not has_project(project):
                raise bad_input(_PROJECT_MEMBER, f"there is no project {project!r}")
            if (project, content.slug) in dashboards:
                raise bad_input("slug", f"another file has the slug {content.slug!r}")
        except AnalyticsError as error:
            problems.append(f"{path.name}: {error.message}")
            continue
        saved_ms = path.stat().st_mtime_ns // 1_000_000
        version = StoredVersion(1, saved_ms, saved_ms, "", "", content)
        dashboards[project, content.slug] = FileDashboard(project, path, version)
    return list(dashboards.values()), problems


def _files_of(folder: Path) -> Iterator[Path]:
    """Give the files of a folder in order. Names with a dot first are of editors and mounts."""
    yield from sorted(
        path for path in folder.glob("*.json") if path.is_file() and not path.name.startswith(".")
    )
