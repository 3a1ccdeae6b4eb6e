"""Documents: parsed, measured and validated once each, and kept within a budget of memory.

graphql-core holds the GIL, and takes up to 100 ms for a document at the limits. So a long document
is read in a thread, where it delays other requests by milliseconds only.
"""

import asyncio
import functools
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    parse,
)
from strawberry.extensions import SchemaExtension

from api.graphql.documents.limits import check_size
from api.graphql.documents.validation import validation_errors
from api.graphql.info import ContextInfo
from resolvers.access.documents import TextCheck
from schema.errors import AnalyticsError, limit_error
from schema.limits import DOCUMENT_BYTES, DOCUMENT_DEPTH, DOCUMENT_TOKENS, LimitTable

_LONG_DOCUMENT: Final = 1_000
"""Characters from which on a document is read in a thread. Shorter ones take up to 20 ms."""

_MAX_BYTES: Final = 64 * 2**20
_BYTES_OF_DOCUMENT: Final = 4_000
_BYTES_OF_TOKEN: Final = 700
"""Memory of a document's nodes and errors, for each token; measured: 200 to 680."""

_ABORTED_BY: Final = {
    "tokens. Parsing aborted.": DOCUMENT_TOKENS,
    "nested too deeply. Parsing aborted.": DOCUMENT_DEPTH,
}
"""Limits by the ends of the parser's messages about them."""


class Document(NamedTuple):
    """A document within the limits, and its errors of validation.

    `row_variables` names the variables that are rows of mutations, and nothing else.
    `repeated_variables` has the number of uses of each variable that is used several times.
    """

    node: DocumentNode
    errors: Sequence[GraphQLError]
    row_variables: frozenset[str]
    repeated_variables: Mapping[str, int]


class Documents:
    """The documents that were read last, and the thread that reads long ones.

    One thread: several would delay the other requests together, as each waits for the GIL.
    """

    def __init__(self, max_bytes: int = _MAX_BYTES) -> None:
        """Set the budget of memory; the thread starts with the first long document."""
        self._documents: OrderedDict[tuple[str, LimitTable], Document] = OrderedDict()
        self._max_bytes = max_bytes
        self._bytes = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="documents")

    async def read(self, schema: GraphQLSchema, query: str, limits: LimitTable) -> Document:
        """Return a document; read it beside the other requests if it is long.

        Raises PAYLOAD_TOO_LARGE, or a GraphQLError of its syntax or of its size.
        """
        if (query, limits) in self._documents or len(query) <= _LONG_DOCUMENT:
            return self.read_at_once(schema, query, limits)
        _check_bytes(query, limits)
        loop = asyncio.get_running_loop()
        document = await loop.run_in_executor(self._thread, _read, schema, query, limits)
        self._keep(query, limits, document)
        return document

    def read_at_once(self, schema: GraphQLSchema, query: str, limits: LimitTable) -> Document:
        """Return a document; read it here if it is not in memory."""
        document = self._documents.get((query, limits))
        if document is not None:
            self._documents.move_to_end((query, limits))
            return document
        _check_bytes(query, limits)
        document = _read(schema, query, limits)
        self._keep(query, limits, document)
        return document

    def _keep(self, query: str, limits: LimitTable, document: Document) -> None:
        if (query, limits) in self._documents:
            return
        self._documents[query, limits] = document
        self._bytes += _memory(query, document)
        while self._bytes > self._max_bytes:
            (oldest_query, _), oldest_document = self._documents.popitem(last=False)
            self._bytes -= _memory(oldest_query, oldest_document)


def _memory(query: str, document: Document) -> int:
    """Estimate the memory of a document in bytes."""
    tokens = document.node.token_count or 0
    return _BYTES_OF_DOCUMENT + 4 * len(query) + _BYTES_OF_TOKEN * tokens


def _check_bytes(query: str, limits: LimitTable) -> None:
    limit = limits[DOCUMENT_BYTES]
    if len(query) > limit.value or len(query.encode()) > limit.value:
        raise limit_error(limit, "PAYLOAD_TOO_LARGE")


def _read(schema: GraphQLSchema, query: str, limits: LimitTable) -> Document:
    node = _parse(query, limits)
    try:
        row_variables, repeated_variables = check_size(node, limits)
    except AnalyticsError as error:
        raise GraphQLError(error.message, original_error=error) from None
    errors = validation_errors(schema, node, limits)
    return Document(node, errors, row_variables, repeated_variables)


def _parse(query: str, limits: LimitTable) -> DocumentNode:
    try:
        return parse(query, max_tokens=limits[DOCUMENT_TOKENS].value)
    except GraphQLSyntaxError as error:
        for end, limit in _ABORTED_BY.items():
            if error.message.endswith(end):
                ours = limit_error(limits[limit], "GRAPHQL_PARSE_FAILED")
                raise GraphQLError(
                    ours.message,
                    source=error.source,
                    positions=error.positions,
                    original_error=ours,
                ) from None
        raise


async def check_texts(
    schema: GraphQLSchema, limits: LimitTable, texts: Sequence[str]
) -> list[AnalyticsError | None]:
    """Return the first error of each document, or None; read them beside the other requests."""
    return [await asyncio.to_thread(text_error, schema, limits, text) for text in texts]


def text_check(info: ContextInfo) -> TextCheck:
    """Return the check of documents against the schema of a field."""
    core_schema = info.schema._schema  # noqa: SLF001 - graphql-core's
    return functools.partial(check_texts, core_schema, info.context.limits)


def text_error(schema: GraphQLSchema, limits: LimitTable, text: str) -> AnalyticsError | None:
    """Return the first error of a document: of its size, its syntax, or its validation."""
    try:
        _check_bytes(text, limits)
        document = _read(schema, text, limits)
    except AnalyticsError as error:
        return error
    except GraphQLError as error:
        return _error_of(error, "GRAPHQL_PARSE_FAILED")
    except RecursionError:
        return AnalyticsError("GRAPHQL_PARSE_FAILED", "nested too deeply")
    if document.errors:
        return _error_of(document.errors[0], "GRAPHQL_VALIDATION_FAILED")
    definitions = document.node.definitions
    operations = [node for node in definitions if isinstance(node, OperationDefinitionNode)]
    if not operations:
        return AnalyticsError("GRAPHQL_VALIDATION_FAILED", "must have an operation")
    return None


def _error_of(error: GraphQLError, code: str) -> AnalyticsError:
    if isinstance(error.original_error, AnalyticsError):
        return error.original_error
    places = [f"{location.line}:{location.column}" for location in error.locations or ()][:1]
    return AnalyticsError(code, " ".join([error.message, *(f"(at {place})" for place in places)]))


class ReadDocument(SchemaExtension):
    """Extension that takes document and errors from the documents that were read."""

    def __init__(self, documents: Documents) -> None:
        """Share the documents among all requests."""
        super().__init__()
        self._documents = documents
        self._errors: Sequence[GraphQLError] = ()

    def on_parse(self) -> Iterator[None]:
        """Set the document of a request."""
        context = self.execution_context
        core_schema = context.schema._schema  # noqa: SLF001 - graphql-core's
        limits = context.context.limits
        document = self._documents.read_at_once(core_schema, context.query or "", limits)
        context.graphql_document = document.node
        self._errors = document.errors
        yield

    def on_validate(self) -> Iterator[None]:
        """Set the errors of validation."""
        self.execution_context.pre_execution_errors = list(self._errors)
        yield
