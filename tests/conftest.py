"""One service for each file of tests, on the real engine, in a folder of its own."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from settings import Settings
from tests.service import Service, running


@pytest_asyncio.fixture(scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """Start a service on an empty folder."""
    data = tmp_path_factory.mktemp("data")
    async with running(Settings(data=data, store=data / "store")) as started:
        yield started
