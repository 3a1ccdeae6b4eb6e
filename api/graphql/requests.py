"""GraphQL requests as they come over HTTP: in a body, or in a URL."""

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
    """A GraphQL request; unknown members are ignored, as the draft asks."""

    query: str
    variables: dict[str, Any] | None = None
    operationName: str | None = None  # noqa: N815 - its name in the request
    extensions: dict[str, Any] | None = None


class _WithoutQuery(msgspec.Struct):
    """A request that names a document instead of sending it."""

    query: str | None = None
    extensions: dict[str, Any] | None = None
    documentId: Any = None  # noqa: N815 - its name in the request
    id: Any = None


_UNREADABLE: Final = (msgspec.MsgspecError, ValueError, RecursionError)
_BODY: Final = msgspec.json.Decoder(GraphQLRequest)
_NO_QUERY_BODY: Final = msgspec.json.Decoder(_WithoutQuery)


def request_of_url(request: Request) -> GraphQLRequest:
    """Read a GET request."""
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
    """Read a parameter that is a JSON object, if it is there."""
    try:
        return msgspec.json.decode(text, type=dict[str, Any]) if text else None
    except _UNREADABLE as error:
        raise AnalyticsError("BAD_REQUEST", f"{name}: {error}", field=name) from None


async def request_of_body(request: Request) -> GraphQLRequest:
    """Read a POST request."""
    content_type, _, parameters = request.headers.get("content-type", "").lower().partition(";")
    charset = parameters.partition("charset=")[2].partition(";")[0].strip(' "') or "utf-8"
    if content_type.strip() != "application/json" or charset not in {"utf-8", "utf8"}:
        message = "A GraphQL request is application/json in UTF-8."
        raise AnalyticsError("UNSUPPORTED_MEDIA_TYPE", message)
    body = await read_body(request, MAX_BATCH_BODY)
    try:
        asked = _BODY.decode(body)
    except _UNREADABLE as error:
        raise _unreadable(body, error) from None
    if not asked.query:
        _refuse_without_query(asked.extensions, names_document=_names_document(body))
    return asked


def _unreadable(body: bytes, error: Exception) -> AnalyticsError:
    if body.lstrip()[:1] == b"[":
        return AnalyticsError("BAD_REQUEST", _BATCH)
    if _names_document(body):
        return _no_document(_NO_DOCUMENT)
    reason = utf8_fault(body) or f"is not a GraphQL request: {error or 'nested too deeply'}"
    return AnalyticsError("BAD_REQUEST", f"The body {reason}")


def _names_document(body: bytes) -> bool:
    """Say whether a body has the id of a document in place of the document.

    Raises PERSISTED_QUERY_NOT_SUPPORTED as clients know it if it has the hash of one.
    """
    try:
        sent = _NO_QUERY_BODY.decode(body)
    except _UNREADABLE:
        return False
    if sent.query:
        return False
    _refuse_hash(sent.extensions)
    return bool(sent.documentId or sent.id)


def _refuse_without_query(extensions: dict[str, Any] | None, *, names_document: bool) -> NoReturn:
    _refuse_hash(extensions)
    if names_document:
        raise _no_document(_NO_DOCUMENT)
    raise AnalyticsError("BAD_REQUEST", _NO_QUERY, field="query")


def _refuse_hash(extensions: dict[str, Any] | None) -> None:
    """Tell a client that sent the hash of a document to send the document.

    Apollo Client and urql do so by themselves when the message is this one, to the letter.
    """
    if (extensions or {}).get("persistedQuery"):
        raise _no_document("PersistedQueryNotSupported")


def _no_document(message: str) -> AnalyticsError:
    return AnalyticsError("PERSISTED_QUERY_NOT_SUPPORTED", message)
