"""Every aggregate of metrics, compared with an oracle in plain Python."""

from collections.abc import Sequence
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.apis import ask, record
from tests.harness.panels import Panel
from tests.harness.service import NOON, Service
from tests.harness.strategies import (
    SCENE_NUMBERS,
    SERIES_SETTINGS,
    aggregates,
    moments,
    numbers,
    offsets,
    orders,
    panel_arguments,
)
from tests.oracle.aggregates import Row
from tests.oracle.series import assert_result

FIELDS: Final = (
    "count",
    "sum",
    "avg",
    "min",
    "max",
    "first",
    "last",
    "stddev",
    "quantile",
    "increase",
    "rate",
)
TAGS: Final = ["host", "a b", 'q"uote', "{p0:String}", "a.b", "ключ", ":x", "x\\y", ","]
VALUES: Final = ["", "a", "b", "a\\", '"', "{p0:String}", "null", "é\n", ",", "x}", "1", "x:"]

FILTERS: Final[list[dict[str, Any]]] = [
    *({}, {}, {}, {"value": {"gte": 0}}, {"tag": {"key": "host", "string": {"eq": "a"}}}),
    {"NOT": {"tag": {"key": 'q"uote', "string": {"in": ["", "b"]}}}},
]

tags = st.dictionaries(
    st.sampled_from(TAGS[:3]) | st.sampled_from(TAGS),
    st.sampled_from(VALUES[:3]) | st.sampled_from(VALUES),
    max_size=3,
)


@st.composite
def scenes(draw: st.DrawFn) -> tuple[list[Row], list[Panel]]:
    """Draw points of a metric, and panels over these points."""
    moment = draw(moments)
    points = draw(st.lists(st.tuples(offsets, numbers, tags), min_size=1, max_size=30))
    name = f"m{next(SCENE_NUMBERS)}"
    rows = [
        Row(max(0, moment + offset), order, name, value, labels)
        for order, (offset, value, labels) in enumerate(points)
    ]
    times = [row.time for row in rows]
    tag_keys = sorted({key for row in rows for key in row.tags}) or ["host"]
    keys = st.lists(st.sampled_from([*tag_keys, "none"]), max_size=3)
    panels = [
        Panel(
            "metrics",
            name,
            aggregates=draw(aggregates(FIELDS, ())),
            order=draw(orders(FIELDS, ())),
            group_keys=tuple(draw(keys)),
            where=draw(st.sampled_from(FILTERS)),
            search=draw(st.sampled_from(["", "", "", "A", "(NONE)", "É", "b, (n", '"', "A\\"])),
            **draw(panel_arguments(moment, times)),
        )
        for _ in range(draw(st.integers(1, 6)))
    ]
    return rows, panels


async def record_points(service: Service, rows: Sequence[Row]) -> None:
    """Record points; every other point has its tags in reverse order."""
    points = [
        {
            "metric_name": row.name,
            "value": row.value,
            "timestamp": row.time,
            "tags": dict(list(row.tags.items())[:: -1 if row.position % 2 else 1]),
        }
        for row in rows
    ]
    half = len(points) // 2
    for batch in (points[:half], points[half:]):
        if batch:
            await record(service, "/metrics", *batch)


@pytest.mark.usefixtures("frozen")
@given(scenes())
@SERIES_SETTINGS
async def test_metrics(service: Service, scene: tuple[list[Row], list[Panel]]) -> None:
    """Any panels over any points, in one request, agree with the oracle."""
    rows, panels = scene
    await record_points(service, rows)
    texts = [panel.text("query", f"p{n}") for n, panel in enumerate(panels)]
    data = await ask(service, f'{{metric(name: "{rows[0].name}") {{{" ".join(texts)}}}}}')
    for n, panel in enumerate(panels):
        assert_result(panel, data["metric"][f"p{n}"], rows, NOON)
