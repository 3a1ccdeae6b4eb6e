"""Small GraphQL requests that are made to be expensive: documents, variables, error messages."""

import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from schema.limits import (
    ARGUMENT_VALUES,
    COMPARISONS,
    DOCUMENT_BYTES,
    DOCUMENT_DEPTH,
    DOCUMENT_TOKENS,
    EQUAL_FIELDS,
    FRAGMENTS,
    INPUT_FIELDS,
    INTROSPECTION_ALIASES,
    INTROSPECTION_ROOTS,
    MEMBER_CHARACTERS,
    ROOT_FIELDS,
    SELECTIONS,
    VARIABLE_BYTES,
    VARIABLE_OBJECTS,
    VARIABLE_VALUES,
    Limit,
)

_MEBIBYTE: Final = 2**20
_LARGEST_TEXT: Final = 15 * _MEBIBYTE
_FILTERS: Final = "query($v:[EventFilter!]){events(where:{AND:$v}){totalCount}}"
_TEXTS: Final = "query($v:[String!]){events(where:{name:{in:$v}}){totalCount}}"
_BOUNDS: Final = (
    "query($v:[Float!]!){eventTrend(range:{preset:TODAY},"
    'groupBy:[{bucketNumber:{property:"p",bounds:$v}}]){times}}'
)
_ROWS: Final = "mutation($v:[EventInput!]!){recordEvents(input:{events:$v}){accepted}}"
_INPUT: Final = "mutation($v:RecordEventsInput!){recordEvents(input:$v){accepted}}"
_METRIC: Final = "query($v:String!){metric(name:$v){name}}"


@dataclass(frozen=True, slots=True)
class HostileInput:
    """A request, the status of its answer, and the limit that the answer names, if any.

    The status is 200 if a field fails. The body is built on request: some have 16 MiB.
    """

    name: str
    build_body: Callable[[], bytes]
    status: int = 400
    limit: Limit | None = None

    def wire_body(self) -> bytes:
        """Return the body compressed by gzip."""
        return gzip.compress(self.build_body(), 6)


def _document(text: str) -> bytes:
    return json.dumps({"query": text}, ensure_ascii=False).encode()


def _variables(query: str, value: str, copies: int) -> bytes:
    """Return a request with a list that has many copies of a JSON text."""
    array = ",".join([value] * copies)
    return f'{{"query":{json.dumps(query)},"variables":{{"v":[{array}]}}}}'.encode()


def _copies(form: str, count: int) -> str:
    """Return copies of a text, with numbers in place of `#`."""
    return " ".join(form.replace("#", str(number)) for number in range(count))


def _unknown_fields(count: int, name: str = "a") -> bytes:
    unknown = _copies("nam#:1", count)
    return _document(f'{{events(where:{{{unknown} name:{{eq:"{name}"}}}}){{totalCount}}}}')


def _metric(name: str) -> bytes:
    return json.dumps({"query": _METRIC, "variables": {"v": name}}).encode()


def _spreads(type_name: str, form: str, last: str, levels: int) -> str:
    """Return a chain of fragments; `form` spreads the next one, in place of `#`."""
    return "".join(
        f"fragment F{level} on {type_name}{{{form.replace('#', f'...F{level + 1}')}}}"
        for level in range(levels)
    ) + (f"fragment F{levels} on {type_name}{{{last}}}")


def _repeated_member() -> bytes:
    """Return a request whose rows are not cut out, as they are not the only `events`."""
    rows = ",".join(['{"name":"a"}'] * 50_000)
    variables = f'{{"v":{{"events":[{{"name":"a"}}],"events":[{rows}]}}}}'
    return f'{{"query":{json.dumps(_INPUT)},"variables":{variables}}}'.encode()


def hostile_inputs() -> Iterator[HostileInput]:
    """Yield all requests."""
    yield from _VARIABLES
    yield from _LONG_DOCUMENTS
    yield from _DOCUMENTS
    yield from _MESSAGES


_VARIABLES: Final = (
    HostileInput(
        "30,000 empty filters", lambda: _variables(_FILTERS, "{}", 30_000), 422, VARIABLE_VALUES
    ),
    HostileInput(
        "1,000,000 empty filters",
        lambda: _variables(_FILTERS, "{}", 1_000_000),
        422,
        VARIABLE_BYTES,
    ),
    HostileInput(
        "5,500,000 empty filters",
        lambda: _variables(_FILTERS, "{}", 5_500_000),
        422,
        VARIABLE_BYTES,
    ),
    HostileInput(
        "3,000 empty filters", lambda: _variables(_FILTERS, "{}", 3_000), 422, VARIABLE_OBJECTS
    ),
    HostileInput(
        "1,900 filters with an unknown field",
        lambda: _variables(_FILTERS, '{"nope":1}', 1_900),
        422,
    ),
    HostileInput(
        "4,100,000 texts", lambda: _variables(_TEXTS, '"a"', 4_100_000), 422, VARIABLE_BYTES
    ),
    HostileInput("9,900 numbers as texts", lambda: _variables(_TEXTS, "1", 9_900), 422),
    HostileInput(
        "4,000,000 numbers", lambda: _variables(_BOUNDS, "1.5", 4_000_000), 422, VARIABLE_BYTES
    ),
    HostileInput("1,100,000 rows", lambda: _variables(_ROWS, '{"name":"a"}', 1_100_000), 200),
    HostileInput(
        "50,000 rows in a repeated member",
        _repeated_member,
        422,
        VARIABLE_VALUES,
    ),
    HostileInput(
        "5,500,000 objects in an unused variable",
        lambda: _variables("{health{status}}", "{}", 5_500_000),
        422,
        VARIABLE_BYTES,
    ),
    HostileInput(
        "15 MiB of backslashes in an unused variable",
        lambda: _variables("{health{status}}", '"' + "\\" * _LARGEST_TEXT + '"', 1),
        422,
        VARIABLE_BYTES,
    ),
    HostileInput(
        "90 uses of 480 filters",
        lambda: _variables(
            f"query($v:[EventFilter!]){{{_copies('e#:events(where:{AND:$v}){totalCount}', 90)}}}",
            '{"name":{"eq":"a"}}',
            240,
        ),
        422,
        VARIABLE_OBJECTS,
    ),
    HostileInput(
        "90 uses of 990 texts",
        lambda: _variables(
            f"query($v:[String!]){{{_copies('e#:events(where:{name:{in:$v}}){totalCount}', 90)}}}",
            f'"{"a" * 200}"',
            990,
        ),
        422,
        ARGUMENT_VALUES,
    ),
    HostileInput("a text of 1 MB, escaped", lambda: _metric("\\" * (2**19 - 100)), 200),
    HostileInput("a text of 1 MB, not ASCII", lambda: _metric("é" * (2**17)), 200),
)
_LONG_DOCUMENTS: Final = tuple(
    HostileInput(name, build_body, 413, DOCUMENT_BYTES)
    for name, build_body in (
        (
            "a block text of 7,800,000 line breaks",
            lambda: _document('{metric(name:"""' + "\n" * 7_800_000 + '"""){name}}'),
        ),
        ("15 MiB of spaces", lambda: _document("{health{status}}" + " " * _LARGEST_TEXT)),
        ("15 MiB of commas", lambda: _document("{health{status}}" + "," * _LARGEST_TEXT)),
        (
            "a text of 15 MiB",
            lambda: _document('{metric(name:"' + "a" * _LARGEST_TEXT + '"){name}}'),
        ),
        ("a field of 15 MiB", lambda: _document(f"{{{'a' * _LARGEST_TEXT}}}")),
        ("101 unknown input fields, a text of 1 MB", lambda: _unknown_fields(101, "a" * 10**6)),
        ("101 unknown input fields, a text of 3 MB", lambda: _unknown_fields(101, "a" * 3 * 10**6)),
    )
)
_DOCUMENTS: Final = (
    HostileInput(
        "a block text of 99,000 line breaks",
        lambda: _document('{metric(name:"""' + "\n" * 99_000 + '"""){name}}'),
        200,
    ),
    HostileInput("500 unknown input fields", lambda: _unknown_fields(500)),
    HostileInput(
        "3,300 unknown input fields", lambda: _unknown_fields(3_300), limit=DOCUMENT_TOKENS
    ),
    HostileInput("1,200 unknown input fields", lambda: _unknown_fields(1_200), limit=INPUT_FIELDS),
    HostileInput(
        "7 unknown input fields, 3,900 texts",
        lambda: _document(
            f"{{events(where:{{{_copies('nam#:1', 7)} name:{{in:["
            + '"aaaaaaaaaaaaaaaaaaaa"' * 3_900
            + "]}}){totalCount}}"
        ),
    ),
    HostileInput(
        "250 introspections",
        lambda: _document(
            f"{{{_copies('a#:__schema{types{...T}}', 250)}}}"
            "fragment T on __Type{name fields{name type{name}}}"
        ),
        limit=ROOT_FIELDS,
    ),
    HostileInput(
        "90 introspections",
        lambda: _document(f"{{{_copies('a#:__schema{types{name}}', 90)}}}"),
        limit=INTROSPECTION_ROOTS,
    ),
    HostileInput(
        "an introspection with 900 aliases",
        lambda: _document(f"{{__schema{{types{{fields{{{_copies('a#:name', 900)}}}}}}}}}"),
        limit=INTROSPECTION_ALIASES,
    ),
    HostileInput(
        "400 equal fields", lambda: _document(f"{{{'health{status}' * 400}}}"), limit=ROOT_FIELDS
    ),
    HostileInput(
        "1,000 equal fields",
        lambda: _document(f"{{health{{{'status ' * 1_000}}}}}"),
        limit=EQUAL_FIELDS,
    ),
    HostileInput(
        "90 equal fields of 10 equal fields",
        lambda: _document(f"{{{'health{status status status status status} ' * 90}}}"),
        limit=COMPARISONS,
    ),
    HostileInput(
        "1,000 equal inline fragments",
        lambda: _document(f"{{{'...{health{status}}' * 1_000}}}"),
        limit=DOCUMENT_TOKENS,
    ),
    HostileInput(
        "90 equal fragments",
        lambda: _document(
            f"{{{_copies('...F#', 90)}}}{_copies('fragment F# on Query{health{status}}', 90)}"
        ),
        limit=COMPARISONS,
    ),
    HostileInput(
        "200 fragments",
        lambda: _document(
            f"{{{_copies('...F#', 200)}}}{_copies('fragment F# on Query{health{status}}', 200)}"
        ),
        limit=FRAGMENTS,
    ),
    HostileInput(
        "2^60 fields",
        lambda: _document(
            '{__type(name:"a"){...F0}}'
            + _spreads("__Type", "ofType{#} again:ofType{#}", "name", 60)
        ),
        limit=SELECTIONS,
    ),
    HostileInput("50,000 open braces", lambda: _document("{a" * 49_999), limit=DOCUMENT_DEPTH),
    HostileInput("9,000 fields", lambda: _document(f"{{{'a ' * 9_000}}}"), limit=DOCUMENT_TOKENS),
    HostileInput(
        "3,000 unknown fields", lambda: _document(f"{{health{{{_copies('a#', 3_000)}}}}}")
    ),
)
_MESSAGES: Final = (
    HostileInput("a metric of 15 MiB", lambda: _metric("a" * _LARGEST_TEXT), 422, VARIABLE_BYTES),
    HostileInput("a metric of 1 MB", lambda: _metric("a" * (_MEBIBYTE - 100)), 200),
    HostileInput("a field of 99,000 characters", lambda: _document(f"{{{'a' * 99_000}}}")),
    HostileInput(
        "101 unknown input fields, a text of 90 KB", lambda: _unknown_fields(101, "a" * 90_000)
    ),
    HostileInput(
        "an unknown member of 512 KiB",
        lambda: _variables(_FILTERS, f'{{"{"a" * 2**19}":1}}', 1),
        422,
        MEMBER_CHARACTERS,
    ),
    HostileInput(
        "a time of 512 KiB",
        lambda: _variables(
            "query($v:[EventFilter!]){events(where:{AND:$v}){totalCount}}",
            f'{{"time":{{"gt":"{"1" * 2**19}"}}}}',
            1,
        ),
        200,
    ),
)
