"""Collection of the statements that a service sends to its engine."""

import contextlib
from collections.abc import Iterator
from typing import Final

import pytest

from store.cost.lanes import Lane
from store.driver import Answer
from store.engine import Engine
from store.ingest.streams import SERIES_STREAM, AnyStream
from store.query.sql import Statement
from store.query.statements import sparse_index
from store.query.tables import TABLE_BY_NAME

_BACKGROUND: Final = {sparse_index(table).text for table in TABLE_BY_NAME}
"""Texts of the statements that the service runs by itself, every few seconds."""


def is_load(statement: Statement, stream: AnyStream) -> bool:
    """Return whether a statement loads a segment of a stream, whatever its lines need."""
    has_arrays = "ARRAY JOIN" in statement.text
    is_insert = statement.text.startswith(f"INSERT INTO {stream.table} (")
    return is_insert and has_arrays == (stream is SERIES_STREAM)


@contextlib.contextmanager
def collect_statements() -> Iterator[list[Statement]]:
    """Collect the engine's queries in a `with` block; the engine runs them as before."""
    statements: list[Statement] = []
    answer = Engine._answer_in

    async def collect(
        self: Engine, lane: Lane, key: str, statement: Statement, output: str
    ) -> Answer:
        if statement.text not in _BACKGROUND:
            statements.append(statement)
        return await answer(self, lane, key, statement, output)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "_answer_in", collect)
        yield statements
