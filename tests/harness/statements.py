"""Counts what a service asks its engine."""

import contextlib
from collections.abc import Iterator

import pytest

from store.engine import Answer, Engine
from store.query.sql import Statement


@contextlib.contextmanager
def collect_statements() -> Iterator[list[Statement]]:
    """Collect every statement that is selected meanwhile; the engine runs them as ever."""
    found: list[Statement] = []
    answer = Engine.answer

    async def noted(self: Engine, statement: Statement, output: str) -> Answer:
        found.append(statement)
        return await answer(self, statement, output)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "answer", noted)
        yield found
