"""Queries that fail on the engine, and the next queries on their connections."""

from pathlib import Path
from typing import Final

import pytest

from store.driver import EngineError
from store.query.sql import Statement
from tests.harness.stores import Rows, open_engine

FAILING: Final = Statement("""\
SELECT 1000 AS rows
UNION ALL
SELECT throwIf(sleep(0.02) = 0) AS rows""")
"""Has a row ready before it fails."""

SEVEN: Final = Statement("SELECT count() AS rows FROM numbers(7)")


async def test_failed_queries_leave_nothing_behind(tmp_path: Path) -> None:
    """The rows that a failed query had ready are in no other answer."""
    async with open_engine(tmp_path, store_readers=1) as engine:
        for _ in range(15):
            with pytest.raises(EngineError):
                await engine.answer(FAILING, "JSONEachRow")
            assert await engine.select(SEVEN, Rows) == [Rows(7)]
