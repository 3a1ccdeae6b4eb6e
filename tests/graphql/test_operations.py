"""Sample operations: they are valid, and the service answers each in full."""

from typing import Final

import pytest
import pytest_asyncio
from graphql import build_schema, parse, validate

from tests.harness.apis import ask, record
from tests.harness.sample_operations import EVENTS, FOLDER, METRICS, samples
from tests.harness.service import Service
from tests.rules.test_sdl import SDL

SAMPLES: Final = samples()


@pytest_asyncio.fixture(scope="module")
async def sample_service(service: Service) -> Service:
    """Record the rows of the operations; no operation deletes rows that another needs."""
    await record(service, "/metrics", *METRICS)
    await record(service, "/events", *EVENTS)
    return service


def test_every_file_is_used() -> None:
    """Each operation has the name of its file; each file of variables has its operation."""
    files = FOLDER.glob("*.graphql")
    operations = {path.stem for path in files if not path.read_text().startswith("fragment")}
    assert operations == SAMPLES.keys()
    assert {path.stem for path in FOLDER.glob("*.json")} <= SAMPLES.keys()


@pytest.mark.parametrize("name", SAMPLES)
async def test_samples_are_answered(sample_service: Service, name: str) -> None:
    """An operation is valid by the committed SDL, and answered without error."""
    sample = SAMPLES[name]
    assert validate(build_schema(SDL), parse(sample.text)) == []
    answer = await ask(sample_service, sample.text, **sample.variables)
    assert all(field is not None for field in answer.values())
