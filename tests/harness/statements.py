"""Collection of the statements that a service sends to its engine."""

import contextlib
from collections.abc import Iterator

import pytest

from store.cost.lanes import Lane
from store.driver import Answer
from store.engine import Engine
from store.ingest.streams import SERIES_STREAM, AnyStream
from store.query.sql import Statement


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
        statements.append(statement)
        return await answer(self, lane, key, statement, output)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "_answer_in", collect)
        yield statements
