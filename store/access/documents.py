"""Documents that clients name: trusted ones in a file, automatic ones in memory, by project.

Trusted documents are saved by an operator. An automatic document is sent by a client once, with its
hash, and named by the hash from then on (Apollo's automatic persisted queries).
"""

import hashlib
import logging
import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import msgspec

from schema.errors import AnalyticsError, bad_input, limit_error, quote
from schema.limits import (
    AUTOMATIC_DOCUMENT_BYTES,
    AUTOMATIC_PROJECTS,
    DOCUMENT_ID_CHARACTERS,
    TRUSTED_DOCUMENT_BYTES,
    TRUSTED_DOCUMENTS,
    Limit,
    LimitTable,
)
from store.access.locked_file import LockedFile, UnusableFileError
from store.clock import wall_ms

T = TypeVar("T")

HASH_PREFIX: Final = "sha256:"
"""Begin of an id that is the SHA-256 of its document, in lower-case hexadecimal digits."""

HASH: Final = re.compile(r"[0-9a-f]{64}")

_LOG: Final = logging.getLogger("analytics.documents")
_ID: Final = re.compile(r"(x-[\w.~-]+:)?[\w.~-]+", re.ASCII)
"""Custom ids of the GraphQL-over-HTTP draft: without a colon, or with a prefix `x-…:`."""


class TrustedDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A trusted document as it is stored. Times are milliseconds since 1970."""

    project: str
    id: str
    text: str
    created_ms: int


class NewDocument(NamedTuple):
    """A document to save. Without an id, it has the one of its hash."""

    text: str
    id: str | None = None


class DocumentList(msgspec.Struct, forbid_unknown_fields=True):
    """All trusted documents, in the order of their creation."""

    version: int = 1
    documents: list[TrustedDocument] = []


class DocumentsFile(LockedFile[DocumentList]):
    """The trusted documents of a data folder, on the disk."""

    def __init__(self, folder: Path) -> None:
        """Use the file in `folder`; it may not exist yet."""
        remedy = "Restore it, or remove it and save the documents again."
        super().__init__(folder, "documents", DocumentList, remedy)


def document_hash(text: str) -> str:
    """Return the SHA-256 of a document, in lower-case hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def save_documents(
    content: DocumentList,
    project: str,
    new_documents: Sequence[NewDocument],
    limits: LimitTable,
    now_ms: int,
) -> list[TrustedDocument]:
    """Add documents to a project; return them. A document replaces the one with its id.

    The same document with the same id stays as it is. Raises `AnalyticsError` that names the
    document or the limit; the content then is as before.
    """
    documents = {(document.project, document.id): document for document in content.documents}
    saved_documents: dict[str, TrustedDocument] = {}
    for index, (text, document_id) in enumerate(new_documents):
        field = f"documents[{index}].id"
        checked_id = _checked_id(text, document_id, limits[DOCUMENT_ID_CHARACTERS], field)
        document = TrustedDocument(project, checked_id, text, created_ms=now_ms)
        if saved_documents.get(document.id, document).text != text:
            raise bad_input(field, f"two documents have the id {quote(document.id)}")
        old = documents.get((project, document.id))
        if old is None or old.text != text:
            documents[project, document.id] = document
        saved_documents[document.id] = documents[project, document.id]
    all_documents = list(documents.values())
    _check_limits(all_documents, limits)
    content.documents = all_documents
    return list(saved_documents.values())


def _checked_id(text: str, document_id: str | None, length: Limit, field: str) -> str:
    hash_id = HASH_PREFIX + document_hash(text)
    if document_id is None or document_id == hash_id:
        return hash_id
    if document_id.startswith(HASH_PREFIX):
        raise bad_input(field, f"{quote(document_id)} is not the SHA-256 of its document")
    if len(document_id) > length.value:
        raise limit_error(length, "BAD_USER_INPUT", field)
    if not _ID.fullmatch(document_id):
        message = f"{quote(document_id)} must have letters, digits, - . _ and ~ only"
        raise bad_input(field, message)
    return document_id


def _check_limits(documents: Sequence[TrustedDocument], limits: LimitTable) -> None:
    counts = Counter(document.project for document in documents)
    for limit, count in (
        (limits[TRUSTED_DOCUMENTS], max(counts.values(), default=0)),
        (limits[TRUSTED_DOCUMENT_BYTES], sum(len(doc.text.encode()) for doc in documents)),
    ):
        if count > limit.value:
            raise limit_error(limit, "BAD_USER_INPUT", "documents")


def delete_document(content: DocumentList, project: str, document_id: str) -> TrustedDocument:
    """Delete a document; return it. Raises NOT_FOUND if the project has none with this id."""
    for document in content.documents:
        if (document.project, document.id) == (project, document_id):
            content.documents = [entry for entry in content.documents if entry is not document]
            return document
    raise AnalyticsError("NOT_FOUND", "There is no such document.", field="id")


class TrustedDocuments:
    """The trusted documents of a running service, by project, by id and by hash.

    They follow the file, which the command line may have changed: each look-up compares its time
    and size, in some 3 us.
    """

    def __init__(self, folder: Path, limits: LimitTable) -> None:
        """Use the documents of a data folder; `open` reads them."""
        self._file = DocumentsFile(folder)
        self._limits = limits
        self._stamp = (0, 0, 0)
        self._by_id: dict[tuple[str, str], TrustedDocument] = {}
        self._by_hash: dict[tuple[str, str], TrustedDocument] = {}

    def open(self) -> None:
        """Read the documents. Raises `UnusableFileError` if the file is damaged."""
        self._read()

    def find(self, project: str, document_id: str) -> str | None:
        """Return the text of the document with an id, or with a hash; None if there is none.

        A hash may stand alone, or after `sha256:`.
        """
        self._follow()
        document = self._by_id.get((project, document_id))
        if document is None:
            document = self._by_hash.get((project, document_id.removeprefix(HASH_PREFIX)))
        return document.text if document else None

    def all_documents(self, project: str | None = None) -> list[TrustedDocument]:
        """Return the documents of a project, or of all, in the order of their creation."""
        self._follow()
        return [
            document
            for document in self._by_id.values()
            if project is None or document.project == project
        ]

    async def save(
        self, project: str, new_documents: Sequence[NewDocument]
    ) -> list[TrustedDocument]:
        """Save documents durably, as `save_documents`; from the return on they are found.

        Raises UNAVAILABLE if the file can't be written.
        """
        return await self._change(
            lambda content: save_documents(content, project, new_documents, self._limits, wall_ms())
        )

    async def delete(self, project: str, document_id: str) -> TrustedDocument:
        """Delete a document durably; from the return on it is refused. Raises NOT_FOUND."""
        return await self._change(lambda content: delete_document(content, project, document_id))

    async def _change(self, operation: Callable[[DocumentList], T]) -> T:
        result = await self._file.change_beside(operation)
        self._read()
        return result

    def _follow(self) -> None:
        """Read the file if it changed; keep the documents if it is damaged."""
        if self._file.stamp() == self._stamp:
            return
        try:
            self._read()
        except UnusableFileError as error:
            _LOG.error("the trusted documents stay as they were: %s", error)

    def _read(self) -> None:
        self._stamp = self._file.stamp()  # first: a later change must be seen by the next look
        documents = self._file.read().documents
        self._by_id = {(document.project, document.id): document for document in documents}
        self._by_hash = {
            (document.project, document_hash(document.text)): document for document in documents
        }


class AutomaticDocuments:
    """The automatic documents that were used last, by project and hash. A restart forgets them.

    Each project has a budget of its own, so no project drops the documents of another, and the
    number of projects is limited, too.
    """

    def __init__(self, limits: LimitTable) -> None:
        """Begin with none."""
        self._max_bytes = limits[AUTOMATIC_DOCUMENT_BYTES].value
        self._max_projects = limits[AUTOMATIC_PROJECTS].value
        self._projects: OrderedDict[str, _RecentDocuments] = OrderedDict()

    def find(self, project: str, sha256: str) -> str | None:
        """Return the text of a document; it then is the last one to be dropped."""
        documents = self._projects.get(project)
        if documents is None:
            return None
        self._projects.move_to_end(project)
        return documents.find(sha256)

    def keep(self, project: str, sha256: str, text: str) -> None:
        """Keep a document; drop those that were used longest ago."""
        self._projects.setdefault(project, _RecentDocuments(self._max_bytes)).keep(sha256, text)
        self._projects.move_to_end(project)
        if len(self._projects) > self._max_projects:
            self._projects.popitem(last=False)


class _RecentDocuments:
    """The documents of a project that were used last."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._texts: OrderedDict[str, str] = OrderedDict()
        self._bytes = 0

    def find(self, sha256: str) -> str | None:
        text = self._texts.get(sha256)
        if text is not None:
            self._texts.move_to_end(sha256)
        return text

    def keep(self, sha256: str, text: str) -> None:
        if self.find(sha256) is not None:
            return
        self._texts[sha256] = text
        self._bytes += len(text.encode())
        while self._bytes > self._max_bytes:
            _, oldest = self._texts.popitem(last=False)
            self._bytes -= len(oldest.encode())
