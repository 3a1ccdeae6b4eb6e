"""Row counters per stream, on both APIs and in Prometheus."""

from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from tests.harness.apis import ask
from tests.harness.service import Service

INGESTION: Final = """
{ ingestion {
  stream received stored duplicates rejected unavailable pending recovered loaded waiting setAside
} }
"""


async def prometheus_values(service: Service) -> dict[str, dict[str, float]]:
    """Return the Prometheus samples of each stream."""
    answer = await service.http.get("/internal/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    values: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            name = sample.name.removeprefix("analytics_")
            values.setdefault(sample.labels["stream"], {})[name] = sample.value
    return values


async def test_each_row_is_in_one_place(service: Service) -> None:
    """Each row, good, bad or repeated, single or in a batch, is counted as one outcome."""
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
    await service.http.get("/dashboard")  # loads the rows
    rows = {row["stream"]: row for row in (await ask(service, INGESTION))["ingestion"]}
    outcomes = {
        stream: tuple(row[name] for name in ("received", "stored", "duplicates", "rejected"))
        for stream, row in rows.items()
    }
    assert outcomes == {"metrics": (9, 2, 2, 5), "series": (4, 3, 0, 1), "events": (3, 2, 0, 1)}
    for stream, values in (await prometheus_values(service)).items():
        row = rows[stream]
        assert row["pending"] == row["waiting"] == row["unavailable"] == row["setAside"] == 0
        assert row["loaded"] == row["stored"] + row["recovered"] == row["stored"]
        for field, sample_name in (("received", "received"), ("setAside", "set_aside")):
            assert values[f"rows_{sample_name}_total"] == row[field]
        for name in ("stored", "duplicates", "rejected", "unavailable", "recovered", "loaded"):
            assert values[f"rows_{name}_total"] == row[name]
        assert values["rows_waiting"] == values["journal_bytes"] == values["set_aside_rows"] == 0
