"""Formulas: arithmetic over metrics."""

import math
from typing import Any, Final

import hypothesis
import pytest
from hypothesis import strategies as st

from schema.errors import AnalyticsError
from store.query.series.formulas import parse_formula
from tests.harness.apis import ask, delete_all, first_error, record
from tests.harness.service import NOON, Service

HOUR: Final = 3_600_000
A: Final = {"as": "a", "metric": "m"}
QUERY: Final = """query($formula: String!, $inputs: [NamedMetricInput!]!, $compare: CompareInput) {
  metricFormula(
    formula: $formula, inputs: $inputs, compare: $compare, granularity: HOUR,
    range: {between: {from: "2025-10-09T07:00:00Z", to: "2025-10-09T10:00:00Z"}}
  ) {
    times
    series { label key { name value } total values previousValues change { previous ratio } }
  }
}"""


def point(name: str, hour: int, value: float, **tags: str) -> dict[str, object]:
    """Return a point, some hours after 7:00 of October 9, 2025."""
    begin = NOON - 2 * HOUR  # 07:00
    return {"metric_name": name, "value": value, "timestamp": begin + hour * HOUR, "tags": tags}


async def ask_formula(service: Service, formula: str, *inputs: object, **variables: object) -> Any:
    """Return the result of a formula."""
    data = await ask(service, QUERY, formula=formula, inputs=inputs, **variables)
    return data["metricFormula"]


trees = st.recursive(
    st.sampled_from(["a", "b", "c"]) | st.integers(0, 99).map(str) | st.just("2.5"),
    lambda inner: (
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(
            lambda operation: f"({operation[0]} {operation[1]} {operation[2]})"
        )
        | inner.map(lambda operand: f"-{operand}")
    ),
    max_leaves=12,
)
values = st.none() | st.integers(-1000, 1000) | st.floats(-1e308, 1e308)


@hypothesis.given(trees, values, values, values)
def test_formula_computes_as_python_does(text: str, a: Any, b: Any, c: Any) -> None:
    """A formula has the result of Python; a missing value or a division by 0 gives null."""
    inputs = {"a": a, "b": b, "c": c}
    names = {name for name in inputs if name in text}
    try:
        numbers = {name: value if value is None else float(value) for name, value in inputs.items()}
        expected = eval(text, {}, numbers)  # noqa: S307 - of our own making
    except (ZeroDivisionError, TypeError):
        expected = None
    result = parse_formula(text, list(inputs)).compute(inputs)
    if expected is None or any(inputs[name] is None for name in names):
        assert result is None
    else:
        is_close = math.isclose(result or 0, expected, rel_tol=1e-9) or not math.isfinite(expected)
        assert is_close or math.isnan(expected)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "a +",
            "a b",
            "a ** b",
            "a % b",
            "a // b",
            "a < b",
            "a and b",
            "not a",
            "a if b",
        ),
        *("a()", "a.b", "a[0]", "'x'", "True", "1j", "lambda: 1", "a := 1", "[a]", "x", "a; b"),
        *("__import__('os')", "(" * 300 + "a" + ")" * 300, "a" + "+a" * 600, "a\x00"),
    ],
)
def test_invalid_formulas_are_refused(text: str) -> None:
    """Only + - * / ( ), numbers and names of inputs pass; the error names `formula`."""
    with pytest.raises(AnalyticsError) as excinfo:
        parse_formula(text, ["a", "b"])
    assert (excinfo.value.code, excinfo.value.field) == ("BAD_USER_INPUT", "formula")


def test_deepest_formula() -> None:
    """A hundred levels are computed; one more is refused with the limit."""
    assert parse_formula("a" + " + a" * 99, ["a"]).compute({"a": 1}) == 100
    assert parse_formula("-" * 99 + "a", ["a"]).compute({"a": 1}) == -1
    for text in ("a" + " + a" * 100, "-" * 100 + "a", "a" + "+a" * 499, "-" * 998 + "a"):
        with pytest.raises(AnalyticsError) as excinfo:
            parse_formula(text, ["a"])
        assert (excinfo.value.field, excinfo.value.limit) == ("formula", 100)


@pytest.mark.parametrize("text", ["9" * 999, "1e999", "a * 1e308 * 10", "1 / 0", "a / (a - a)"])
def test_result_beyond_a_double_is_null(text: str) -> None:
    """A result that no double can hold is null, as JSON has no infinity."""
    assert parse_formula(text, ["a"]).compute({"a": 2}) is None


async def test_formula_over_groups(service: Service) -> None:
    """Groups of inputs are joined by key; an input without groups is joined to each group.

    COUNT is 0 in an empty bucket of a group, and null if the input lacks the group.
    """
    await delete_all(service)
    rows = [
        *(point("errors", hour, 1, host="a") for hour in (0, 0, 2)),
        *(point("requests", hour, 1, host=host) for hour in range(3) for host in "ab"),
        *(point("limit", hour, 4) for hour in range(3)),
    ]
    await record(service, "/metrics", *rows)
    options = {"aggregate": "COUNT", "groupBy": ["host"]}
    result = await ask_formula(
        service,
        "errors / requests * l",
        {"as": "errors", "metric": "errors", **options},
        {"as": "requests", "metric": "requests", **options},
        {"as": "l", "metric": "limit", "aggregate": "MAX"},
    )
    assert result["times"] == [f"2025-10-09T0{hour}:00:00.000Z" for hour in (7, 8, 9)]
    assert result["series"] == [
        {
            "label": host,
            "key": [{"name": "host", "value": host}],
            "total": total,
            "values": buckets,
            "previousValues": None,
            "change": None,
        }
        for host, total, buckets in (("a", 4.0, [8.0, 0.0, 4.0]), ("b", None, [None] * 3))
    ]


async def test_formula_compared(service: Service) -> None:
    """The formula computes each bucket and the total of the comparison range."""
    await delete_all(service)
    rows = [point("m", hour, value) for hour, value in ((-2, 1), (-1, 3), (0, 10), (2, 30))]
    await record(service, "/metrics", *rows)
    compare = {"mode": "PREVIOUS_PERIOD"}
    metric_input = {"as": "m", "metric": "m", "aggregate": "SUM"}
    result = await ask_formula(service, "m * 2", metric_input, compare=compare)
    (series,) = result["series"]
    assert (series["label"], series["total"]) == ("m * 2", 80.0)
    assert series["values"] == [20.0, None, 60.0]
    assert series["previousValues"] == [None, 2.0, 6.0]
    assert series["change"] == {"previous": 8.0, "ratio": 9.0}


@pytest.mark.parametrize(
    ("formula", "inputs", "code", "field"),
    [
        ("a", [], "BAD_USER_INPUT", "inputs"),
        ("a", [{"as": "a", "metric": "m"}] * 2, "BAD_USER_INPUT", "inputs.as"),
        ("a", [{"as": f"a{n}", "metric": "m"} for n in range(21)], "BAD_USER_INPUT", "inputs"),
        ("b", [{"as": "a", "metric": "m"}], "BAD_USER_INPUT", "formula"),
        ("a", [{"as": "a", "metric": "nobody"}], "NOT_FOUND", None),
        (
            "a",
            [{"as": "a", "metric": "m", "aggregate": "UNIQUE"}],
            "BAD_USER_INPUT",
            "inputs.aggregate",
        ),
        ("a", [{"as": "a", "metric": "m", "aggregate": "QUANTILE"}], "BAD_USER_INPUT", "inputs.q"),
        ("a", [{"as": "a b", "metric": "m"}], "BAD_USER_INPUT", "inputs.as"),
        ("a", [{"as": "if", "metric": "m"}], "BAD_USER_INPUT", "inputs.as"),
    ],
)
async def test_bad_formulas(
    service: Service, formula: str, inputs: list[object], code: str, field: str | None
) -> None:
    """A bad formula or input is an error that names its field."""
    await record(service, "/metrics", point("m", 0, 1))
    variables = {"formula": formula, "inputs": inputs}
    response = await service.post("/graphql", {"query": QUERY, "variables": variables})
    extensions = first_error(response)["extensions"]
    assert (extensions["code"], extensions.get("field")) == (code, field)
