"""One service for each file of tests, on the real engine, in a folder of its own."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from settings import Settings
from tests.harness.clock import Wall
from tests.harness.service import NOON, Service, running, stopped_clock


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the slowest files, so that one process is not left with them at the end."""
    items.sort(key=lambda item: "slow" not in item.keywords)


@pytest_asyncio.fixture(scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """Start a service on an empty folder."""
    data = tmp_path_factory.mktemp("data")
    async with running(Settings(data=data, store=data / "store")) as started:
        yield started


@pytest.fixture
def frozen(service: Service) -> Iterator[None]:
    """Stop the service's clock at `NOON`."""
    with stopped_clock(service, NOON):
        yield


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    """Set the clocks."""
    return Wall(monkeypatch)
