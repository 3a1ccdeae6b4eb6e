"""Every row is accounted for, at both doors."""

from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from tests.harness.apis import ask
from tests.harness.service import Service

INGESTION: Final = """
{ ingestion {
  stream received stored duplicates rejected unavailable pending recovered loaded waiting setAside
} }
"""


async def figures(service: Service) -> dict[str, dict[str, float]]:
    """Return the figures of each stream that Prometheus is told."""
    answer = await service.http.get("/internal/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            name = sample.name.removeprefix("analytics_")
            found.setdefault(sample.labels["stream"], {})[name] = sample.value
    return found


async def test_each_row_is_in_one_place(service: Service) -> None:
    """Good, bad, and repeated rows through both doors, single and many: the sums are right."""
    good = {"metric_name": "accounts", "value": 1, "id": "a-1"}
    await service.post("/metrics", good)
    await service.post("/metrics", good)
    await service.post("/metrics", {"metric_name": "accounts"})
    await service.post("/metrics", b"{")
    await service.post("/metrics/batch", [good, {"metric_name": "accounts", "value": 2}, 7])
    await service.post("/metrics/batch", [7, 8])
    await service.post(
        "/metrics/series?precision=ms",
        b'{"metric_name":"accounts","timestamps":[1,2,3],"values":[1,2,3]}\n{"metric_name":"x"}',
    )
    mutation = """
    mutation { recordEvents(input: {events: [{name: "e"}, {name: "e", id: "1"}, {name: ""}]})
      { accepted duplicates rejected } }"""
    data = await ask(service, mutation)
    assert data["recordEvents"] == {"accepted": 2, "duplicates": 0, "rejected": 1}
    await service.http.get("/dashboard")  # and so loaded
    listed = {row["stream"]: row for row in (await ask(service, INGESTION))["ingestion"]}
    outcomes = {
        stream: tuple(row[name] for name in ("received", "stored", "duplicates", "rejected"))
        for stream, row in listed.items()
    }
    assert outcomes == {"metrics": (9, 2, 2, 5), "series": (4, 3, 0, 1), "events": (3, 2, 0, 1)}
    for stream, told in (await figures(service)).items():
        row = listed[stream]
        assert row["pending"] == row["waiting"] == row["unavailable"] == row["setAside"] == 0
        assert row["loaded"] == row["stored"] + row["recovered"] == row["stored"]
        for ours, theirs in (("received", "received"), ("setAside", "set_aside")):
            assert told[f"rows_{theirs}_total"] == row[ours]
        for name in ("stored", "duplicates", "rejected", "unavailable", "recovered", "loaded"):
            assert told[f"rows_{name}_total"] == row[name]
        assert told["rows_waiting"] == told["journal_bytes"] == told["set_aside_rows"] == 0
