"""Real JavaScript clients on the committed SDL and a running service.

Their operations are in `tests/operations/` and `tests/clients/`.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import pytest

from tests.harness import javascript
from tests.harness.process import Process
from tests.harness.sample_operations import EVENTS, METRICS, samples

WRONG_USES: Final = [
    ("numbers.metric.query;", "TS18047"),  # there may be no such metric
    ("numbers.metric!.query.series;", "TS2531"),  # nor its answer
    ("numbers.metric!.query!.series[0].total.median;", "TS2339"),  # no such field
    ("numbers.metric!.recent!.meta;", "TS2339"),  # not selected
    ("const avg: number = numbers.metric!.query!.series[0].total.avg;", "TS2322"),  # may be null
    ("const count: string = page.events!.totalCount;", "TS2322"),
    ("const names: string[] = overview.overview.metricNames;", "TS2322"),  # under @include
    ("const user: string = page.events!.edges[0].node.userId;", "TS2322"),  # may be null
    ("page.events!.edges[0].node.properties.n;", "TS2571"),  # any JSON
    ('health.health.status === "FINE";', "TS2367"),  # no such value
    ("const none: EventPageQueryVariables = {};", "TS2741"),  # `first` is missing
    ('const text: EventPageQueryVariables = { first: "2" };', "TS2322"),
    ("const other: EventPageQueryVariables = { first: 2, where: { query: {} } };", "TS2353"),
    ('const both: TimeRangeInput = { last: "P1D", between: { from: "" } };', "TS2322"),  # @oneOf
]
_DECLARATIONS: Final = """
import type * as T from "./graphql.ts";
import type { EventPageQueryVariables, TimeRangeInput } from "./graphql.ts";
declare const numbers: T.MetricNumbersQuery;
declare const page: T.EventPageQuery;
declare const overview: T.OverviewQuery;
declare const health: T.HealthQuery;
"""


@pytest.fixture(scope="module", autouse=True)
def generate_types() -> None:
    """Generate the types that the clients import."""
    assert javascript.are_installed(), "the JavaScript clients are not installed: make clients"
    javascript.generate()


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    """Start a service for each client, with the rows of the samples."""
    with Process(tmp_path / "data") as service:
        service.await_ready()
        for path, rows in (("metrics", METRICS), ("events", EVENTS)):
            assert service.post(f"/{path}/batch", rows).json()["accepted"] == len(rows)
        yield service


def test_the_lock_has_hashes_and_no_hosts() -> None:
    """The lock pins versions by hash, and leaves the registry to the machine."""
    packages = msgspec.json.decode((javascript.CLIENTS / "package-lock.json").read_bytes())
    ours = packages["packages"].pop("")["devDependencies"]
    assert all(re.fullmatch(r"[\d.]+", version) for version in ours.values())
    for name, package in packages["packages"].items():
        assert "integrity" in package, name
        assert "resolved" not in package, name


def test_programs_compile() -> None:
    """Programs that use the generated types correctly pass `tsc --strict`."""
    assert javascript.check_types() == []


def test_wrong_uses_do_not_compile() -> None:
    """`tsc` finds each use of a null, of a missing field and of another type, on its line."""
    wrong = javascript.GENERATED_FOLDER / "wrong.ts"
    wrong.write_text(_DECLARATIONS + "\n".join(use for use, _ in WRONG_USES))
    try:
        output = "\n".join(javascript.check_types())
    finally:
        wrong.unlink()
    first = _DECLARATIONS.count("\n") + 1
    expected = [(str(line), code) for line, (_, code) in enumerate(WRONG_USES, first)]
    assert re.findall(r"wrong\.ts\((\d+),.*?(TS\d+)", output) == expected


@pytest.mark.parametrize("client", ["apollo", "urql"])
def test_client(process: Process, client: str) -> None:
    """A client gets the right numbers, pages and errors, and runs every sample operation."""
    code, output = javascript.run(f"{client}.test.ts", service=f"http://127.0.0.1:{process.port}")
    assert code == 0, output


def test_relay(process: Process) -> None:
    """Relay compiles all operations, and the service answers the compiled texts."""
    texts = javascript.compile_for_relay(["EventList.ts", "MetricCard.ts"])
    for name, sample in samples().items():
        process.graphql(texts[name], **sample.variables)
    card = {"name": "page_views", "last": "P3650D", "brief": False}
    metric = process.graphql(texts["MetricCardQuery"], **card)["metric"]
    assert metric["query"]["series"] == [{"total": {"count": 4, "average": 275.125}}]
    where = {"userId": {"eq": "u1"}}
    numbers: list[int] = []
    position = {"hasNextPage": True, "endCursor": None}
    while position["hasNextPage"]:
        variables = {"where": where, "cursor": position["endCursor"]}
        page = process.graphql(texts["EventListPaginationQuery"], **variables)["events"]
        numbers += [edge["node"]["properties"]["n"] for edge in page["edges"]]
        position = page["pageInfo"]
    assert numbers == [6, 5, 4, 3, 1, 0]


def test_relay_refetches_a_metric(process: Process) -> None:
    """Relay can refetch a metric by its id."""
    texts = javascript.compile_for_relay(["MetricRefetch.ts"])
    metric = process.graphql('{metric(name: "page_views") {id}}')["metric"]
    variables = {"id": metric["id"], "last": "P3650D"}
    node = process.graphql(texts["MetricRefetchQuery"], **variables)["node"]
    assert node["name"] == "page_views"
    assert node["query"]["series"] == [{"total": {"count": 4}}]
