"""Calls of both APIs for their tests, and a check of the one shape of an error."""

import json
from collections import Counter
from typing import Any
from urllib.parse import quote

import httpx

from schema.access import PROJECT
from schema.errors import STATUS
from store.ingest.streams import TABLES
from store.query.sql import Scan, Statement
from tests.harness.service import Service

METRICS = "mutation($rows: [MetricInput!]!) {recordMetrics(input: {metrics: $rows}) {accepted}}"
EVENTS = "mutation($rows: [EventInput!]!) {recordEvents(input: {events: $rows}) {accepted}}"


def metric_path(name: str) -> str:
    """Return the path of a metric, whatever its name."""
    return "/metrics/" + quote(name, safe="").replace(".", "%2E")


def canonical_json(value: object) -> str:
    """Return JSON text that is equal for equal values only: 1, 1.0 and true all differ."""
    return json.dumps(value, sort_keys=True)


def first_error(answer: httpx.Response) -> dict[str, Any]:
    """Return the first error of an error answer, after a check of its shape and its status.

    An answer with `data` has the status 200, whichever fields are null.
    """
    content = answer.json()
    assert content.keys() <= {"errors", "data", "extensions"}
    assert not has_content(content.get("data"))
    for error in content["errors"]:
        assert error.keys() <= {"message", "extensions", "path", "locations"}
        assert error["message"]
        assert error["extensions"]["code"] in STATUS
    first: dict[str, Any] = content["errors"][0]
    status = STATUS[first["extensions"]["code"]]
    assert answer.status_code == (200 if content.get("data") is not None else status)
    return first


def has_content(data: object) -> bool:
    """Say whether data has a value other than null."""
    return any(map(has_content, data.values())) if isinstance(data, dict) else data is not None


def error_summary(answer: httpx.Response) -> tuple[int, str, str | None, float | None]:
    """Return the status of an error's code, the code, the field and the limit."""
    parts = first_error(answer)["extensions"]
    return STATUS[parts["code"]], parts["code"], parts.get("field"), parts.get("limit")


async def ask(service: Service, query: str, **variables: object) -> Any:
    """Run a GraphQL operation that succeeds; return the data."""
    answer = await service.graphql(query, **variables)
    assert "errors" not in answer, answer
    return answer["data"]


async def record(service: Service, path: str, *rows: object) -> None:
    """Record valid rows as one batch; their times may be soon after 1970."""
    answer = await service.post(f"{path}/batch?precision=ms", rows)
    assert answer.status_code == 200, answer.text
    assert answer.json()["accepted"] == len(rows)


async def get(service: Service, path: str, **params: object) -> Any:
    """GET a path that exists; return the JSON of the answer."""
    answer = await service.http.get(path, params={key: str(val) for key, val in params.items()})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def stored_totals(service: Service) -> Counter[str]:
    """Return the numbers of stored metric points, events and metric names."""
    content = await get(service, "/dashboard")
    return Counter(
        metrics=content["total_metrics_tracked"],
        events=content["total_events_tracked"],
        names=content["unique_metric_types"],
    )


async def delete_all(service: Service) -> None:
    """Empty the tables; a deletion of every row would wait 0.25 s for its mutation."""
    for table in TABLES:
        statement = Statement("TRUNCATE TABLE {table:Identifier}", {"table": table}, (Scan(table),))
        await service.context.store.delete(statement, PROJECT)
