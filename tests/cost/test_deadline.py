"""The deadline of a request: one for all of its statements, whatever they are."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from schema.errors import AnalyticsError
from settings import Settings
from store.query.sql import Statement
from tests.harness.service import Service, run_service
from tests.harness.stores import Rows

SECONDS: Final = 1
PATIENCE: Final = 30
"""Seconds in which a test ends; without a deadline it takes minutes."""

SHORT: Final = Statement("SELECT 1 AS rows")
ENDLESS: Final = Statement("SELECT max(cityHash64(number)) AS rows FROM numbers(9000000000)")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def hasty(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """Run a service whose requests have a second."""
    data: Path = tmp_path_factory.mktemp("deadline")
    limits = {"requestSeconds": SECONDS}
    async with run_service(Settings(data=data, store=data / "store", limits=limits)) as service:
        yield service


async def test_statements_share_the_deadline(hasty: Service) -> None:
    """After the deadline a request runs no further statement; another request has its own."""
    for _ in range(2):
        batch = hasty.context.for_request().batch
        await batch.select(SHORT, Rows)
        for statement in (ENDLESS, ENDLESS, SHORT):
            async with asyncio.timeout(PATIENCE):
                with pytest.raises(AnalyticsError, match="too many seconds") as refusal:
                    await batch.select(statement, Rows)
            assert (refusal.value.code, refusal.value.limit) == ("QUERY_TOO_EXPENSIVE", SECONDS)


async def test_a_request_of_many_heavy_fields_ends(hasty: Service) -> None:
    """Sixty heavy trends end at the deadline, also those that are asked one by one."""
    events = [{"event_name": "e", "properties": {"text": "x" * 8000}} for _ in range(1_000)]
    for _ in range(30):
        assert (await hasty.post("/events/batch", events)).is_success

    def trend(number: int) -> str:
        matches = " OR ".join(f"{number}y{part}" for part in range(30))
        pattern = f"(x+x+)+({matches})z".replace(" OR ", "|")
        where = f'where: {{property: {{key: "text", string: {{matches: "{pattern}"}}}}}}'
        selection = "{series {total {count}}}"
        return f't{number}: eventTrend(range: {{last: "P{number + 1}D"}}, {where}) {selection}'

    query = f"{{{' '.join(map(trend, range(60)))}}}"
    async with asyncio.timeout(PATIENCE):
        answer = await hasty.graphql(query)
    codes = {error["extensions"]["code"] for error in answer["errors"]}
    assert codes == {"QUERY_TOO_EXPENSIVE"}
    assert (await hasty.http.get("/metrics")).status_code == 200
