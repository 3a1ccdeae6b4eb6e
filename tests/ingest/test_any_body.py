"""Any body, also a damaged one, has the rows and errors of its decoding, whatever was learned."""

import random
from typing import Any, Final

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from store.ingest.line_templates import TemplateCache
from store.ingest.rows import EVENT, METRIC, RowType
from tests.harness.run_profile import short_or_long
from tests.harness.spellings import SPELLINGS, TIMES, assert_same, body_of, learn_body

NAMES: Final = st.sampled_from(["cpu", "a b", "é", "}\n", '"', "\\", "x" * 200, "x" * 201, ""])
KEYS: Final = st.sampled_from(
    ["metric_name", "host", "dc", "id", "timestamp", "value", "a.b", "[", "\\d", "", ": "]
)
TEXTS: Final = st.sampled_from(
    [
        *(
            "",
            "a",
            "eu-1",
            "},{",
            '","',
            "漢",
            "\x7f",
            "\n",
            "b" * 300,
            ": ",
            "x, ",
            "a b",
            "\u2028",
        ),
        *(
            '"',
            '": "',
            "\\",
            '\\"',
            "a/b",
            "\\/",
            "\\u00e9",
            "\\U0001f600",
            "😀",
            "<é>",
            "\x00",
            "\x85",
        ),
    ]
)
NUMBER_VALUES: Final = st.one_of(
    st.integers(-(2**54), 2**54), st.floats(allow_nan=False), st.sampled_from([0, -0.0, True, "1"])
)
OPTIONAL_FIELDS: Final = {
    "timestamp": st.one_of(
        st.sampled_from([0, 1_700_000_000_000, 4_102_444_799_999, 2**53, "2024", None]),
        st.sampled_from(TIMES),
    ),
    "id": st.one_of(st.none(), NAMES),
}
METRIC_ROWS: Final = st.fixed_dictionaries(
    {"metric_name": NAMES, "value": NUMBER_VALUES},
    optional={"tags": st.dictionaries(KEYS, TEXTS, max_size=3), **OPTIONAL_FIELDS},
)
PROPERTY_VALUES: Final = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBER_VALUES, TEXTS),
    lambda values: st.one_of(
        st.lists(values, max_size=3), st.dictionaries(KEYS, values, max_size=3)
    ),
    max_leaves=6,
)
EVENT_ROWS: Final = st.fixed_dictionaries(
    {"event_name": NAMES},
    optional={
        "user_id": st.one_of(st.none(), NAMES),
        "session_id": st.one_of(st.none(), NAMES),
        "properties": st.one_of(st.none(), st.dictionaries(KEYS, PROPERTY_VALUES, max_size=4)),
        **OPTIONAL_FIELDS,
    },
)
EDITS: Final = st.lists(
    st.tuples(
        st.integers(0, 10**6),
        st.integers(0, 2),
        st.sampled_from(
            [
                b"",
                b"0",
                b"-",
                b'"',
                b"}",
                b"\n",
                b",",
                b"\\",
                b"\xff",
                rb"\u00e9",
                rb"\u0022",
                rb"\u003c",
                rb"\ud83d",
                rb"\u",
                rb"\/",
                rb"\n",
                rb"\U0001f600",
                b"e",
                b" ",
                b"{",
                b"},{",
                b":",
            ]
        ),
    ),
    max_size=3,
)


@given(
    scene=st.one_of(
        st.tuples(st.just(METRIC), st.lists(METRIC_ROWS, min_size=1, max_size=4)),
        st.tuples(st.just(EVENT), st.lists(EVENT_ROWS, min_size=1, max_size=4)),
    ),
    edits=EDITS,
    spelling=st.sampled_from(SPELLINGS),
    seed=st.integers(0, 10**6),
)
@example(scene=(METRIC, [{"metric_name": "cpu", "value": 1}]), edits=[], spelling="compact", seed=0)
@settings(
    max_examples=short_or_long(400, 5_000), deadline=None, suppress_health_check=list(HealthCheck)
)
def test_any_body(
    scene: tuple[RowType[Any], list[dict[str, Any]]],
    edits: list[Any],
    spelling: str,
    seed: int,
) -> None:
    """After any learned body, a body has the rows, ids and errors of its decoding."""
    row_type, rows = scene
    dice = random.Random(seed)
    shuffled_rows = []
    for row in rows:
        fields = list(row.items())
        dice.shuffle(fields)
        shuffled_rows.append(dict(fields))
    body = body_of(shuffled_rows * (4_500 // len(rows) // 20), spelling)
    templates = TemplateCache()
    learn_body(templates, body, row_type)
    assert_same(templates, body, row_type)
    for position, length, insert in edits:
        start = position % len(body)
        body = body[:start] + insert + body[start + length :]
    assert_same(templates, body, row_type)
