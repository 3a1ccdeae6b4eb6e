"""A million names, from before there was a limit: every list still answers, briefly."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.harness.process import Process
from tests.harness.run_profile import print_figure

NAMES: Final = 1_050_000
MATCHES: Final = sum("99999" in f"{n:06d}" for n in range(NAMES))
BATCH: Final = 50_000
MAX_BYTES: Final = 500_000
TREND: Final = """
{eventTrend(range: {preset: ALL_TIME}, where: {name: {eq: "name_00000l"}}) {
  series {total {count}} meta {warnings {code suggestions}}
}}"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Start a service on a store with 1,050,000 names of metrics and as many of events.

    They are recorded with a higher limit. The service has the usual one.
    """
    data: Path = tmp_path_factory.mktemp("data")
    with Process(data, settings={"ANALYTICS_LIMITS": "namesPerProject=2000000"}) as process:
        process.await_ready()
        for path, form in (
            ("/metrics/batch", '{"metric_name":"name_%06d","value":1}\n'),
            ("/events/batch", '{"event_name":"name_%06d"}\n'),
        ):
            for start in range(0, NAMES, BATCH):
                body = "".join(form % n for n in range(start, start + BATCH))
                assert process.post(path, body.encode()).json()["accepted"] == BATCH
        process.stop()
    with Process(data) as process:
        process.await_ready()
        yield process
        process.stop()


def ask(service: Process, query: str) -> Any:
    """Run a GraphQL query whose answer is brief; return its data."""
    began = time.monotonic()
    answer = service.post("/graphql", {"query": query})
    print_figure(f"{query[:60]!r}: {time.monotonic() - began:.2f} s, {len(answer.content)} bytes")
    assert answer.status_code == 200, answer.text[:500]
    assert "errors" not in answer.json(), answer.text[:500]
    assert len(answer.content) <= MAX_BYTES
    return answer.json()["data"]


@pytest.mark.parametrize(
    ("path", "list_field", "count_field"),
    [
        ("/metrics", "metrics", "count"),
        ("/metrics?limit=10&after=name_500000", "metrics", "count"),
        ("/dashboard", "metric_names", "unique_metric_types"),
    ],
)
def test_rest_lists(service: Process, path: str, list_field: str, count_field: str) -> None:
    """The lists of REST answer with at most 10,000 names and the exact count."""
    began = time.monotonic()
    answer = service.http.get(path)
    print_figure(f"{path}: {time.monotonic() - began:.2f} s, {len(answer.content)} bytes")
    assert answer.status_code == 200
    assert len(answer.content) <= MAX_BYTES
    content = answer.json()
    assert len(content[list_field]) in {10, 10_000}
    assert content[count_field] == NAMES


def test_overview(service: Process) -> None:
    """`overview` has the first names and the exact counts of both tables."""
    query = "{overview {metricCount metricNames metricNameCount eventNames eventNameCount}}"
    overview = ask(service, query)["overview"]
    assert len(overview["metricNames"]) == len(overview["eventNames"]) == 10_000
    counts = {overview[key] for key in ("metricCount", "metricNameCount", "eventNameCount")}
    assert counts == {NAMES}


@pytest.mark.parametrize(
    "arguments",
    ["(first: 100)", "(last: 100)", '(first: 100, search: "99999")', "(first: 100, kind: GAUGE)"],
)
def test_metrics(service: Process, arguments: str) -> None:
    """Pages and searches of `metrics` answer, with the summaries of their entries."""
    page = ask(
        service,
        f"{{metrics{arguments} {{totalCount nodes {{name lastSeenAt seriesCount}}"
        " pageInfo {hasNextPage hasPreviousPage endCursor}}}",
    )["metrics"]
    assert len(page["nodes"]) == (MATCHES if "search" in arguments else 100)
    assert page["totalCount"] == (MATCHES if "search" in arguments else NAMES)


def test_discovery(service: Process) -> None:
    """Event types, their search, and the tags of one metric answer."""
    data = ask(
        service,
        '{eventTypes(first: 1000) {name count} some: eventTypes(search: "99999") {name}'
        ' metric(name: "name_000007") {seriesCount tags {name}}}',
    )
    assert (len(data["eventTypes"]), len(data["some"])) == (1_000, MATCHES)


def test_suggestions(service: Process) -> None:
    """A misspelled event is a warning with at most 3 suggestions; on a slow machine with none."""
    warnings = ask(service, TREND)["eventTrend"]["meta"]["warnings"]
    assert len(warnings) <= 1  # the statement for suggestions may take 3 s
    for warning in warnings:
        assert warning["code"] == "UNKNOWN_EVENT"
        assert 0 < len(warning["suggestions"]) <= 3


def test_known_names_record_and_new_ones_do_not(service: Process) -> None:
    """Beyond the limit, which is lower than the names, known names record and can be deleted."""
    assert service.post("/metrics", {"metric_name": "name_000001", "value": 1}).status_code == 200
    assert service.post("/metrics", {"metric_name": "new", "value": 1}).status_code == 422
    answer = service.http.delete("/metrics/name_000002")
    assert (answer.status_code, answer.json()["deleted"]) == (200, 1)
    assert service.http.get("/dashboard").json()["unique_metric_types"] == NAMES - 1
