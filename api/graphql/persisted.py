"""Documents that a request names by an id or a hash: trusted ones and automatic ones.

`documentId` is a member of the GraphQL-over-HTTP draft. A hash is an extension of Apollo's, which
urql sends, too.
"""

import logging
from dataclasses import replace
from typing import Final

from api.graphql.requests import HASH_FIELD, GraphQLRequest
from resolvers.access.documents import TextCheck
from resolvers.context import Context
from schema.errors import AnalyticsError, quote
from schema.limits import DOCUMENT_BYTES
from store import Store
from store.access.documents import document_hash

_LOG: Final = logging.getLogger("analytics.documents")
_MAX_NAMES: Final = 20
"""Documents that a line of the log names."""


def with_document(request: GraphQLRequest, ctx: Context) -> GraphQLRequest:
    """Return a request with the text of the document that it names.

    Raises NOT_FOUND for an unknown id, and PERSISTED_QUERY_NOT_FOUND for an unknown hash: then
    clients send the document. Raises FORBIDDEN for a document that was sent by a caller who may
    execute trusted documents only, and BAD_REQUEST if it has another hash than the request says.
    """
    if request.is_named:
        return request
    if not request.query:
        return replace(request, query=_find(request, ctx), is_named=True)
    if ctx.grant.trusted_only:
        raise _needs_trusted_document(ctx)
    if request.sha256 is not None and len(request.query) <= ctx.limits[DOCUMENT_BYTES].value:
        _check_hash(request.query, request.sha256)
    return request


def keep_document(request: GraphQLRequest, ctx: Context) -> None:
    """Keep a document that was sent with its hash, for later requests with the hash alone."""
    if request.sha256 is not None and not request.is_named:
        ctx.store.automatic_documents.keep(ctx.grant.project, request.sha256, request.query)


def _find(request: GraphQLRequest, ctx: Context) -> str:
    project, documents = ctx.grant.project, ctx.store.documents
    if request.document_id is not None:
        text = documents.find(project, request.document_id)
        if text is None:
            message = f"There is no trusted document {quote(request.document_id)}."
            raise AnalyticsError("NOT_FOUND", message, field="documentId")
        return text
    sha256 = request.sha256 or ""
    text = documents.find(project, sha256)
    if text is None and ctx.grant.trusted_only:  # else clients would send the document in vain
        message = "There is no trusted document with this hash."
        raise AnalyticsError("NOT_FOUND", message, field=HASH_FIELD)
    text = text or ctx.store.automatic_documents.find(project, sha256)
    if text is None:
        # On this exact message, Apollo Client and urql send the document with its hash.
        raise AnalyticsError("PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound")
    return text


def _check_hash(query: str, sha256: str) -> None:
    if document_hash(query) != sha256:
        message = "provided sha does not match query"  # Apollo's message
        raise AnalyticsError("BAD_REQUEST", message, field=HASH_FIELD)


def _needs_trusted_document(ctx: Context) -> AnalyticsError:
    caller = f"The key {ctx.grant.key_prefix}…" if ctx.grant.key_id else "A caller without a key"
    message = f"{caller} may execute trusted documents only: send `documentId`, not `query`."
    return AnalyticsError("FORBIDDEN", message, field="query")


async def report_invalid_documents(store: Store, check: TextCheck) -> None:
    """Log the trusted documents that this version refuses, in one line."""
    documents = store.documents.all_documents()
    errors = await check([document.text for document in documents])
    names = [
        f"{document.project}/{document.id}: {error.message}"
        for document, error in zip(documents, errors, strict=True)
        if error
    ]
    if names:
        extra = {"count": len(names), "documents": names[:_MAX_NAMES]}
        _LOG.warning("trusted documents are no longer valid, and are refused", extra=extra)
