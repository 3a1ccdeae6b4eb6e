"""Collection of the statements that a service sends to its engine."""

import contextlib
from collections.abc import Iterator

import pytest

from store.engine import Answer, Engine
from store.query.sql import Statement


@contextlib.contextmanager
def collect_statements() -> Iterator[list[Statement]]:
    """Collect the engine's queries in a `with` block; the engine runs them as before."""
    statements: list[Statement] = []
    answer = Engine.answer

    async def collect(self: Engine, statement: Statement, output: str) -> Answer:
        statements.append(statement)
        return await answer(self, statement, output)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "answer", collect)
        yield statements
