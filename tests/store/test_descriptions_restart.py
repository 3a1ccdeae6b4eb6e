"""Durability of metric descriptions."""

from pathlib import Path

from tests.harness.process import Process

DESCRIBE = """
mutation($n: String!, $u: String) {
  describeMetric(input: {name: $n, unit: $u, kind: COUNTER}) {unit}
}"""
LIST = "{metrics {nodes {name kind unit}}}"


def test_descriptions_outlive_a_crash_and_a_stop(tmp_path: Path) -> None:
    """An answered description survives kill -9 right after the answer, and an orderly stop."""
    data = tmp_path / "data"
    names = [f"m{n}" for n in range(6)]
    with Process(data) as process:
        process.await_ready()
        rows = [{"metric_name": name, "value": 1} for name in names]
        assert process.post("/metrics/batch", rows).status_code == 200
        for name in names:
            process.graphql(DESCRIBE, n=name, u="old")
        process.graphql(DESCRIBE, n=names[-1], u="new")
        process.kill()
    units = ["old"] * 5 + ["new"]
    expected = [
        {"name": name, "kind": "COUNTER", "unit": unit}
        for name, unit in zip(names, units, strict=True)
    ]
    for _ in range(2):
        with Process(data) as process:
            process.await_ready()
            assert process.graphql(LIST)["metrics"]["nodes"] == expected
            process.graphql(DESCRIBE, n=names[0], u="newest")
            expected[0]["unit"] = "newest"
            assert process.graphql(LIST)["metrics"]["nodes"] == expected
            assert process.stop() in {0, -15}
