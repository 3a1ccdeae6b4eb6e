"""Formulas over random points and many groups, compared with an oracle in plain Python."""

import math
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.apis import ask, first_error, record
from tests.harness.service import NOON, Service
from tests.harness.statements import collect_statements
from tests.harness.strategies import SCENE_NUMBERS, SERIES_SETTINGS
from tests.oracle.formulas import HOURS, ExpectedSeries, Formula, Input, Point, expected_result

HOUR: Final = 3_600_000
BEGIN: Final = NOON - 2 * HOUR  # 07:00
RANGE: Final = {"between": {"from": "2025-10-09T07:00:00Z", "to": "2025-10-09T12:00:00Z"}}
VARIABLE_TYPES: Final = {
    "formula": "String!",
    "inputs": "[NamedMetricInput!]!",
    "compare": "CompareInput",
    "fill": "Fill!",
    "limit": "Int!",
    "offset": "Int!",
    "search": "String",
    "direction": "OrderDirection!",
    "range": "TimeRangeInput!",
}


def query_text(count: int) -> str:
    """Return a query of `count` formulas, each with its own variables."""
    declarations = ", ".join(
        f"${name}{n}: {type_name}"
        for n in range(count)
        for name, type_name in VARIABLE_TYPES.items()
    )
    names = {"search": "groupSearch"}
    fields = [
        f"f{n}: metricFormula(granularity: HOUR, "
        + ", ".join(f"{names.get(name, name)}: ${name}{n}" for name in VARIABLE_TYPES)
        + ") {...Answer}"
        for n in range(count)
    ]
    return f"query({declarations}) {{{' '.join(fields)}}} {ANSWER}"


ANSWER: Final = """fragment Answer on FormulaResult {
  times
  series { label total values previousValues change { previous } }
  meta { totalGroups truncated warnings { code message } }
}"""

TEXTS: Final = ["a", "a + b", "a / b", "b - a", "a / (a + b) * 100", "-a * 2 + b / c", "a + b + c"]


def variables_of(formula: Formula) -> dict[str, Any]:
    """Return the GraphQL variables of a formula."""
    return {
        "formula": formula.text,
        "inputs": [
            {
                "as": formula_input.name,
                "metric": formula_input.metric,
                "aggregate": formula_input.aggregate,
            }
            | ({"groupBy": ["g"]} if formula_input.is_grouped else {})
            for formula_input in formula.inputs
        ],
        "compare": {"mode": "PREVIOUS_PERIOD"} if formula.has_comparison else None,
        "fill": formula.fill,
        "limit": formula.limit,
        "offset": formula.offset,
        "search": formula.search or None,
        "direction": "DESC" if formula.is_descending else "ASC",
        "range": RANGE,
    }


async def ask_formulas(service: Service, formulas: list[Formula]) -> list[Any]:
    """Return the results of formulas, from one request."""
    variables = {
        f"{name}{n}": value
        for n, formula in enumerate(formulas)
        for name, value in variables_of(formula).items()
    }
    data = await ask(service, query_text(len(formulas)), **variables)
    return [data[f"f{n}"] for n in range(len(formulas))]


async def ask_formula(service: Service, formula: Formula, **overrides: Any) -> Any:
    """Return the result of a formula, with some variables overridden."""
    variables = {f"{name}0": value for name, value in (variables_of(formula) | overrides).items()}
    return (await ask(service, query_text(1), **variables))["f0"]


async def record_points(service: Service, points: list[Point]) -> None:
    """Record points."""
    rows = [
        {
            "metric_name": point.metric,
            "value": point.value,
            "timestamp": BEGIN + point.hour * HOUR,
            "tags": {} if point.group is None else {"g": point.group},
        }
        for point in points
    ]
    await record(service, "/metrics", *rows)


@st.composite
def scenes(draw: st.DrawFn) -> tuple[list[Point], list[Formula]]:
    """Draw points of three metrics, and formulas over these metrics."""
    number = next(SCENE_NUMBERS)
    metrics = [f"f{number}{letter}" for letter in "abc"]
    groups = st.sampled_from(["x", "y", "Straße", None])
    point = st.builds(
        Point, st.sampled_from(metrics), st.integers(-HOURS, HOURS - 1), st.integers(-3, 6), groups
    )
    points = draw(st.lists(point, max_size=30))
    points += [Point(metric, -20, 1, None) for metric in metrics]  # so each metric is known
    inputs = st.tuples(
        *(
            st.builds(
                Input,
                st.just(name),
                st.sampled_from(metrics),
                st.sampled_from(["COUNT", "SUM", "AVG", "MIN", "MAX"]),
                st.booleans(),
            )
            for name in "abc"
        )
    )
    formula = st.builds(
        Formula,
        st.sampled_from(TEXTS),
        inputs,
        st.sampled_from(["NULL", "ZERO", "NONE", "LINEAR"]),
        st.booleans(),
        st.sampled_from([1, 2, 1000]),
        st.sampled_from([0, 0, 1, 3]),
        st.sampled_from(["", "", "X", "STRASSE", "(none"]),
        st.booleans(),
    )
    return points, draw(st.lists(formula, min_size=1, max_size=4))


def agree(actual: float | None, expected: float | None) -> bool:
    """Say whether two values are equal within rounding."""
    if actual is None or expected is None:
        return actual is expected
    return math.isclose(actual, expected, rel_tol=1e-12, abs_tol=1e-12)


def check(result: Any, formula: Formula, points: list[Point]) -> None:
    """Compare a result with the oracle."""
    hours, expected_series, total = expected_result(formula, points)
    assert result["times"] == [f"2025-10-09T{7 + hour:02}:00:00.000Z" for hour in hours]
    assert [series["label"] for series in result["series"]] == [
        expected.label for expected in expected_series
    ]
    for series, expected in zip(result["series"], expected_series, strict=True):
        _check_series(series, expected, hours, has_comparison=formula.has_comparison)
    meta = result["meta"]
    groups_left = total - formula.offset - formula.limit
    has_groups = any(formula_input.is_grouped for formula_input in formula.inputs)
    assert meta["totalGroups"] == total
    assert meta["truncated"] == (groups_left > 0)
    codes = [warning["code"] for warning in meta["warnings"] if warning["code"] != "UNKNOWN_KEY"]
    assert codes == ["TRUNCATED"] * (groups_left > 0 and has_groups)


def _check_series(
    series: Any, expected: ExpectedSeries, hours: list[int], *, has_comparison: bool
) -> None:
    assert agree(series["total"], expected.total)
    assert all(map(agree, series["values"], [expected.values[hour] for hour in hours])), (
        series,
        expected,
    )
    if not has_comparison:
        assert series["previousValues"] is series["change"] is None
        return
    before = expected.previous_values or []
    assert len(series["previousValues"]) == len(hours)
    assert all(map(agree, series["previousValues"], [before[hour] for hour in hours])), (
        series,
        expected,
    )
    assert agree(series["change"]["previous"], expected.previous_total)


@given(scenes())
@SERIES_SETTINGS
async def test_formulas(service: Service, scene: tuple[list[Point], list[Formula]]) -> None:
    """Any formulas agree with the oracle, with gaps, groups, fills, pages and comparisons."""
    points, formulas = scene
    await record_points(service, points)
    answers = await ask_formulas(service, formulas)
    for formula, result in zip(formulas, answers, strict=True):
        check(result, formula, points)


def input_pair(name: str, aggregate: str, *, is_grouped: bool) -> list[Input]:
    """Return inputs `a` and `b` of a test's own metrics."""
    return [Input(letter, f"{name} {letter}", aggregate, is_grouped) for letter in "ab"]


@pytest.mark.parametrize(
    ("fill", "hours", "values"),
    [
        ("NONE", [7, 10], [9, 4]),
        ("NULL", [7, 8, 9, 10, 11], [9, None, None, 4, None]),
        ("ZERO", [7, 8, 9, 10, 11], [9, 2, 5, 4, 0]),
    ],
)
async def test_inputs_are_joined_by_time(
    service: Service, fill: str, hours: list[int], values: list[float | None]
) -> None:
    """Each hour is computed from its own values, though the inputs have different gaps."""
    a, b = inputs = input_pair(fill, "AVG", is_grouped=False)
    points = [Point(a.metric, hour, value, None) for hour, value in ((0, 6), (1, 2), (3, 4))]
    points += [Point(b.metric, hour, value, None) for hour, value in ((0, 3), (2, 5), (3, 0))]
    points += [Point(b.metric, hour, 1, None) for hour in range(-4, 0)]
    await record_points(service, points)
    result = await ask_formula(service, Formula("a + b", inputs, fill, has_comparison=True))
    assert result["times"] == [f"2025-10-09T{hour:02}:00:00.000Z" for hour in hours]
    assert result["series"][0]["values"] == values
    assert len(result["series"][0]["previousValues"]) == len(values)


@pytest.mark.usefixtures("frozen")
async def test_all_time_is_that_of_all_inputs(service: Service) -> None:
    """ALL_TIME covers all points of all inputs, as a range and as a comparison range."""
    inputs = input_pair("all", "SUM", is_grouped=False)
    points = [Point(inputs[0].metric, hour, 1, None) for hour in (-200, 1)]
    points += [Point(inputs[1].metric, hour, 100, None) for hour in (-100, 1)]
    await record_points(service, points)
    all_time = {"preset": "ALL_TIME"}
    result = await ask_formula(service, Formula("a + b", inputs, "NONE"), range=all_time)
    assert result["times"][-1] == "2025-10-09T08:00:00.000Z"
    result = await ask_formula(service, Formula("a + b", inputs, "ZERO"), range=all_time)
    values = {
        time: value
        for time, value in zip(result["times"], result["series"][0]["values"], strict=True)
        if value
    }
    assert list(values.values()) == [1, 100, 101]
    assert result["series"][0]["total"] == 202
    result = await ask_formula(service, Formula("a + b", inputs), compare={"range": all_time})
    (series,) = result["series"]
    assert (series["total"], series["change"]["previous"]) == (101, 202)
    assert series["previousValues"][:HOURS] == [None] * HOURS  # the first hours of all time
    assert 101 in series["previousValues"]  # all time has more hours than the range has points
    result = await ask_formula(service, Formula("a", inputs[:1]), compare={"range": all_time})
    assert result["series"][0]["previousValues"][:HOURS] == [1, None, None, None, None]


GROUPS: Final = 1500


async def test_more_groups_than_series(service: Service) -> None:
    """With 1,510 groups every series is right, and a warning counts the groups left out."""
    a, b = inputs = input_pair("many", "SUM", is_grouped=True)
    points = [Point(a.metric, 1, n % 7, f"g{n}") for n in range(GROUPS)]
    points += [Point(b.metric, 1, 1 + n % 11, f"g{n}") for n in reversed(range(GROUPS))]
    points += [Point(b.metric, 2, 5, f"only b {n}") for n in range(10)]
    await record_points(service, points)
    for formula_text, fill in (("a / b", "NULL"), ("a + b", "ZERO")):
        for offset in (0, 1000):
            formula = Formula(formula_text, inputs, fill, offset=offset)
            check(await ask_formula(service, formula), formula, points)
    result = await ask_formula(service, Formula("a / b", inputs))
    assert len(result["series"]) == 1000
    assert result["meta"]["totalGroups"] == GROUPS + 10
    assert result["meta"]["warnings"] == [
        {"code": "TRUNCATED", "message": "510 groups are left out (limit 1000)."}
    ]


async def test_inputs_share_statements(service: Service) -> None:
    """All formulas share one statement for totals, and one for columns and comparisons."""
    points = [
        Point(f"shared {name}", hour, 1, group)
        for name in "ab"
        for hour in (-1, 1)
        for group in "xy"
    ]
    await record_points(service, points)
    panel_template = """ %s: metricFormula(
      formula: "a / b * w", granularity: HOUR %s
      range: {between: {from: "2025-10-09T07:00:00Z", to: "2025-10-09T12:00:00Z"}}
      inputs: [
        {as: "a", metric: "shared a", aggregate: SUM, groupBy: ["g"]}
        {as: "b", metric: "shared b", aggregate: COUNT, groupBy: ["g"]}
        {as: "w", metric: "shared b", aggregate: MAX}
      ]
    ) {series {label total %s}}"""
    compare = "compare: {mode: PREVIOUS_PERIOD}"
    for arguments, selection, count in (
        ("", "", 1),
        ("", "values", 2),
        (compare, "change {ratio}", 2),
        (compare, "values previousValues", 2),
    ):
        panels = [panel_template % (alias, arguments, selection) for alias in "pq"]
        with collect_statements() as statements:
            data = await ask(service, f"{{{' '.join(panels)}}}")
        assert len(statements) == count
        assert data["p"] == data["q"]
        assert [(series["label"], series["total"]) for series in data["p"]["series"]] == [
            ("x", 1),
            ("y", 1),
        ]


async def test_formula_without_any_group(service: Service) -> None:
    """Inputs without points in the range give no series; an unknown metric is not found."""
    stored_input, missing_input = input_pair("no", "SUM", is_grouped=True)
    await record_points(service, [Point(stored_input.metric, -50, 1, "x")])
    result = await ask_formula(service, Formula("a", [stored_input], has_comparison=True))
    assert (result["series"], result["meta"]["totalGroups"]) == ([], 0)
    formula_variables = variables_of(Formula("a + b", [stored_input, missing_input]))
    variables = {f"{name}0": value for name, value in formula_variables.items()}
    response = await service.post("/graphql", {"query": query_text(1), "variables": variables})
    assert first_error(response)["extensions"]["code"] == "NOT_FOUND"
