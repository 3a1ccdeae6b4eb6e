"""Rows in variables of large requests: parsed from their JSON, before the execution.

GraphQL checks 50,000 rows in a second or more. Here the rows are cut out of the body, and parsed as
a batch of the REST API is; the execution gets an empty list in their place. A row that does not
parse is checked as GraphQL checks it. A request with rows that GraphQL refuses is executed with
some of those rows only.
"""

import asyncio
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

import msgspec
from graphql import (
    GraphQLError,
    ListTypeNode,
    NamedTypeNode,
    NonNullTypeNode,
    TypeNode,
    get_operation_ast,
)

from api.graphql.persisted import with_document
from api.graphql.requests import (
    Envelope,
    GraphQLRequest,
    SparseRequest,
    call_beside,
    request_of_body,
)
from api.graphql.row_types import (
    EVENT_INPUTS,
    METRIC_INPUTS,
    RefusedRowError,
    UnreadableRowError,
    refused_rows,
)
from api.graphql.schema import documents, schema
from resolvers.context import Context
from schema.errors import AnalyticsError
from schema.limits import LimitTable
from store.ingest.decoder import Batch
from store.ingest.row_errors import GRAPHQL_NAMES
from store.ingest.rows import MAX_ROWS, RowType

_MIN_BODY_BYTES: Final = 2_048
"""20 rows in such a body gain a third of their time, fewer gain nothing."""

_MIN_ROWS_BYTES: Final = 1_024
_PREFIX_BYTES: Final = 64
_FIRST_ROWS: Final = re.compile(rb"\[\s*\{")
_MAX_OBJECTS: Final = 4 * MAX_ROWS
"""Objects of a batch with too many rows among which those that GraphQL refuses are looked for.

A million takes 0.3 s, of which 0.1 s at once.
"""

_MAX_HEAD_BYTES: Final = 2**20
"""Bytes in which the first rows begin: to search 15 MiB of brackets holds the GIL for 0.3 s."""


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

_ENVELOPE_DECODER: Final = msgspec.json.Decoder(Envelope)
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

    The context begins with the request. Returns None if no variable has many rows, and for any
    request that is not readable.
    """
    if len(body) < _MIN_BODY_BYTES:
        return None
    for cut in (_cut_at_brackets, _cut_variables):
        try:
            return await _parse(await cut(body, ctx), ctx.for_request())
        except (*_ERRORS, UnreadableRowError):
            continue
    return None


async def _cut_at_brackets(body: bytes, ctx: Context) -> _CutRequest:
    """Cut the text from the first array of objects to the last bracket out of a body.

    The rest is a request with a mark in place of the rows of a variable. If the text is an array,
    the body is the request with this array. To decode the body would hold the GIL for 12 ms of
    15 MB. Raises an error if the rest is another request.
    """
    request, text, mark = await call_beside(_split_at_brackets, body, ctx.limits)
    request = with_document(request, ctx)
    rows_types = await _rows_types(request.query, request.operationName, ctx.limits)
    variables: dict[str, Any] = request.variables or {}
    for name, (_, member) in rows_types.items():
        if variables.get(name) == ({member: [mark]} if member else [mark]):
            variables[name] = {member: []} if member else []
            return _CutRequest(request, {name: text}, rows_types)
    raise UnreadableRowError


def _split_at_brackets(body: bytes, limits: LimitTable) -> tuple[GraphQLRequest, bytes, str]:
    """Return the request with a mark in place of the text between brackets, the text, the mark."""
    start = _FIRST_ROWS.search(body, 0, _MAX_HEAD_BYTES)
    if start is None:
        raise UnreadableRowError
    text = body[start.start() : body.rfind(b"]") + 1]
    if len(text) < _MIN_ROWS_BYTES:
        raise UnreadableRowError
    mark = secrets.token_hex(8)
    end = body[start.start() + len(text) :]
    content = b'%b["%b"]%b' % (body[: start.start()], mark.encode(), end)
    request = request_of_body(content, limits)
    return request, text, mark


async def _cut_variables(body: bytes, ctx: Context) -> _CutRequest:
    """Cut the rows of each variable out of a body; raise an error if no variable has many.

    A request that names its document has no query, so its rows stay where they are.
    """
    envelope = await call_beside(_ENVELOPE_DECODER.decode, body)
    rows_types = await _rows_types(envelope.query, envelope.operationName, ctx.limits)
    if not rows_types:
        raise UnreadableRowError
    return await call_beside(_cut_envelope, body, envelope, rows_types, ctx.limits)


def _cut_envelope(
    body: bytes, envelope: Envelope, rows_types: Mapping[str, _RowsType], limits: LimitTable
) -> _CutRequest:
    texts = _row_texts(bytes(envelope.variables), rows_types)
    if not texts:
        raise UnreadableRowError
    request = request_of_body(_cut(body, texts), limits)
    _check_cut(request.variables or {}, texts, rows_types)
    return _CutRequest(request, texts, rows_types)


async def _rows_types(
    query: str, operation_name: str | None, limits: LimitTable
) -> Mapping[str, _RowsType]:
    """Return the types of the variables of an operation that have rows, and nothing else."""
    document = await documents.read(schema._schema, query, limits)  # noqa: SLF001 - graphql-core's
    operation = get_operation_ast(document.node, operation_name)
    rows_types: dict[str, _RowsType] = {}
    for definition in (operation and operation.variable_definitions) or ():
        name = definition.variable.name.value
        if name in document.row_variables:
            rows_type = _ROWS_TYPES.get(_nullable_type(definition.type))
            if rows_type:
                rows_types[name] = rows_type
    return rows_types


def _nullable_type(node: TypeNode) -> str:
    """Return the text of a type, without a last exclamation mark."""
    match node:
        case NonNullTypeNode(type=inner):
            return _nullable_type(inner)
        case ListTypeNode(type=NonNullTypeNode(type=inner)):
            return f"[{_nullable_type(inner)}!]"
        case ListTypeNode(type=inner):
            return f"[{_nullable_type(inner)}]"
        case NamedTypeNode(name=name):
            return name.value
        case _:
            raise TypeError(node.kind)


def _row_texts(variables: bytes, rows_types: Mapping[str, _RowsType]) -> dict[str, bytes]:
    """Return the JSON arrays of many rows, by their variables, in the order of the variables."""
    texts = {}
    for name, raw in _members(variables, rows_types).items():
        member = rows_types[name].member
        text = _member_text(bytes(raw), member) if member else bytes(raw)
        if text.startswith(b"[") and len(text) >= _MIN_ROWS_BYTES:
            texts[name] = text
    return dict(sorted(texts.items(), key=lambda entry: variables.find(entry[1])))


def _members(json: bytes, names: Iterable[str]) -> dict[str, msgspec.Raw]:
    """Return members of an object as text. To decode all takes 0.5 s for a million others."""
    attributes = {f"member_{index}": name for index, name in enumerate(names)}
    fields = [(attribute, msgspec.Raw, msgspec.Raw()) for attribute in attributes]
    struct = msgspec.defstruct("_Members", fields, rename=attributes)
    content = msgspec.json.decode(json, type=struct)
    return {name: getattr(content, attribute) for attribute, name in attributes.items()}


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
    """Parse the rows of a request; put refused rows back into its variables.

    If the caller may record no rows now, none is parsed, and each batch is this error.
    """
    request, texts, rows_types = cut_request
    try:
        ctx.store.row_limits.check(ctx.grant.key_id, ctx.address)
    except AnalyticsError as error:
        return request, replace(ctx, row_batches=dict.fromkeys(texts, error))
    variables: dict[str, Any] = request.variables or {}
    batches: dict[str, Batch[Any] | AnalyticsError] = {}
    row_indexes = {}
    for name, text in texts.items():
        row_type, member = rows_types[name]
        charge = ctx.store.row_limits.begin(ctx.grant.key_id, ctx.address, len(text))
        try:
            batch = await ctx.store.reader.read_batch(row_type, text, ctx.now(), GRAPHQL_NAMES)
            charge.settle(batch.points + len(batch.errors))
            batches[name] = batch
            continue
        except AnalyticsError as error:
            if error.code != "PAYLOAD_TOO_LARGE":
                charge.settle(0)  # the rows are read once more, in another way
                raise
            batches[name] = error
            if text.count(b"{") > _MAX_OBJECTS:
                continue
        except RefusedRowError:
            pass
        except UnreadableRowError:
            charge.settle(0)
            raise
        bad_rows = await asyncio.to_thread(refused_rows, row_type, text)
        row_indexes[name] = list(bad_rows)
        rows = list(bad_rows.values())
        variables[name] = {member: rows} if member else rows
    if any(row_indexes.values()):
        request = SparseRequest(
            query=request.query,
            variables=variables,
            operationName=request.operationName,
            document_id=request.document_id,
            sha256=request.sha256,
            is_named=request.is_named,
            row_indexes=row_indexes,
        )
    return request, replace(ctx, row_batches=batches)
