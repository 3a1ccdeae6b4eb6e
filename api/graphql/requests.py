"""GraphQL requests over HTTP: decoding from a body or a URL, and refusals of stored documents."""

from typing import Any, Final, NoReturn

import msgspec
from starlette.requests import Request

from api.bodies import MAX_BATCH_BODY, read_body
from api.parameters import check_parameters
from schema.errors import AnalyticsError
from store.ingest.row_errors import utf8_fault

_NO_QUERY: Final = "A GraphQL request needs a query."
_BATCH: Final = "A list of requests (batching) is not supported: send each request by itself."
_NO_DOCUMENT: Final = "Documents are not stored here: send the document itself, as `query`."
_PARAMETERS: Final = ("query", "variables", "operationName", "extensions")
_DOCUMENT_IDS: Final = ("documentId", "id")


class GraphQLRequest(msgspec.Struct):
    """A GraphQL request. Unknown members are ignored, as the GraphQL-over-HTTP draft says."""

    query: str
    variables: dict[str, Any] | None = None
    operationName: str | None = None  # noqa: N815 - its name in the request
    extensions: dict[str, Any] | None = None


class SparseRequest(GraphQLRequest, kw_only=True):
    """A request with only some of the rows in its variables: rows that GraphQL refuses.

    `row_indexes` has the indexes that the rows of a variable have in the body.
    """

    row_indexes: dict[str, list[int]]


class _DocumentReference(msgspec.Struct):
    """A request that names a stored document instead of sending it."""

    query: str | None = None
    extensions: dict[str, Any] | None = None
    documentId: Any = None  # noqa: N815 - its name in the request
    id: Any = None


_UNREADABLE: Final = (msgspec.MsgspecError, ValueError, RecursionError)
_REQUEST_DECODER: Final = msgspec.json.Decoder(GraphQLRequest)
_REFERENCE_DECODER: Final = msgspec.json.Decoder(_DocumentReference)


def request_of_url(request: Request) -> GraphQLRequest:
    """Decode a GET request.

    Raises BAD_REQUEST for a missing query, BAD_USER_INPUT for an unknown parameter.
    """
    text = request.query_params
    extensions = _object("extensions", text.get("extensions"))
    if not text.get("query"):
        _refuse_without_query(extensions, names_document=any(map(text.get, _DOCUMENT_IDS)))
    check_parameters(request.scope["query_string"], "GET /graphql", _PARAMETERS)
    return GraphQLRequest(
        query=text["query"],
        variables=_object("variables", text.get("variables")),
        operationName=text.get("operationName") or None,
        extensions=extensions,
    )


def _object(name: str, text: str | None) -> dict[str, Any] | None:
    """Decode a parameter that is a JSON object; None if it is abreference."""
    try:
        return msgspec.json.decode(text, type=dict[str, Any]) if text else None
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


def request_of_body(body: bytes) -> GraphQLRequest:
    """Decode the body of a POST request.

    Raises BAD_REQUEST for a body that is no GraphQL request.
    """
    try:
        graphql_request = _REQUEST_DECODER.decode(body)
    except _UNREADABLE as error:
        raise _unreadable(body, error) from None
    if not graphql_request.query:
        _refuse_without_query(graphql_request.extensions, names_document=_names_document(body))
    return graphql_request


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
    return bool(reference.documentId or reference.id)


def _refuse_without_query(extensions: dict[str, Any] | None, *, names_document: bool) -> NoReturn:
    _refuse_hash(extensions)
    if names_document:
        raise _no_document(_NO_DOCUMENT)
    raise AnalyticsError("BAD_REQUEST", _NO_QUERY, field="query")


def _refuse_hash(extensions: dict[str, Any] | None) -> None:
    """Raise PERSISTED_QUERY_NOT_SUPPORTED for the hash of a document.

    On this exact message, Apollo Client and urql send the document itself.
    """
    if (extensions or {}).get("persistedQuery"):
        raise _no_document("PersistedQueryNotSupported")


def _no_document(message: str) -> AnalyticsError:
    return AnalyticsError("PERSISTED_QUERY_NOT_SUPPORTED", message)
