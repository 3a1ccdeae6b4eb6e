"""The bodies of the benchmark are the spellings that they are named for."""

import json
import re
import time
from typing import Final

import pytest

from bench.outcomes import read_outcome
from bench.placeholders import RequestTemplate
from bench.service import SERVICE
from bench.spellings import SPELLINGS, Spelling, bodies
from tests.harness.service import Service

ROWS: Final = 1_000
SPELLINGS_OF_SERVICE: Final = [entry for entry in SPELLINGS if entry.program == SERVICE.name]


def template(spelling: Spelling) -> RequestTemplate:
    """Return the first body of a spelling, with the time of now."""
    base_ms = int(time.time()) * 1000
    return RequestTemplate(bodies(spelling.name, ROWS)[0], base_ms, spelling.interleaved_rows)


@pytest.mark.parametrize("spelling", SPELLINGS_OF_SERVICE, ids=lambda entry: entry.name)
async def test_service_accepts_the_spelling(service: Service, spelling: Spelling) -> None:
    """Two requests of each spelling have the promised outcome, and the total grows by its rows."""
    before = (await service.http.get("/dashboard")).json()[spelling.total]
    body = template(spelling)
    for first_row in (0, ROWS):
        content_type = {"content-type": spelling.content_type}
        answer = await service.post(spelling.path, body.fill(first_row), **content_type)
        assert answer.status_code == 200
        assert read_outcome(answer.content) == spelling.outcome(ROWS)
    after = (await service.http.get("/dashboard")).json()[spelling.total]
    assert after - before == 2 * spelling.accepted(ROWS)


@pytest.mark.parametrize("spelling", SPELLINGS, ids=lambda entry: entry.name)
def test_requests_differ_in_each_row(spelling: Spelling) -> None:
    """A request has no placeholder left, the length of the first, and new ids and times."""
    body = template(spelling)
    first, second = body.fill(0), body.fill(ROWS)
    assert len(first) == len(second)
    assert not re.search(rb"@@|##|~~|%%", first)
    pattern = rb'"id":"\w+"|\d{13}|\d{4}-\d\d-\d\dT[\d:.]+'
    times = [set(re.findall(pattern, request)) for request in (first, second)]
    assert len(times[0]) >= 10
    assert not times[0] & times[1]


def test_spaced_bodies_are_those_of_python() -> None:
    """The spaced spellings are written as `json.dumps` writes them, the others compactly."""
    for spelling in SPELLINGS_OF_SERVICE:
        text = template(spelling).fill(0).decode()
        for line in text.splitlines():
            separators = None if "spaced" in spelling.name else (",", ":")
            assert json.dumps(json.loads(line), separators=separators) == line
