"""The commands `analytics-service keys …`, `projects …` and `sessions …`, on a data folder.

They work while the service runs and while it does not. The running service sees a new key at once,
and refuses a revoked one within a second, and a revoked session, too.
"""

import argparse
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import msgspec
from graphql import GraphQLError

from schema.access import PROJECT, KeyKind, RowFilter, Scope
from schema.errors import AnalyticsError, bad_input
from schema.filter_json import filter_from_json
from schema.scalars import DurationMs, Instant, rfc3339
from schema.time.durations import parse_duration
from settings import InvalidSettingError, from_environment
from store.access.locked_file import UnusableFileError
from store.access.registry import (
    Key,
    KeyRequest,
    RegistryFile,
    add_key,
    add_project,
    revoke_key,
)
from store.access.sessions import end_session
from store.clock import wall_ms

_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - its only name

NOUNS: Final = ("keys", "projects", "sessions")
"""The first words of the commands."""

_PROGRAM: Final = "analytics-service"
_WRONG_INPUT: Final = 2
_FILE_FAILURE: Final = 3

_KINDS: Final[Mapping[str, KeyKind]] = {kind.name.lower(): kind for kind in KeyKind}
_SCOPES: Final[Mapping[str, Scope]] = {scope.name.lower(): scope for scope in Scope}
_EPILOG: Final = """\
kinds:
  public  pk_…     records only; a browser may have it
  secret  sk_…     records and queries one project, for back ends
  admin   admin_…  also deletes, operates the service and manages keys

examples:
  analytics-service keys create admin --name ops
  analytics-service keys create public --name web --origin https://app.example
  analytics-service keys create secret --name reports --scope query --expires-in 90d
  analytics-service keys list
  analytics-service keys revoke key_0123456789abcdef
  analytics-service keys create secret --name analysts --scope query --member '*@app.example'
  analytics-service projects create shop
  analytics-service keys create secret --name shop --project shop
"""


def first_key_hint(folder: Path) -> str:
    """Return the sentence that says how to make the first key."""
    program = "analytics-service" if "analytics" in Path(sys.argv[0]).name else "python app.py"
    command = f"{program} keys create admin --name admin --data {shlex.quote(str(folder))}"
    return f"Make the first admin key: {command}"


def main(arguments: Sequence[str]) -> int:
    """Run one command, and return the exit code: 0 done, 2 wrong input, 3 the file is unusable."""
    options = _parser().parse_args(arguments)
    try:
        settings = from_environment(options={"data": options.data or ""})
        options.run(options, RegistryFile(settings.data))
    except (InvalidSettingError, GraphQLError, AnalyticsError) as error:
        _say(str(error))
        return _WRONG_INPUT
    except (UnusableFileError, OSError) as error:
        _say(f"the keys can't be used: {error}")
        return _FILE_FAILURE
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=_PROGRAM, allow_abbrev=False)
    folder = argparse.ArgumentParser(add_help=False)
    folder.add_argument(
        "--data", metavar="FOLDER", help="data folder [ANALYTICS_DATA; default: ./data]"
    )
    nouns = parser.add_subparsers(required=True, metavar="NOUN")
    keys = nouns.add_parser(
        "keys",
        description="Make, list and revoke keys, whether the service runs or not.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_key_commands(keys.add_subparsers(required=True, metavar="COMMAND"), folder)
    projects = nouns.add_parser("projects", description="Make and list projects.")
    _add_project_commands(projects.add_subparsers(required=True, metavar="COMMAND"), folder)
    sessions = nouns.add_parser("sessions", description="List and revoke sessions of people.")
    _add_session_commands(sessions.add_subparsers(required=True, metavar="COMMAND"), folder)
    return parser


def _add_key_commands(commands: _Commands, folder: argparse.ArgumentParser) -> None:
    create = commands.add_parser("create", parents=[folder], help="make a key and print it")
    create.add_argument("kind", choices=_KINDS, help="public, secret or admin")
    create.add_argument("--name", required=True, help="name for people")
    create.add_argument(
        "--scope", action="append", choices=_SCOPES, help="permission of a secret key; repeatable"
    )
    create.add_argument(
        "--origin",
        action="append",
        default=[],
        help="origin whose pages may use a public key; repeatable",
    )
    create.add_argument(
        "--member",
        action="append",
        default=[],
        metavar="PERSON",
        help="who gets its rights by OpenID Connect: ann@app.example, *@app.example,"
        " group:analysts, or * for anyone; repeatable",
    )
    create.add_argument("--project", default=PROJECT, help=f"project of the key [{PROJECT}]")
    create.add_argument(
        "--row-filter", metavar="JSON", help="rows that a secret key with the scope query shows"
    )
    create.add_argument(
        "--signs-tokens", action="store_true", help="give a secret key a secret to sign tokens with"
    )
    create.add_argument(
        "--trusted-only", action="store_true", help="let the key execute trusted documents only"
    )
    create.add_argument("--json", action="store_true", help="print id and secrets as JSON")
    create.add_argument("--expires-in", metavar="DURATION", help="like 90d or PT12H")
    create.set_defaults(run=_create)
    listing = commands.add_parser("list", parents=[folder], help="list the keys")
    listing.add_argument("--json", action="store_true", help="as JSON, one key a line")
    listing.set_defaults(run=_list)
    revoke = commands.add_parser("revoke", parents=[folder], help="revoke a key for ever")
    revoke.add_argument("id", help="id of the key, from `list`")
    revoke.set_defaults(run=_revoke)


def _add_project_commands(commands: _Commands, folder: argparse.ArgumentParser) -> None:
    create = commands.add_parser("create", parents=[folder], help="make a project")
    create.add_argument("name", help="name: a-z, 0-9, - and _")
    create.set_defaults(run=_create_project)
    listing = commands.add_parser("list", parents=[folder], help="list the projects")
    listing.set_defaults(run=_list_projects)


def _add_session_commands(commands: _Commands, folder: argparse.ArgumentParser) -> None:
    listing = commands.add_parser("list", parents=[folder], help="list who is signed in")
    listing.set_defaults(run=_list_sessions)
    revoke = commands.add_parser("revoke", parents=[folder], help="let a person sign in again")
    revoke.add_argument("id", help="id of the session, from `list`")
    revoke.set_defaults(run=_revoke_session)


def _list_sessions(_: argparse.Namespace, file: RegistryFile) -> None:
    registry = file.read()
    names = {key.id: key.name for key in registry.keys if key.is_usable(wall_ms())}
    rows = [
        (
            *(session.id, session.person, names[session.key_id], _time(session.expires_ms)),
            *(_time(session.last_used_ms), session.user_agent),
        )
        for session in registry.sessions
        if session.key_id in names and wall_ms() < session.expires_ms
    ]
    _print_table(("ID", "PERSON", "KEY", "UNTIL", "LAST USED", "BROWSER"), rows)


def _revoke_session(options: argparse.Namespace, file: RegistryFile) -> None:
    with file.change() as registry:
        session = end_session(registry.sessions, options.id)
    _say(f"revoked the session of {session.person}")


def _create_project(options: argparse.Namespace, file: RegistryFile) -> None:
    with file.change() as registry:
        project = add_project(registry, options.name, wall_ms())
    _say(f"made the project {project.name}")


def _list_projects(_: argparse.Namespace, file: RegistryFile) -> None:
    for name in (PROJECT, *(project.name for project in file.read().projects)):
        sys.stdout.write(f"{name}\n")


def _revoke(options: argparse.Namespace, file: RegistryFile) -> None:
    with file.change() as registry:
        key = revoke_key(registry, options.id, wall_ms())
    _say(f"revoked {key.prefix}… ({key.name})")


def _create(options: argparse.Namespace, file: RegistryFile) -> None:
    request = KeyRequest(
        name=options.name,
        kind=_KINDS[options.kind],
        scopes=[_SCOPES[name] for name in options.scope] if options.scope else None,
        project=options.project,
        origins=options.origin,
        members=options.member,
        row_filter=_row_filter(options.row_filter),
        signs_tokens=options.signs_tokens,
        trusted_only=options.trusted_only,
        expires_in=_duration(options.expires_in),
    )
    with file.change() as registry:
        key, secret = add_key(registry, request, wall_ms())
    _say(f"made {key.id}; the key below is shown only once")
    if options.json:
        content = {"id": key.id, "secret": secret, "tokenSecret": key.token_secret}
        secret = msgspec.json.encode(content).decode()
    elif key.token_secret:
        secret = f"{secret}\n{key.token_secret}"
    sys.stdout.write(f"{secret}\n")


def _row_filter(text: str | None) -> RowFilter | None:
    if text is None:
        return None
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise bad_input("rowFilter", f"is no JSON: {error}") from None
    return filter_from_json(RowFilter, value, "rowFilter")


def _duration(text: str | None) -> DurationMs | None:
    return None if text is None else parse_duration(text)


def _list(options: argparse.Namespace, file: RegistryFile) -> None:
    keys = file.read().keys
    if options.json:
        for key in keys:
            fields = {name: val for name, val in _fields(key).items() if name not in _HIDDEN_FIELDS}
            sys.stdout.write(msgspec.json.encode(fields).decode() + "\n")
        return
    _print_table(_HEADINGS, map(_cells, keys))


def _print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = [headings, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


_HIDDEN_FIELDS: Final = frozenset({"sha256", "token_secret"})
_HEADINGS: Final = ("ID", "KEY", "NAME", "PROJECT", "STATE", "LAST USED", "SCOPES")


def _cells(key: Key) -> tuple[str, ...]:
    if key.revoked_ms is not None:
        state = f"revoked {_time(key.revoked_ms)}"
    elif key.expires_ms is None:
        state = "valid"
    else:
        state = f"{'valid' if key.is_usable(wall_ms()) else 'expired'} to {_time(key.expires_ms)}"
    scopes = ",".join(scope.name.lower() for scope in key.scopes)
    return (
        *(key.id, f"{key.prefix}…", key.name, key.project, state),
        *(_time(key.last_used_ms), scopes),
    )


def _time(ms: int | None) -> str:
    return "never" if ms is None else rfc3339(Instant(ms))[:16].replace("T", " ")


def _fields(key: Key) -> dict[str, object]:
    fields: dict[str, object] = msgspec.to_builtins(key)
    return fields


def _say(text: str) -> None:
    sys.stderr.write(f"{_PROGRAM}: {text}\n")
