"""GraphQL requests over HTTP: decoding from a body or a URL."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar, TypeVarTuple

import msgspec
from starlette.requests import Request

from api.bodies import MAX_BATCH_BODY, read_body
from api.parameters import check_parameters
from api.variable_limits import names_refusal, variables_refusal
from schema.errors import AnalyticsError
from schema.limits import LimitTable
from store.access.documents import HASH
from store.ingest.row_errors import utf8_fault

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")

_NO_QUERY: Final = "A GraphQL request needs a query."
_BATCH: Final = "A list of requests (batching) is not supported: send each request by itself."
_PARAMETERS: Final[tuple[str, ...]] = ("query", "variables", "operationName", "extensions")
_DOCUMENT_IDS: Final[tuple[str, ...]] = ("documentId", "doc_id", "id")
"""Members that name a document: the draft's, and those of Relay's documentation."""

HASH_FIELD: Final = "extensions.persistedQuery.sha256Hash"
_HASH_EXTENSION: Final = "extensions.persistedQuery"
_LARGE_BODY_BYTES: Final = 65_536
_NULL: Final = msgspec.Raw(b"null")
_ABSENT: Final = frozenset({b"null", b"false", b"0", b'""', b"{}", b"[]"})
"""Values of a member that mean the same as its absence."""


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """A GraphQL request.

    A request without a query has the id of its document, or the hash; it `is_named` once the
    document is found. `refusal` is the error of variables with too many values, which are not
    decoded. It counts after the errors of the document.
    """

    query: str
    variables: dict[str, Any] | None = None
    operationName: str | None = None  # noqa: N815 - its name in the request
    refusal: AnalyticsError | None = None
    document_id: str | None = None
    sha256: str | None = None
    is_named: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SparseRequest(GraphQLRequest):
    """A request with only some of the rows in its variables: rows that GraphQL refuses.

    `row_indexes` has the indexes that the rows of a variable have in the body.
    """

    row_indexes: dict[str, list[int]]


class _Extensions(msgspec.Struct):
    """Extensions of a request; only the hash of a document is read."""

    persistedQuery: msgspec.Raw = _NULL  # noqa: N815 - its name in the request


class _PersistedQuery(msgspec.Struct):
    """The hash of a document, as Apollo's clients send it."""

    version: int
    sha256Hash: str  # noqa: N815 - its name in the request


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


class _NamedDocument(msgspec.Struct):
    """A request that names its document instead of sending it."""

    query: str | None = None
    variables: msgspec.Raw = _NULL
    operationName: str | None = None  # noqa: N815 - its name in the request
    extensions: _Extensions | None = None
    documentId: msgspec.Raw = _NULL  # noqa: N815 - its name in the request
    doc_id: msgspec.Raw = _NULL
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
_NAMED_DOCUMENT_DECODER: Final = msgspec.json.Decoder(_NamedDocument)
_PERSISTED_QUERY_DECODER: Final = msgspec.json.Decoder(_PersistedQuery)


def request_of_url(request: Request, limits: LimitTable) -> GraphQLRequest:
    """Decode a GET request.

    Raises BAD_REQUEST for a missing query, BAD_USER_INPUT for an unknown parameter.
    """
    text = request.query_params
    extensions = _parameter(_EXTENSIONS_DECODER, "extensions", text.get("extensions"))
    sha256 = _hash_of(extensions)
    query, document_id, names = text.get("query") or "", None, _PARAMETERS
    if not query:
        document_id = next(filter(None, map(text.get, _DOCUMENT_IDS)), None)
        names += _DOCUMENT_IDS
        if document_id is None and sha256 is None:
            raise AnalyticsError("BAD_REQUEST", _NO_QUERY, field="query")
    check_parameters(request.scope["query_string"], "GET /graphql", names)
    variables, refusal = text.get("variables"), None
    if variables:
        _parameter(_JSON_DECODER, "variables", variables)
        refusal = variables_refusal(variables.encode(), limits)
    return GraphQLRequest(
        query=query,
        variables=None if refusal else _parameter(_VARIABLES_DECODER, "variables", variables),
        operationName=text.get("operationName") or None,
        refusal=refusal,
        document_id=document_id,
        sha256=sha256,
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


def request_of_body(body: bytes, limits: LimitTable) -> GraphQLRequest:
    """Decode the body of a POST request.

    Raises BAD_REQUEST for a body that is no GraphQL request.
    """
    envelope, document_id = _envelope_of(body)
    try:
        text = bytes(envelope.variables)
        refusal = variables_refusal(text, limits)
        variables = None if refusal else _decode_variables(text, body)
        if len(text) > _LARGE_BODY_BYTES:
            refusal = refusal or names_refusal(variables, limits)
            variables = None if refusal else variables
    except _UNREADABLE as error:
        raise _unreadable(body, error) from None
    return GraphQLRequest(
        envelope.query or "",
        variables,
        envelope.operationName,
        refusal,
        document_id,
        _hash_of(envelope.extensions),
    )


def _envelope_of(body: bytes) -> tuple[Envelope | _NamedDocument, str | None]:
    """Return a request with undecoded variables, and the id of its document if it names one."""
    try:
        envelope = _ENVELOPE_DECODER.decode(body)
        if envelope.query:
            return envelope, None
        refusal = AnalyticsError("BAD_REQUEST", _NO_QUERY, field="query")
    except _UNREADABLE as error:
        refusal = _unreadable(body, error)
    try:
        named_document = _NAMED_DOCUMENT_DECODER.decode(body)
    except _UNREADABLE:
        raise refusal from None
    if named_document.query:
        raise refusal
    document_id = _document_id(named_document)
    if document_id is None and _hash_of(named_document.extensions) is None:
        raise refusal
    return named_document, document_id


def _document_id(request: _NamedDocument) -> str | None:
    """Return the id of a document; None without one. Raises BAD_REQUEST for one that is no text."""
    for name, member in zip(
        _DOCUMENT_IDS, (request.documentId, request.doc_id, request.id), strict=True
    ):
        if bytes(member) in _ABSENT:
            continue
        try:
            return msgspec.json.decode(member, type=str)
        except _UNREADABLE as error:
            raise AnalyticsError("BAD_REQUEST", f"{name}: {error}", field=name) from None
    return None


def _decode_variables(text: bytes, body: bytes) -> dict[str, Any] | None:
    """Decode variables; an error gives their place in the body."""
    try:
        return _VARIABLES_DECODER.decode(text)
    except _UNREADABLE:
        return _MEMBER_DECODER.decode(body).variables


def _unreadable(body: bytes, error: Exception) -> AnalyticsError:
    if body.lstrip()[:1] == b"[":
        return AnalyticsError("BAD_REQUEST", _BATCH)
    reason = utf8_fault(body) or f"is not a GraphQL request: {error or 'nested too deeply'}"
    return AnalyticsError("BAD_REQUEST", f"The body {reason}")


def _hash_of(extensions: _Extensions | None) -> str | None:
    """Return the hash of a document; None without one.

    Raises BAD_REQUEST for a hash that is no SHA-256, and for another version of the extension.
    """
    if extensions is None or bytes(extensions.persistedQuery) in _ABSENT:
        return None
    try:
        persisted_query = _PERSISTED_QUERY_DECODER.decode(extensions.persistedQuery)
    except _UNREADABLE as error:
        message = f"{_HASH_EXTENSION}: {error}"
        raise AnalyticsError("BAD_REQUEST", message, field=_HASH_EXTENSION) from None
    if persisted_query.version != 1:
        message = "Unsupported persisted query version"  # Apollo's message
        raise AnalyticsError("BAD_REQUEST", message, field=f"{_HASH_EXTENSION}.version")
    if not HASH.fullmatch(persisted_query.sha256Hash):
        message = f"{HASH_FIELD}: must be 64 hexadecimal digits in lower case"
        raise AnalyticsError("BAD_REQUEST", message, field=HASH_FIELD)
    return persisted_query.sha256Hash
