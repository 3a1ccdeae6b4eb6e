"""Rows leave memory with their request, without a run of the garbage collector."""

import gc
from collections.abc import Iterator
from typing import Any, Final

import pytest

from store.ingest.decoder import Batch
from tests.harness.apis import METRICS
from tests.harness.service import Service

POINT: Final = {"metric_name": "m", "value": 1}
GRAPHQL_POINT: Final = {"name": "m", "value": 1}
FEW_ROWS: Final = 3
MANY_ROWS: Final = 5_000


@pytest.fixture
def _no_collection() -> Iterator[None]:
    """Collect all garbage, and let no more be collected."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def graphql(*rows: object, query: str = METRICS) -> dict[str, Any]:
    """Return a GraphQL request that records rows."""
    return {"query": query, "variables": {"rows": rows}}


@pytest.mark.usefixtures("_no_collection")
@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/metrics/batch", [POINT] * MANY_ROWS, 200),
        ("/metrics/batch", [POINT] * MANY_ROWS + [1], 200),
        ("/metrics/batch", [*([POINT] * FEW_ROWS), {"metric_name": 1}], 200),
        ("/metrics/batch", [{"metric_name": 1}] * FEW_ROWS, 422),
        ("/events/batch", [{"event_name": "e", "id": f"{n}"} for n in range(MANY_ROWS)], 200),
        ("/graphql", graphql(*[GRAPHQL_POINT] * MANY_ROWS), 200),
        ("/graphql", graphql(*[GRAPHQL_POINT] * FEW_ROWS), 200),
        ("/graphql", graphql(*[GRAPHQL_POINT] * MANY_ROWS, {"name": "m"}), 422),
        (
            "/graphql",
            graphql(*[GRAPHQL_POINT] * MANY_ROWS, query=METRICS.replace("rows", "x", 1)),
            422,
        ),
    ],
    ids=[
        *("batch", "odd-row", "undecodable-row", "no-valid-row", "client-ids"),
        *("graphql", "few-rows", "refused-row", "refused-variables"),
    ],
)
async def test_an_answered_request_leaves_no_rows(
    service: Service, path: str, body: object, status: int
) -> None:
    """After the answer no batch is in memory: a cycle would keep megabytes of each request."""
    answer = await service.post(path, body)
    assert answer.status_code == status, answer.text
    batches = [entry for entry in gc.get_objects() if type(entry) is Batch]
    assert not batches
