"""The commands `analytics-service documents …`, on the trusted documents of a data folder.

They work while the service runs and while it does not. The running service follows at once.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec

from api.graphql.documents.documents import text_error
from api.graphql.schema import schema
from resolvers.access.documents import check_new_documents
from schema.access import PROJECT
from schema.errors import AnalyticsError, bad_input
from schema.limits import LimitTable
from schema.scalars import Instant, rfc3339
from settings import InvalidSettingError, Settings, from_environment
from store.access.documents import DocumentsFile, NewDocument, delete_document, save_documents
from store.access.locked_file import UnusableFileError
from store.access.registry import RegistryFile
from store.clock import wall_ms

_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - its only name

NOUNS: Final = ("documents",)
"""The first words of the commands."""

_PROGRAM: Final = "analytics-service"
_WRONG_INPUT: Final = 2
_FILE_FAILURE: Final = 3
_HEADINGS: Final = ("ID", "SAVED", "BYTES", "STATE")
_GRAPHQL_FILES: Final = frozenset({".graphql", ".gql"})
_APOLLO_FORMAT: Final = "apollo-persisted-query-manifest"
_EPILOG: Final = """\
files:
  *.graphql, *.gql  one document; its id is the name of the file, without the ending
  *.json            the manifest of @apollo/generate-persisted-query-manifest, or an object
                    {id: document}, as Relay's compiler and graphql-codegen write it
Each document can also be named by its hash: sha256:<64 hexadecimal digits>.

examples:
  analytics-service documents add persisted-query-manifest.json
  analytics-service documents add --project shop queries/*.graphql
  analytics-service documents list
  analytics-service documents remove Dashboard
"""


class _ApolloOperation(msgspec.Struct):
    """A document in a manifest of Apollo."""

    id: str
    body: str


class _ApolloManifest(msgspec.Struct):
    """A manifest of `@apollo/generate-persisted-query-manifest`, version 1."""

    operations: list[_ApolloOperation]


def main(arguments: Sequence[str]) -> int:
    """Run one command, and return the exit code: 0 done, 2 wrong input, 3 a file is unusable."""
    options = _parser().parse_args(arguments)
    try:
        settings = from_environment(options={"data": options.data or ""})
        folder, options.limits = settings.data, _limits(settings)
        if not RegistryFile(folder).read().has_project(options.project):
            raise bad_input("project", "there is no such project")
        options.run(options, DocumentsFile(folder))
    except (InvalidSettingError, AnalyticsError) as error:
        _say(str(error))
        return _WRONG_INPUT
    except (UnusableFileError, OSError) as error:
        _say(f"the documents can't be used: {error}")
        return _FILE_FAILURE
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=_PROGRAM, allow_abbrev=False)
    nouns = parser.add_subparsers(required=True, metavar="NOUN")
    documents = nouns.add_parser(
        "documents",
        description="Save, list and remove trusted documents, whether the service runs or not.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    shared_options = argparse.ArgumentParser(add_help=False)
    shared_options.add_argument("--project", default=PROJECT, help=f"project [{PROJECT}]")
    shared_options.add_argument(
        "--data", metavar="FOLDER", help="data folder [ANALYTICS_DATA; default: ./data]"
    )
    _add_commands(documents.add_subparsers(required=True, metavar="COMMAND"), shared_options)
    return parser


def _add_commands(commands: _Commands, shared_options: argparse.ArgumentParser) -> None:
    add = commands.add_parser("add", parents=[shared_options], help="save the documents of files")
    add.add_argument("files", nargs="+", type=Path, metavar="FILE", help="documents or manifests")
    add.set_defaults(run=_add)
    listing = commands.add_parser("list", parents=[shared_options], help="list the documents")
    listing.add_argument("--json", action="store_true", help="as JSON, one document a line")
    listing.set_defaults(run=_list)
    remove = commands.add_parser("remove", parents=[shared_options], help="remove a document")
    remove.add_argument("id", help="id of the document, from `list`")
    remove.set_defaults(run=_remove)


def _limits(settings: Settings) -> LimitTable:
    try:
        return LimitTable(settings.limits)
    except ValueError as error:
        raise InvalidSettingError(f"ANALYTICS_LIMITS {error}") from None


def _add(options: argparse.Namespace, file: DocumentsFile) -> None:
    new_documents = [document for path in options.files for document in _read(path)]
    limits: LimitTable = options.limits
    errors = [_error_of(document.text, limits) for document in new_documents]
    check_new_documents(new_documents, errors)
    with file.change() as content:
        documents = save_documents(content, options.project, new_documents, limits, wall_ms())
    _say(f"saved {len(documents)} documents in the project {options.project}")


def _remove(options: argparse.Namespace, file: DocumentsFile) -> None:
    with file.change() as content:
        delete_document(content, options.project, options.id)
    _say(f"removed {options.id}")


def _list(options: argparse.Namespace, file: DocumentsFile) -> None:
    rows = [_HEADINGS]
    for document in file.read().documents:
        if document.project != options.project:
            continue
        error = _error_of(document.text, options.limits)
        state = f"refused: {error.message}" if error else "valid"
        saved_at = rfc3339(Instant(document.created_ms))
        if options.json:
            line = {"id": document.id, "savedAt": saved_at, "error": error and error.message}
            sys.stdout.write(msgspec.json.encode(line | {"text": document.text}).decode() + "\n")
        size = str(len(document.text.encode()))
        rows.append((document.id, saved_at[:16].replace("T", " "), size, state))
    if options.json:
        return
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


def _error_of(text: str, limits: LimitTable) -> AnalyticsError | None:
    return text_error(schema._schema, limits, text)  # noqa: SLF001 - graphql-core's


def _read(path: Path) -> Iterator[NewDocument]:
    """Yield the documents of a file."""
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise bad_input("FILE", f"{path} can't be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise bad_input("FILE", f"{path} is not UTF-8") from None
    if path.suffix in _GRAPHQL_FILES:
        yield NewDocument(text, path.stem)
        return
    try:
        yield from _read_manifest(text)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        message = f"{path} is no manifest of Apollo, and no object {{id: document}}: {error}"
        raise bad_input("FILE", message) from None


def _read_manifest(text: str) -> Iterator[NewDocument]:
    content: dict[str, Any] = msgspec.json.decode(text, type=dict[str, Any])
    if content.get("format") == _APOLLO_FORMAT:
        if content.get("version") != 1:
            raise ValueError("its version must be 1")
        manifest = msgspec.convert(content, _ApolloManifest)
        for operation in manifest.operations:
            yield NewDocument(operation.body, operation.id)
        return
    for document_id, document in msgspec.convert(content, dict[str, str]).items():
        yield NewDocument(document, document_id)


def _say(text: str) -> None:
    sys.stderr.write(f"{_PROGRAM}: {text}\n")
