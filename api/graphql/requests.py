"""GraphQL requests over HTTP: decoding from a body or a URL, and refusals of stored documents."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NoReturn, TypeVar, TypeVarTuple

import msgspec
from starlette.requests import Request

from api.bodies import MAX_BATCH_BODY, read_body
from api.parameters import check_parameters
from api.variable_limits import has_long_names, variables_refusal
from schema.errors import AnalyticsError, limit_error
from schema.limits import MEMBER_CHARACTERS
from store.ingest.row_errors import utf8_fault

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")

_NO_QUERY: Final = "A GraphQL request needs a query."
_BATCH: Final = "A list of requests (batching) is not supported: send each request by itself."
_NO_DOCUMENT: Final = "Documents are not stored here: send the document itself, as `query`."
_PARAMETERS: Final = ("query", "variables", "operationName", "extensions")
_DOCUMENT_IDS: Final = ("documentId", "id")
_LARGE_BODY_BYTES: Final = 65_536
_NULL: Final = msgspec.Raw(b"null")
_ABSENT: Final = frozenset({b"null", b"false", b"0", b'""', b"{}", b"[]"})
"""Values of a member that mean the same as its absence."""


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """A GraphQL request.

    `refusal` is the error of variables with too many values, which are not decoded. It counts after
    the errors of the document.
    """

    query: str
    variables: dict[str, Any] | None = None
    operationName: str | None = None  # noqa: N815 - its name in the request
    refusal: AnalyticsError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SparseRequest(GraphQLRequest):
    """A request with only some of the rows in its variables: rows that GraphQL refuses.

    `row_indexes` has the indexes that the rows of a variable have in the body.
    """

    row_indexes: dict[str, list[int]]


class _Extensions(msgspec.Struct):
    """Extensions of a request; only the hash of a stored document is read."""

    persistedQuery: msgspec.Raw = _NULL  # noqa: N815 - its name in the request


class Envelope(msgspec.Struct):
    """A request with undecoded variables.

    Unknown members are ignored, as the GraphQL-over-HTTP draft says.
    """

    query: str
    variables: msgspec.Raw = _NULL
    operationName: str | None = None  # noqa: N815 - its name in the request
    extensions: _Extensions | None = None


class _Variables(msgspec.Struct):
    """The variables of a request, decoded."""

    variables: dict[str, Any] | None = None


class _DocumentReference(msgspec.Struct):
    """A request that names a stored document instead of sending it."""

    query: str | None = None
    extensions: _Extensions | None = None
    documentId: msgspec.Raw = _NULL  # noqa: N815 - its name in the request
    id: msgspec.Raw = _NULL


_UNREADABLE: Final = (msgspec.MsgspecError, ValueError, RecursionError)
_JSON_DECODER: Final = msgspec.json.Decoder(msgspec.Raw)
_ENVELOPE_DECODER: Final = msgspec.json.Decoder(Envelope)
_VARIABLES_DECODER: Final[msgspec.json.Decoder[dict[str, Any] | None]] = msgspec.json.Decoder(
    dict[str, Any] | None
)
_MEMBER_DECODER: Final = msgspec.json.Decoder(_Variables)
_EXTENSIONS_DECODER: Final[msgspec.json.Decoder[_Extensions | None]] = msgspec.json.Decoder(
    _Extensions | None
)
_REFERENCE_DECODER: Final = msgspec.json.Decoder(_DocumentReference)


def request_of_url(request: Request) -> GraphQLRequest:
    """Decode a GET request.

    Raises BAD_REQUEST for a missing query, BAD_USER_INPUT for an unknown parameter.
    """
    text = request.query_params
    extensions = _parameter(_EXTENSIONS_DECODER, "extensions", text.get("extensions"))
    if not text.get("query"):
        _refuse_without_query(extensions, names_document=any(map(text.get, _DOCUMENT_IDS)))
    check_parameters(request.scope["query_string"], "GET /graphql", _PARAMETERS)
    variables, refusal = text.get("variables"), None
    if variables:
        _parameter(_JSON_DECODER, "variables", variables)
        refusal = variables_refusal(variables.encode())
    return GraphQLRequest(
        query=text["query"],
        variables=None if refusal else _parameter(_VARIABLES_DECODER, "variables", variables),
        operationName=text.get("operationName") or None,
        refusal=refusal,
    )


def _parameter(decoder: msgspec.json.Decoder[T], name: str, text: str | None) -> T | None:
    """Decode a parameter that is a JSON object or null; None if it is absent or empty."""
    try:
        return decoder.decode(text) if text else None
    except _UNREADABLE as error:
        raise AnalyticsError("BAD_REQUEST", f"{name}: {error}", field=name) from None


async def read_json_body(request: Request) -> bytes:
    """Return the body of a POST request.

    Raises UNSUPPORTED_MEDIA_TYPE for a body that is not JSON in UTF-8.
    """
    content_type, _, parameters = request.headers.get("content-type", "").lower().partition(";")
    charset = parameters.partition("charset=")[2].partition(";")[0].strip(' "') or "utf-8"
    if content_type.strip() != "application/json" or charset not in {"utf-8", "utf8"}:
        message = "A GraphQL request is application/json in UTF-8."
        raise AnalyticsError("UNSUPPORTED_MEDIA_TYPE", message)
    return await read_body(request, MAX_BATCH_BODY)


async def call_beside(
    function: Callable[[bytes, *Arguments], T], body: bytes, *arguments: *Arguments
) -> T:
    """Call a function with a body; if it is large, in a thread beside the other requests."""
    if len(body) < _LARGE_BODY_BYTES:
        return function(body, *arguments)
    return await asyncio.to_thread(function, body, *arguments)


def request_of_body(body: bytes) -> GraphQLRequest:
    """Decode the body of a POST request.

    Raises BAD_REQUEST for a body that is no GraphQL request.
    """
    try:
        envelope = _ENVELOPE_DECODER.decode(body)
        text = bytes(envelope.variables)
        refusal = variables_refusal(text)
        variables = None if refusal else _decode_variables(text, body)
        if len(text) > _LARGE_BODY_BYTES and has_long_names(variables):
            variables, refusal = None, limit_error(MEMBER_CHARACTERS, "BAD_USER_INPUT", "variables")
    except _UNREADABLE as error:
        raise _unreadable(body, error) from None
    if not envelope.query:
        _refuse_without_query(envelope.extensions, names_document=_names_document(body))
    return GraphQLRequest(envelope.query, variables, envelope.operationName, refusal)


def _decode_variables(text: bytes, body: bytes) -> dict[str, Any] | None:
    """Decode variables; an error gives their place in the body."""
    try:
        return _VARIABLES_DECODER.decode(text)
    except _UNREADABLE:
        return _MEMBER_DECODER.decode(body).variables


def _unreadable(body: bytes, error: Exception) -> AnalyticsError:
    if body.lstrip()[:1] == b"[":
        return AnalyticsError("BAD_REQUEST", _BATCH)
    if _names_document(body):
        return _no_document(_NO_DOCUMENT)
    reason = utf8_fault(body) or f"is not a GraphQL request: {error or 'nested too deeply'}"
    return AnalyticsError("BAD_REQUEST", f"The body {reason}")


def _names_document(body: bytes) -> bool:
    """Say whether a body has the id of a stored document instead of a document.

    Raises PERSISTED_QUERY_NOT_SUPPORTED, with the message of Apollo, if it has a hash.
    """
    try:
        reference = _REFERENCE_DECODER.decode(body)
    except _UNREADABLE:
        return False
    if reference.query:
        return False
    _refuse_hash(reference.extensions)
    return _has_value(reference.documentId) or _has_value(reference.id)


def _has_value(member: msgspec.Raw) -> bool:
    return bytes(member) not in _ABSENT


def _refuse_without_query(extensions: _Extensions | None, *, names_document: bool) -> NoReturn:
    _refuse_hash(extensions)
    if names_document:
        raise _no_document(_NO_DOCUMENT)
    raise AnalyticsError("BAD_REQUEST", _NO_QUERY, field="query")


def _refuse_hash(extensions: _Extensions | None) -> None:
    """Raise PERSISTED_QUERY_NOT_SUPPORTED for the hash of a document.

    On this exact message, Apollo Client and urql send the document itself.
    """
    if extensions and _has_value(extensions.persistedQuery):
        raise _no_document("PersistedQueryNotSupported")


def _no_document(message: str) -> AnalyticsError:
    return AnalyticsError("PERSISTED_QUERY_NOT_SUPPORTED", message)
