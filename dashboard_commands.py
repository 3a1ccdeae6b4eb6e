"""The commands `analytics-service dashboards …`, on the dashboards of a data folder.

They work while the service runs and while it does not. The running service follows at once.
"""

import argparse
import functools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import msgspec

from api.graphql.dashboards.checks import content_problems, source_error
from api.graphql.schema import schema
from resolvers.dashboards.dashboards import problem_error
from resolvers.dashboards.files import read_file
from schema.access import PROJECT
from schema.dashboards.content import DashboardContent, Problem
from schema.errors import AnalyticsError, bad_input
from schema.limits import LimitTable
from schema.scalars import Instant, rfc3339
from settings import InvalidSettingError, Settings, from_environment
from store.access.locked_file import UnusableFileError
from store.access.registry import RegistryFile
from store.dashboards.dashboards import Dashboards, SaveRequest
from store.dashboards.versions import Header, ProjectFolder

_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - its only name

NOUNS: Final = ("dashboards",)
"""The first words of the commands."""

_PROGRAM: Final = "analytics-service"
_AUTHOR: Final = "command line"
_WRONG_INPUT: Final = 2
_FILE_FAILURE: Final = 3
_HEADINGS: Final = ("SLUG", "VERSION", "SAVED", "TITLE", "STATE")
_EPILOG: Final = """\
files:
  *.json  a dashboard in the form of DashboardInput (docs/dashboards.md); without a slug, the
          name of the file is its slug. A dashboard with this slug gets a new version.

examples:
  analytics-service dashboards export backup
  analytics-service dashboards import --project shop dashboards/*.json
  analytics-service dashboards list
  analytics-service dashboards remove checkout
"""


class _Target(NamedTuple):
    """The dashboards of a project, on which a command works."""

    project: str
    dashboards: Dashboards
    folder: ProjectFolder
    limits: LimitTable

    def find(self, slug: str) -> Header | None:
        """Return the dashboard with a slug; None if there is none."""
        return next((header for header in self.headers() if header.slug == slug), None)

    def headers(self) -> list[Header]:
        """Return the dashboards of the project in the order of their slugs."""
        return sorted(self.folder.headers()[1], key=lambda header: header.slug)

    def content(self, header: Header) -> DashboardContent:
        """Return the newest content of a dashboard."""
        version = self.folder.read(header.id, header.number)
        if version is None:
            raise _no_dashboard(header.slug)
        return version.content


def main(arguments: Sequence[str]) -> int:
    """Run one command, and return the exit code: 0 done, 2 wrong input, 3 a file is unusable."""
    options = _parser().parse_args(arguments)
    try:
        settings = from_environment(options={"data": options.data or ""})
        if not RegistryFile(settings.data).read().has_project(options.project):
            raise bad_input("project", "there is no such project")
        options.run(options, _target(settings, options.project))
    except (InvalidSettingError, AnalyticsError) as error:
        _say(str(error))
        return _WRONG_INPUT
    except (UnusableFileError, OSError, msgspec.MsgspecError) as error:
        _say(f"the dashboards can't be used: {error}")
        return _FILE_FAILURE
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=_PROGRAM, allow_abbrev=False)
    nouns = parser.add_subparsers(required=True, metavar="NOUN")
    dashboards = nouns.add_parser(
        "dashboards",
        description="Export, import, list and remove dashboards, whether the service runs or not.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    shared_options = argparse.ArgumentParser(add_help=False)
    shared_options.add_argument("--project", default=PROJECT, help=f"project [{PROJECT}]")
    shared_options.add_argument(
        "--data", metavar="FOLDER", help="data folder [ANALYTICS_DATA; default: ./data]"
    )
    _add_commands(dashboards.add_subparsers(required=True, metavar="COMMAND"), shared_options)
    return parser


def _add_commands(commands: _Commands, shared_options: argparse.ArgumentParser) -> None:
    parents = [shared_options]
    export = commands.add_parser("export", parents=parents, help="write a file for each dashboard")
    export.add_argument("folder", type=Path, metavar="FOLDER", help="folder of the files")
    export.add_argument("--slug", help="only the dashboard with this slug")
    export.set_defaults(run=_export)
    imports = commands.add_parser("import", parents=parents, help="save the dashboards of files")
    imports.add_argument("files", nargs="+", type=Path, metavar="FILE", help="dashboards as JSON")
    imports.set_defaults(run=_import)
    listing = commands.add_parser("list", parents=parents, help="list the dashboards")
    listing.set_defaults(run=_list)
    remove = commands.add_parser("remove", parents=parents, help="remove a dashboard")
    remove.add_argument("slug", help="slug of the dashboard, from `list`")
    remove.set_defaults(run=_remove)


def _target(settings: Settings, project: str) -> _Target:
    try:
        limits = LimitTable(settings.limits)
    except ValueError as error:
        raise InvalidSettingError(f"ANALYTICS_LIMITS {error}") from None
    folder = ProjectFolder(settings.data / "dashboards", project)
    return _Target(project, Dashboards(settings.data, limits), folder, limits)


def _export(options: argparse.Namespace, target: _Target) -> None:
    headers = target.headers()
    if options.slug is not None:
        header = target.find(options.slug)
        if header is None:
            raise _no_dashboard(options.slug)
        headers = [header]
    options.folder.mkdir(parents=True, exist_ok=True)
    for header in headers:
        text = msgspec.json.format(msgspec.json.encode(target.content(header)))
        (options.folder / f"{header.slug}.json").write_bytes(text + b"\n")
    _say(f"wrote {len(headers)} dashboards to {options.folder}")


def _import(options: argparse.Namespace, target: _Target) -> None:
    check = functools.partial(source_error, schema._schema)  # noqa: SLF001 - graphql-core's
    contents = []
    for path in options.files:  # all are checked before the first one is saved
        try:
            content = read_file(path, check, target.limits).content
            if problems := _problems(content, target.limits):
                raise problem_error(problems[0])
        except AnalyticsError as error:
            raise bad_input("FILE", f"{path}: {error.message}") from None
        contents.append((path, content))
    for path, content in contents:
        header = target.find(content.slug)
        request = SaveRequest(content, _AUTHOR, f"Imported {path.name}"[:500])
        if header:
            request = request._replace(id=header.id, version=header.number)
        target.dashboards.save_now(target.project, request)
    _say(f"saved {len(contents)} dashboards in the project {target.project}")


def _list(_: argparse.Namespace, target: _Target) -> None:
    rows = [_HEADINGS]
    for header in target.headers():
        problems = _problems(target.content(header), target.limits)
        state = f"{problems[0].field}: {problems[0].message}" if problems else "valid"
        saved_at = rfc3339(Instant(header.saved_ms))[:16].replace("T", " ")
        rows.append((header.slug, str(header.number), saved_at, header.title, state))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


def _remove(options: argparse.Namespace, target: _Target) -> None:
    header = target.find(options.slug)
    if header is None:
        raise _no_dashboard(options.slug)
    with target.folder.change():
        target.folder.delete(header.id)
    _say(f"removed {options.slug}")


def _problems(content: DashboardContent, limits: LimitTable) -> Sequence[Problem]:
    return content_problems(schema._schema, limits, content)  # noqa: SLF001 - graphql-core's


def _no_dashboard(slug: str) -> AnalyticsError:
    return AnalyticsError("NOT_FOUND", f"There is no dashboard {slug!r}.", field="slug")


def _say(text: str) -> None:
    sys.stderr.write(f"{_PROGRAM}: {text}\n")
