"""Every aggregate of events, compared with an oracle in plain Python."""

from collections.abc import Sequence
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.apis import ask, record
from tests.harness.panels import Band, Panel
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
    *("count", "sum", "avg", "min", "max", "quantile"),
    *("uniqueUsers", "uniqueSessions", "unique"),
)
PATHS: Final = ["n", "n", "cart.total", r"a\.b", "cart", "t", "no.such", "{p0:String}", "é\n"]
FILTERS: Final[list[dict[str, Any]]] = [
    *({}, {}, {"userId": {"in": ["u1", "ü"]}}, {"sessionId": {"isSet": False}}),
    {"property": {"key": "n", "number": {"gt": 0}}},
    {"OR": [{"property": {"key": "cart.total", "number": {"lte": 1}}}, {"userId": {"neq": "u2"}}]},
]
FIELD_KEYS: Final = ["=NAME", "=USER_ID", "=SESSION_ID"]

texts = st.sampled_from(["", "a", "b", "true", 'q"', "\\", "{p0:String}", "é\n", "(none)", "/"])
odd = st.one_of(texts, st.booleans(), st.none(), st.integers(-3, 3), st.just([1, "a"]))
values = st.one_of(
    numbers, st.integers(-5, 5), odd, st.sampled_from([2**53 + 1, 1e15, 10**19, -(10**25), 667.0])
)
properties = st.fixed_dictionaries(
    {},
    optional={
        "n": values,
        "t": texts,
        "a.b": values,
        "a": st.just({"b": 77}),
        "{p0:String}": values,
        "é\n": values,
        "cart": st.one_of(odd, st.fixed_dictionaries({}, optional={"total": values, "t": texts})),
    },
)
people = st.sampled_from([None, None, "u1", "u2", "ü", "null", "x\ny"])
bounds = st.lists(
    st.sampled_from([-1e6, -1.0, 0.0, 0.5, 1.0, 2.0, 1e6, 1e6 + 1, 1e15]), min_size=1, unique=True
).map(lambda edges: tuple(sorted(edges)))
bands = st.builds(Band, st.sampled_from(["n", "cart.total"]), bounds)


@st.composite
def scenes(draw: st.DrawFn) -> tuple[list[Row], list[Panel]]:
    """Draw events, and panels over these events."""
    moment, number = draw(moments), next(SCENE_NUMBERS)
    names = [f"e{number}", f"é{number}"]
    event = st.tuples(offsets, st.sampled_from(names), people, people, properties)
    rows = [
        Row(max(0, moment + offset), n, name, user=user, session=session, properties=content)
        for n, (offset, name, user, session, content) in enumerate(
            draw(st.lists(event, min_size=1, max_size=30))
        )
    ]
    times = [row.time for row in rows]
    keys = st.lists(
        st.one_of(st.sampled_from(PATHS), st.sampled_from(FIELD_KEYS), bands), max_size=3
    )
    panels = [
        Panel(
            "events",
            names,
            aggregates=draw(aggregates(FIELDS, PATHS)),
            order=draw(orders(FIELDS, PATHS)),
            group_keys=tuple(draw(keys)),
            where={"name": {"in": names}} | draw(st.sampled_from(FILTERS)),
            **draw(panel_arguments(moment, times)),
        )
        for _ in range(draw(st.integers(1, 6)))
    ]
    return rows, panels


def rest_event(row: Row) -> dict[str, Any]:
    """Return an event as REST takes it."""
    event = {"event_name": row.name, "timestamp": row.time, "properties": row.properties}
    return event | {"user_id": row.user, "session_id": row.session}


async def record_events(service: Service, rows: Sequence[Row]) -> None:
    """Record events in two batches."""
    half = len(rows) // 2
    for batch in (rows[:half], rows[half:]):
        if batch:
            await record(service, "/events", *map(rest_event, batch))


@pytest.mark.usefixtures("frozen")
@given(scenes())
@SERIES_SETTINGS
async def test_events(service: Service, scene: tuple[list[Row], list[Panel]]) -> None:
    """Any panels over any events, in one request, agree with the oracle."""
    rows, panels = scene
    await record_events(service, rows)
    texts = [panel.text("eventTrend", f"p{n}") for n, panel in enumerate(panels)]
    data = await ask(service, f"{{{' '.join(texts)}}}")
    for n, panel in enumerate(panels):
        assert_result(panel, data[f"p{n}"], rows, NOON)
