"""Values through the engine: texts, integers and doubles come back unchanged."""

import asyncio
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.query.sql import Statement, Value
from tests.harness.run_profile import short_or_long
from tests.harness.stores import open_engine

ODD: Final = (
    *("\t", "\n", "\r", "\0", "\b", "\f", "\v", "\a", "\x1a", "\x1b", "\x7f", "\\", "'", '"', "`"),
    *("\\N", "\\t", "\\n", "\\0", "\\'", "\\\\", "\\x41", "\\u0041", "C:\\temp\\new", "NULL", "''"),
    *("{text:String}", "{}", "[", "]", ",", "','", "');", "; DROP TABLE t; --", "/*", "%s", "$1"),
    *("\u2028", "\ufeff", "\u200b", "é", "e\u0301", "日本", "🙂", "\U0010ffff", "\x80", "ÿ", " "),
)
odd_text = st.lists(
    st.sampled_from(ODD) | st.text(st.characters(exclude_categories=["Cs"]), max_size=6), max_size=6
).map("".join)


async def test_any_text_comes_back_as_it_was(tmp_path: Path) -> None:
    """Odd texts, as single values and in arrays, come back unchanged."""
    value_count = 0
    async with open_engine(tmp_path) as engine:
        loop = asyncio.get_running_loop()

        def ask(texts: list[str]) -> list[Any]:
            slots = [f"{{p{n}:String}}" for n in range(len(texts))]
            params: dict[str, Value] = {f"p{n}": text for n, text in enumerate(texts)}
            statement = Statement(
                f"SELECT [{', '.join(slots)}] AS alone, {{all:Array(String)}} AS together",
                params | {"all": texts},
            )
            answer = engine.select(statement, dict[str, list[str]])
            return asyncio.run_coroutine_threadsafe(answer, loop).result(60)

        @settings(
            max_examples=short_or_long(70, 200),
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        )
        @given(st.lists(odd_text, min_size=30, max_size=30))
        def check(texts: list[str]) -> None:
            nonlocal value_count
            assert ask(texts) == [{"alone": texts, "together": texts}]
            value_count += len(texts)

        await asyncio.to_thread(check)
        assert await asyncio.to_thread(ask, list(ODD)) == [
            {"alone": list(ODD), "together": list(ODD)}
        ]
        assert await asyncio.to_thread(ask, [""]) == [{"alone": [""], "together": [""]}]
    assert value_count >= short_or_long(2000, 6000)


async def test_any_integers_come_back_as_they_were(tmp_path: Path) -> None:
    """Arrays of 64-bit integers, empty and long ones too, come back unchanged."""
    async with open_engine(tmp_path) as engine:
        loop = asyncio.get_running_loop()

        def ask(numbers: list[int]) -> list[dict[str, list[int]]]:
            statement = Statement("SELECT {all:Array(Int64)} AS all", {"all": numbers})
            answer = engine.select(statement, dict[str, list[int]])
            return asyncio.run_coroutine_threadsafe(answer, loop).result(60)

        @settings(max_examples=short_or_long(70, 200), deadline=None, database=None)
        @given(st.lists(st.integers(-(2**63), 2**63 - 1)))
        def check(numbers: list[int]) -> None:
            assert ask(numbers) == [{"all": numbers}]

        await asyncio.to_thread(check)
        long = list(range(-(2**62), 2**62, 2**48))
        assert await asyncio.to_thread(ask, long) == [{"all": long}]


@pytest.mark.parametrize(
    "number", [0, -1, 2**63 - 1, -(2**63), 0.1, -1e308, 5e-324, 1.7976931348623157e308]
)
async def test_any_number_comes_back_as_it_was(tmp_path: Path, number: float) -> None:
    """Integers and doubles at their bounds come back without rounding."""
    kind = "Int64" if isinstance(number, int) else "Float64"
    async with open_engine(tmp_path, store_readers=1) as engine:
        statement = Statement(f"SELECT {{n:{kind}}} AS n", {"n": number})
        rows = await engine.select(statement, dict[str, int | float])
    assert rows == [{"n": number}]
