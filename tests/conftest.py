"""Fixtures: one service for each file of tests, on the real engine, in its own folder."""

import subprocess
from collections.abc import AsyncIterator, Generator, Iterator
from types import ModuleType
from typing import Final, NoReturn

import pytest
import pytest_asyncio

from settings import Settings
from store.engine import Engine
from tests.harness.clock import ManualClock
from tests.harness.forked_service import ForkedService
from tests.harness.service import NOON, Service, run_service, stop_clock

_STARTERS: Final = {
    "subprocess",
    "tests.conformance.schemathesis_runs",
    "tests.conformance.services",
    "tests.harness.browser",
    "tests.harness.fault_injection",
    "tests.harness.forked_service",
    "tests.harness.javascript",
    "tests.harness.process",
    "tests.harness.stores",
}
"""Modules that start processes or engines."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of `make check`; put the slowest files first, which leaves no core idle."""
    for item in items:
        if item.path.parent.name == "rules" or _needs_no_service(item):
            item.add_marker(pytest.mark.check)
    items.sort(key=lambda item: "slow" not in item.keywords)


def _needs_no_service(item: pytest.Item) -> bool:
    """Say whether a test takes no service, and its file imports nothing that starts one."""
    assert isinstance(item, pytest.Function)
    values = vars(item.module).values()
    module_names = {value.__name__ for value in values if isinstance(value, ModuleType)}
    module_names |= {getattr(value, "__module__", "") for value in values}
    starts = module_names & _STARTERS or "run_service" in vars(item.module)
    return not starts and "service" not in item.fixturenames


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test of `make check`, but for the rules, that opens an engine or starts a process."""
    if "check" not in item.keywords or item.path.parent.name == "rules":
        return (yield)

    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("A test that takes no `service` starts one: see tests/conftest.py")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "open", refuse)
        patch.setattr(subprocess.Popen, "__init__", refuse)
        patch.setattr(ForkedService, "__init__", refuse)
        return (yield)


@pytest_asyncio.fixture(scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """Start a service on an empty folder."""
    data = tmp_path_factory.mktemp("data")
    async with run_service(Settings(data=data, store=data / "store")) as new_service:
        yield new_service


@pytest.fixture
def frozen(service: Service) -> Iterator[None]:
    """Stop the service's clock at `NOON`."""
    with stop_clock(service, NOON):
        yield


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    """Return clocks that a test sets."""
    return ManualClock(monkeypatch)
