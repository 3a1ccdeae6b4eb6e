"""Trusted documents: the types of GraphQL."""

import strawberry

from schema.scalars import Instant


@strawberry.type(
    description="Trusted document: a GraphQL document that an operator saved. Clients name it by"
    " its id, in `documentId` in place of `query`."
)
class TrustedDocument:
    id: str = strawberry.field(
        description="Id of the document in its project; `sha256:` and its hash by default."
    )
    text: str = strawberry.field(description="The document.")
    created_at: Instant = strawberry.field(
        description="Time at which this text was saved under this id."
    )
    error: str | None = strawberry.field(
        description="Reason why the document is not valid in this version, and is refused; null if"
        " it is valid."
    )


@strawberry.input(description="Document to save.")
class DocumentInput:
    text: str = strawberry.field(
        description="The document: one or more operations, valid and within the limits."
    )
    id: str | None = strawberry.field(
        default=None,
        description="Id of at most 200 letters, digits, `-`, `.`, `_` and `~`; default: `sha256:`"
        " and the SHA-256 of the document, in lower-case hexadecimal digits.",
    )


@strawberry.input(description="Documents to save.")
class SaveDocumentsInput:
    documents: list[DocumentInput] = strawberry.field(
        description="Documents. One with the id of an earlier document replaces it. All are saved,"
        " or none."
    )


@strawberry.type(description="Documents that were saved.")
class SaveDocumentsPayload:
    documents: list[TrustedDocument] = strawberry.field(
        description="The documents, in the order of the request."
    )


@strawberry.input(description="Document to delete.")
class DeleteDocumentInput:
    id: str = strawberry.field(description="Id of the document.")


@strawberry.type(description="Document that was deleted.")
class DeleteDocumentPayload:
    id: str = strawberry.field(description="Id of the document.")
