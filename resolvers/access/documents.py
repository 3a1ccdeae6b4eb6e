"""Trusted documents of a project: saved, listed, deleted."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from resolvers.context import Context
from schema.access import Scope
from schema.documents import (
    DeleteDocumentPayload,
    DocumentInput,
    SaveDocumentsPayload,
    TrustedDocument,
)
from schema.errors import AnalyticsError, bad_input, limit_error, quote
from schema.limits import TRUSTED_DOCUMENTS
from schema.scalars import Instant
from store.access import documents as stored_documents
from store.access.documents import NewDocument

TextCheck: TypeAlias = Callable[[Sequence[str]], Awaitable[list[AnalyticsError | None]]]
"""Check of documents against the schema and the limits: the first error of each, or None."""


async def list_documents(ctx: Context, check: TextCheck | None) -> list[TrustedDocument]:
    """List the documents of the project, oldest first; without a check, without their errors."""
    ctx.grant.require(Scope.MANAGE_ACCESS)
    documents = ctx.store.documents.all_documents(ctx.grant.project)
    errors: Sequence[AnalyticsError | None] = [None] * len(documents)
    if check:
        errors = await check([document.text for document in documents])
    return [
        _trusted_document(document, error)
        for document, error in zip(documents, errors, strict=True)
    ]


async def save_documents(
    ctx: Context, documents: Sequence[DocumentInput], check: TextCheck
) -> SaveDocumentsPayload:
    """Save documents, durably: all, or none.

    Raises `AnalyticsError` that names the wrong document.
    """
    ctx.grant.require(Scope.MANAGE_ACCESS)
    limit = ctx.limits[TRUSTED_DOCUMENTS]
    if len(documents) > limit.value:
        raise limit_error(limit, "BAD_USER_INPUT", "documents")
    new_documents = [NewDocument(document.text, document.id) for document in documents]
    check_new_documents(new_documents, await check([document.text for document in documents]))
    saved_documents = await ctx.store.documents.save(ctx.grant.project, new_documents)
    return SaveDocumentsPayload(
        documents=[_trusted_document(document, None) for document in saved_documents]
    )


def check_new_documents(
    documents: Sequence[NewDocument], errors: Sequence[AnalyticsError | None]
) -> None:
    """Raise BAD_USER_INPUT for the first document with an error."""
    for index, (document, error) in enumerate(zip(documents, errors, strict=True)):
        if error:
            name = f"{quote(document.id)}: " if document.id else ""
            message = f"{name}{error.message}"
            raise bad_input(f"documents[{index}].text", message, limit=error.limit)


async def delete_document(ctx: Context, document_id: str) -> DeleteDocumentPayload:
    """Delete a document, durably and at once. Raises NOT_FOUND if the project has no such one."""
    ctx.grant.require(Scope.MANAGE_ACCESS)
    document = await ctx.store.documents.delete(ctx.grant.project, document_id)
    return DeleteDocumentPayload(id=document.id)


def _trusted_document(
    document: stored_documents.TrustedDocument, error: AnalyticsError | None
) -> TrustedDocument:
    return TrustedDocument(
        id=document.id,
        text=document.text,
        created_at=Instant(document.created_ms),
        error=error.message if error else None,
    )
