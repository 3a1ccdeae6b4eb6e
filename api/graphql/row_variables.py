"""Rows in variables of large requests: parsed from their JSON, before the execution.

GraphQL checks 50,000 rows in a second or more. Here the rows are cut out of the body, and parsed as
a batch of the REST API is; the execution gets an empty list in their place. A row that does not
parse is checked as GraphQL checks it. A request with rows that GraphQL refuses is executed with
some of those rows only.
"""

import asyncio
import re
import secrets
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec
from graphql import (
    FieldNode,
    GraphQLError,
    NonNullTypeNode,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    get_operation_ast,
    print_ast,
    visit,
)
from strawberry.extensions import ParserCache

from api.graphql.requests import GraphQLRequest, SparseRequest, request_of_body
from api.graphql.row_inputs import MUTATIONS, rows_variable
from api.graphql.row_types import (
    EVENT_INPUTS,
    METRIC_INPUTS,
    RefusedRowError,
    UnreadableRowError,
    refused_rows,
)
from api.graphql.schema import MAX_TOKENS
from resolvers.context import Context
from schema.errors import AnalyticsError
from store.ingest.decoder import Batch
from store.ingest.row_errors import GRAPHQL_NAMES
from store.ingest.rows import RowType

_MIN_BODY_BYTES: Final = 2_048
"""20 rows in such a body gain a third of their time, fewer gain nothing."""

_MIN_ROWS_BYTES: Final = 1_024
_PREFIX_BYTES: Final = 64
_FIRST_ROWS: Final = re.compile(rb"\[\s*\{")


class _Envelope(msgspec.Struct):
    """A request with undecoded variables."""

    query: str
    variables: dict[str, msgspec.Raw]
    operationName: str | None = None  # noqa: N815 - its name in the request


class _RowsType(NamedTuple):
    """The type of a variable with rows; the rows are the variable's value, or a member of it."""

    row_type: RowType[Any]
    member: str | None


_ROWS_TYPES: Final = {
    "[MetricInput!]": _RowsType(METRIC_INPUTS, None),
    "[EventInput!]": _RowsType(EVENT_INPUTS, None),
    "RecordMetricsInput": _RowsType(METRIC_INPUTS, "metrics"),
    "RecordEventsInput": _RowsType(EVENT_INPUTS, "events"),
}

_ENVELOPE_DECODER: Final = msgspec.json.Decoder(_Envelope)
_ERRORS: Final = (AnalyticsError, GraphQLError, msgspec.MsgspecError, ValueError, RecursionError)


class _CutRequest(NamedTuple):
    """A request with empty arrays in place of rows, the JSON arrays of rows, and their types.

    Texts and types are by variable. A text may be no JSON, which shows when it is parsed.
    """

    request: GraphQLRequest
    texts: Mapping[str, bytes]
    rows_types: Mapping[str, _RowsType]


async def read_rows(body: bytes, ctx: Context) -> tuple[GraphQLRequest, Context] | None:
    """Return a request without its rows, and a context with them.

    Returns None if no variable has many rows, and for any request that is not readable.
    """
    if len(body) < _MIN_BODY_BYTES:
        return None
    for cut in (_cut_at_brackets, _cut_variables):
        try:
            return await _parse(cut(body), ctx)
        except (*_ERRORS, UnreadableRowError):
            continue
    return None


def _cut_at_brackets(body: bytes) -> _CutRequest:
    """Cut the text from the first array of objects to the last bracket out of a body.

    The rest is a request with a mark in place of the rows of a variable. If the text is an array,
    the body is the request with this array. To decode the body would hold the GIL for 12 ms of
    15 MB. Raises an error if the rest is another request.
    """
    start = _FIRST_ROWS.search(body)
    if start is None:
        raise UnreadableRowError
    text = body[start.start() : body.rfind(b"]") + 1]
    if len(text) < _MIN_ROWS_BYTES:
        raise UnreadableRowError
    mark = secrets.token_hex(8)
    end = body[start.start() + len(text) :]
    request = request_of_body(b'%b["%b"]%b' % (body[: start.start()], mark.encode(), end))
    rows_types = _rows_types(request.query, request.operationName)
    variables: dict[str, Any] = request.variables or {}
    for name, (_, member) in rows_types.items():
        if variables.get(name) == ({member: [mark]} if member else [mark]):
            variables[name] = {member: []} if member else []
            return _CutRequest(request, {name: text}, rows_types)
    raise UnreadableRowError


def _cut_variables(body: bytes) -> _CutRequest:
    """Cut the rows of each variable out of a body; raise an error if no variable has many."""
    envelope = _ENVELOPE_DECODER.decode(body)
    rows_types = _rows_types(envelope.query, envelope.operationName)
    texts = _row_texts(envelope.variables, rows_types)
    if not texts:
        raise UnreadableRowError
    request = request_of_body(_cut(body, texts))
    _check_cut(request.variables or {}, texts, rows_types)
    return _CutRequest(request, texts, rows_types)


@lru_cache(maxsize=128)
def _rows_types(query: str, operation_name: str | None) -> Mapping[str, _RowsType]:
    """Return the types of the variables of an operation that have rows, and nothing else."""
    # With these arguments, the parsed document is in the cache of Strawberry's extension.
    document = ParserCache().cached_parse_document(query, max_tokens=MAX_TOKENS)
    uses = _VariableUses()
    visit(document, uses)
    operation = get_operation_ast(document, operation_name)
    rows_types: dict[str, _RowsType] = {}
    for definition in (operation and operation.variable_definitions) or ():
        name = definition.variable.name.value
        rows_type = _ROWS_TYPES.get(_nullable_type(definition))
        if rows_type and uses.in_inputs[name] == uses.all[name]:
            rows_types[name] = rows_type
    return rows_types


def _nullable_type(definition: VariableDefinitionNode) -> str:
    node = definition.type
    return print_ast(node.type if isinstance(node, NonNullTypeNode) else node)


class _VariableUses(Visitor):
    """Numbers of uses of each variable in a document: all, and as the rows of a mutation."""

    def __init__(self) -> None:
        super().__init__()
        self.all: Counter[str] = Counter()
        self.in_inputs: Counter[str] = Counter()

    def enter_field(self, node: FieldNode, *_: object) -> None:
        if node.name.value in MUTATIONS:
            name = rows_variable(node)
            self.in_inputs.update(() if name is None else (name,))

    def enter_variable(self, node: VariableNode, _key: object, parent: object, *_: object) -> None:
        if not isinstance(parent, VariableDefinitionNode):
            self.all[node.name.value] += 1


def _row_texts(
    variables: Mapping[str, msgspec.Raw], rows_types: Mapping[str, _RowsType]
) -> dict[str, bytes]:
    """Return the JSON arrays of many rows, by their variables, in the order of the body."""
    texts = {}
    for name, raw in variables.items():
        if name not in rows_types:
            continue
        member = rows_types[name].member
        text = _member_text(bytes(raw), member) if member else bytes(raw)
        if text.startswith(b"[") and len(text) >= _MIN_ROWS_BYTES:
            texts[name] = text
    return texts


def _member_text(text: bytes, member: str) -> bytes:
    """Return the text of the only member of an object.

    Otherwise, the text that is returned does not parse. To decode the object takes 10 ms for 7 MB.
    """
    start = re.match(rb'\{\s*"%b"\s*:\s*' % member.encode(), text)
    return text[start.end() : -1].rstrip() if start else b""


def _cut(body: bytes, texts: Mapping[str, bytes]) -> bytes:
    """Replace the arrays in a body by empty ones."""
    for text in texts.values():
        start = body.find(text[:_PREFIX_BYTES])
        if not body.startswith(text, start):
            raise UnreadableRowError
        body = b"".join((body[:start], b"[]", body[start + len(text) :]))
    return body


def _check_cut(
    variables: Mapping[str, Any],
    texts: Mapping[str, bytes],
    rows_types: Mapping[str, _RowsType],
) -> None:
    """Raise an error if other arrays were cut out than the rows, such as a repeated key's."""
    for name in texts:
        member = rows_types[name].member
        if variables.get(name) != ({member: []} if member else []):
            raise UnreadableRowError


async def _parse(cut_request: _CutRequest, ctx: Context) -> tuple[GraphQLRequest, Context]:
    """Parse the rows of a request; put refused rows back into its variables."""
    request, texts, rows_types = cut_request
    variables: dict[str, Any] = request.variables or {}
    batches: dict[str, Batch[Any] | AnalyticsError] = {}
    row_indexes = {}
    for name, text in texts.items():
        row_type, member = rows_types[name]
        try:
            batches[name] = await ctx.store.reader.read_batch(
                row_type, text, ctx.now(), GRAPHQL_NAMES
            )
            continue
        except AnalyticsError as error:
            if error.code != "PAYLOAD_TOO_LARGE":
                raise
            batches[name] = error
        except RefusedRowError:
            pass
        bad_rows = await asyncio.to_thread(refused_rows, row_type, text)
        row_indexes[name] = list(bad_rows)
        rows = list(bad_rows.values())
        variables[name] = {member: rows} if member else rows
    if any(row_indexes.values()):
        request = SparseRequest(
            query=request.query,
            variables=variables,
            operationName=request.operationName,
            extensions=request.extensions,
            row_indexes=row_indexes,
        )
    return request, replace(ctx, row_batches=batches)
